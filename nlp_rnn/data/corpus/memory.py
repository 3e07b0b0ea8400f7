"""Corpora that a program holds: tables of several libraries, rows, columns, or splits of these."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Self

import pyarrow as pa

from nlp_rnn.data.corpus.spool import table_chunks
from nlp_rnn.data.corpus.stream import draw_stream, is_stream
from nlp_rnn.errors import UsageError, one_line

_KINDS = (
    "a path, a hub id, a table (of pandas, polars, datasets or Arrow), a list of rows, a dict of columns, "
    "or a dict of these by split"
)


class InMemory(str):
    """The splits of a corpus that a program holds, in the place of a path; as text, what they are called.

    Args:
        data: one table, which is used whole: a DataFrame, a `datasets.Dataset`, an Arrow table, a list of
            dicts, or a dict of columns. Or a dict of tables by split, such as a `DatasetDict`. A
            `datasets.IterableDataset` is a table too, whose rows are read when they are needed.

    Raises:
        UsageError: it is something else, or a column holds values of several types.
    """

    has_splits: bool
    """Whether the data names its splits; else it is one table."""
    tables: dict[str, Any]
    """The tables, or streams, by the data's own names of the splits."""

    def __new__(cls, data: Any) -> Self:
        """Convert the data."""
        tables = list(data.values()) if isinstance(data, Mapping) else []
        full = [value for value in tables if not (isinstance(value, list) and not value)]
        has_splits = bool(full) and all(map(_is_table, full))
        if has_splits:
            by_split = {str(name): _table(table) for name, table in data.items()}
            sizes = ", ".join(f"{name} {_size(table)}" for name, table in by_split.items())
        else:
            by_split = {"train": _table(data)}
            size = _size(by_split["train"])
            sizes = size if is_stream(by_split["train"]) else f"{size} rows"
        self = super().__new__(cls, f"data in memory ({sizes})")
        self.has_splits, self.tables = has_splits, by_split
        self._drawn = {}
        return self

    _drawn: dict[tuple[str, int | None], pa.Table]
    """What was read of the streams."""

    def table(self, split: str, limit: int | None = None) -> pa.Table:
        """Return a split.

        Args:
            split: the data's own name of the split.
            limit: the maximum number of rows of a stream, of which these are the first.

        Raises:
            UsageError: the stream cannot be read.
        """
        data = self.tables[split]
        if not is_stream(data):
            return data
        if (split, limit) not in self._drawn:
            where = f"{self}, split {split}" if self.has_splits else str(self)
            self._drawn[split, limit] = draw_stream(data, limit, where)
        return self._drawn[split, limit]

    def fingerprint(self, split: str, limit: int | None = None) -> str:
        """Return a SHA-256 hash (hex) of the content of a split, see `table`."""
        table, digest = self.table(split, limit), hashlib.sha256()
        for _, part in table_chunks(table):
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, table.schema) as stream:
                stream.write_table(part.combine_chunks())
            digest.update(memoryview(sink.getvalue()))
        return digest.hexdigest()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # it is never changed


def _is_table(value: Any) -> bool:
    """Whether a value is a whole table, not a column."""
    if isinstance(value, Mapping):
        return True
    if _is_rows(value) and value:
        return True
    return hasattr(value, "with_format") or hasattr(value, "column_names") or hasattr(value, "columns")


def _size(table: Any) -> str:
    return "a stream" if is_stream(table) else f"{table.num_rows:,}"


def _table(data: Any) -> Any:
    """Data as an Arrow table; a stream as it is."""
    if isinstance(data, pa.Table) or is_stream(data):
        return data
    if hasattr(data, "with_format") and hasattr(data, "features"):  # of datasets
        return data.with_format("arrow")[:]
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data])
    if hasattr(data, "iloc") and hasattr(data, "columns"):  # pandas
        try:
            return pa.Table.from_pandas(data, preserve_index=False)
        except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
            raise UsageError(f"data in memory: {one_line(error)}") from None
    if hasattr(data, "to_arrow"):  # polars
        return data.to_arrow()
    if isinstance(data, Mapping):
        single = [name for name, values in data.items() if isinstance(values, str) or not _is_many(values)]
        if single:
            raise UsageError(
                f"data in memory, column {str(single[0])!r}: {type(data[single[0]]).__name__} is no list of "
                "values; give one"
            )
        return _from_columns({name: list(values) for name, values in data.items()})
    if _is_rows(data):
        names = dict.fromkeys(name for row in data for name in row)
        return _from_columns({name: [row.get(name) for row in data] for name in names})
    raise UsageError(f"data must be {_KINDS}, not {type(data).__name__}")


def _is_many(values: Any) -> bool:
    return hasattr(values, "__len__") and hasattr(values, "__getitem__")


def _is_rows(data: Any) -> bool:
    is_list = isinstance(data, Sequence) and not isinstance(data, str)
    return is_list and all(isinstance(row, Mapping) for row in data)


def _is_nan(value: Any) -> bool:
    """Whether a value is the NaN that stands for a missing one; beside text, Arrow refuses it."""
    return isinstance(value, float) and value != value


def _from_columns(columns: Mapping[Any, list[Any]]) -> pa.Table:
    arrays = {}
    for name, values in columns.items():
        try:
            arrays[str(name)] = pa.array([None if _is_nan(value) else value for value in values])
        except (pa.ArrowException, UnicodeEncodeError, OverflowError, TypeError) as error:
            reason = f"{one_line(error)}; give values of one type"
            raise UsageError(f"data in memory, column {str(name)!r}: {reason}") from None
    if len({len(values) for values in arrays.values()}) > 1:
        counts = ", ".join(f"{name} {len(values)}" for name, values in arrays.items())
        raise UsageError(f"data in memory: columns of unequal length, in rows {counts}")
    return pa.table(arrays)
