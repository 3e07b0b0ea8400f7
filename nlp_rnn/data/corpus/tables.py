"""Reads a table from a file: CSV, TSV, JSON lines, Parquet, NumPy or CoNLL-U."""

import csv
import io
import json
import logging
import math
import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nlp_rnn.data.corpus.columns import Columns, Numbers, by_canonical_name, match_columns, select_columns
from nlp_rnn.data.corpus.conllu import read_conllu
from nlp_rnn.data.corpus.numbers import NUMBER
from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.files import read_bytes, read_lines, shorten

log = logging.getLogger(__name__)

TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".parquet", ".npz", ".conllu")


def read_table(path: str | Path, columns: Columns) -> pa.Table:
    """Read columns of a .csv, .tsv, .jsonl, .json, .parquet, .npz or .conllu file.

    - CSV follows RFC 4180. TSV has no quoting: every tab separates two fields, every line is a row. Both may
      lack a header if each line has exactly the wanted columns, in their order. Empty lines between rows of
      several columns are skipped. "NA" or "007" are text.
    - JSON files have one object per line.
    - NumPy's `.npz` has one array per column, whose first dimension is the rows.
    - CoNLL-U has the columns `tokens` and `upos`.

    Args:
        path: the file; its extension is its format.
        columns: canonical name -> names to accept in the file.

    Returns:
        A table with the canonical columns, converted as by `select_columns`.

    Raises:
        UsageError: the file is malformed (with the line) or lacks a column (with the columns that it has).
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        rows = _csv_rows(path) if suffix == ".csv" else _tsv_rows(path)
        return select_columns(_delimited_table(path, columns, rows), by_canonical_name(columns), str(path))
    if suffix in (".jsonl", ".json"):
        return select_columns(_json_table(path, columns), by_canonical_name(columns), str(path))
    if suffix == ".parquet":
        return select_columns(_parquet_table(path), columns, str(path))
    if suffix == ".npz":
        return select_columns(_numpy_table(path, columns), by_canonical_name(columns), str(path))
    if suffix == ".conllu":
        sentences = read_conllu(path)
        lists = {"tokens": [tokens for tokens, _ in sentences], "upos": [upos for _, upos in sentences]}
        schema = pa.schema([(name, pa.list_(pa.string())) for name in lists])
        return select_columns(pa.table(lists, schema=schema), columns, str(path))
    raise UsageError(f"{path}: unknown format {suffix!r}; known are {', '.join(TABLE_SUFFIXES)}")


def _tsv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    return ((number, line.split("\t")) for number, line in enumerate(read_lines(path), 1))


# The csv module treats a bare "\r" as the end of a row. It is replaced by a lone surrogate, which decoded
# UTF-8 cannot contain, and restored afterwards.
_HIDDEN_RETURN = "\ud800"


def _csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line number at which the row starts, fields) of each row."""
    lines = [line + "\n" for line in read_lines(path)]
    limit = csv.field_size_limit(sum(map(len, lines)) + 1)  # 128 KiB otherwise
    start = 1
    spanning: list[int] = []  # the lines at which rows start whose cells span lines
    try:
        reader = csv.reader((line.replace("\r", _HIDDEN_RETURN) for line in lines), strict=True)
        for fields in reader:
            yield start, [field.replace(_HIDDEN_RETURN, "\r") for field in fields]
            spanning += [start] * sum("\n" in field for field in fields)
            start = reader.line_num + 1
    except csv.Error as error:
        raise UsageError(
            f"{path}, line {start}: not CSV ({error}); quote a field that holds quotes"
        ) from None
    finally:
        csv.field_size_limit(limit)
    if spanning:
        log.warning(
            "%s: %d cell(s) span several lines, the first in line %d; if that is not meant, look for a stray "
            "quote there",
            path, len(spanning), spanning[0],
        )  # fmt: skip


def _delimited_table(
    path: Path, columns: Columns, numbered_rows: Iterable[tuple[int, list[str]]]
) -> pa.Table:
    """The wanted columns under their canonical names, as text.

    Args:
        path: the file.
        columns: canonical name -> names to accept in the header.
        numbered_rows: (line number, fields) of each row.
    """
    rows = [(number, fields or [""]) for number, fields in numbered_rows]
    content = [index for index, (_, fields) in enumerate(rows) if fields != [""]]
    if not content:
        return pa.table({name: pa.array([], pa.string()) for name in columns})
    number, first = rows[content[0]]
    accepted = {name.lower() for names in columns.values() for name in names}
    if accepted & {field.strip().lower() for field in first}:
        matches = match_columns(first, columns, f"{path}, line {number}")
        places = {name: first.index(column) for name, column in matches.items()}
        rows = rows[content[0] + 1 :]
    elif len(first) == len(columns) and not _is_header(first, columns):
        places = {name: place for place, name in enumerate(columns)}
        log.warning(
            "%s: no header, so its columns are read as %s, and %s as the first row",
            path, ", ".join(columns), join_names(map(shorten, first)),
        )  # fmt: skip
    else:
        separator = "commas" if path.suffix.lower() == ".csv" else "tabs"
        wanted = ", ".join(" or ".join(names) for names in columns.values())
        raise UsageError(
            f"{path}, line {number}: no column {wanted} in the header {join_names(map(shorten, first))} "
            f"(a file without one has {len(columns)} column(s), with {separator} between)"
        )
    if len(first) > 1:  # in a single column an empty line is an empty text
        rows = [row for row in rows if row[1] != [""]]
    for number, fields in rows:
        if len(fields) != len(first):
            raise UsageError(
                f"{path}, line {number}: {len(first)} fields expected ({join_names(map(shorten, first))}), "
                f"{len(fields)} found"
            )
    return pa.table(
        {name: pa.array([fields[place] for _, fields in rows], pa.string()) for name, place in places.items()}
    )


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


