"""The tasks: one folder per task, with its data, and its model, loss and metrics.

    >>> from nlp_rnn.tasks import TASKS, Sentiment
    >>> list(TASKS)[:3]
    ['sentiment', 'tagging', 'translation']
    >>> TASKS["sentiment"] is Sentiment
    True

Classes are imported when they are first used. A new task is a folder with a `Task` and a `DataModule`, and a
row in `nlp_rnn.tasks.registry.ROWS`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nlp_rnn.tasks.registry import ROWS, TASKS, find_class

if TYPE_CHECKING:  # what type checkers and editors see
    # ruff: noqa: F401
    from nlp_rnn.tasks.base import Task
    from nlp_rnn.tasks.captioning import Captioning, CaptioningData
    from nlp_rnn.tasks.forecasting import Forecasting, ForecastingData, LongMemoryData
    from nlp_rnn.tasks.generation import BeamSettings, GenerationTask
    from nlp_rnn.tasks.language_modeling import LanguageModeling, LanguageModelingData
    from nlp_rnn.tasks.multi_label import MultiLabel, MultiLabelData
    from nlp_rnn.tasks.optimization import Optimization
    from nlp_rnn.tasks.regularization import Regularization
    from nlp_rnn.tasks.sentiment import Sentiment, SentimentData
    from nlp_rnn.tasks.series_tagging import SeriesTagging, SeriesTaggingData
    from nlp_rnn.tasks.tagging import Tagging, TaggingData
    from nlp_rnn.tasks.text_pairs import TextPairs, TextPairsData
    from nlp_rnn.tasks.translation import Translation, TranslationData

_SHARED = {
    "BeamSettings": "nlp_rnn.tasks.generation",
    "GenerationTask": "nlp_rnn.tasks.generation",
    "Optimization": "nlp_rnn.tasks.optimization",
    "Regularization": "nlp_rnn.tasks.regularization",
    "Task": "nlp_rnn.tasks.base",
}

__all__ = ["TASKS", *_SHARED, *(name for row in ROWS.values() for name in (row.model, *row.data))]


def __getattr__(name: str) -> Any:
    if name in _SHARED:
        return getattr(import_module(_SHARED[name]), name)
    if (task_or_data := find_class(name)) is not None:
        return task_or_data
    raise AttributeError(f"module 'nlp_rnn.tasks' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
