"""Reading one local table: CSV, TSV, JSON lines, Parquet, NumPy and CoNLL-U. "NA" or "007" are text."""

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

from nlp_rnn.data.corpus.columns import Columns, Numbers, by_canonical_name, pick, select_columns
from nlp_rnn.data.corpus.conllu import read_conllu
from nlp_rnn.data.corpus.numbers import NUMBER
from nlp_rnn.errors import UsageError
from nlp_rnn.files import read_bytes, read_lines, shorten

log = logging.getLogger(__name__)

TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".parquet", ".npz", ".conllu")


def read_table(path: str | Path, columns: Columns) -> pa.Table:
    """The wanted columns of a .csv, .tsv, .jsonl, .json, .parquet, .npz or .conllu file, renamed.

    CSV follows RFC 4180; TSV knows no quoting: every tab separates, every line is a row. Both may lack a
    header if a line has exactly the wanted columns, in their order; empty lines between rows of several
    columns are passed over. JSON files hold one object a line; NumPy's `.npz` an array a column, whose first
    dimension is that of the rows. CoNLL-U offers the columns `tokens` and `upos`. Every column comes out as
    text or lists of text, or as numbers or lists of them, see `wanted_columns`.

    Raises UsageError naming file and line for malformed rows, and the columns that exist if one is missing.
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


# csv takes a bare "\r" for the end of a row and (Python 3.10) refuses NUL: both travel as lone surrogates,
# which decoded UTF-8 cannot hold.
_HIDE, _SHOW = {0: "\ud800", 13: "\ud801"}, {0xD800: "\0", 0xD801: "\r"}


def _csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line on which the row starts, fields) of each row."""
    lines = [line + "\n" for line in read_lines(path)]
    limit = csv.field_size_limit(sum(map(len, lines)) + 1)  # 128 KiB otherwise
    start = 1
    try:
        reader = csv.reader((line.translate(_HIDE) for line in lines), strict=True)
        for fields in reader:
            yield start, [field.translate(_SHOW) for field in fields]
            start = reader.line_num + 1
    except csv.Error as error:
        raise UsageError(
            f"{path}, line {start}: not CSV ({error}); quote a field that holds quotes"
        ) from None
    finally:
        csv.field_size_limit(limit)


def _delimited_table(path: Path, columns: Columns, numbered: Iterable[tuple[int, list[str]]]) -> pa.Table:
    rows = [(number, fields or [""]) for number, fields in numbered]
    content = [index for index, (_, fields) in enumerate(rows) if fields != [""]]
    if not content:
        return pa.table({name: pa.array([], pa.string()) for name in columns})
    number, first = rows[content[0]]
    accepted = {name.lower() for names in columns.values() for name in names}
    if accepted & {field.strip().lower() for field in first}:
        picked = pick(first, columns, f"{path}, line {number}")
        places = {name: first.index(column) for name, column in picked.items()}
        rows = rows[content[0] + 1 :]
    elif len(first) == len(columns) and not _is_header(first, columns):
        places = {name: place for place, name in enumerate(columns)}
        log.warning(
            "%s: no header, so its columns are taken for %s, and %s for the first row",
            path, ", ".join(columns), ", ".join(map(shorten, first)),
        )  # fmt: skip
    else:
        separator = "commas" if path.suffix.lower() == ".csv" else "tabs"
        wanted = ", ".join(" or ".join(names) for names in columns.values())
        raise UsageError(
            f"{path}, line {number}: no column {wanted} in the header {', '.join(map(shorten, first))} "
            f"(a file without one has {len(columns)} column(s), with {separator} between)"
        )
    if len(first) > 1:  # in a single column an empty line is an empty text
        rows = [row for row in rows if row[1] != [""]]
    for number, fields in rows:
        if len(fields) != len(first):
            raise UsageError(
                f"{path}, line {number}: {len(first)} fields expected ({', '.join(map(shorten, first))}), "
                f"{len(fields)} found"
            )
    return pa.table(
        {name: pa.array([fields[place] for _, fields in rows], pa.string()) for name, place in places.items()}
    )


