"""Reads tables from JSON: one object per line, or one document in the shapes that are common."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from nlp_rnn.data.corpus.columns import Columns, Numbers, Words, match_columns, matching_columns
from nlp_rnn.data.corpus.layout import Layout
from nlp_rnn.data.corpus.spool import Spool, row_chunks
from nlp_rnn.data.corpus.text import data_suffix, plain_lines, read_lines
from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.files import shorten

_SHAPES = "give one object per line, an array of objects, or an object of columns"


def read_json(path: Path, columns: Columns, layout: Layout) -> pa.Table:
    """Read columns of a .json or .jsonl file.

    A .jsonl file has one object per line. A .json file may be so too, or one document: an array of objects,
    an object of columns, such as pandas writes, or an object with such an array in one of its fields.

    Args:
        path: the file.
        columns: canonical name -> names to accept.
        layout: how the file is to be read.

    Returns:
        A table with the canonical columns, with JSON's types.

    Raises:
        UsageError: the file is malformed (with line or row) or lacks a column (with the columns there are).
    """
    records = None
    lines: Iterable[str]
    if data_suffix(path) == ".json":
        lines = read_lines(path, layout.encoding)
        records = json_document(path, lines, columns)
    else:
        lines = plain_lines(path, layout.encoding)
    if records is None:
        records = ((where, record) for where, _, record in json_lines(path, lines))
    return _table(path, columns, records)


def json_lines(path: Path, lines: Iterable[str]) -> Iterator[tuple[str, str, Any]]:
    """What messages call each line, the line, and what it holds; blank lines are left out.

    Raises:
        UsageError: a line is not JSON.
    """
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield f"{path}, line {number}", line, _parse(path, number, line)


def json_document(path: Path, lines: list[str], columns: Columns) -> Iterable[tuple[str, Any]] | None:
    """What messages call each row of a document, and the row; None if the file has one object per line.

    Raises:
        UsageError: the document is no table.
    """
    document = _document(lines)
    return None if document is None else _records(path, document, columns)


def _document(lines: list[str]) -> Any:
    """The document that the whole file is; None if it is one per line."""
    content = [line for line in lines if line.strip()]
    if len(content) > 1 and content[0].lstrip().startswith("{"):
        try:
            json.loads(content[0])
        except (ValueError, RecursionError):
            pass  # the first line of a document that is laid out over several
        else:
            return None
    try:
        return json.loads("\n".join(lines))
    except (ValueError, RecursionError):
        return None  # the error will name a line


def _parse(path: Path, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}, line {number}: not JSON ({error}); {_SHAPES}") from None


def _records(path: Path, document: Any, columns: Columns) -> Iterable[tuple[str, Any]]:
    """What messages call each record, and the record."""
    if isinstance(document, dict):
        document = _rows_of_object(path, document, columns)
    if not isinstance(document, list):
        raise UsageError(f"{path}: {shorten(json.dumps(document))} is no table; {_SHAPES}")
    return ((f"{path}, row {number}", record) for number, record in enumerate(document, 1))


def _rows_of_object(path: Path, document: dict[str, Any], columns: Columns) -> Any:
    """The rows of an object of columns, of rows by number, of names and rows, or with rows in a field."""
    values = list(document.values())
    found = matching_columns(list(document), columns)
    if len(found) == len(columns):
        cells = [document[column] for column in found.values()]
        if all(isinstance(cell, dict) for cell in cells):  # pandas.DataFrame.to_json()
            table = {name: values for name, values in document.items() if isinstance(values, dict)}
            return [{name: table[name].get(index) for name in table} for index in _indices(cells)]
        if all(_is_column(document[found[name]], names) for name, names in columns.items()):
            _check_lengths(path, {name: document[name] for name in found.values()})
            return _transpose(document, len(cells[0]))
        return [document]  # one row
    names, rows = document.get("columns"), document.get("data")
    if isinstance(names, list) and isinstance(rows, list):  # orient="split"
        names = list(map(str, names))
        for number, row in enumerate(rows, 1):
            if isinstance(row, list) and len(row) > len(names):
                expected = f"{len(names)} values expected ({join_names(map(shorten, names))})"
                raise UsageError(f"{path}, row {number}: {expected}, {len(row)} found")
        return [dict(zip(names, row, strict=False)) if isinstance(row, list) else row for row in rows]
    if values and all(isinstance(value, dict) for value in values):  # orient="index"
        return values
    tables = {name: value for name, value in document.items() if _holds_rows(value, columns)}
    if len(tables) == 1:
        return next(iter(tables.values()))
    listed = f"fields {join_names(tables)} hold rows; keep one" if tables else _SHAPES
    raise UsageError(
        f"{path}: an object with the fields {join_names(map(shorten, document))}, but no table; {listed}"
    )


def _indices(cells: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(index for cell in cells for index in cell))


def _is_column(value: Any, names: tuple[str, ...]) -> bool:
    """Whether a value is a column of values, not a single one: a row of words or numbers is a list too."""
    if not isinstance(value, list):
        return False
    return not isinstance(names, (Words, Numbers)) or all(isinstance(item, list) for item in value)


def _check_lengths(path: Path, table: dict[str, list[Any]]) -> None:
    if len({len(values) for values in table.values()}) > 1:
        counts = ", ".join(f"{name} {len(values)}" for name, values in table.items())
        raise UsageError(f"{path}: columns of unequal length, in rows {counts}")


def _transpose(document: dict[str, Any], length: int) -> list[dict[str, Any]]:
    """The rows of those fields that are columns."""
    table = {
        n: values for n, values in document.items() if isinstance(values, list) and len(values) == length
    }
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


def _holds_rows(value: Any, columns: Columns) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and isinstance(value[0], dict)
        and bool(matching_columns(list(flatten_object(value[0])), columns))
    )


def flatten_object(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record with the fields of the objects in it as fields of its own, such as translation.de."""
    if dict not in map(type, record.values()):
        return record
    objects = {key: value for key, value in record.items() if isinstance(value, dict)}
    nested = {f"{key}.{field}": item for key, value in objects.items() for field, item in value.items()}
    return nested | {key: value for key, value in record.items() if key not in objects}


