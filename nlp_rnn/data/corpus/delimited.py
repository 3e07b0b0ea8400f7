"""Reads tables whose fields are separated by commas, tabs, semicolons or bars."""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from nlp_rnn.data.corpus.columns import (
    Columns,
    MissingColumnError,
    Numbers,
    column_key,
    match_columns,
    matching_columns,
)
from nlp_rnn.data.corpus.layout import Layout
from nlp_rnn.data.corpus.spool import row_chunks, spooled
from nlp_rnn.data.corpus.text import data_suffix, plain_lines
from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.files import shorten
from nlp_rnn.lite.text.numbers import NUMBER

log = logging.getLogger(__name__)

_SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
EXCEL_SEPARATOR = re.compile(r'"?sep=."?[,;\t|]*', re.IGNORECASE)  # a first line that is no row
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_MANY_LABELS = 0.25  # different labels per row, from which on a column is hardly one of labels
LONGEST_CELL = 1 << 26  # characters: more, and a stray quote has joined the rows of a file
_FEW_ROWS = 10  # with which many rows may well have a label of their own


@dataclass(frozen=True)
class Dialect:
    """How the fields of a file are separated."""

    separator: str
    quoted: bool
    """Whether quotes enclose fields, as in CSV; else they are ordinary text."""
    spaced: bool = False
    """Whether a space follows each separator."""


def read_delimited(path: Path, columns: Columns, layout: Layout) -> pa.Table:
    """Read columns of a .csv or .tsv file as text.

    Fields of CSV may be quoted (RFC 4180); those of TSV are if all fields of the header are. The separator is
    that of the file's ending, unless the header shows another one.

    Args:
        path: the file.
        columns: canonical name -> names to accept in the header.
        layout: how the file is to be read.

    Returns:
        A table with the canonical columns.

    Raises:
        UsageError: the file is malformed (with the line) or lacks a column (with the columns that it has).
    """
    first = next((line for line in _lines(path, layout, warns=False) if line.strip()), "")
    dialect = detect_dialect(first, data_suffix(path), columns, layout)
    if not dialect.quoted and has_quoted_fields(_lines(path, layout, warns=False), dialect.separator):
        dialect = replace(dialect, quoted=True)
    lines = _lines(path, layout, warns=True)
    rows = csv_rows(path, lines, dialect, LONGEST_CELL) if dialect.quoted else split_rows(lines, dialect)
    return _table(path, columns, rows, dialect, layout)


def _lines(path: Path, layout: Layout, warns: bool) -> Iterator[str]:
    for number, line in enumerate(plain_lines(path, layout.encoding, warns)):
        # Excel's first line that is no row is blank, so that the lines keep their numbers.
        yield "" if not number and EXCEL_SEPARATOR.fullmatch(line) else line


def detect_dialect(first: str, suffix: str, columns: Columns, layout: Layout) -> Dialect:
    """Return the dialect in which a first line has most of the wanted columns; else that of the ending."""
    natural = "\t" if suffix == ".tsv" else ","

    def score(dialect: Dialect) -> tuple[int, bool]:
        fields = _header(first, dialect)
        if layout.columns is not None:
            return int(len(fields) == len(layout.columns)), False
        known = len(matching_columns(fields, columns))
        return known, known == 0 and (len(fields) == len(columns) if layout.may_guess else len(fields) > 1)

    dialects = [_dialect(first, separator, natural) for separator in dict.fromkeys([natural, *_SEPARATORS])]
    return max(dialects, key=score)  # the first of equals


def has_quoted_fields(lines: Iterable[str], separator: str) -> bool:
    """Return whether a file encloses in quotes just those fields that hold quotes, as most programs do."""
    has_pair = False
    for line in lines:
        for field in line.split(separator) if '"' in line else ():
            if '"' in field and not _QUOTED.fullmatch(field):
                return False
            has_pair = has_pair or '""' in field[1:-1] or field == '""'  # an empty text
    return has_pair


def _dialect(first: str, separator: str, natural: str) -> Dialect:
    fields = first.split(separator)
    quoted = separator != "\t" or natural == ","
    if not quoted:  # TSV: its quotes are text, unless each field has a pair
        quoted = all(re.fullmatch(r'".*"', field.strip()) for field in fields)
    spaced = separator in ",;|" and len(fields) > 1 and all(field[:1] == " " for field in fields[1:])
    return Dialect(separator, quoted, spaced)


