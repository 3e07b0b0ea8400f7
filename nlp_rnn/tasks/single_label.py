"""What tasks share that predict one label per row: probabilities, how sure they are, rare labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Any, Self

import pyarrow as pa
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import Metric
from typing_extensions import override

from nlp_rnn.data.batching import IGNORED
from nlp_rnn.lite.tasks.answers import check_unsure, format_label, label_answers, no_label
from nlp_rnn.models.ensemble import Ensemble, mean_probabilities
from nlp_rnn.plots.reliability import reliability_figure
from nlp_rnn.settings import DropProbability, Range, Smoothing, check_value
from nlp_rnn.tasks.base import B, P
from nlp_rnn.tasks.baselines import BAG_OF_WORDS, BagOfWords
from nlp_rnn.tasks.calibration import Reliability, fit_temperature, tables
from nlp_rnn.tasks.classification import ClassificationTask, class_metrics, count_pairs, scored_labels
from nlp_rnn.tasks.interface import (
    AnswerColumn,
    Answers,
    Baseline,
    Decision,
    EncodedSplit,
    Judgement,
    RowScore,
    Target,
)
from nlp_rnn.tasks.metrics import class_report
from nlp_rnn.tasks.optimization import Optimization
from nlp_rnn.tasks.regularization import LabelTargets, Regularization, regularized_loss
from nlp_rnn.tasks.views import View, label_scores

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Temperature = Annotated[float, Range(1e-3, 1e3)]
Threshold = Annotated[float, Range(0, 1)]

_MIN_ROWS = 100  # of validation, to fit a temperature


class SingleLabelTask(ClassificationTask[P, B]):
    """A task that predicts one label per row.

    A subclass defines `logits` [B, C], and `training_logits` if they differ from it.

    Args:
        processor: turns inputs into ids and ids into batches.
        model: computes the scores.
        optimization: initialization, optimizer and schedule.
        label_smoothing: fraction of probability spread over all labels in the training loss.
        word_dropout: fraction of tokens replaced by the unknown token in training.
        label_weights: [C] the weight of each label in the training loss; 1 if None.
        calibrate: whether the temperature is fitted on validation when training has ended.
        temperature: what logits are divided by before they become probabilities.
        unsure_below: the probability below which the answer is `UNSURE`.
        regularization: terms that are added to the training loss.
    """

    row_score = RowScore("probability of the true label")
    fitted = frozenset({"temperature"})

    def __init__(
        self,
        processor: P,
        model: nn.Module,
        optimization: Optimization,
        label_smoothing: Smoothing = 0.0,
        word_dropout: DropProbability = 0.0,
        label_weights: Sequence[float] | None = None,
        calibrate: bool = True,
        temperature: Temperature = 1.0,
        unsure_below: Threshold = 0.0,
        regularization: Regularization = Regularization(),
    ) -> None:
        super().__init__(processor, model, optimization)
        self.label_smoothing = label_smoothing
        self.word_dropout = word_dropout
        self.label_weights = label_weights
        self.regularization = regularization
        self.calibrate = calibrate
        self.temperature = temperature
        self.apply_settings({"unsure_below": unsure_below})

    def training_logits(self, batch: B) -> Tensor:
        """Scores [B, C] of the labels from which the loss is computed, such as after word dropout."""
        return self.logits(batch)

    @override
    def loss(self, batch: B) -> Tensor:
        assert batch.labels is not None
        targets = LabelTargets(batch.labels, self.label_smoothing, self.label_weights)
        return regularized_loss(self.regularization, lambda: self.training_logits(batch), targets, self.model)

    @override
    def make_metrics(self) -> dict[str, Metric]:
        return super().make_metrics() | {"reliability": Reliability()}

    @override
    def update_metrics(self, batch: B, metrics: Mapping[str, Any]) -> Answers:
        scores = self.logits(batch)
        self.score(batch, scores, metrics)
        return partial(self.label_answers, scores)

    @override
    def score(self, batch: B, scores: Tensor, metrics: Mapping[str, Any]) -> None:
        assert batch.labels is not None
        scored = batch.labels != IGNORED
        logits, labels = scores[scored].float() / self.temperature, batch.labels[scored]
        metrics["loss"].update(F.cross_entropy(logits, labels, reduction="sum"), len(labels))
        metrics["confusion"].update(logits, labels)
        probability, predicted = logits.softmax(-1).max(-1)
        metrics["reliability"].update(probability, predicted == labels)

    @override
    def judge(self, answer: dict[str, Any], row: Mapping[str, Any]) -> Judgement:
        scores, label_id = answer["scores"], row["label_id"]
        if label_id == IGNORED:
            return Judgement()
        reference, predicted = self.labels[label_id], max(scores, key=scores.__getitem__)
        decision = Decision(reference, predicted, answer["score"])
        return Judgement(reference, scores[reference], [decision])

    @override
    def baselines(self, measured: EncodedSplit, train: EncodedSplit | None) -> list[Baseline]:
        baselines = super().baselines(measured, train)
        if train is not None and self.processor.input_columns:
            targets = F.one_hot(scored_labels(train), len(self.labels)).float()
            logits = BagOfWords(self._texts(train), targets).logits(self._texts(measured))
            labels = scored_labels(measured)
            results = class_metrics(class_report(count_pairs(labels, logits.argmax(1), len(self.labels))), [])
            loss = F.cross_entropy(logits, labels).item()
            baselines.append(Baseline(BAG_OF_WORDS, {"loss": loss, **results}))
        return baselines

    def _texts(self, split: EncodedSplit) -> list[Sequence[str]]:
        """The texts of each input."""
        return list(zip(*(split.columns[name] for name in self.processor.input_columns), strict=True))

    @override
    def report_tables(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        return super().report_tables(metrics) | tables(metrics["reliability"])

    @override
    def plots(self, report: Mapping[str, Any]) -> dict[str, Figure]:
        return super().plots(report) | {"reliability": reliability_figure(report["reliability"])}

    @override
    @torch.no_grad()
    def fit_to_validation(self, batches: Iterable[B]) -> dict[str, Any]:
        if not self.calibrate:
            return {}
        logits, labels = [], []
        for batch in batches:
            assert batch.labels is not None
            logits.append(self.logits(batch.to(self.device)).float().cpu())
            labels.append(batch.labels)
        if sum(map(len, labels)) < _MIN_ROWS:
            return {}
        self.temperature = round(fit_temperature(torch.cat(logits), torch.cat(labels)), 4)
        return {"temperature": self.temperature}

    @override
    def ensembled(self, tasks: Sequence[Self]) -> Self:
        temperatures = [task.temperature for task in tasks]
        combine = partial(mean_probabilities, temperatures=temperatures)
        task = self.with_model(Ensemble([task.model for task in tasks], combine))
        task.temperature = 1.0  # those of the members have been applied
        return task

    @override
    def with_threshold(self, unsure_below: float) -> Self:
        check_value(Threshold, unsure_below, "unsure_below")
        task = copy(self)
        task.apply_settings({"unsure_below": unsure_below})
        return task

    @override
    def apply_settings(self, settings: Mapping[str, Any]) -> None:
        self.unsure_below = settings.get("unsure_below", 0.0)
        check_unsure(self.unsure_below, self.labels)
        if (temperature := settings.get("temperature", 1.0)) != 1.0:  # else what was fitted stays
            self.temperature = temperature

    @override
    def answer(self, batch: B) -> list[dict[str, Any]]:
        """Per row the most probable `label`, its probability `score`, and all probabilities `scores`.

        Below `unsure_below` the label is `UNSURE`. A row without tokens has none of them, for they would
        depend on the model alone.
        """
        answers = self.label_answers(self.logits(batch))
        lengths = sum(batch.all_lengths().values(), torch.zeros_like(batch.lengths))
        return [
            answer if length else self.no_answer()
            for answer, length in zip(answers, lengths.tolist(), strict=True)
        ]

    @override
    @staticmethod
    def format_answer(answer: dict[str, Any]) -> str:
        return format_label(answer)

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
    def record_columns(self) -> dict[str, AnswerColumn]:
        return self.answer_columns(scores=True)

    @override
    def as_teacher(self) -> Self:
        return self

    @override
    def targets(self, answer: dict[str, Any]) -> list[Target]:
        if answer["label"] not in self.labels:  # unsure, or of an empty text
            return []
        return [Target({"label": answer["label"], "probability": answer["score"]})]

    @override
    def views(self) -> tuple[View, ...]:
        scores = View("scores", "probability of each label", label_scores)
        if not self.unsure_below:
            return (scores,)
        return View("text", "label", lambda _, answer: self.format_answer(answer)), scores

    @staticmethod
    def no_answer() -> dict[str, Any]:
        """The answer to an empty text."""
        return no_label()

    def label_answers(self, logits: Tensor) -> list[dict[str, Any]]:
        """Answers from logits [B, C]."""
        probabilities = (logits.float() / self.temperature).softmax(-1)
        return label_answers(probabilities.tolist(), self.labels, self.unsure_below)


def _score_of(label: str) -> Callable[[dict[str, Any]], float | None]:
    return lambda answer: answer["scores"].get(label)