def _table(path: Path, columns: Columns, records: Iterable[tuple[str, Any]]) -> pa.Table:
    known: dict[tuple[str, ...], tuple[str, dict[str, str]]] = {}  # by fields: the first record, its columns

    def rows() -> Iterator[tuple[str, dict[str, Any]]]:
        for where, record in records:
            if not isinstance(record, dict):
                raise UsageError(f"{where}: a JSON object expected, found {shorten(json.dumps(record))}")
            record = flatten_object(record)
            fields = tuple(record)
            if fields not in known:
                present = {name: columns[name] for name in matching_columns(fields, columns)}
                known[fields] = where, match_columns(fields, present, where)
            yield where, {name: record[column] for name, column in known[fields][1].items()}

    spools = {name: Spool(safe=not isinstance(names, Numbers)) for name, names in columns.items()}
    for start, chunk in row_chunks(rows()):
        for name, names in columns.items():
            array = _column(path, name, isinstance(names, Numbers), chunk, start)
            spools[name].add(pa.table({name: array}))
    _check_fields(columns, known)
    arrays = {}
    for name, spool in spools.items():
        try:
            arrays[name] = spool.table()[name]
        except pa.ArrowException as error:
            raise UsageError(f"{path}, column {name!r}: {' '.join(str(error).split())}") from None
    return pa.table(arrays)


def _check_fields(columns: Columns, known: Mapping[tuple[str, ...], tuple[str, dict[str, str]]]) -> None:
    """Refuse records without a column, unless others have all of their fields, and it.

    A field that is left out is a missing value; a record with other fields may mean another one by it.
    """
    whole = {field for fields, (_, found) in known.items() if len(found) == len(columns) for field in fields}
    for fields, (where, found) in known.items():
        if len(found) < len(columns) and not (whole and whole.issuperset(fields)):
            match_columns(fields, columns, where)


def _column(
    path: Path, name: str, is_numeric: bool, rows: list[tuple[str, dict[str, Any]]], start: int
) -> pa.Array:
    """One column of some rows, the first of which has the number `start`."""
    values = [row.get(name) for _, row in rows]
    if not is_numeric:
        values = [None if isinstance(value, float) and math.isnan(value) else value for value in values]
    with_booleans = [row for row, value in enumerate(values, start + 1) if is_numeric and _has_boolean(value)]
    if with_booleans:
        raise UsageError(f"{path}, row {with_booleans[0]}: column {name!r} holds true or false; write 1 or 0")
    try:
        array = json_array(values, is_numeric) if rows else pa.array([], pa.string())
        # Beside integers with a sign, those without would lose theirs.
        return pa.array(_as_floats(values)) if is_numeric and "uint64" in str(array.type) else array
    except UnicodeEncodeError:
        where = next(where for (where, _), value in zip(rows, values, strict=True) if not _is_text(value))
        raise UsageError(
            f"{where}, column {name!r}: half of a surrogate pair (\\ud800 to \\udfff), "
            "which is no character; write both halves"
        ) from None
    except (pa.ArrowException, OverflowError) as error:  # mixed types
        texts = [row for row, value in enumerate(values, start + 1) if isinstance(value, str)]
        place = f", row {texts[0]}" if texts and is_numeric else ""
        raise UsageError(f"{path}{place}, column {name!r}: {' '.join(str(error).split())}") from None


def _is_text(value: Any) -> bool:
    """Whether all texts in a value can be written as UTF-8."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def json_array(values: list[Any], is_numeric: bool) -> pa.Array:
    """Convert values that JSON holds to an array.

    Raises:
        pyarrow.ArrowException: they are of several types.
        UnicodeEncodeError: a text has half of a surrogate pair.
    """
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):
        if not is_numeric:
            raise
        return pa.array(_as_floats(values))  # integers of more than 64 bits, or of more than 53 beside floats


def _has_boolean(value: Any) -> bool:
    """Whether a value is true or false, or a list that contains one at any depth."""
    if not isinstance(value, list):
        return isinstance(value, bool)
    types = set(map(type, value))
    return bool in types or (list in types and any(map(_has_boolean, value)))


def _as_floats(value: Any) -> Any:
    """A value, or the items of nested lists, with integers as floats."""
    if isinstance(value, list):
        return [_as_floats(item) for item in value]
    if not isinstance(value, int):
        return value
    try:
        return float(value)
    except OverflowError:
        return math.inf
