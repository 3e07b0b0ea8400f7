"""Forecasting data: windows of series, each with the numbers that follow it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from typing_extensions import override

from nlp_rnn.data.batching import Batch, Batching, pad_vectors
from nlp_rnn.data.corpus.corpus import Corpus
from nlp_rnn.data.scaling import mean_std
from nlp_rnn.data.series import Series, SeriesData, last_series, last_steps, parse_names
from nlp_rnn.data.series_processor import SeriesProcessor, check_num_columns
from nlp_rnn.data.types import Dataset
from nlp_rnn.errors import UsageError
from nlp_rnn.lite.text.numbers import standardize
from nlp_rnn.settings import Column, Columns, FiniteNumber, MaxLength, PositiveNumber, Range

log = logging.getLogger(__name__)

Horizon = Annotated[int, Range(1, 100_000)]

_MAX_NUMBERS = 2**31 - 1  # in an Arrow list array, whose offsets are int32


@dataclass
class ForecastingBatch(Batch):
    """A batch of windows."""

    vectors: Tensor
    """[T, B, F] float32, padded with 0."""
    targets: Tensor | None = None
    """[B, horizon * targets] float32, step by step."""


@dataclass(kw_only=True)
class ForecastingProcessor(SeriesProcessor):
    """Windows to vectors, and the numbers that follow; both scaled by the statistics of the train split."""

    features = {"vectors": pa.list_(pa.float32()), "targets": pa.list_(pa.float32())}
    scales: ClassVar[Sequence[str]] = ("means", "deviations", "target_means", "target_deviations")
    scaled: ClassVar[Sequence[str]] = ("inputs", "targets")

    length: MaxLength
    """The number of steps of a window."""
    horizon: Horizon
    """The number of steps that are predicted."""
    targets: list[str] = field(default_factory=list)
    """The columns that are predicted; the same as `inputs` if empty."""
    target_means: list[FiniteNumber]
    """The mean of each predicted column in the train split."""
    target_deviations: list[PositiveNumber]
    """The standard deviation of each predicted column in the train split."""

    @override
    def data_settings(self) -> dict[str, Any]:
        names = ("inputs", "targets", "length", "horizon", "group")
        return {name: getattr(self, name) for name in names}

    @override
    def encode(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        encoded = self.encode_inputs(rows)
        if "following" in rows:
            scale = self.target_means, self.target_deviations
            encoded["targets"] = [standardize(flat, *scale, self.horizon) for flat in rows["following"]]
        return encoded

    @override
    def collate(self, rows: dict[str, list[Any]]) -> ForecastingBatch:
        vectors, lengths = pad_vectors(rows["vectors"], len(self.inputs))
        targets = torch.from_numpy(np.stack(rows["targets"])) if "targets" in rows else None
        return ForecastingBatch(rows["row"], lengths, vectors, targets)

    def unscaled(self, outputs: Tensor) -> np.ndarray:
        """Convert a model's output back to the units of the data.

        Args:
            outputs: [B, horizon * targets].

        Returns:
            [B, horizon, targets] float64.
        """
        scaled = outputs.detach().cpu().double().numpy()
        steps = scaled.reshape(len(outputs), self.horizon, len(self.target_means))
        return steps * self.target_deviations + self.target_means


class ForecastingData(SeriesData[ForecastingProcessor]):
    """All windows of the series in any corpus whose rows are time steps.

    Args:
        corpus: where rows come from, in order. If it has no validation split, the last part of each series of
            train becomes one; of a single file, the last part is for test and the one before it for
            validation. No window crosses a boundary. If these parts are too short for a window, the last
            series are taken instead.
        inputs: names of the columns that are read, as a list or with commas between them.
        targets: names of the columns that are predicted; the same as `inputs` if left empty.
        group: name of the column that names the series of each row; no window crosses a change of it. If
            empty, each file is one series.
        length: number of steps per window.
        horizon: number of steps after the window that are predicted.
        batching: how windows are batched.
    """

    processor_class = ForecastingProcessor

    def __init__(
        self,
        corpus: Corpus = Corpus("ramp"),
        inputs: Columns = ("value",),
        targets: Columns = (),
        group: Column = "",
        length: MaxLength = 4,
        horizon: Horizon = 1,
        batching: Batching = Batching(size=64),
    ) -> None:
        self.inputs, self.targets = parse_names(inputs), parse_names(targets)
        if not self.inputs:
            raise UsageError("inputs names no column; give one or more")
        predicted = [name for name in self.targets if name not in self.inputs]
        super().__init__(corpus, [*self.inputs, *predicted], group, "", batching)
        self.length = length
        self.horizon = horizon

    @override
    def check(self, processor: ForecastingProcessor) -> None:
        check_num_columns("inputs", processor.inputs, self.inputs)
        check_num_columns("targets", processor.targets or processor.inputs, self.targets or self.inputs)

    @override
    def attach_processor(self, processor: ForecastingProcessor) -> None:
        """Use a trained model's processor instead of one made from the train split.

        The windows have this data's length and group, because a recurrent network reads any length.

        Raises:
            UsageError: the model reads or predicts something else.
        """
        for name in ("inputs", "targets", "horizon"):
            in_data, in_model = getattr(self, name), getattr(processor, name)
            if in_data != in_model:
                raise UsageError(
                    f"the model was trained with {name} {in_model}, the data has {in_data}: give the same"
                )
        super().attach_processor(processor)

    @property
    @override
    def predicted_columns(self) -> Sequence[str]:
        return self.targets or self.inputs

    @override
    def split_off(self, train: list[Series], fractions: Mapping[str, float]) -> dict[str, list[Series]]:
        window, names = self.length + self.horizon, " and ".join(fractions)
        long = self._long_enough(train, "lower them or give more rows")
        short = [series for series in train if len(series) < window]
        parts = last_steps(long, fractions)
        if len(long) > 1 and any(max(map(len, parts[name])) < window for name in fractions):
            whole = last_series(long, fractions)
            held_out = [series for name in fractions for series in whole[name]]
            log.warning(
                "%s: the ends of its series are too short for a window of length + horizon = %d; the last %d "
                "series become the %s split", train[0].source, window, len(held_out), names,
            )  # fmt: skip
            return {**whole, "train": [*whole["train"], *short]}
        if max(map(len, long)) < len(parts) * window:
            raise UsageError(
                f"{max(long, key=len).where}: too few steps for a window of length + horizon = "
                f"{self.length} + {self.horizon} to train on and one each for {names}; lower them, give more "
                "rows or give a validation split"
            )
        remedy = f"lower {' and '.join(f'{name}_fraction' for name in fractions)}"
        self._long_enough(parts["train"], f"they are train without {names}: {remedy}")
        for name in fractions:
            remedy = f"raise {name}_fraction or give a {name} split"
            self._long_enough(parts[name], f"they are the end of train, for {name}: {remedy}")
        return {**parts, "train": [*parts["train"], *short]}

    @override
    def table(self, series: list[Series]) -> pa.Table:
        """Make one row per window: its `steps`, flat, and the numbers `following` it."""
        window = self.length + self.horizon
        long = self._long_enough(series, "lower them or give more rows")
        if len(long) < len(series):
            log.warning(
                "%s: %d series shorter than length + horizon = %d left out",
                series[0].source, len(series) - len(long), window,
            )  # fmt: skip
        predicted = [self.numbers.index(name) for name in self.targets or self.inputs]
        steps, following = [], []
        for part in long:
            windows = np.lib.stride_tricks.sliding_window_view(part.numbers, window, axis=0).swapaxes(1, 2)
            steps.append(windows[:, : self.length, : len(self.inputs)])
            following.append(windows[:, self.length :])
        return pa.table(
            {"steps": windows_to_arrow(steps), "following": windows_to_arrow(following, predicted)}
        )

    def _long_enough(self, series: list[Series], remedy: str) -> list[Series]:
        """The series that have at least one window."""
        window = self.length + self.horizon
        long = [part for part in series if len(part) >= window]
        if not long:
            longest = max(series, key=len)
            raise UsageError(
                f"{longest.where}: {len(longest)} steps, too few for a window of length + horizon = "
                f"{self.length} + {self.horizon} = {window}; {remedy}"
            )
        return long

    @override
    def make_processor(self, train: Dataset) -> ForecastingProcessor:
        series = self._series["train"]
        means, deviations = mean_std(
            np.concatenate([part.numbers for part in series]), self.numbers, series[0].source
        )
        scale = dict(zip(self.numbers, zip(means, deviations, strict=True), strict=True))
        predicted = self.targets or self.inputs
        return ForecastingProcessor(
            inputs=self.inputs,
            means=[scale[name][0] for name in self.inputs],
            deviations=[scale[name][1] for name in self.inputs],
            group=self.group,
            length=self.length,
            horizon=self.horizon,
            targets=self.targets,
            target_means=[scale[name][0] for name in predicted],
            target_deviations=[scale[name][1] for name in predicted],
        )


def windows_to_arrow(parts: Sequence[np.ndarray], columns: Sequence[int] | None = None) -> pa.Array:
    """Convert windows to an Arrow array with one flat list per window.

    Args:
        parts: arrays of windows, [N, T, C] each.
        columns: numbers of the columns to take; all of them if None.

    Raises:
        UsageError: there are more numbers than an Arrow array can hold. This is checked before any is copied.
    """
    count = sum(map(len, parts))
    _, steps, width = parts[0].shape
    width = width if columns is None else len(columns)
    if count * steps * width > _MAX_NUMBERS:
        raise UsageError(
            f"{count:,} windows of {steps:,} x {width:,} numbers are too many "
            f"(more than {_MAX_NUMBERS:,} numbers): lower length, or give fewer rows"
        )
    ends = np.arange(count + 1, dtype=np.int32) * (steps * width)
    flat = [(part if columns is None else part[..., columns]).ravel() for part in parts]
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(np.concatenate(flat)))
