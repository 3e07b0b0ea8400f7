"""LightningModules, one a task: loss, metrics, optimiser."""

from nlp_rnn.tasks.captioning import Captioning
from nlp_rnn.tasks.decoding import Decoding, DecodingTask
from nlp_rnn.tasks.forecasting import Forecasting
from nlp_rnn.tasks.language_modeling import LanguageModeling
from nlp_rnn.tasks.module import Task
from nlp_rnn.tasks.optimization import Optimization
from nlp_rnn.tasks.sentiment import Sentiment
from nlp_rnn.tasks.series_tagging import SeriesTagging
from nlp_rnn.tasks.tagging import Tagging
from nlp_rnn.tasks.translation import Translation

TASKS: dict[str, type[Task]] = {
    task.name: task
    for task in (
        *(Sentiment, Tagging, Translation),
        *(LanguageModeling, Captioning, Forecasting, SeriesTagging),
    )
}

__all__ = [
    "TASKS",
    "Captioning",
    "Decoding",
    "DecodingTask",
    "Forecasting",
    "LanguageModeling",
    "Optimization",
    "Sentiment",
    "SeriesTagging",
    "Tagging",
    "Task",
    "Translation",
]
