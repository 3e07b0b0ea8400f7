"""Series tagging: one label a step of a series."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric
from torchmetrics.classification import MulticlassConfusionMatrix

from nlp_rnn.data.batching import IGNORED
from nlp_rnn.data.series_tagging import SeriesTaggingBatch, SeriesTaggingProcessor
from nlp_rnn.metrics import MeanLoss
from nlp_rnn.models.tagger import SeriesTagger
from nlp_rnn.tasks.module import Task, class_details, class_figures, mean_loss, plain_settings
from nlp_rnn.tasks.optimization import Optimization


class SeriesTagging(Task[SeriesTaggingProcessor, SeriesTaggingBatch]):
    """Trains `SeriesTagger` on labelled sequences of vectors.

    Args:
        processor: columns, their scales, and labels; linked from the data.
        hidden_dim: size of the recurrent state, in each direction.
        num_layers: recurrent layers.
        dropout: between layers and before the last linear layer.
        cell: the recurrent layers, by their name in `CELLS`.
        bidirectional: read from both ends: a label then depends on what comes after it too.
        label_smoothing: share of probability spread over all labels in the training loss.
        optimization: how the weights are moved.
    """

    name = "series_tagging"
    shown = ("accuracy",)
    processor_class = SeriesTaggingProcessor

    def __init__(
        self,
        processor: SeriesTaggingProcessor,
        hidden_dim: int = 64,
        num_layers: int = 1,
        dropout: float = 0.0,
        cell: str = "lstm",
        bidirectional: bool = False,
        label_smoothing: float = 0.0,
        optimization: Optimization = Optimization(),
    ) -> None:
        settings = plain_settings(locals())
        self.num_classes = len(processor.labels)
        self.example = processor.example(4)
        model = SeriesTagger(
            len(processor.inputs), self.num_classes, hidden_dim, num_layers, dropout, cell, bidirectional
        )
        super().__init__(processor, model, settings, optimization)
        self.label_smoothing = label_smoothing

    def make_metrics(self) -> dict[str, Metric]:
        return {"loss": MeanLoss(), "confusion": MulticlassConfusionMatrix(self.num_classes)}

    def loss(self, batch: SeriesTaggingBatch) -> Tensor:
        assert batch.labels is not None
        return mean_loss(self.model(batch.vectors, batch.lengths), batch.labels, self.label_smoothing)

    def measure(self, batch: SeriesTaggingBatch, metrics: Mapping[str, Any]) -> None:
        assert batch.labels is not None
        scored = batch.labels != IGNORED
        logits = self.model(batch.vectors, batch.lengths)[scored].float()  # [steps, labels]
        labels = batch.labels[scored]
        metrics["loss"].update(F.cross_entropy(logits, labels, reduction="sum"), len(labels))
        metrics["confusion"].update(logits, labels)

    def results(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        figures = class_figures(metrics["confusion"].compute(), self.processor.labels)
        return {"loss": metrics["loss"].compute().item(), **figures}

    def details(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        return class_details(metrics["confusion"].compute(), self.processor.labels)

    def answer(self, batch: SeriesTaggingBatch) -> list[dict[str, Any]]:
        """Of each series the `labels` of its steps, and the probability of each as `scores`."""
        scores, labels = self.model(batch.vectors, batch.lengths).float().softmax(-1).max(-1)  # [T, B] each
        names = self.processor.labels
        return [
            {"labels": [names[label] for label in row[:length]], "scores": shares[:length]}
            for row, shares, length in zip(
                labels.t().tolist(), scores.t().tolist(), batch.lengths.tolist(), strict=True
            )
        ]

    @staticmethod
    def plain(answer: dict[str, Any]) -> str:
        return " ".join(answer["labels"])
