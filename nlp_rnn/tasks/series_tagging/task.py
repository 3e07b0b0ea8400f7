"""Series tagging: one label per step of a series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
from torch import Tensor
from typing_extensions import override

from nlp_rnn.data.batching import IGNORED
from nlp_rnn.lite.tasks.answers import format_steps
from nlp_rnn.models.ensemble import Ensemble, mean_probabilities
from nlp_rnn.models.layers.cells import CellName
from nlp_rnn.models.tagger import SeriesTagger
from nlp_rnn.plots.series import series_figure
from nlp_rnn.settings import DropProbability, LayerSize, NumLayers, Smoothing
from nlp_rnn.tasks.classification import ClassificationTask, judge_steps, step_answers, step_columns
from nlp_rnn.tasks.interface import AnswerColumn, Answers, Judgement, StepRows
from nlp_rnn.tasks.losses import label_loss
from nlp_rnn.tasks.optimization import Optimization
from nlp_rnn.tasks.series_tagging.data import SeriesTaggingBatch, SeriesTaggingProcessor
from nlp_rnn.tasks.views import Cells, View, columns_of, step_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class SeriesTagging(ClassificationTask[SeriesTaggingProcessor, SeriesTaggingBatch]):
    """Trains `SeriesTagger` on sequences of vectors with one label per step.

    Args:
        processor: columns, their scales, and labels; linked from the data.
        hidden_dim: size of the recurrent state, per direction.
        num_layers: number of recurrent layers.
        dropout: between layers and before the output layer.
        cell: the recurrent cell, a name in `nlp_rnn.models.layers.cells.CELLS`.
        bidirectional: read in both directions, so that a label depends on later steps too.
        label_smoothing: fraction of probability spread over all labels in the training loss.
        optimization: initialization, optimizer and schedule.
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

    @override
    def logits(self, batch: SeriesTaggingBatch) -> Tensor:
        logits: Tensor = self.model(batch.vectors, batch.lengths)
        return logits

    @override
    def update_metrics(self, batch: SeriesTaggingBatch, metrics: Mapping[str, Any]) -> Answers:
        logits = self.logits(batch)
        self.score(batch, logits, metrics)
        return partial(step_answers, logits, batch.lengths, self.labels)

    @override
    def judge(self, answer: dict[str, Any], row: Mapping[str, Any]) -> Judgement:
        references = [None if id == IGNORED else self.labels[id] for id in row["label_ids"]]
        steps = [f"step {step}" for step in range(1, len(references) + 1)]
        return judge_steps(references, answer["labels"], answer["scores"], steps)

    @override
    def loss(self, batch: SeriesTaggingBatch) -> Tensor:
        assert batch.labels is not None
        return label_loss(self.logits(batch), batch.labels, self.label_smoothing)

    @override
    def ensembled(self, tasks: Sequence[Self]) -> Self:
        return self.with_model(Ensemble([task.model for task in tasks], mean_probabilities))

    @override
    def row_names(self) -> dict[str, Sequence[str]]:
        return dict.fromkeys(("fc_out.weight", "fc_out.bias"), self.labels)

    @override
    def answer(self, batch: SeriesTaggingBatch) -> list[dict[str, Any]]:
        """Per series the `labels`, one per step, and their probabilities `scores`."""
        return step_answers(self.logits(batch), batch.lengths, self.labels)

    @override
    @staticmethod
    def format_answer(answer: dict[str, Any]) -> str:
        return format_steps(answer)

    @override
    def answer_columns(self, scores: bool = False) -> dict[str, AnswerColumn]:
        return super().answer_columns(scores) | step_columns("labels")

    @override
    def step_rows(self) -> StepRows:
        columns = {
            "prediction": AnswerColumn(pa.string(), itemgetter("label")),
            "probability": AnswerColumn(pa.float32(), itemgetter("score")),
        }

        def rows(answer: dict[str, Any]) -> list[dict[str, Any]]:
            pairs = zip(answer["labels"], answer["scores"], strict=True)
            return [{"label": label, "score": score} for label, score in pairs]

        return StepRows(columns, rows)

    @override
    def views(self) -> tuple[View, ...]:
        def figure(steps: Any, answer: dict[str, Any]) -> Figure:
            return series_figure(columns_of(steps, self.processor.inputs), labels=answer["labels"])

        def table(_: Any, answer: dict[str, Any]) -> Cells:
            pairs = zip(answer["labels"], answer["scores"], strict=True)
            return step_table(("label", "probability"), ((label, f"{score:.1%}") for label, score in pairs))

        return View("figure", "label of each step", figure), View("table", "steps", table)
