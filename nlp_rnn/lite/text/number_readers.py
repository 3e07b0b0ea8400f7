"""The readers of numbers: vectors, and series of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import UsageError, join_names
from .numbers import parse_numbers, standardize
from .readers import Reader


class VectorReader(Reader):
    """Vectors of numbers to scaled vectors.

    Each of the F features is centered by its mean in the train split. All are divided by one `scale`, because
    in images some pixels are almost constant.
    """

    input_description = "vector of numbers"
    length_columns = ("vector", "target_ids")

    means: list[float]
    scale: float

    @property
    def counts_unknown(self) -> bool:
        """Whether rows are tokens: they are not."""
        return False

    def is_input(self, value: Any) -> bool:
        """Return whether a value is a list of numbers, which may be nested."""
        array = _array(value)
        return array is not None and array.ndim > 0

    def is_single(self, value: Any) -> bool:
        """Return whether a value is one vector: a flat list, or a nested one of F numbers in all."""
        array = _array(value)
        if array is None or array.size == 0:
            return False
        return array.ndim < 2 or array.size == len(self.means) != array[0].size

    def parse(self, line: str) -> Any:
        """Parse the numbers of a line."""
        numbers = parse_numbers(line)
        self._vector(numbers)
        return numbers

    def rows(self, inputs: Sequence[Any]) -> dict[str, list[Any]]:
        """Turn vectors into rows."""
        for number, vector in enumerate(inputs, 1):
            try:
                self._vector(vector)
            except UsageError as error:
                raise UsageError(f"input {number}: {error}") from None
        return {"features": list(inputs)}

    def encode_inputs(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Scale vectors: `vector`. Nested ones, such as the rows of an image, are flattened.

        Raises:
            UsageError: a vector does not have F numbers, or has a number that is not finite.
        """
        return {"vector": [self._vector(row) for row in rows["features"]]}

    def _vector(self, value: Any) -> np.ndarray:
        """A user's or a corpus's vector, scaled: [F] float32."""
        array = _array(value)
        if array is None:
            raise UsageError("not a vector; give a list of numbers, or lists of equal length")
        vector = array.astype(np.float64).ravel()
        if len(vector) != len(self.means):
            raise UsageError(f"a vector of {len(vector)} numbers; the model reads {len(self.means)}")
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = (vector - self.means) / self.scale
        if not (np.abs(scaled) <= np.finfo(np.float32).max).all():  # False for NaN
            raise UsageError("a vector holds NaN, infinity or a number beyond float32; leave it out")
        return scaled.astype(np.float32)


def _array(value: Any) -> np.ndarray | None:
    """Numbers as an array; None for anything else, or lists of unequal length."""
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return array if array.dtype.kind in "biuf" else None


class SeriesReader(Reader):
    """Steps of numbers to vectors. Columns are scaled by their statistics in the train split."""

    input_description = "list of numbers"
    length_columns = ("vectors",)

    inputs: list[str]
    means: list[float]
    deviations: list[float]

    @property
    def counts_unknown(self) -> bool:
        """Whether rows are tokens: they are not."""
        return False

    def is_input(self, value: Any) -> bool:
        """Return whether a value is a list."""
        return isinstance(value, (list, tuple, np.ndarray))

    def is_single(self, value: Any) -> bool:
        """Return whether a value is one series.

        That is a list of steps or, where a step is one number, a flat list or an array [T, 1].
        """
        is_column = isinstance(value, np.ndarray) and value.shape[1:] == (1,)
        return 0 < _depth(value) <= (1 if len(self.inputs) == 1 and not is_column else 2)

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

    def encode_inputs(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Scale series of [T * C] numbers each: `vectors`, [T * C] float32 each."""
        return {"vectors": [standardize(flat, self.means, self.deviations) for flat in rows["steps"]]}

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


def _depth(value: Any) -> int:
    """How deep lists are nested; 0 for a number. An empty list does not count."""
    depth = 0
    while isinstance(value, (list, tuple, np.ndarray)) and getattr(value, "shape", True) and len(value):
        value, depth = value[0], depth + 1
    return depth
