"""Forecasting: windows of a series, each with the numbers that follow it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from nlp_rnn.data.batching import Batch, Batching, pad_vectors
from nlp_rnn.data.corpus.corpus import Corpus
from nlp_rnn.data.scaling import mean_std, standardize
from nlp_rnn.data.series import Series, SeriesData, parse_names
from nlp_rnn.data.series_processor import SeriesProcessor, check_num_columns
from nlp_rnn.data.types import Dataset
from nlp_rnn.errors import UsageError
from nlp_rnn.settings import Column, Columns, MaxLength, Range

log = logging.getLogger(__name__)

Horizon = Annotated[int, Range(1, 100_000)]

_MOST = 2**31 - 1  # numbers in an Arrow list array, whose offsets are int32


@dataclass
class ForecastingBatch(Batch):
    """Windows."""

    vectors: Tensor
    """[T, B, F] float32, padded with 0."""
    targets: Tensor | None = None
    """[B, horizon * targets] float32, a step's targets in turn."""


@dataclass(kw_only=True)
class ForecastingProcessor(SeriesProcessor):
    """Windows to vectors, and the numbers that follow them; both scaled as in the train split."""

    features = {"vectors": pa.list_(pa.float32()), "targets": pa.list_(pa.float32())}

    length: MaxLength
    horizon: Horizon
    targets: list[str] = field(default_factory=list)
    """The columns that are predicted; as `inputs` if empty."""
    target_means: list[float]
    target_deviations: list[float]

    def data_settings(self) -> dict[str, Any]:
        names = ("inputs", "targets", "length", "horizon", "group")
        return {name: getattr(self, name) for name in names}

    def encode(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        encoded: dict[str, list[Any]] = {"vectors": self.vectors(rows["steps"])}
        if "following" in rows:
            scale = self.target_means, self.target_deviations
            encoded["targets"] = [standardize(flat, *scale, self.horizon) for flat in rows["following"]]
        return encoded

    def collate(self, rows: dict[str, list[Any]]) -> ForecastingBatch:
        vectors, lengths = pad_vectors(rows["vectors"], len(self.inputs))
        targets = torch.from_numpy(np.stack(rows["targets"])) if "targets" in rows else None
        return ForecastingBatch(rows["row"], lengths, vectors, targets)

    def unscaled(self, outputs: Tensor) -> np.ndarray:
        """What a model says, [B, horizon * targets], in the data's units: [B, horizon, targets] float64."""
        steps = (
            outputs.detach()
            .double()
            .cpu()
            .numpy()
            .reshape(len(outputs), self.horizon, len(self.target_means))
        )
        return steps * self.target_deviations + self.target_means


class ForecastingData(SeriesData[ForecastingProcessor]):
    """All windows of the series of any corpus, a row of which is a time step.

    Args:
        corpus: where rows come from, in order. Without a validation split the last part of each of train's
            series is that, and no window reaches over the cut; of several whose ends are too short for a
            window, the last ones are it whole.
        inputs: names of the columns that are read; several also with commas between them.
        targets: names of the columns that are predicted; as `inputs` if left empty.
        group: name of a column whose changes no window reaches over; of none if left empty.
        length: steps of a window.
        horizon: how many of the following steps are predicted.
        batching: how windows are put together.
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

    def check(self, processor: ForecastingProcessor) -> None:
        check_num_columns("inputs", processor.inputs, self.inputs)
        check_num_columns("targets", processor.targets or processor.inputs, self.targets or self.inputs)

    def attach_processor(self, processor: ForecastingProcessor) -> None:
        """Read the corpus with a trained model's processor.

        Windows are cut by this data's own length and group: a recurrent network reads any length.

        Raises:
            UsageError: it reads or predicts something else.
        """
        for name in ("inputs", "targets", "horizon"):
            ours, theirs = getattr(self, name), getattr(processor, name)
            if ours != theirs:
                raise UsageError(
                    f"the model was trained with {name} {theirs}, the data has {ours}: give the same"
                )
        super().attach_processor(processor)

    def split_off_validation(self, train: list[Series]) -> tuple[list[Series], list[Series]]:
        whole = self.length + self.horizon
        first, last = [], []
        for series in train:
            cut = len(series) - max(1, round(self.corpus.validation_fraction * len(series)))
            first.append(series[:cut])
            last.append(series[cut:])
        long = self._long(train, "lower them or give more rows")
        if len(long) > 1 and max(map(len, last)) < whole:
            last = long[-min(len(long) - 1, max(1, round(self.corpus.validation_fraction * len(long)))) :]
            log.warning(
                "%s: the ends of its series are too short for a window of length + horizon = %d; the last %d "
                "series validate whole", train[0].source, whole, len(last),
            )  # fmt: skip
            return [part for part in train if all(part is not one for one in last)], last
        remedy = "they are train's end, for validation: raise validation_fraction or give a validation split"
        if max(map(len, train)) < 2 * whole:
            raise UsageError(
                f"{max(train, key=len).where}: too few steps for a window of length + horizon = "
                f"{self.length} + {self.horizon} to train on and one to validate on; lower them, give more "
                "rows or give a validation split"
            )
        self._long(first, "they are what validation leaves of train: lower validation_fraction")
        self._long(last, remedy)
        return first, last

    def table(self, series: list[Series]) -> pa.Table:
        """Each window's `steps`, flat, and the numbers `following` it."""
        whole = self.length + self.horizon
        long = self._long(series, "lower them or give more rows")
        if len(long) < len(series):
            log.warning(
                "%s: %d series shorter than length + horizon = %d left out",
                series[0].source, len(series) - len(long), whole,
            )  # fmt: skip
        predicted = [self.numbers.index(name) for name in self.targets or self.inputs]
        steps, following = [], []
        for part in long:
            windows = np.lib.stride_tricks.sliding_window_view(part.numbers, whole, axis=0).swapaxes(1, 2)
            steps.append(windows[:, : self.length, : len(self.inputs)])
            following.append(windows[:, self.length :])
        return pa.table(
            {"steps": windows_to_arrow(steps), "following": windows_to_arrow(following, predicted)}
        )

    def _long(self, series: list[Series], remedy: str) -> list[Series]:
        """Those that hold a window."""
        whole = self.length + self.horizon
        long = [part for part in series if len(part) >= whole]
        if not long:
            longest = max(series, key=len)
            raise UsageError(
                f"{longest.where}: {len(longest)} steps, too few for a window of length + horizon = "
                f"{self.length} + {self.horizon} = {whole}; {remedy}"
            )
        return long

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
    """Windows [N, T, C] each, perhaps only some columns of them, as flat lists, one a window.

    Raises:
        UsageError: they hold more numbers than a list array can; found before any is copied.
    """
    count = sum(map(len, parts))
    _, steps, width = parts[0].shape
    width = width if columns is None else len(columns)
    if count * steps * width > _MOST:
        raise UsageError(
            f"{count:,} windows of {steps:,} x {width:,} numbers are too many (more than {_MOST:,} numbers): "
            "lower length, or give fewer rows"
        )
    ends = np.arange(count + 1, dtype=np.int32) * (steps * width)
    flat = [(part if columns is None else part[..., columns]).ravel() for part in parts]
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(np.concatenate(flat)))