def _is_header(first: list[str], columns: Columns) -> bool:
    """Whether a row that has none of the wanted names is a header still: of other columns, or misspelt."""
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
    picked: dict[str, str] = {}
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{path}, line {number}: not JSON ({error}); give one object a line") from None
        if not isinstance(record, dict):
            raise UsageError(f"{path}, line {number}: a JSON object expected, found {shorten(line)}")
        nested = {k: v for value in record.values() if isinstance(value, dict) for k, v in value.items()}
        record = nested | {k: v for k, v in record.items() if not isinstance(v, dict)}
        if not picked or not record.keys() >= set(picked.values()):
            picked = pick(list(record), columns, f"{path}, line {number}")
        rows.append({name: record[column] for name, column in picked.items()})
    arrays = {}
    for name, names in columns.items():
        values = [row[name] for row in rows]
        numbers = isinstance(names, Numbers)
        logical = [row for row, value in enumerate(values, 1) if _is_logical(value)] if numbers else []
        if logical:
            raise UsageError(f"{path}, row {logical[0]}: column {name!r} holds true or false; write 1 or 0")
        try:
            arrays[name] = _from_json(values, numbers) if rows else pa.array([], pa.string())
        except (pa.ArrowException, UnicodeEncodeError, OverflowError) as error:
            # types mixed, or half a surrogate pair
            texts = [row for row, value in enumerate(values, 1) if isinstance(value, str)]
            at = f", row {texts[0]}" if texts and numbers else ""
            raise UsageError(f"{path}{at}, column {name!r}: {' '.join(str(error).split())}") from None
    return pa.table(arrays)


def _from_json(values: list[Any], numbers: bool) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):
        if not numbers:
            raise
        return pa.array(_as_floats(values))  # whole numbers may be larger than 64 bits hold, or than 53


def _is_logical(value: Any) -> bool:
    """Whether a value is true or false, or a list with one somewhere in it."""
    if not isinstance(value, list):
        return isinstance(value, bool)
    kinds = set(map(type, value))
    return bool in kinds or (list in kinds and any(map(_is_logical, value)))


def _as_floats(value: Any) -> Any:
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
        table.validate(full=True)  # among others, that text is UTF-8
        return table
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{path}: damaged or not Parquet ({' '.join(str(error).split())})") from None


def _numpy_table(path: Path, columns: Columns) -> pa.Table:
    """The wanted columns under their canonical names; other arrays may be of any kind."""
    try:
        with np.load(io.BytesIO(read_bytes(path)), allow_pickle=False) as file:
            picked = pick(file.files, columns, str(path))
            arrays = {name: file[column] for name, column in picked.items()}
    except UsageError:
        raise
    except Exception as error:  # of archives, compression and headers: of many kinds
        raise UsageError(f"{path}: damaged, not NumPy's .npz, or of Python objects ({error})") from None
    lengths = {name: len(array) if np.ndim(array) else 0 for name, array in arrays.items()}
    if len(set(lengths.values())) != 1 or not all(np.ndim(array) for array in arrays.values()):
        counts = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise UsageError(f"{path}: arrays of unequal length or none, in rows {counts}; give one row each")
    found = {}
    for name, array in arrays.items():
        try:
            found[name] = _from_numpy(array)
        except (pa.ArrowException, ValueError) as error:  # ValueError: text that is none
            raise UsageError(f"{path}, column {picked[name]!r}: {' '.join(str(error).split())}") from None
    return pa.table(found)


def _from_numpy(array: np.ndarray) -> pa.Array:
    """[N] as values, [N, ...] as lists, laid end to end.

    Raises:
        ValueError: it holds neither numbers nor text, or text with a lone surrogate.
    """
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biufUS":
        raise ValueError(f"{getattr(array, 'dtype', 'no array')}; give numbers or text")
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:  # long double
        array = array.astype(np.float64)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.ndim == 1:
        return pa.array(array)
    rows = array.reshape(len(array), math.prod(array.shape[1:]))
    return pa.array(list(rows), pa.list_(pa.array(rows[:0].ravel()).type))
