"""Tables of answers: the rows of a table with all of their columns, and the columns of the answers."""

from __future__ import annotations

import json
import re
import sys
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from itertools import count
from pathlib import Path
from typing import Any, TextIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from typing_extensions import override

from nlp_rnn.data.corpus.columns import column_key
from nlp_rnn.data.corpus.text import compressing, data_suffix, decompressed_name
from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.files import atomic_write, printed, printing, shorten
from nlp_rnn.inference.table_input import TABLE_SUFFIXES, Chunk, TableInput, cell_text
from nlp_rnn.tasks.interface import AnswerColumn

Answers = Sequence[dict[str, Any] | None]
"""The answers of the rows of a chunk; None for a row without an input."""

_ROWS_PER_GROUP = 1 << 16  # of a Parquet file
_BYTES_PER_GROUP = 1 << 26
_SPECIAL = re.compile(r'[",;|\t\r\n]')  # in a cell that has to be quoted, whatever the separator


class TableWriter(ABC):
    """Writes a table, chunk by chunk."""

    @abstractmethod
    def write(self, chunk: Chunk, answers: Answers) -> None:
        """Write rows with their answers."""

    def close(self) -> None:  # noqa: B027
        """Write what is still to be written."""


class DelimitedWriter(TableWriter):
    """Writes .csv and .tsv files.

    Separator and quotes are those of the table, if it has the same ending. Else cells of CSV are quoted where
    they have to be, and those of TSV all.
    """

    def __init__(
        self, file: TextIO, suffix: str, table: TableInput, columns: Mapping[str, AnswerColumn]
    ) -> None:
        self._file = file
        self._columns = columns.values()
        natural = "\t" if suffix == ".tsv" else ","
        is_same = table.separator is not None and data_suffix(table.path) == suffix
        self._separator = table.separator if is_same and table.separator else natural
        self._is_quoted = table.is_quoted or not is_same
        self._write_row([*table.names, *columns])

    @override
    def write(self, chunk: Chunk, answers: Answers) -> None:
        for cells, answer in zip(chunk.texts(), answers, strict=True):
            added = [_text(_value(column, answer), column.type, column.separator) for column in self._columns]
            if not self._is_quoted:  # then there is no way to write a line break
                added = [re.sub(r"[\t\r\n]", " ", text) for text in added]
            self._write_row([*cells, *added])

    def _write_row(self, cells: list[str]) -> None:
        self._file.write(self._separator.join(map(self._quoted, cells)) + "\n")

    def _quoted(self, cell: str) -> str:
        if not self._is_quoted:
            return cell
        needs_quotes = self._separator == "\t" or _SPECIAL.search(cell) or cell[:1].isspace()
        return '"' + cell.replace('"', '""') + '"' if needs_quotes else cell


class JsonWriter(TableWriter):
    """Writes .jsonl files, or .json files with an array of objects."""

    def __init__(self, file: TextIO, suffix: str, columns: Mapping[str, AnswerColumn]) -> None:
        self._file = file
        self._columns = columns
        self._is_array = suffix == ".json"
        self._is_empty = True

    @override
    def write(self, chunk: Chunk, answers: Answers) -> None:
        for text, answer in zip(chunk.objects(), answers, strict=True):
            cells = {name: _value(column, answer) for name, column in self._columns.items()}
            if self._is_array:
                self._file.write("[\n" if self._is_empty else ",\n")
            between = ", " if text[1:-1].strip() and cells else ""
            added = json.dumps(cells, ensure_ascii=False)
            self._file.write(text[:-1].rstrip() + between + added[1:] + ("" if self._is_array else "\n"))
            self._is_empty = False

    @override
    def close(self) -> None:
        if self._is_array:
            self._file.write("[]\n" if self._is_empty else "\n]\n")


class ParquetWriter(TableWriter):
    """Writes a Parquet file, in row groups of bounded size.

    Args:
        file: the file.
        schema: the columns of the table.
        columns: the columns of the answers.
    """

    def __init__(self, file: Any, schema: pa.Schema, columns: Mapping[str, AnswerColumn]) -> None:
        self._columns = columns
        for name, column in columns.items():
            schema = schema.append(pa.field(name, column.type))
        self._schema = schema
        self._writer = pq.ParquetWriter(file, schema)
        self._waiting: list[pa.Table] = []

    @override
    def write(self, chunk: Chunk, answers: Answers) -> None:
        table = chunk.arrow()
        for name, column in self._columns.items():
            cells = pa.array([_value(column, answer) for answer in answers], column.type)
            table = table.append_column(name, cells)
        self._waiting.append(table.cast(self._schema))
        rows, size = (
            sum(values) for values in zip(*((len(t), t.nbytes) for t in self._waiting), strict=True)
        )
        if rows >= _ROWS_PER_GROUP or size >= _BYTES_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting))
        self._waiting = []

    @override
    def close(self) -> None:
        self._flush()
        self._writer.close()


