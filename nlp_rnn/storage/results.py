"""Measured results, as a model's card states them: enough to measure them again, and to compare."""

from __future__ import annotations

import dataclasses
import math
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import nlp_rnn
from nlp_rnn.data.builtin.corpora import EXAMPLES
from nlp_rnn.data.corpus.corpus import Corpus
from nlp_rnn.errors import UsageError
from nlp_rnn.settings import plain

if TYPE_CHECKING:
    from huggingface_hub import EvalResult


_OPTIONS: dict[str, type] = {"columns": dict, "beam": int, "copy_unknown": bool, "precision": str}
"""The arguments of `evaluate` that a result may state, and their types."""


@dataclass(frozen=True)
class Measured:
    """The metrics of a model on one split of a corpus.

    Args:
        data: the settings of the corpus that are not the default, with its `path`; see `corpus_settings`.
        split: train, validation, test, or all.
        rows: how many rows were measured.
        data_hash: hash of these rows as the model reads them, see `Rows.content_hash`.
        metrics: by name, unrounded; not those of single classes. Undefined ones are left out.
        signatures: metric -> sacreBLEU's signature, where a metric has one.
        options: what else was set, such as beam, precision or columns.
        command: the command that measured.
        versions: of nlp_rnn, torch and Python, see `current_versions`.
    """

    data: Mapping[str, Any]
    split: str
    rows: int
    data_hash: str
    metrics: Mapping[str, float]
    signatures: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The path or hub id of the corpus."""
        return str(self.data["path"])

    @property
    def split_name(self) -> str:
        """The split as the corpus itself names it, where that was stated."""
        return str(self.data.get(f"{self.split}_split", self.split))

    @property
    def key(self) -> tuple[str, ...]:
        """What was measured: equal for results that replace each other."""
        return (self.path, str(self.data.get("config")), self.split_name)

    @property
    def corpus(self) -> Corpus:
        """The corpus, of which nothing is read yet.

        Raises:
            UsageError: a setting is out of range, or there is no such setting.
        """
        return Corpus.of(dict(self.data), "data")

    def state(self) -> dict[str, Any]:
        """As plain values, without what is empty."""
        return {name: plain(value) for name, value in asdict(self).items() if value not in ("", {})}

    @classmethod
    def from_state(cls, state: Any) -> Self:
        """What `state` returned.

        Raises:
            UsageError: a card from a stranger, or that was edited, holds something else.
        """
        try:
            measured = cls(**state)
            metrics = {str(name): float(value) for name, value in measured.metrics.items()}
            path = measured.data["path"]
            valid = isinstance(path, str) and bool(path) and all(map(math.isfinite, metrics.values()))
            tables = (measured.signatures, measured.versions, measured.options.get("columns", {}))
            texts = [measured.split, measured.data_hash, measured.command]
            for table in tables:
                texts += table.values()
            if not all(isinstance(text, str) for text in texts):
                raise TypeError
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise UsageError(f"its results cannot be read ({type(error).__name__})") from error
        if not valid or type(measured.rows) is not int:
            raise UsageError(
                "its results cannot be read: they lack a path, a number of rows or finite metrics"
            )
        for name, value in measured.options.items():
            if type(value) is not _OPTIONS.get(name):  # the others would tell `evaluate` to write files
                raise UsageError(f"its results cannot be read: they have an option {name}: {value!r:.60}")
        return dataclasses.replace(measured, metrics=metrics)

    def eval_results(self, task: str) -> list[EvalResult]:
        """As the hub reads them, one per metric.

        Args:
            task: the hub's name of the task, such as text-classification.
        """
        from huggingface_hub import EvalResult

        return [
            EvalResult(
                task_type=task,
                dataset_type=self.path,
                dataset_name=self.path,
                dataset_config=self.data.get("config"),
                dataset_revision=self.data.get("revision"),
                dataset_split=self.split_name,
                metric_type=name,
                metric_name=name,
                metric_value=value,
                metric_args={"signature": self.signatures[name]} if name in self.signatures else None,
            )
            for name, value in self.metrics.items()
        ]


def overall(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics that are defined, without those of single classes and without the stage in their names."""
    names = {name.rsplit("/", 1)[-1]: float(value) for name, value in metrics.items()}
    return {n: value for n, value in names.items() if math.isfinite(value) and not n.startswith("f1_")}


def signatures(metrics: Mapping[str, Any], stated: Mapping[str, float]) -> dict[str, str]:
    """The signatures of the metrics that are stated, of those that have one, such as BLEU, by name."""
    found = {name: getattr(metrics[name], "signature", None) for name in stated if name in metrics}
    return {name: str(signature) for name, signature in found.items() if signature is not None}


def corpus_settings(corpus: Corpus) -> dict[str, Any]:
    """The settings of a corpus that are not the default, as plain values, and its path."""
    stated = {
        item.name: getattr(corpus, item.name)
        for item in dataclasses.fields(corpus)
        if getattr(corpus, item.name) != item.default
    }
    return {**plain(stated), "path": str(corpus.path)}


def hub_dataset(path: str) -> str | None:
    """The id of the hub dataset that a corpus was read from; None if it is bundled or local."""
    is_id = path.count("/") == 1 and path not in EXAMPLES and not Path(path).expanduser().exists()
    return path if is_id and not path.startswith((".", "/", "~")) else None


def current_versions() -> dict[str, str]:
    """The versions that results may depend on."""
    import torch

    return {
        "nlp_rnn": nlp_rnn.__version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
    }
