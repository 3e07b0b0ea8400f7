"""The base class of processors that read series of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from typing_extensions import override

from nlp_rnn.data.corpus.numbers import parse_numbers
from nlp_rnn.data.processor import Processor
from nlp_rnn.data.scaling import standardize
from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.settings import FiniteNumber, PositiveNumber


@dataclass(kw_only=True)
class SeriesProcessor(Processor):
    """Base class: steps of numbers to vectors. Columns are scaled by their statistics in the train split."""

    inputs: list[str]
    """The columns whose numbers make up a step."""
    means: list[FiniteNumber]
    """The mean of each column in the train split."""
    deviations: list[PositiveNumber]
    """The standard deviation of each column in the train split."""
    group: str = ""
    """The column that names the series of each row; empty if there is none."""

    input_description = "list of numbers"
    length_columns = ("vectors",)
    scales: ClassVar[Sequence[str]] = ("means", "deviations")
    scaled: ClassVar[Sequence[str]] = ("inputs",)

    @override
    def is_input(self, value: Any) -> bool:
        return isinstance(value, (list, tuple, np.ndarray))

    @override
    def is_single(self, value: Any) -> bool:
        """Return whether a value is one series.

        That is a list of steps or, where a step is one number, a flat list or an array [T, 1].
        """
        is_column = isinstance(value, np.ndarray) and value.shape[1:] == (1,)
        return 0 < _depth(value) <= (1 if len(self.inputs) == 1 and not is_column else 2)

    @override
    def parse(self, line: str) -> Any:
        """Parse one series: numbers with spaces or commas between them, step by step, or JSON lists.

        Raises:
            UsageError: the line is not a series of this many columns.
        """
        series, width = parse_numbers(line), len(self.inputs)
        if width > 1 and not any(isinstance(step, list) for step in series) and len(series) % width == 0:
            series = [series[start : start + width] for start in range(0, len(series), width)]
        self._flatten(series)
        return series

    @override
    def rows(self, inputs: Sequence[Any]) -> dict[str, list[Any]]:
        """Turn series into rows.

        Args:
            inputs: series of numbers, each [T, C], or [T] where a step is one number.

        Raises:
            UsageError: an input is not such a series; the message has its number.
        """
        steps = []
        for number, series in enumerate(inputs, 1):
            try:
                steps.append(self._flatten(series))
            except UsageError as error:
                raise UsageError(f"input {number}: {error}") from None
        return {"steps": steps}

    def example(self, length: int) -> list[Any]:
        """Make an example input of `length` steps, in which all numbers are the means."""
        step = [float(f"{mean:.3g}") for mean in self.means]
        return (step if len(step) == 1 else [step]) * length

    def vectors(self, steps: Sequence[Sequence[float]]) -> list[np.ndarray]:
        """Scale series of [T * C] numbers each; returns [T * C] float32 each."""
        return [standardize(flat, self.means, self.deviations) for flat in steps]

    def _flatten(self, series: Any) -> list[float]:
        """A user's series as [T * C] numbers.

        Raises:
            UsageError: it is empty, not numeric, has other columns, or is not finite before or after scaling.
        """
        width = len(self.inputs)
        wanted = f"give {width} number(s) per step: {join_names(self.inputs)}"
        try:
            array = np.asarray(series)
        except ValueError:
            raise UsageError(f"the steps have unequal sizes; {wanted}") from None
        if array.size == 0:
            raise UsageError(f"there is no step; {wanted}")
        if array.dtype.kind not in "iuf":
            raise UsageError(f"not all items are numbers; {wanted}")
        columns = array[:, None] if array.ndim == width == 1 else array
        if columns.ndim != 2 or columns.shape[1] != width:
            raise UsageError(f"the shape is {' x '.join(map(str, array.shape))}; {wanted}")
        finite = np.isfinite(columns).all(1)
        if not finite.all():
            raise UsageError(f"step {finite.argmin() + 1} is not finite; {wanted}")
        flat: list[float] = columns.astype(np.float64).ravel().tolist()
        standardize(flat, self.means, self.deviations)
        return flat


def check_num_columns(setting: str, model_columns: Sequence[str], data_columns: Sequence[str]) -> None:
    """Check that the data has as many columns as a trained model.

    Args:
        setting: the setting that names the columns: "inputs" or "targets".
        model_columns: what the model calls them.
        data_columns: what the data calls them.

    Raises:
        UsageError: the numbers of columns differ.
    """
    if len(model_columns) != len(data_columns):
        raise UsageError(
            f"the model has {len(model_columns)} {setting} ({join_names(model_columns)}), the data "
            f"{len(data_columns)} ({join_names(data_columns)}); name the same number of columns"
        )


def _depth(value: Any) -> int:
    """How deep lists are nested; 0 for a number. An empty list does not count."""
    depth = 0
    while isinstance(value, (list, tuple, np.ndarray)) and getattr(value, "shape", True) and len(value):
        value, depth = value[0], depth + 1
    return depth
