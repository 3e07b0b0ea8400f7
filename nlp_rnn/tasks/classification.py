"""What the tasks share whose answers are labels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import Metric
from torchmetrics.classification import MulticlassConfusionMatrix

from nlp_rnn.data.batching import IGNORED
from nlp_rnn.data.vocabulary import UNK
from nlp_rnn.errors import UsageError
from nlp_rnn.models.classifier import Classifier
from nlp_rnn.plots.confusion import confusion_matrix_figure
from nlp_rnn.tasks.base import B, P, Probe, StreamState, Task
from nlp_rnn.tasks.losses import drop_words, label_loss
from nlp_rnn.tasks.metrics import MeanLoss, class_report

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class ClassificationTask(Task[P, B]):
    """A task that scores labels, one per row or one per step; the labels are the processor's."""

    progress_bar_metrics = ("accuracy",)

    @property
    def labels(self) -> list[str]:
        """The names of the labels, in the order of their ids."""
        return self.processor.labels  # type: ignore[attr-defined]

    @abstractmethod
    def logits(self, batch: B) -> Tensor:
        """Scores of the labels: [B, C], or [T, B, C] where `batch.labels` are [T, B]."""

    def make_metrics(self) -> dict[str, Metric]:
        return {"loss": MeanLoss(), "confusion": MulticlassConfusionMatrix(len(self.labels))}

    def update_metrics(self, batch: B, metrics: Mapping[str, Any]) -> None:
        assert batch.labels is not None
        scored = batch.labels != IGNORED
        logits, labels = self.logits(batch)[scored].float(), batch.labels[scored]  # [N, C], [N]
        metrics["loss"].update(F.cross_entropy(logits, labels, reduction="sum"), len(labels))
        metrics["confusion"].update(logits, labels)

    def compute_metrics(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        by_label = class_metrics(metrics["confusion"].compute(), self.labels)
        return {"loss": metrics["loss"].compute().item(), **by_label}

    def report_tables(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        return class_tables(metrics["confusion"].compute(), self.labels)

    def plots(self, report: Mapping[str, Any]) -> dict[str, Figure]:
        matrix = torch.tensor(report["confusion"])
        return {"confusion_matrix": confusion_matrix_figure(matrix, report["labels"])}


class TextClassificationTask(ClassificationTask[P, B]):
    """A task that gives each row of tokens one label, by `Classifier`.

    The batch has `tokens` [T, B] and the processor their vocabulary, `tokens`, too.
    """

    model: Classifier
    label_smoothing: float
    word_dropout: float

    def logits(self, batch: B) -> Tensor:
        return self.model(batch.tokens, batch.lengths)  # type: ignore[attr-defined]

    def loss(self, batch: B) -> Tensor:
        assert batch.labels is not None
        tokens = drop_words(batch.tokens, self.word_dropout, UNK)  # type: ignore[attr-defined]
        return label_loss(self.model(tokens, batch.lengths), batch.labels, self.label_smoothing)

    def answer(self, batch: B) -> list[dict[str, Any]]:
        """The `label` of each row, its probability as `score`, and all `scores` by label."""
        return self._answers(self.logits(batch))

    @staticmethod
    def format_answer(answer: dict[str, Any]) -> str:
        return answer["label"]

    def probe(self) -> Probe:
        return Probe("tokens", lambda model, batch: model(batch.tokens, batch.lengths)[None], "running")

    def start_stream(self) -> StreamState:
        require_unidirectional(self.model)
        empty = torch.zeros(0, 1, dtype=torch.int64, device=self.device)
        return StreamState(self._answers(self.model(empty))[0], self.model.initial_state(1))

    def read_stream(self, piece: str, stream: StreamState) -> StreamState:
        (ids,) = self.processor.tokens.encode([piece])  # type: ignore[attr-defined]
        state = stream.state
        for token in ids:
            logits, state = self.model.step(torch.tensor([token], device=self.device), state)
        return StreamState(self._answers(logits)[0], state) if ids else stream

    def _answers(self, logits: Tensor) -> list[dict[str, Any]]:
        probabilities = logits.float().softmax(-1)
        answers = []
        for best, row in zip(probabilities.argmax(-1).tolist(), probabilities.tolist(), strict=True):
            scores = dict(zip(self.labels, row, strict=True))
            answers.append({"label": self.labels[best], "score": row[best], "scores": scores})
        return answers


def step_answers(logits: Tensor, lengths: Tensor, labels: Sequence[str], name: str) -> list[dict[str, Any]]:
    """One answer per row of logits [T, B, C]: under `name` a label per step, and their probabilities."""
    scores, best = logits.float().softmax(-1).max(-1)  # [T, B] each
    return [
        {name: [labels[label] for label in row[:length]], "scores": probabilities[:length]}
        for row, probabilities, length in zip(
            best.t().tolist(), scores.t().tolist(), lengths.tolist(), strict=True
        )
    ]


def class_tables(matrix: Tensor, labels: Sequence[str]) -> dict[str, Any]:
    """The scores of each class, and the confusion matrix [C, C] itself, as plain values."""
    report = class_report(matrix)
    columns = (report.precision, report.recall, report.f1, report.support)
    scores = zip(*(column.tolist() for column in columns), strict=True)
    classes = [
        {"class": label, "precision": precision, "recall": recall, "f1": f1, "support": support}
        for label, (precision, recall, f1, support) in zip(labels, scores, strict=True)
    ]
    return {"classes": classes, "labels": list(labels), "confusion": matrix.tolist()}


def class_metrics(matrix: Tensor, labels: Sequence[str]) -> dict[str, float]:
    """Accuracy, macro F1 and each class's F1 from a confusion matrix [C, C]."""
    report = class_report(matrix)
    by_class = {f"f1_{label}": value for label, value in zip(labels, report.f1.tolist(), strict=True)}
    return {"accuracy": report.accuracy, "f1": report.macro_f1, **by_class}


def require_unidirectional(model: nn.Module) -> None:
    """Refuse to stream with a model that must see the end first.

    Raises:
        UsageError: its layers read from both ends.
    """
    if model.rnn.bidirectional:  # type: ignore[union-attr]
        raise UsageError(
            "the model reads from both ends, so it cannot answer before the text has ended: "
            "train with --model.bidirectional false"
        )
