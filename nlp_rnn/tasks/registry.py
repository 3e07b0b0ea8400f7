"""The task registry: one row per task.

Importing this module imports neither torch nor Lightning: a task's classes are imported when they are used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from nlp_rnn.errors import UsageError
from nlp_rnn.lite.folders.names import ALIASES, find_name

if TYPE_CHECKING:
    from nlp_rnn.data.module import DataModule
    from nlp_rnn.tasks.base import Task


@dataclass(frozen=True)
class TaskRow:
    """What is known of a task without importing it.

    Args:
        summary: what it does, in a few words: input -> output.
        model: the name of its LightningModule.
        data: the names of its DataModules; the first reads any corpus.
        module: the package that defines them.
        aliases: the Hugging Face hub's names for the task.
        pipeline_tag: the one of the hub's own tasks that a model card names, if there is one.
    """

    summary: str
    model: str
    data: tuple[str, ...]
    module: str
    aliases: tuple[str, ...] = ()
    pipeline_tag: str | None = None


ROWS: dict[str, TaskRow] = {
    "sentiment": TaskRow(
        "text -> one label",
        "Sentiment",
        ("SentimentData",),
        "nlp_rnn.tasks.sentiment",
        ALIASES["sentiment"],
        "text-classification",
    ),
    "tagging": TaskRow(
        "words -> one tag per word",
        "Tagging",
        ("TaggingData",),
        "nlp_rnn.tasks.tagging",
        ALIASES["tagging"],
        "token-classification",
    ),
    "translation": TaskRow(
        "sentence -> sentence",
        "Translation",
        ("TranslationData",),
        "nlp_rnn.tasks.translation",
        ALIASES["translation"],
        "translation",
    ),
    "language_modeling": TaskRow(
        "text -> the text that follows",
        "LanguageModeling",
        ("LanguageModelingData",),
        "nlp_rnn.tasks.language_modeling",
        ALIASES["language_modeling"],
        "text-generation",
    ),
    "captioning": TaskRow(
        "vector -> text",
        "Captioning",
        ("CaptioningData",),
        "nlp_rnn.tasks.captioning",
        ALIASES["captioning"],
        "image-to-text",
    ),
    "forecasting": TaskRow(
        "series of numbers -> the numbers that follow",
        "Forecasting",
        ("ForecastingData", "LongMemoryData"),
        "nlp_rnn.tasks.forecasting",
        ALIASES["forecasting"],
        "time-series-forecasting",
    ),
    "series_tagging": TaskRow(
        "series of vectors -> one label per step",
        "SeriesTagging",
        ("SeriesTaggingData",),
        "nlp_rnn.tasks.series_tagging",
    ),
    "text_pairs": TaskRow(
        "two texts -> one label",
        "TextPairs",
        ("TextPairsData",),
        "nlp_rnn.tasks.text_pairs",
        ALIASES["text_pairs"],
        "text-classification",
    ),
    "multi_label": TaskRow(
        "text -> any number of labels",
        "MultiLabel",
        ("MultiLabelData",),
        "nlp_rnn.tasks.multi_label",
        ALIASES["multi_label"],
        "text-classification",
    ),
}


class _Tasks(Mapping[str, "type[Task]"]):
    """Task name -> LightningModule."""

    def __getitem__(self, name: str) -> type[Task]:
        task_class: type[Task] = _import(name, ROWS[name].model)
        return task_class

    def __iter__(self) -> Iterator[str]:
        return iter(ROWS)

    def __len__(self) -> int:
        return len(ROWS)


TASKS = _Tasks()
"""Task name -> LightningModule, imported when it is looked up."""


def data_classes(name: str) -> tuple[type[DataModule[Any]], ...]:
    """The DataModules of a task, by its name."""
    return tuple(_import(name, class_name) for class_name in ROWS[name].data)


def load_tasks() -> None:
    """Import every task."""
    for name, row in ROWS.items():
        _import(name, row.model)


def find_class(name: str) -> type | None:
    """The LightningModule or DataModule of a task by its class name; None if no task has it."""
    for task, row in ROWS.items():
        if name in (row.model, *row.data):
            found: type = _import(task, name)
            return found
    return None


def task_name(name: str) -> str | None:
    """The name of a task by its name or alias; None if there is none.

    Hyphens and underscores are equivalent.

    Raises:
        UsageError: it is an alias of several tasks.
    """
    return find_name(name, {task: row.aliases for task, row in ROWS.items()})


def _import(task: str, name: str) -> Any:
    """A class of a task."""
    module = ROWS[task].module
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"the row of task {task!r} names {module}.{name}: {error}") from error