def _header(line: str, dialect: Dialect) -> list[str]:
    if not dialect.quoted:
        return line.split(dialect.separator)
    try:
        rows = csv.reader([line], delimiter=dialect.separator, skipinitialspace=dialect.spaced)
        return next(rows, [""])
    except csv.Error:
        return line.split(dialect.separator)


def split_rows(lines: Iterable[str], dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """(line number, fields) of each row of a file whose quotes are ordinary text."""
    return ((number, line.split(dialect.separator)) for number, line in enumerate(lines, 1))


# The csv module treats a bare "\r" as the end of a row. It is replaced by a lone surrogate, which decoded
# text cannot contain, and restored afterwards.
_HIDDEN_RETURN = "\ud800"


def _hide_returns(line: str) -> str:
    """A line with its end, in which no carriage return is left but that of its end."""
    end = "\r\n" if line.endswith("\r") else "\n"
    return line.removesuffix("\r").replace("\r", _HIDDEN_RETURN) + end


def csv_rows(
    path: Path, lines: Iterable[str], dialect: Dialect, longest: int, warns: bool = True
) -> Iterator[tuple[int, list[str]]]:
    r"""(line number at which the row starts, fields) of each row of a file with quoted fields.

    Args:
        path: what messages call the file.
        lines: without their "\n".
        dialect: how fields are separated.
        longest: the maximum length of a field.
        warns: whether to warn of fields that span lines.

    Raises:
        UsageError: the file is malformed (with the line).
    """
    limit = csv.field_size_limit(longest + 1)  # 128 KiB otherwise
    start = 1
    spanning = first = 0  # cells that span lines, and the line at which the first row with one starts
    try:
        reader = csv.reader(
            map(_hide_returns, lines),
            delimiter=dialect.separator,
            skipinitialspace=dialect.spaced,
            strict=True,
        )
        for fields in reader:
            yield start, [field.replace(_HIDDEN_RETURN, "\r") for field in fields]
            if cells := sum("\n" in field for field in fields):
                spanning, first = spanning + cells, first or start
            start = reader.line_num + 1
    except csv.Error as error:
        raise UsageError(
            f"{path}, line {start}: not CSV ({error}); quote a field that holds quotes"
        ) from None
    finally:
        csv.field_size_limit(limit)
    if spanning and warns:
        log.warning(
            "%s: %d cell(s) span several lines, the first in line %d; if that is not meant, look for a stray "
            "quote there",
            path, spanning, first,
        )  # fmt: skip


def _table(
    path: Path,
    columns: Columns,
    numbered_rows: Iterable[tuple[int, list[str]]],
    dialect: Dialect,
    layout: Layout,
) -> pa.Table:
    """The wanted columns under their canonical names, as text."""
    rows = ((number, fields or [""]) for number, fields in numbered_rows)
    head = next((row for row in rows if row[1] != [""]), None)
    if head is None:
        return pa.table({name: pa.array([], pa.string()) for name in columns})
    number, first = head
    guessed = has_header = False
    if layout.columns is not None:
        places = _stated_places(f"{path}, line {number}", columns, first, layout.columns)
        has_header = _is_stated(f"{path}, line {number}", first, layout.columns)
    elif matching_columns(first, columns):
        matches = match_columns(first, columns, f"{path}, line {number}")
        places = {name: first.index(column) for name, column in matches.items()}
        has_header = True
    elif layout.may_guess and len(first) == len(columns) and not _is_header(first, columns):
        places = {name: place for place, name in enumerate(columns)}
        guessed = True
    else:
        wanted = ", ".join(" or ".join(names) for names in columns.values())
        raise MissingColumnError(
            f"{path}, line {number}: no column {wanted} in the header {join_names(map(shorten, first))} "
            f"({_SEPARATORS[dialect.separator]} between); state the columns of a file without a header, in "
            "their order, by corpus.columns"
        )
    remedy = f"; quote fields that hold {_SEPARATORS[dialect.separator]}" if dialect.quoted else ""

    def cells() -> Iterator[list[str]]:
        for line, fields in rows if has_header else chain([head], rows):
            if len(fields) == len(first):
                yield fields
            elif fields != [""]:  # in a single column an empty line is an empty text
                raise UsageError(
                    f"{path}, line {line}: {len(first)} fields expected ({join_names(map(shorten, first))}), "
                    f"{len(fields)} found{remedy}"
                )

    table = spooled(
        pa.table(
            {name: pa.array([row[place] for row in chunk], pa.string()) for name, place in places.items()}
        )
        for _, chunk in row_chunks(cells())
    )
    if guessed:
        _check_guess(path, table, first, layout.labels)
    elif layout.columns is not None and not has_header and _has_label_of_its_own(table, layout.labels):
        log.warning(
            "%s, line %d: the first row, %s, looks like a header; if it is one, remove it",
            path, number, join_names(map(shorten, first)),
        )  # fmt: skip
    return table


def _stated_places(
    where: str, columns: Columns, first: Sequence[str], stated: Sequence[str]
) -> dict[str, int]:
    if len(first) != len(stated):
        raise UsageError(
            f"{where}: {len(stated)} fields expected ({join_names(stated)}, as corpus.columns says), "
            f"{len(first)} found: {join_names(map(shorten, first))}"
        )
    matches = match_columns(stated, columns, f"{where}, columns as corpus.columns says")
    return {name: stated.index(column) for name, column in matches.items()}


def _is_stated(where: str, first: Sequence[str], stated: Sequence[str]) -> bool:
    """Whether a first row is a header: the stated columns, which it must then have in their order."""
    in_file, in_order = list(map(column_key, first)), list(map(column_key, stated))
    if in_file != in_order and sorted(in_file) == sorted(in_order):
        raise UsageError(
            f"{where}: the header has the columns in another order, {join_names(map(shorten, first))}, than "
            f"corpus.columns says, {join_names(stated)}; state the order of the file"
        )
    return in_file == in_order


def _check_guess(path: Path, table: pa.Table, first: Sequence[str], labels: str | None) -> None:
    """Say that a file is read as one without a header; refuse labels that can hardly be labels."""
    names = ", ".join(table.column_names)
    state = f"state the columns in their order, for example corpus.columns [{names}]"
    if labels is not None and table.num_rows >= _FEW_ROWS:
        counts = _counts(table[labels])
        if len(counts) >= _MANY_LABELS * table.num_rows:
            raise UsageError(
                f"{path}: no header, and read as {names} it has {len(counts):,} different labels in "
                f"{table.num_rows:,} rows; {state}"
            )
        if _has_label_of_its_own(table, labels):
            raise UsageError(
                f"{path}: the first row, {join_names(map(shorten, first))}, looks like a header of other "
                f"columns than {names}: name the columns, or {state}"
            )
    log.warning(
        "%s: no header, so its columns are read as %s, and %s as the first row; if that is wrong, %s",
        path, names, join_names(map(shorten, first)), state,
    )  # fmt: skip


def _has_label_of_its_own(table: pa.Table, labels: str | None) -> bool:
    """Whether the first row has a label that no other has, while all others occur several times."""
    if labels is None or not table.num_rows:
        return False
    counts = _counts(table[labels])
    return counts[table[labels][0].as_py()] == 1 < min(sorted(counts.values())[1:], default=1)


def _counts(values: pa.ChunkedArray) -> dict[str, int]:
    """How often each value occurs."""
    return {count["values"]: count["counts"] for count in pc.value_counts(values).to_pylist()}


def _is_header(first: list[str], columns: Columns) -> bool:
    """Whether a row without any of the wanted names is still a header: of other, or misspelled, columns."""
    cells = [field.strip() for field in first]
    for cell, names in zip(cells, columns.values(), strict=True):
        if isinstance(names, Numbers) and cell and not NUMBER.fullmatch(cell):
            return True
    if not all(re.fullmatch(r"[^\W\d]\w*", cell) for cell in cells):  # one word each
        return False
    wanted = [name.lower() for names in columns.values() for name in names if len(name) > 3]
    return any(get_close_matches(cell.lower(), wanted, 1, 0.8) for cell in cells)
