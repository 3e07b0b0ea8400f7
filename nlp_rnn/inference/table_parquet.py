"""Tables to answer in Parquet files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from typing_extensions import override

from nlp_rnn.data.corpus.columns import Columns
from nlp_rnn.data.corpus.text import decompressed_name, read_data
from nlp_rnn.errors import UsageError
from nlp_rnn.files import open_bytes, standard_json
from nlp_rnn.inference.table_input import Chunk, TableInput, cell_text


class ParquetChunk(Chunk):
    """Rows of an Arrow table."""

    def __init__(self, start: int, path: Path, table: pa.Table) -> None:
        self.start, self.path, self.table = start, path, table

    @override
    def __len__(self) -> int:
        return int(self.table.num_rows)

    @override
    def column(self, name: str, is_numeric: bool) -> pa.Array:
        return self.table.flatten().column(name)

    @override
    def texts(self) -> list[list[str]]:
        columns = [[cell_text(value) for value in column] for column in self._columns()]
        return list(map(list, zip(*columns, strict=True)))

    @override
    def objects(self) -> list[str]:
        names = self.table.column_names
        rows = zip(*self._columns(), strict=True)
        return [
            json.dumps(standard_json(dict(zip(names, row, strict=True))), ensure_ascii=False, default=str)
            for row in rows
        ]

    def _columns(self) -> list[list[Any]]:
        for field in self.table.schema:
            if _holds_bytes(field.type):
                raise UsageError(
                    f"{self.path}: column {field.name!r} holds {field.type}, which is no text; write .parquet"
                )
        return [column.to_pylist() for column in self.table.columns]

    @override
    def arrow(self) -> pa.Table:
        return self.table


class ParquetInput(TableInput):
    """A Parquet file, read row group by row group."""

    def __init__(self, path: Path, columns: Columns) -> None:
        super().__init__(path, columns)
        try:
            self._schema = self._open().schema_arrow
            self.names = self._schema.names
            self.searched = self._schema.empty_table().flatten().column_names
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise self._damaged(error) from None

    @property
    @override
    def schema(self) -> pa.Schema:
        return self._schema

    def _open(self) -> pq.ParquetFile:
        if decompressed_name(self.path) != Path(self.path.name):
            return pq.ParquetFile(pa.BufferReader(read_data(self.path)))
        with open_bytes(self.path):  # says what is wrong with a path that is no file
            return pq.ParquetFile(self.path, buffer_size=1 << 20, pre_buffer=False)

    def _damaged(self, error: Exception) -> UsageError:
        return UsageError(f"{self.path}: damaged or not Parquet ({' '.join(str(error).split())})")

    @override
    def chunks(self, size: int) -> Iterator[Chunk]:
        start = 0
        try:
            # A batch ends where a row group ends: the rest of a chunk is taken from the next one.
            parts: list[pa.RecordBatch] = []
            for batch in self._open().iter_batches(size):
                batch.validate(full=True)  # checks, for example, that text is UTF-8
                parts.append(batch)
                while sum(map(len, parts)) >= size:
                    whole = pa.Table.from_batches(parts)
                    yield ParquetChunk(start, self.path, whole.slice(0, size))
                    parts = [part for part in whole.slice(size).to_batches() if len(part)]
                    start += size
            if parts:
                yield ParquetChunk(start, self.path, pa.Table.from_batches(parts))
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(error) from None


def _holds_bytes(arrow_type: pa.DataType) -> bool:
    is_bytes = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    inner = (arrow_type.field(place).type for place in range(arrow_type.num_fields))
    return any(check(arrow_type) for check in is_bytes) or any(map(_holds_bytes, inner))
