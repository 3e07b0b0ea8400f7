"""Tables that grow part by part: in memory while they are small, in a temporary file beyond."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import BinaryIO, TypeVar, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nlp_rnn.data.cache import cache_root
from nlp_rnn.errors import RunError, UsageError
from nlp_rnn.files import cannot_write

T = TypeVar("T")

CHUNK_ROWS = 10_000  # that are read and converted at once
_IN_MEMORY = 1 << 26  # bytes of a table that is kept in memory
_ARRAY_IN_MEMORY = 1 << 22  # bytes of an array, of which several are needed at a time


class Spool:
    """Collects the parts of a table, of which no more than 64 MiB stay in memory.

    What is beyond goes to a file in the cache folder, from which the table is mapped. The file has no name:
    its space is free again as soon as no table needs it, even if the process is killed.

    Parts may differ in their types where one type holds both, such as numbers with and without decimals.

    Args:
        safe: whether to refuse a number that the common type would round.
    """

    def __init__(self, safe: bool = True) -> None:
        self._safe = safe
        self._parts: list[pa.Table] = []  # in memory, behind those of the files
        self._size = 0
        self._files: list[_File] = []

    def add(self, part: pa.Table) -> None:
        """Add rows.

        Raises:
            RunError: the disk is full.
        """
        self._parts.append(part)
        self._size += part.nbytes
        if self._size > _IN_MEMORY:
            self._write()

    def _write(self) -> None:
        try:
            for part in self._parts:
                if not self._files or self._files[-1].schema != part.schema:
                    self._files.append(_File(part.schema))
                self._files[-1].writer.write_table(part)
        except OSError as error:
            raise _cannot_write(error) from error
        self._parts, self._size = [], 0

    def table(self, schema: pa.Schema | None = None) -> pa.Table:
        """Return all rows in their order; nothing can be added any more.

        Args:
            schema: of a table without parts; of others the one that holds all parts, if it is None.

        Raises:
            pyarrow.ArrowException: the parts are of types that do not go together.
        """
        if self._files:
            self._write()
        tables = [file.mapped() for file in self._files] + self._parts
        schemas = list(dict.fromkeys(table.schema for table in tables))
        if not tables:
            assert schema is not None
            return schema.empty_table()
        if len(schemas) == 1:
            return pa.concat_tables(tables)
        whole = pa.unify_schemas(schemas, promote_options="permissive")
        return spooled(
            (
                pa.Table.from_batches([batch]).cast(whole, safe=self._safe)
                for table in tables
                for batch in table.to_batches()
            ),
            whole,
        )


class _File:
    """A temporary file of rows of one schema."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self._file = temporary_file()
        self.writer = pa.ipc.new_stream(self._file, schema)

    def mapped(self) -> pa.Table:
        """Close the file and map its rows into memory."""
        self.writer.close()
        self._file.flush()
        content = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)  # which keeps the file
        self._file.close()
        return pa.ipc.open_stream(pa.BufferReader(pa.py_buffer(content))).read_all()


def temporary_file() -> BinaryIO:
    """Open a file without a name in the cache folder, where there is more space than in memory.

    Raises:
        UsageError: the folder cannot be written to.
    """
    root = cache_root()
    try:
        root.mkdir(parents=True, exist_ok=True)
        return cast(BinaryIO, tempfile.TemporaryFile(dir=root))
    except OSError as error:
        raise _cannot_write(error) from error


def temporary_copy(blocks: Iterable[bytes]) -> BinaryIO:
    """Open a temporary file of these bytes, at its start.

    Raises:
        RunError: the disk is full.
    """
    file = temporary_file()
    for block in blocks:
        try:
            file.write(block)
        except OSError as error:
            raise _cannot_write(error) from error
    file.seek(0)
    return file


def empty_array(shape: int | tuple[int, ...], dtype: npt.DTypeLike) -> np.ndarray:
    """An array whose values do not matter yet: of more than 4 MiB, in a temporary file that is mapped.

    The system takes the pages of such an array back where it needs the memory.

    Args:
        shape: its size, or its sizes.
        dtype: the type of its items.

    Raises:
        RunError: the disk is full.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if size <= _ARRAY_IN_MEMORY:
        return np.empty(shape, dtype)
    # Written, for a disk that turns out to be full when a page is used ends the process.
    blocks = (bytes(min(_ARRAY_IN_MEMORY, size - start)) for start in range(0, size, _ARRAY_IN_MEMORY))
    with temporary_copy(blocks) as file:
        file.flush()
        return np.frombuffer(mmap.mmap(file.fileno(), size), dtype).reshape(shape)


def joined_array(parts: Iterable[np.ndarray], size: int, dtype: npt.DTypeLike) -> np.ndarray:
    """Join arrays [n], which have `size` items together, see `empty_array`."""
    whole, start = empty_array(size, dtype), 0
    for part in parts:
        whole[start : start + len(part)] = part
        start += len(part)
    return whole


def row_numbers(size: int) -> np.ndarray:
    """The numbers of all rows in order, [size], see `empty_array`; they have 32 bits where these suffice."""
    parts = (np.arange(start, min(size, start + CHUNK_ROWS)) for start in range(0, size, CHUNK_ROWS))
    return joined_array(parts, size, np.int32 if size < 2**31 else np.int64)


def _cannot_write(error: OSError) -> UsageError | RunError:
    return cannot_write(f"cache folder {cache_root()}", error, "; set NLP_RNN_CACHE to another")


def spooled(parts: Iterable[pa.Table], schema: pa.Schema | None = None) -> pa.Table:
    """Join the parts of a table, see `Spool`."""
    spool = Spool()
    for part in parts:
        spool.add(part)
    return spool.table(schema)


def convert_chunks(column: pa.ChunkedArray, convert: Callable[[pa.Array, int], pa.Array]) -> pa.ChunkedArray:
    """Convert a column chunk by chunk, in bounded memory.

    Args:
        column: the column.
        convert: called with each chunk and the number of its first row; with an empty one if there is none.
    """
    converted = (pa.table({"": convert(chunk, start)}) for start, chunk in numbered_chunks(column))
    return spooled(converted)[""]


def numbered_chunks(column: pa.ChunkedArray) -> Iterator[tuple[int, pa.Array]]:
    """The number of the first row of each chunk, and the chunk; an empty one if there is none."""
    start = 0
    for chunk in column.chunks or [pa.array([], column.type)]:
        # One that came in one piece, as from a program's memory, is not converted in one piece.
        for first in range(0, max(1, len(chunk)), CHUNK_ROWS):
            part = chunk.slice(first, CHUNK_ROWS)
            yield start, part
            start += len(part)


def table_chunks(table: pa.Table) -> Iterator[tuple[int, pa.Table]]:
    """The number of the first row of each part of a table, and the part."""
    start = 0
    for batch in table.to_batches(max_chunksize=CHUNK_ROWS):
        yield start, pa.Table.from_batches([batch])
        start += len(batch)


def row_chunks(rows: Iterable[T]) -> Iterator[tuple[int, list[T]]]:
    """The number of the first row of each chunk, and its rows; an empty chunk if there are no rows."""
    rows, start = iter(rows), 0
    while (chunk := list(islice(rows, CHUNK_ROWS))) or not start:
        yield start, chunk
        start += len(chunk)
        if not chunk:
            return


def text_column(texts: Iterable[str]) -> pa.ChunkedArray:
    """Make a column of texts, in bounded memory."""
    return spooled(pa.table({"": pa.array(chunk, pa.string())}) for _, chunk in row_chunks(texts))[""]
