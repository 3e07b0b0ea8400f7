"""The task registry: one row per task. Importing it costs nothing; a task is imported when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nlp_rnn.data.module import DataModule
    from nlp_rnn.tasks.base import Task


@dataclass(frozen=True)
class TaskRow:
    """What is known of a task before it is imported.

    Args:
        summary: what it does, in a few words: input -> output.
        model: the name of its LightningModule.
        data: the names of its DataModules; the first reads any corpus.
        module: the package that has them.
        aliases: the names that the hub has for it.
    """

    summary: str
    model: str
    data: tuple[str, ...]
    module: str
    aliases: tuple[str, ...] = ()


ROWS: dict[str, TaskRow] = {
    "sentiment": TaskRow(
        "text -> one label",
        "Sentiment",
        ("SentimentData",),
        "nlp_rnn.tasks.sentiment",
        ("sentiment-analysis", "text-classification"),
    ),
    "tagging": TaskRow(
        "words -> one tag per word",
        "Tagging",
        ("TaggingData",),
        "nlp_rnn.tasks.tagging",
        ("token-classification", "pos-tagging"),
    ),
    "translation": TaskRow(
        "sentence -> sentence",
        "Translation",
        ("TranslationData",),
        "nlp_rnn.tasks.translation",
        ("text2text-generation",),
    ),
    "language_modeling": TaskRow(
        "text -> the text that follows",
        "LanguageModeling",
        ("LanguageModelingData",),
        "nlp_rnn.tasks.language_modeling",
        ("text-generation",),
    ),
    "captioning": TaskRow(
        "vector -> text",
        "Captioning",
        ("CaptioningData",),
        "nlp_rnn.tasks.captioning",
        ("image-to-text",),
    ),
    "forecasting": TaskRow(
        "series of numbers -> the numbers that follow",
        "Forecasting",
        ("ForecastingData", "LongMemoryData"),
        "nlp_rnn.tasks.forecasting",
        ("time-series-forecasting",),
    ),
    "series_tagging": TaskRow(
        "series of vectors -> one label per step",
        "SeriesTagging",
        ("SeriesTaggingData",),
        "nlp_rnn.tasks.series_tagging",
    ),
}


class _Tasks(Mapping[str, "type[Task]"]):
    """The LightningModules by the names of their tasks."""

    def __getitem__(self, name: str) -> type[Task]:
        row = ROWS[name]
        return getattr(import_module(row.module), row.model)

    def __iter__(self) -> Iterator[str]:
        return iter(ROWS)

    def __len__(self) -> int:
        return len(ROWS)


TASKS = _Tasks()


def data_classes(name: str) -> tuple[type[DataModule], ...]:
    """The DataModules of a task, by its name."""
    row = ROWS[name]
    return tuple(getattr(import_module(row.module), kind) for kind in row.data)


def load_tasks() -> None:
    """Import every task."""
    for row in ROWS.values():
        import_module(row.module)


def find_class(name: str) -> type | None:
    """The LightningModule or DataModule of any task by its class name; None if there is none."""
    for row in ROWS.values():
        if name in (row.model, *row.data):
            return getattr(import_module(row.module), name)
    return None


def task_name(name: str) -> str | None:
    """The name of a task by its name or alias; hyphens and underscores are alike. None if there is none."""
    wanted = name.replace("-", "_")
    for task, row in ROWS.items():
        if wanted in (task, *(alias.replace("-", "_") for alias in row.aliases)):
            return task
    return None
