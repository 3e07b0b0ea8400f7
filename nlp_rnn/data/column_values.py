"""The values of a dataset's columns, read part by part: all of them, or those of a sample of the rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from typing_extensions import override

from nlp_rnn.data.types import Dataset

_ROWS_AT_ONCE = 1000


class ColumnValues(Iterable[Any]):
    """The values of columns of a dataset, one column after another; not all of them are held in memory.

    Args:
        rows: the dataset.
        columns: the columns.
        sample: read so many rows, chosen at random, in their order; None for all.
    """

    def __init__(self, rows: Dataset, *columns: str, sample: int | None = None) -> None:
        self._rows, self._columns = rows, columns
        self._numbers: np.ndarray | None = None
        if sample is not None and sample < len(rows):
            chosen = np.random.default_rng(0).choice(len(rows), sample, replace=False, shuffle=False)
            self._numbers = np.sort(chosen)

    @override
    def __iter__(self) -> Iterator[Any]:
        count = len(self._rows) if self._numbers is None else len(self._numbers)
        for name in self._columns:
            column = self._rows[name]
            for start in range(0, count, _ROWS_AT_ONCE):
                end = min(start + _ROWS_AT_ONCE, count)
                rows: Any = slice(start, end)
                yield from column[rows if self._numbers is None else self._numbers[rows]]
