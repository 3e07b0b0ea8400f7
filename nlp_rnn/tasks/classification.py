"""What tasks share whose answers are labels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric
from torchmetrics.classification import MulticlassConfusionMatrix
from typing_extensions import override

from nlp_rnn.data.batching import IGNORED
from nlp_rnn.errors import UsageError, printable
from nlp_rnn.lite.tasks import answers
from nlp_rnn.plots.confusion import confusion_matrix_figure
from nlp_rnn.tasks.base import B, P, Task
from nlp_rnn.tasks.baselines import ALWAYS, most_frequent
from nlp_rnn.tasks.interface import (
    AnswerColumn,
    Answers,
    Baseline,
    Decision,
    EncodedSplit,
    Judgement,
    RowScore,
)
from nlp_rnn.tasks.metrics import ClassReport, MeanLoss, class_report

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class LabelProcessor(Protocol):
    """What a `ClassificationTask` needs of its processor."""

    labels: list[str]
    """The names of the labels, in the order of their ids."""


class ClassificationTask(Task[P, B]):
    """A task that predicts one label per row or one per step.

    Its processor is a `LabelProcessor`. A subclass defines `logits`, `loss`, `answer` and `format_answer`.
    """

    progress_bar_metrics = ("accuracy",)
    row_score = RowScore("fraction of labels that are right")

    @property
    def labels(self) -> list[str]:
        """The names of the labels, in the order of their ids."""
        return cast(LabelProcessor, self.processor).labels

    @property
    @override
    def metric_labels(self) -> Sequence[str]:
        return self.labels

    @abstractmethod
    def logits(self, batch: B) -> Tensor:
        """Scores of the labels: [B, C], or [T, B, C] if `batch.labels` are [T, B]."""

    @override
    def make_metrics(self) -> dict[str, Metric]:
        return {"loss": MeanLoss(), "confusion": MulticlassConfusionMatrix(len(self.labels))}

    @override
    def update_metrics(self, batch: B, metrics: Mapping[str, Any]) -> Answers | None:
        self.score(batch, self.logits(batch), metrics)
        return None

    def score(self, batch: B, scores: Tensor, metrics: Mapping[str, Any]) -> None:
        """Add a batch to the metrics.

        Args:
            batch: with labels.
            scores: what `logits` returned for it.
            metrics: of one stage.
        """
        assert batch.labels is not None
        scored = batch.labels != IGNORED
        logits, labels = scores[scored].float(), batch.labels[scored]  # [N, C], [N]
        metrics["loss"].update(F.cross_entropy(logits, labels, reduction="sum"), len(labels))
        metrics["confusion"].update(logits, labels)

    @override
    def compute_metrics(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        by_label = class_metrics(class_report(metrics["confusion"].compute()), self.labels)
        return {"loss": metrics["loss"].compute().item(), **by_label}

    @override
    def baselines(self, measured: EncodedSplit, train: EncodedSplit | None) -> list[Baseline]:
        labels = scored_labels(measured)
        if not len(labels):
            return []
        # Of the measured rows themselves no constant answer is better, so that it never flatters the model.
        answer = most_frequent((labels if train is None else scored_labels(train)).tolist())
        matrix = count_pairs(labels, torch.full_like(labels, answer), len(self.labels))
        name = f"{ALWAYS}, {printable(self.labels[answer])}"
        return [Baseline(name, class_metrics(class_report(matrix), []))]

    @override
    def report_tables(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        return class_tables(metrics["confusion"].compute(), self.labels)

    @override
    def plots(self, report: Mapping[str, Any]) -> dict[str, Figure]:
        matrix = torch.tensor(report["confusion"])
        return {"confusion_matrix": confusion_matrix_figure(matrix, report["labels"])}


def scored_labels(split: EncodedSplit) -> Tensor:
    """The ids [N] of all labels of a split that are scored and known, one per row or several."""
    if "label_id" in split.rows.names:
        ids = split.rows.column("label_id")
    else:
        ids = np.concatenate(list(split.rows.values("label_ids")))
    return torch.tensor(ids[ids >= 0], dtype=torch.int64)


def count_pairs(labels: Tensor, predicted: Tensor, size: int) -> Tensor:
    """The confusion matrix [C, C] of true and predicted ids, [N] each."""
    return torch.bincount(labels.long() * size + predicted, minlength=size * size).view(size, size)


def step_columns(name: str, scores: str = "scores", ending: str = "") -> dict[str, AnswerColumn]:
    """The columns of a table of answers with one label per step.

    Args:
        name: the key of the labels in an answer.
        scores: the key of their probabilities.
        ending: of the names of the columns.
    """
    return {
        f"prediction{ending}": AnswerColumn(pa.list_(pa.string()), itemgetter(name)),
        f"probability{ending}": AnswerColumn(pa.list_(pa.float32()), itemgetter(scores)),
    }


def step_answers(logits: Tensor, lengths: Tensor, labels: Sequence[str]) -> list[dict[str, Any]]:
    """Answers with one label per step.

    Args:
        logits: [T, B, C] float.
        lengths: [B] int64.
        labels: [C], their names.

    Returns:
        Per row a dictionary with the most probable label of each step, `labels`, and their probabilities
        `scores`.
    """
    scores, best = logits.float().softmax(-1).max(-1)  # [T, B] each
    return answers.step_answers(best.t().tolist(), scores.t().tolist(), lengths.tolist(), labels)


def judge_steps(
    references: Sequence[str | None],
    labels: Sequence[str],
    probabilities: Sequence[float],
    parts: Sequence[str],
) -> Judgement:
    """Compare the labels of steps with those of the data.

    Args:
        references: one per step; None where nothing is scored.
        labels: of the answer.
        probabilities: of these.
        parts: what each step is called, such as its word.
    """
    decisions = [
        Decision(reference, label, probability, part)
        for reference, label, probability, part in zip(references, labels, probabilities, parts, strict=True)
        if reference is not None
    ]
    right = sum(decision.reference == decision.answer for decision in decisions)
    shown = " ".join("_" if reference is None else reference for reference in references)
    return Judgement(shown, right / len(decisions) if decisions else None, decisions)


def class_tables(matrix: Tensor, labels: Sequence[str]) -> dict[str, Any]:
    """The tables of a report from a confusion matrix [C, C]: scores per class, and the matrix itself."""
    return {
        "classes": class_rows(class_report(matrix), labels),
        "labels": list(labels),
        "confusion": matrix.tolist(),
    }


def class_rows(report: ClassReport, labels: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of a table with the scores of each class; classes behind those with labels are left out."""
    columns = (report.precision, report.recall, report.f1, report.support)
    scores = zip(*(column.tolist() for column in columns), strict=True)
    return [
        {"class": label, "precision": precision, "recall": recall, "f1": f1, "support": support}
        for label, (precision, recall, f1, support) in zip(labels, scores, strict=False)
    ]


def class_metrics(report: ClassReport, labels: Sequence[str]) -> dict[str, float]:
    """Accuracy, macro F1 and the F1 of each class.

    Classes behind those that have labels count, but are not named.
    """
    by_class = {
        f"f1_{printable(label)}": value for label, value in zip(labels, report.f1.tolist(), strict=False)
    }
    return {"accuracy": report.accuracy, "f1": report.macro_f1, **by_class}


def require_unidirectional(is_bidirectional: bool) -> None:
    """Refuse to stream with a model that reads backward from the end of the text.

    Raises:
        UsageError: the model is bidirectional.
    """
    if is_bidirectional:
        raise UsageError(
            "the model is bidirectional, so it cannot answer before the text has ended: "
            "train with --model.bidirectional false"
        )