def _json_table(path: Path, columns: Columns) -> pa.Table:
    rows: list[dict[str, Any]] = []
    numbers: list[int] = []  # the lines of the rows
    matches: dict[str, str] = {}
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{path}, line {number}: not JSON ({error}); give one object per line") from None
        if not isinstance(record, dict):
            raise UsageError(f"{path}, line {number}: a JSON object expected, found {shorten(line)}")
        nested = {k: v for value in record.values() if isinstance(value, dict) for k, v in value.items()}
        record = nested | {k: v for k, v in record.items() if not isinstance(v, dict)}
        if not matches or not record.keys() >= set(matches.values()):
            matches = match_columns(list(record), columns, f"{path}, line {number}")
        rows.append({name: record[column] for name, column in matches.items()})
        numbers.append(number)
    arrays = {}
    for name, names in columns.items():
        values = [row[name] for row in rows]
        is_numeric = isinstance(names, Numbers)
        with_booleans = [row for row, value in enumerate(values, 1) if is_numeric and _has_boolean(value)]
        if with_booleans:
            raise UsageError(
                f"{path}, row {with_booleans[0]}: column {name!r} holds true or false; write 1 or 0"
            )
        try:
            arrays[name] = _from_json(values, is_numeric) if rows else pa.array([], pa.string())
        except UnicodeEncodeError:
            number = next(
                number for number, value in zip(numbers, values, strict=True) if not _is_text(value)
            )
            raise UsageError(
                f"{path}, line {number}, column {name!r}: half of a surrogate pair (\\ud800 to \\udfff), "
                "which is no character; write both halves"
            ) from None
        except (pa.ArrowException, OverflowError) as error:  # mixed types
            texts = [row for row, value in enumerate(values, 1) if isinstance(value, str)]
            row = f", row {texts[0]}" if texts and is_numeric else ""
            raise UsageError(f"{path}{row}, column {name!r}: {' '.join(str(error).split())}") from None
    return pa.table(arrays)


def _is_text(value: Any) -> bool:
    """Whether all texts in a value can be written as UTF-8."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _from_json(values: list[Any], is_numeric: bool) -> pa.Array:
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


def _parquet_table(path: Path) -> pa.Table:
    try:
        table = pq.ParquetFile(pa.BufferReader(read_bytes(path))).read()
        table.validate(full=True)  # checks, for example, that text is UTF-8
        return table
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # the latter for names of columns
        raise UsageError(f"{path}: damaged or not Parquet ({' '.join(str(error).split())})") from None


def _numpy_table(path: Path, columns: Columns) -> pa.Table:
    """The wanted columns under their canonical names; other arrays are not read."""
    try:
        with np.load(io.BytesIO(read_bytes(path)), allow_pickle=False) as file:
            matches = match_columns(file.files, columns, str(path))
            arrays = {name: file[column] for name, column in matches.items()}
    except UsageError:
        raise
    except Exception as error:  # archives, compression and headers raise errors of many types
        raise UsageError(
            f"{path}: damaged, not NumPy's .npz, or with Python objects ({' '.join(str(error).split())})"
        ) from None
    lengths = {name: len(array) if np.ndim(array) else 0 for name, array in arrays.items()}
    if len(set(lengths.values())) != 1 or not all(np.ndim(array) for array in arrays.values()):
        counts = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise UsageError(
            f"{path}: arrays of unequal length or without rows, in rows {counts}; "
            "give each the same number of rows"
        )
    converted = {}
    for name, array in arrays.items():
        try:
            converted[name] = _from_numpy(array)
        except (pa.ArrowException, ValueError) as error:
            raise UsageError(f"{path}, column {matches[name]!r}: {' '.join(str(error).split())}") from None
    return pa.table(converted)


def _from_numpy(array: np.ndarray) -> pa.Array:
    """Convert [N] to values, and [N, ...] to flat lists.

    Raises:
        ValueError: the array holds neither numbers nor text, or text with a lone surrogate.
    """
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biufUS":
        raise ValueError(f"{getattr(array, 'dtype', 'not an array')}; give numbers or text")
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:  # long double
        array = array.astype(np.float64)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.ndim == 1:
        return pa.array(array)
    rows = array.reshape(len(array), math.prod(array.shape[1:]))
    return pa.array(list(rows), pa.list_(pa.array(rows[:0].ravel()).type))
