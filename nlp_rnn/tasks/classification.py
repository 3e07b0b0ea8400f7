"""What tasks share whose answers are labels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Protocol, cast

import pyarrow as pa
import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric
from torchmetrics.classification import MulticlassConfusionMatrix
from typing_extensions import override

from nlp_rnn.data.batching import IGNORED
from nlp_rnn.data.vocabulary import UNK, Vocabulary
from nlp_rnn.errors import UsageError, printable
from nlp_rnn.models.classifier import Classifier
from nlp_rnn.models.layers.base import RecurrentLayer
from nlp_rnn.plots.confusion import confusion_matrix_figure
from nlp_rnn.tasks.base import B, P, Task
from nlp_rnn.tasks.interface import AnswerColumn, Probe, StreamState
from nlp_rnn.tasks.losses import drop_words, label_loss
from nlp_rnn.tasks.metrics import ClassReport, MeanLoss, class_report

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class LabelProcessor(Protocol):
    """What a `ClassificationTask` needs of its processor."""

    labels: list[str]
    """The names of the labels, in the order of their ids."""


class TextProcessor(LabelProcessor, Protocol):
    """What a `TextClassificationTask` needs of its processor."""

    tokens: Vocabulary


class TextBatch(Protocol):
    """What a `TextClassificationTask` needs of its batches."""

    tokens: Tensor
    """[T, B] int64, padded with 0."""


class ClassificationTask(Task[P, B]):
    """A task that predicts one label per row or one per step.

    Its processor is a `LabelProcessor`. A subclass defines `logits`, `loss`, `answer` and `format_answer`.
    """

    progress_bar_metrics = ("accuracy",)

    @property
    def labels(self) -> list[str]:
        """The names of the labels, in the order of their ids."""
        return cast(LabelProcessor, self.processor).labels

    @abstractmethod
    def logits(self, batch: B) -> Tensor:
        """Scores of the labels: [B, C], or [T, B, C] if `batch.labels` are [T, B]."""

    @override
    def make_metrics(self) -> dict[str, Metric]:
        return {"loss": MeanLoss(), "confusion": MulticlassConfusionMatrix(len(self.labels))}

    @override
    def update_metrics(self, batch: B, metrics: Mapping[str, Any]) -> None:
        assert batch.labels is not None
        scored = batch.labels != IGNORED
        logits, labels = self.logits(batch)[scored].float(), batch.labels[scored]  # [N, C], [N]
        metrics["loss"].update(F.cross_entropy(logits, labels, reduction="sum"), len(labels))
        metrics["confusion"].update(logits, labels)

    @override
    def compute_metrics(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        by_label = class_metrics(class_report(metrics["confusion"].compute()), self.labels)
        return {"loss": metrics["loss"].compute().item(), **by_label}

    @override
    def report_tables(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        return class_tables(metrics["confusion"].compute(), self.labels)

    @override
    def plots(self, report: Mapping[str, Any]) -> dict[str, Figure]:
        matrix = torch.tensor(report["confusion"])
        return {"confusion_matrix": confusion_matrix_figure(matrix, report["labels"])}


class TextClassificationTask(ClassificationTask[P, B]):
    """A task that predicts one label per row of tokens with `Classifier`.

    Its processor is a `TextProcessor`, its batches are `TextBatch`es, and its constructor sets the attributes
    below.
    """

    model: Classifier
    label_smoothing: float
    word_dropout: float

    @override
    def logits(self, batch: B) -> Tensor:
        return self._logits(batch, cast(TextBatch, batch).tokens)

    def _logits(self, batch: B, tokens: Tensor) -> Tensor:
        """Logits [B, C] with `tokens` [T, B] in place of those of the batch."""
        logits: Tensor = self.model(tokens, batch.lengths)
        return logits

    @override
    def loss(self, batch: B) -> Tensor:
        assert batch.labels is not None
        tokens = drop_words(cast(TextBatch, batch).tokens, self.word_dropout, UNK)
        return label_loss(self._logits(batch, tokens), batch.labels, self.label_smoothing)

    def answer(self, batch: B) -> list[dict[str, Any]]:
        """Per row the most probable `label`, its probability `score`, and all probabilities `scores`."""
        return self._answers(self.logits(batch))

    @override
    @staticmethod
    def format_answer(answer: dict[str, Any]) -> str:
        return str(answer["label"])

    @override
    def row_names(self) -> dict[str, Sequence[str]]:
        tokens = cast(TextProcessor, self.processor).tokens.tokens()
        return {"embedding.weight": tokens, "fc_out.weight": self.labels, "fc_out.bias": self.labels}

    @override
    def answer_columns(self, scores: bool = False) -> dict[str, AnswerColumn]:
        columns = {
            "prediction": AnswerColumn(pa.string(), itemgetter("label")),
            "probability": AnswerColumn(pa.float32(), itemgetter("score")),
        }
        for label in self.labels if scores else ():
            columns[f"probability_{label}"] = AnswerColumn(pa.float32(), _score_of(label))
        return columns

    @override
    def probe(self) -> Probe:
        return Probe("tokens", lambda model, batch: model(batch.tokens, batch.lengths)[None], "running")

    @override
    def start_stream(self) -> StreamState:
        require_unidirectional(self.model.rnn)
        empty = torch.zeros(0, 1, dtype=torch.int64, device=self.device)
        return StreamState(self._answers(self.model(empty))[0], self.model.initial_state(1))

    @override
    def read_stream(self, piece: str, stream: StreamState) -> StreamState:
        (ids,) = cast(TextProcessor, self.processor).tokens.encode([piece])
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


def _score_of(label: str) -> Callable[[dict[str, Any]], float | None]:
    return lambda answer: answer["scores"].get(label)


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


def step_answers(logits: Tensor, lengths: Tensor, labels: Sequence[str], name: str) -> list[dict[str, Any]]:
    """Answers with one label per step.

    Args:
        logits: [T, B, C] float.
        lengths: [B] int64.
        labels: [C], their names.
        name: the key of the labels in an answer.

    Returns:
        Per row a dictionary with the most probable label of each step under `name`, and their probabilities
        `scores`.
    """
    scores, best = logits.float().softmax(-1).max(-1)  # [T, B] each
    return [
        {name: [labels[label] for label in row[:length]], "scores": probabilities[:length]}
        for row, probabilities, length in zip(
            best.t().tolist(), scores.t().tolist(), lengths.tolist(), strict=True
        )
    ]


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


def require_unidirectional(rnn: RecurrentLayer) -> None:
    """Refuse to stream with a model that reads backward from the end of the text.

    Raises:
        UsageError: the layers are bidirectional.
    """
    if rnn.bidirectional:
        raise UsageError(
            "the model is bidirectional, so it cannot answer before the text has ended: "
            "train with --model.bidirectional false"
        )
