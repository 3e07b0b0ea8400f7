"""Encoded rows, read one batch at a time from memory or from an Arrow file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from copy import copy
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from torch.utils.data import Dataset
from typing_extensions import override

from nlp_rnn.data.corpus.spool import joined_array
from nlp_rnn.data.labels import IGNORED as IGNORED  # also importable from here
from nlp_rnn.data.weighting import Part


class Rows(Dataset[dict[str, list[Any]]]):
    """Encoded rows, read one batch at a time.

    Indexing takes a list of row numbers and returns columns of lists: `rows[[3, 5]]["token_ids"]` are the
    ids of rows 3 and 5. The column `row` has the row numbers.

    Args:
        table: the rows, in chunks of any size, which stay where they are.
        path: the Arrow file that the table is mapped from, if it is: other processes then open the file
            rather than get a copy of the rows.
    """

    parts: tuple[Part, ...] = ()
    """Rows of which each epoch of training has some only."""

    def __init__(self, table: pa.Table, path: Path | None = None) -> None:
        self._path = path
        self._index: np.ndarray | None = None
        batches = table.to_batches()
        self._size = len(table)
        self._starts = np.cumsum([0, *map(len, batches)])[:-1]  # of the chunks
        self._lists: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}  # values, offsets of each chunk
        self._scalars: dict[str, list[pa.Array]] = {}
        for place, (name, kind) in enumerate(zip(table.schema.names, table.schema.types, strict=True)):
            chunks = [batch.column(place) for batch in batches]
            if pa.types.is_list(kind) and pa.types.is_primitive(kind.value_type):
                # Not `to_numpy`: that imports pandas, which takes half a second.
                self._lists[name] = [
                    (np.from_dlpack(chunk.values), np.from_dlpack(chunk.offsets)) for chunk in chunks
                ]
            else:
                self._scalars[name] = chunks

    @classmethod
    def open(cls, path: Path) -> Self:
        """Map the rows of an Arrow file into memory."""
        return cls(pa.ipc.open_file(pa.memory_map(str(path))).read_all(), path)

    @override
    def __reduce__(self) -> str | tuple[Any, ...]:
        if self._path is None:
            return super().__reduce__()
        return _reopen, (type(self), self._path, self._index)

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return [*self._lists, *self._scalars]

    def __len__(self) -> int:
        return self._size if self._index is None else len(self._index)

    def repeated(self, repeats: np.ndarray) -> Rows:
        """Return these rows, each as often as `repeats` [N] says, one after another."""
        return self.select(np.repeat(np.arange(len(self)), repeats))

    def select(self, numbers: np.ndarray, parts: tuple[Part, ...] = ()) -> Rows:
        """Return the rows of these numbers, [M] int, in this order.

        Args:
            numbers: of rows, each as often as it is to occur.
            parts: those of the M rows of which each epoch of training has some only.
        """
        selected = copy(self)
        selected._index = numbers if self._index is None else self._index[numbers]
        selected.parts = parts
        return selected

    def content_hash(self) -> str:
        """Return a SHA-256 hash (hex) of the values of all columns, however they are split into chunks.

        Raises:
            ValueError: the rows are a selection.
        """
        if self._index is not None:
            raise ValueError("rows that are repeated have no hash")
        digest = hashlib.sha256(str(self._size).encode())
        for name in sorted(self.names):
            digest.update(f"\x1c{name}\x1d".encode())
            for values, offsets in self._lists.get(name, ()):
                digest.update(np.ascontiguousarray(values[offsets[0] : offsets[-1]]).tobytes())
            for _, offsets in self._lists.get(name, ()):
                digest.update(np.diff(offsets).astype(np.int64).tobytes())
            for chunk in self._scalars.get(name, ()):
                for value in chunk.to_pylist():
                    digest.update(f"{value!r}\x1e".encode(errors="surrogatepass"))
        return digest.hexdigest()

    def column(self, name: str) -> np.ndarray:
        """Return a column of numbers, one per row."""
        whole = np.concatenate([chunk.to_numpy() for chunk in self._scalars[name]] or [np.zeros(0, np.int32)])
        return whole if self._index is None else whole[self._index]

    def values(self, name: str) -> Iterator[np.ndarray]:
        """Yield the items of all lists in a column, in parts of bounded size."""
        if self._index is not None:  # chosen rows need not follow one another
            return (np.asarray(self[[row]][name][0]) for row in range(len(self)))
        return (values[offsets[0] : offsets[-1]] for values, offsets in self._lists[name])

    def lengths(self, name: str) -> np.ndarray:
        """Return the lengths [N] of the lists in a column, int32."""
        whole = joined_array((np.diff(offsets) for _, offsets in self._lists[name]), self._size, np.int32)
        return whole if self._index is None else whole[self._index]

    def __getitem__(self, indices: list[int]) -> dict[str, list[Any]]:
        numbers = np.asarray(indices, np.int64)
        if self._index is not None:
            numbers = self._index[numbers]
        chunks = np.searchsorted(self._starts, numbers, side="right") - 1
        places = list(zip(chunks.tolist(), (numbers - self._starts[chunks]).tolist(), strict=True))
        columns: dict[str, list[Any]] = {"row": numbers.tolist()}
        for name, parts in self._lists.items():
            columns[name] = [
                parts[chunk][0][parts[chunk][1][row] : parts[chunk][1][row + 1]] for chunk, row in places
            ]
        for name, arrays in self._scalars.items():
            columns[name] = [arrays[chunk][row].as_py() for chunk, row in places]
        return columns


def _reopen(rows: type[Rows], path: Path, index: np.ndarray | None) -> Rows:
    opened = rows.open(path)
    opened._index = index
    return opened
