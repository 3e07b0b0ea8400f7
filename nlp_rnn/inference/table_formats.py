"""The formats of tables to answer, each read in bounded memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
from typing_extensions import override

from nlp_rnn.data.corpus.columns import Columns, column_key
from nlp_rnn.data.corpus.delimited import (
    EXCEL_SEPARATOR,
    LONGEST_CELL,
    csv_rows,
    detect_dialect,
    has_quoted_fields,
    split_rows,
)
from nlp_rnn.data.corpus.json_table import flatten_object, json_array, json_document, json_lines
from nlp_rnn.data.corpus.layout import Layout
from nlp_rnn.data.corpus.text import data_suffix, read_lines, stream_lines
from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.files import shorten
from nlp_rnn.inference.table_input import Chunk, TableInput, cell_text
from nlp_rnn.inference.table_parquet import ParquetInput

T = TypeVar("T")


def open_table(path: Path, columns: Columns, layout: Layout) -> TableInput:
    """Read a table once, so that what is wrong with it is found before any row is answered.

    Args:
        path: a file that ends in one of `TABLE_SUFFIXES`, and perhaps an ending of its compression.
        columns: canonical name -> names to accept, of the columns that the model reads.
        layout: how the file is to be read.

    Raises:
        UsageError: the file is malformed (with the line).
    """
    suffix = data_suffix(path)
    if suffix == ".parquet":
        return ParquetInput(path, columns)
    if suffix in (".json", ".jsonl"):
        return JsonInput(path, columns, layout)
    return DelimitedInput(path, columns, layout)


def _chunks(rows: Iterable[T], size: int) -> Iterator[tuple[int, list[T]]]:
    """The number of the first row of each chunk, and its rows."""
    rows, start = iter(rows), 0
    while chunk := list(islice(rows, size)):
        yield start, chunk
        start += len(chunk)


class DelimitedChunk(Chunk):
    """Rows of text cells."""

    def __init__(self, start: int, names: list[str], rows: list[list[str]]) -> None:
        self.start, self.names, self.rows = start, names, rows

    @override
    def __len__(self) -> int:
        return len(self.rows)

    @override
    def column(self, name: str, is_numeric: bool) -> pa.Array:
        place = self.names.index(name)
        return pa.array([row[place] for row in self.rows], pa.string())

    @override
    def texts(self) -> list[list[str]]:
        return self.rows

    @override
    def objects(self) -> list[str]:
        return [json.dumps(dict(zip(self.names, row, strict=True)), ensure_ascii=False) for row in self.rows]

    @override
    def arrow(self) -> pa.Table:
        columns = zip(*self.rows, strict=True) if self.rows else ([] for _ in self.names)
        return pa.table([pa.array(column, pa.string()) for column in columns], self.names)


class DelimitedInput(TableInput):
    """A .csv or .tsv file; see `nlp_rnn.data.corpus.delimited`."""

    def __init__(self, path: Path, columns: Columns, layout: Layout) -> None:
        super().__init__(path, columns)
        self._encoding = layout.encoding
        first = next((line for line in self._lines(warns=False) if line.strip()), "").removesuffix("\r")
        self._dialect = detect_dialect(first, data_suffix(path), columns, layout)
        separator = self._dialect.separator
        if not self._dialect.quoted and has_quoted_fields(self._lines(warns=False), separator):
            self._dialect = replace(self._dialect, quoted=True)
        self.separator, self.is_quoted = separator, self._dialect.quoted
        rows = self._rows(warns=True)
        number, header = next(rows, (1, []))
        self.names, self._has_header = self._header(f"{path}, line {number}", header, layout)
        self.searched = self.names
        for number, fields in rows:
            if len(fields) != len(self.names):
                remedy = "; quote fields that hold the separator" if self.is_quoted else ""
                raise UsageError(
                    f"{path}, line {number}: {len(self.names)} fields expected "
                    f"({join_names(map(shorten, self.names))}), {len(fields)} found{remedy}"
                )

    def _header(self, where: str, first: list[str], layout: Layout) -> tuple[list[str], bool]:
        """The names of the columns, and whether the file has them in its first row."""
        stated = list(layout.columns or ())
        if not stated or list(map(column_key, stated)) == list(map(column_key, first)):
            return first, True
        if len(stated) != len(first):
            raise UsageError(
                f"{where}: {len(stated)} fields expected ({join_names(stated)}, as --file-columns says), "
                f"{len(first)} found: {join_names(map(shorten, first))}"
            )
        return stated, False

    def _lines(self, warns: bool) -> Iterator[str]:
        for number, line in enumerate(stream_lines(self.path, self._encoding, warns, "--encoding")):
            # Excel's first line that is no row is blank, so that the lines keep their numbers.
            yield "" if not number and EXCEL_SEPARATOR.fullmatch(line.removesuffix("\r")) else line

    def _rows(self, warns: bool = False) -> Iterator[tuple[int, list[str]]]:
        """(line number, fields) of each row, the header included."""
        lines, dialect = self._lines(warns), self._dialect
        if dialect.quoted:
            rows = csv_rows(self.path, lines, dialect, LONGEST_CELL, warns)
        else:
            rows = split_rows((line.removesuffix("\r") for line in lines), dialect)
        width = 0
        for number, fields in rows:
            # In a single column, an empty line after the header is an empty text.
            if fields not in ([], [""]) or width == 1:
                width = width or len(fields)
                yield number, fields or [""]

    @property
    @override
    def schema(self) -> pa.Schema:
        return pa.schema([(name, pa.string()) for name in self.names])

    @override
    def chunks(self, size: int) -> Iterator[Chunk]:
        rows = islice((fields for _, fields in self._rows()), int(self._has_header), None)
        return (DelimitedChunk(start, self.names, chunk) for start, chunk in _chunks(rows, size))


class LinesInput(TableInput):
    """Lines as a table of one column.

    Args:
        path: where the lines come from.
        name: what the column is called.
        lines: the lines.
    """

    def __init__(self, path: Path, name: str, lines: Iterable[str]) -> None:
        super().__init__(path, {})
        self.names = self.searched = [name]
        self._lines = lines

    @property
    @override
    def schema(self) -> pa.Schema:
        return pa.schema([(name, pa.string()) for name in self.names])

    @override
    def chunks(self, size: int) -> Iterator[Chunk]:
        rows = ([line] for line in self._lines)
        return (DelimitedChunk(start, self.names, chunk) for start, chunk in _chunks(rows, size))


class JsonChunk(Chunk):
    """JSON objects, and each as it is written in the file."""

    def __init__(self, start: int, table: JsonInput, rows: list[tuple[str, str, dict[str, Any]]]) -> None:
        self.start, self.table, self.rows = start, table, rows

    @override
    def __len__(self) -> int:
        return len(self.rows)

    @override
    def column(self, name: str, is_numeric: bool) -> pa.Array:
        values = [flatten_object(record).get(name) for _, _, record in self.rows]
        if not is_numeric:
            values = [None if value != value else value for value in values]  # NaN
        return self.array(name, values, partial(json_array, is_numeric=is_numeric))

    def values(self, name: str) -> list[Any]:
        """What the rows hold in a field; None if they have it not."""
        return [record.get(name) for _, _, record in self.rows]

    def array(self, name: str, values: list[Any], convert: Callable[[list[Any]], pa.Array]) -> pa.Array:
        """Convert the values of a column.

        Raises:
            UsageError: they are of several types, or are no text.
        """
        try:
            return convert(values)
        except (pa.ArrowException, OverflowError, UnicodeEncodeError) as error:
            kinds = join_names(dict.fromkeys(type(value).__name__ for value in values if value is not None))
            reason = "half of a surrogate pair" if isinstance(error, UnicodeEncodeError) else kinds
            raise UsageError(
                f"{self.rows[0][0]} and after: column {name!r} holds values of several types, or such as no "
                f"column of a table can hold ({reason}); give the text as text, or write .jsonl"
            ) from None

    @override
    def texts(self) -> list[list[str]]:
        return [[cell_text(record.get(name)) for name in self.table.names] for _, _, record in self.rows]

    @override
    def objects(self) -> list[str]:
        return [text for _, text, _ in self.rows]

    @override
    def arrow(self) -> pa.Table:
        fields = self.table.schema
        arrays = [
            self.array(field.name, self.values(field.name), partial(pa.array, type=field.type))
            for field in fields
        ]
        return pa.table(arrays, fields)


class JsonInput(TableInput):
    """A .jsonl or .json file; see `nlp_rnn.data.corpus.json_table`. A .json document is held in memory."""

    def __init__(self, path: Path, columns: Columns, layout: Layout) -> None:
        super().__init__(path, columns)
        self._encoding = layout.encoding
        self._document: Iterable[tuple[str, Any]] | None = None
        if data_suffix(path) == ".json":
            document = json_document(path, read_lines(path, layout.encoding), columns)
            self._document = None if document is None else list(document)
        names: dict[str, None] = {}
        searched: dict[str, None] = {}
        for _, _, record in self._records(warns=True):
            names |= dict.fromkeys(record)
            searched |= dict.fromkeys(flatten_object(record))
        self.names, self.searched = list(names), list(searched)

    def _records(self, warns: bool = False) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """What messages call each row, its text and its content."""
        if self._document is None:
            records: Iterable[tuple[str, str, Any]] = json_lines(
                self.path, stream_lines(self.path, self._encoding, warns, "--encoding")
            )
        else:
            records = ((where, json.dumps(row, ensure_ascii=False), row) for where, row in self._document)
        for where, text, record in records:
            if not isinstance(record, dict):
                raise UsageError(f"{where}: a JSON object expected, found {shorten(json.dumps(record))}")
            yield where, text.strip(), record

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow types of the columns, which take another reading of the file."""
        schema = pa.schema([])
        for chunk in self._json_chunks(10_000):
            arrays = {name: chunk.array(name, chunk.values(name), pa.array) for name in self.names}
            fields = [(name, array.type) for name, array in arrays.items()]
            try:
                schema = pa.unify_schemas([schema, pa.schema(fields)], promote_options="permissive")
            except pa.ArrowException as error:
                raise UsageError(
                    f"{chunk.rows[0][0]} and after: other types than before "
                    f"({' '.join(str(error).split())}); write .jsonl or .csv"
                ) from None
        return schema

    @override
    def chunks(self, size: int) -> Iterator[Chunk]:
        return self._json_chunks(size)

    def _json_chunks(self, size: int) -> Iterator[JsonChunk]:
        return (JsonChunk(start, self, rows) for start, rows in _chunks(self._records(), size))
