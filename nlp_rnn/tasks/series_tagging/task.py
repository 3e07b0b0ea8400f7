"""Series tagging: one label a step of a series."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from nlp_rnn.models.layers.cells import CellName
from nlp_rnn.models.tagger import SeriesTagger
from nlp_rnn.settings import DropProbability, LayerSize, NumLayers, Smoothing
from nlp_rnn.tasks.classification import ClassificationTask, step_answers
from nlp_rnn.tasks.losses import label_loss
from nlp_rnn.tasks.optimization import Optimization
from nlp_rnn.tasks.series_tagging.data import SeriesTaggingBatch, SeriesTaggingProcessor


class SeriesTagging(ClassificationTask[SeriesTaggingProcessor, SeriesTaggingBatch]):
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
    processor_class = SeriesTaggingProcessor

    def __init__(
        self,
        processor: SeriesTaggingProcessor,
        hidden_dim: LayerSize = 64,
        num_layers: NumLayers = 1,
        dropout: DropProbability = 0.0,
        cell: CellName = "lstm",
        bidirectional: bool = False,
        label_smoothing: Smoothing = 0.0,
        optimization: Optimization = Optimization(),
    ) -> None:
        self.example = processor.example(4)
        model = SeriesTagger(
            input_dim=len(processor.inputs),
            num_tags=len(processor.labels),
            hidden_dim=hidden_dim,
            num_layers=num_layers,
            dropout=dropout,
            cell=cell,
            bidirectional=bidirectional,
        )
        super().__init__(processor, model, optimization)
        self.label_smoothing = label_smoothing

    def logits(self, batch: SeriesTaggingBatch) -> Tensor:
        return self.model(batch.vectors, batch.lengths)

    def loss(self, batch: SeriesTaggingBatch) -> Tensor:
        assert batch.labels is not None
        return label_loss(self.logits(batch), batch.labels, self.label_smoothing)

    def answer(self, batch: SeriesTaggingBatch) -> list[dict[str, Any]]:
        """The `labels` of each series, one per step, and their probabilities as `scores`."""
        return step_answers(self.logits(batch), batch.lengths, self.labels, "labels")

    @staticmethod
    def format_answer(answer: dict[str, Any]) -> str:
        return " ".join(answer["labels"])