def _value(column: AnswerColumn, answer: dict[str, Any] | None) -> Any:
    return None if answer is None else column.value(answer)


def _text(value: Any, arrow_type: pa.DataType, separator: str = " ") -> str:
    """A value of an answer as the text of a cell: items of lists with a separator between them."""
    if isinstance(value, list) and not pa.types.is_nested(arrow_type.value_type):
        return separator.join(_text(item, arrow_type.value_type) for item in value)
    if isinstance(value, float) and arrow_type == pa.float32():
        return str(np.float32(value))  # the fewest digits that tell it from others
    return cell_text(value)


def free_names(columns: Mapping[str, AnswerColumn], taken: Iterable[str]) -> dict[str, AnswerColumn]:
    """Give the columns of answers names that a table does not have yet.

    If it has one of them, all get a number: prediction_2, probability_2.
    """
    keys = set(map(column_key, taken))
    for number in count(1):
        ending = f"_{number}" if number > 1 else ""
        named = {name + ending: column for name, column in columns.items()}
        if keys.isdisjoint(map(column_key, named)):
            return named
    raise AssertionError  # pragma: no cover


def output_format(output: str, table_format: str, as_json: bool = False) -> str:
    """The format of an output: that of its ending, one of `TABLE_SUFFIXES`.

    Args:
        output: a file, or - for standard output, which gets the format of the table.
        table_format: the format of the table.
        as_json: whether standard output gets JSON lines, and a file has to be JSON.

    Raises:
        UsageError: the ending is unknown, or the format cannot be written there.
    """
    path = Path(output)
    suffix = data_suffix(path)
    is_stream = output == "-" or (path.exists() and not path.is_file() and not path.is_dir())
    if suffix not in TABLE_SUFFIXES and is_stream:  # such as /dev/stdout
        if table_format == ".parquet" and not as_json:
            raise UsageError("Parquet cannot be printed: give a file (--output), or --json")
        return ".jsonl" if as_json or table_format == ".json" else table_format
    known = (".json", ".jsonl") if as_json else TABLE_SUFFIXES
    if suffix not in known:
        raise UsageError(f"--output {output}: give a file that ends in {', '.join(known)}, or a folder/")
    if suffix == ".parquet" and decompressed_name(path) != Path(path.name):
        raise UsageError(f"--output {output}: Parquet is compressed by itself; let the name end in .parquet")
    return suffix


def check_names(table: TableInput, suffix: str) -> None:
    """Refuse columns of one name in a format that cannot have them.

    Raises:
        UsageError: there are some.
    """
    repeated = [name for name, times in Counter(table.names).items() if times > 1]
    if repeated and suffix not in (".csv", ".tsv"):
        raise UsageError(
            f"{table.path}: several columns are called {join_names(map(shorten, repeated))}, which {suffix} "
            "does not allow; rename all but one, or write .csv"
        )


@contextmanager
def open_writer(
    output: str, suffix: str, table: TableInput, columns: Mapping[str, AnswerColumn]
) -> Iterator[TableWriter]:
    """Open a table for writing; a file appears when it is complete.

    Args:
        output: a file, or - for standard output.
        suffix: the format, see `output_format`.
        table: where the rows come from.
        columns: the columns of the answers.

    Raises:
        UsageError: the output cannot be written, or not in this format.
    """
    check_names(table, suffix)
    if suffix == ".parquet":
        with atomic_write(Path(output)) as temporary:
            writer = ParquetWriter(temporary, table.schema, columns)
            yield writer
            writer.close()
        return
    with open_text(output) as file:
        is_json = suffix in (".json", ".jsonl")
        text_writer: TableWriter = (
            JsonWriter(file, suffix, columns) if is_json else DelimitedWriter(file, suffix, table, columns)
        )
        try:
            yield text_writer
        except UnicodeEncodeError:
            raise UsageError(
                f"{table.path}: a text has half of a surrogate pair (\\ud800 to \\udfff), no character"
            ) from None
        text_writer.close()
        file.flush()


@contextmanager
def open_text(output: str) -> Iterator[TextIO]:
    """Open a file, or - for standard output, for text; a file appears when it is complete.

    A file whose name ends in .gz, .bz2, .xz or .zst is compressed.
    """
    if output == "-":
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8", newline="\n")
        with printing():
            yield cast(TextIO, _Printer())
        return
    with (
        atomic_write(Path(output)) as temporary,
        temporary.open("wb") as raw,
        compressing(raw, Path(output)) as binary,
        TextIOWrapper(binary, encoding="utf-8", newline="\n") as file,
    ):
        yield file


class _Printer:
    """Standard output, of which a terminal gets no control characters."""

    def write(self, text: str) -> None:
        sys.stdout.write(printed(text))

    def flush(self) -> None:
        sys.stdout.flush()
