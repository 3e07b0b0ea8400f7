"""Forecasting: the numbers that follow a window of a series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric
from typing_extensions import override

from nlp_rnn.lite.tasks.answers import format_values
from nlp_rnn.models.ensemble import Ensemble, mean_values
from nlp_rnn.models.layers.cells import CellName
from nlp_rnn.models.regressor import Regressor
from nlp_rnn.plots.series import series_figure
from nlp_rnn.settings import DropProbability, LayerSize, NumLayers
from nlp_rnn.tasks.base import Task
from nlp_rnn.tasks.baselines import naive_forecasts
from nlp_rnn.tasks.forecasting.data import ForecastingBatch, ForecastingProcessor
from nlp_rnn.tasks.interface import (
    AnswerColumn,
    Answers,
    Baseline,
    EncodedSplit,
    Judgement,
    RowScore,
    StepRows,
)
from nlp_rnn.tasks.metrics import RegressionErrors
from nlp_rnn.tasks.optimization import Optimization
from nlp_rnn.tasks.views import Cells, View, columns_of, step_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Forecasting(Task[ForecastingProcessor, ForecastingBatch]):
    """Trains `Regressor` on windows, with the mean squared error of scaled numbers.

    Metrics: `loss`, the mean squared error of scaled numbers; `mse` and `mae` in the units of the data; and
    `r2`. Each is the mean over predicted columns and steps, which the report lists one by one.

    Args:
        processor: columns, their scales, and how many steps are predicted; linked from the data.
        hidden_dim: size of the recurrent state.
        num_layers: number of recurrent layers.
        dropout: between layers and before the output layer.
        cell: the recurrent cell, a name in `nlp_rnn.models.layers.cells.CELLS`.
        optimization: initialization, optimizer and schedule.
    """

    name = "forecasting"
    progress_bar_metrics = ("mae",)
    lower_is_better = frozenset({"loss", "mse", "mae"})
    row_score = RowScore("mean absolute error", lower_is_better=True)
    loss_unit = "mean squared error (scaled)"
    processor_class = ForecastingProcessor
    processor_metrics = frozenset({"loss"})  # of scaled numbers

    def __init__(
        self,
        processor: ForecastingProcessor,
        hidden_dim: LayerSize = 64,
        num_layers: NumLayers = 1,
        dropout: DropProbability = 0.0,
        cell: CellName = "lstm",
        optimization: Optimization = Optimization(),
    ) -> None:
        self.names = processor.targets or processor.inputs
        self.outputs = processor.horizon * len(self.names)
        self.deviations = processor.target_deviations * processor.horizon
        self.example = processor.example(processor.length)
        model = Regressor(
            input_dim=len(processor.inputs),
            output_dim=self.outputs,
            hidden_dim=hidden_dim,
            num_layers=num_layers,
            dropout=dropout,
            cell=cell,
        )
        super().__init__(processor, model, optimization)

    @override
    def ensembled(self, tasks: Sequence[Self]) -> Self:
        return self.with_model(Ensemble([task.model for task in tasks], mean_values))

    @property
    @override
    def dependent_rows(self) -> int:
        return self.processor.horizon  # windows are one step apart, and their forecasts overlap

    @override
    def make_metrics(self) -> dict[str, Metric]:
        return {"errors": RegressionErrors(self.outputs)}

    @override
    def loss(self, batch: ForecastingBatch) -> Tensor:
        assert batch.targets is not None
        predicted = self.model(batch.vectors, batch.lengths).float()
        return F.mse_loss(predicted, batch.targets, reduction="sum") / max(1, batch.targets.numel())

    @override
    def num_targets(self, batch: ForecastingBatch) -> Tensor:
        assert batch.targets is not None
        # Filled on the device: a copy from the CPU would wait for it.
        return torch.full((), batch.targets.numel(), device=batch.targets.device)

    @override
    def update_metrics(self, batch: ForecastingBatch, metrics: Mapping[str, Any]) -> Answers:
        predicted = self.model(batch.vectors, batch.lengths).float()
        metrics["errors"].update(predicted, batch.targets)
        return partial(self._answers, predicted)

    @override
    def judge(self, answer: dict[str, Any], row: Mapping[str, Any]) -> Judgement:
        following = np.asarray(row["following"], float)
        reference = format_values({"values": following.tolist()})
        return Judgement(reference, float(np.abs(np.ravel(answer["values"]) - following).mean()))

    @override
    def compute_metrics(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        """`loss` of scaled numbers, `mse` and `mae` in the units of the data, and `r2`."""
        loss = metrics["errors"].compute()[0].mean().item()
        mse, mae, r2 = self._errors(metrics).mean(1).tolist()
        return {"loss": loss, "mse": mse, "mae": mae, "r2": r2}

    @override
    def baselines(self, measured: EncodedSplit, train: EncodedSplit | None) -> list[Baseline]:
        """Forecasts from the window alone, and the mean of the train split that the model is scaled by."""
        rows = measured.columns[:]
        processor = self.processor
        shape = (len(rows["steps"]), -1, len(processor.inputs))
        windows = np.asarray(rows["steps"], float).reshape(shape)
        following = np.asarray(rows["following"], float)
        shape = (len(windows), processor.horizon, len(self.names))
        forecasts = {"mean of train": np.broadcast_to(processor.target_means, shape)}
        if set(self.names) <= set(processor.inputs):
            places = [processor.inputs.index(name) for name in self.names]
            forecasts |= naive_forecasts(windows[..., places], processor.horizon)
        return [Baseline(name, self._measure(made, following)) for name, made in forecasts.items()]

    def _measure(self, forecasts: np.ndarray, following: np.ndarray) -> dict[str, float]:
        """The metrics of forecasts [N, horizon, targets] beside the true numbers, flat."""
        metrics = self.make_metrics()
        means, deviations = self.processor.target_means, self.processor.target_deviations
        scaled = [
            torch.from_numpy((steps.reshape(forecasts.shape) - means) / deviations).flatten(1)
            for steps in (forecasts, following)
        ]
        metrics["errors"].update(*scaled)
        return self.compute_metrics(metrics)

    @override
    def report_tables(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        """The metrics of each predicted column and step, as `steps`."""
        errors = self._errors(metrics).t().tolist()
        places = [(step, name) for step in range(1, self.processor.horizon + 1) for name in self.names]
        return {
            "steps": [
                {"step": step, "column": name, "mse": mse, "mae": mae, "r2": r2}
                for (step, name), (mse, mae, r2) in zip(places, errors, strict=True)
            ]
        }

    @override
    def answer(self, batch: ForecastingBatch) -> list[dict[str, Any]]:
        """Per window the `values` that follow: one number per step, or one list of numbers per step."""
        return self._answers(self.model(batch.vectors, batch.lengths).float())

    def _answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        """Answers from the model's output [B, horizon * targets]."""
        values = self.processor.unscaled(outputs)
        if len(self.names) == 1:
            values = values[..., 0]
        return [{"values": row} for row in values.tolist()]

    @override
    @staticmethod
    def format_answer(answer: dict[str, Any]) -> str:
        return format_values(answer)

    @override
    def answer_columns(self, scores: bool = False) -> dict[str, AnswerColumn]:
        values = pa.float64() if len(self.names) == 1 else pa.list_(pa.float64())
        prediction = AnswerColumn(pa.list_(values), itemgetter("values"))
        return super().answer_columns(scores) | {"prediction": prediction}

    @override
    def step_rows(self) -> StepRows:
        def rows(answer: dict[str, Any]) -> list[dict[str, Any]]:
            steps = [[step] if len(self.names) == 1 else step for step in answer["values"]]
            return [dict(zip(self.names, step, strict=True)) for step in steps]

        columns = {name: AnswerColumn(pa.float64(), itemgetter(name)) for name in self.names}
        return StepRows(columns, rows, follow=True, length=self.processor.length)

    @override
    def views(self) -> tuple[View, ...]:
        def figure(steps: Any, answer: dict[str, Any]) -> Figure:
            history = columns_of(steps, self.processor.inputs)
            return series_figure(history, columns_of(answer["values"], self.names))

        def table(steps: Any, answer: dict[str, Any]) -> Cells:
            following = columns_of(answer["values"], self.names).values()
            rows = zip(*([f"{value:.6g}" for value in column] for column in following), strict=True)
            return step_table(self.names, rows, len(steps) + 1)

        return View("figure", "series and forecast", figure), View("table", "forecast", table)

    def _errors(self, metrics: Mapping[str, Any]) -> Tensor:
        """[3, K] float64: MSE and MAE in the units of the data, and R2."""
        mse, mae, r2 = metrics["errors"].compute()
        unit = mse.new_tensor(self.deviations)
        return torch.stack([mse * unit.square(), mae * unit, r2])
