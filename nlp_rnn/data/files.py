"""Reading one local table: CSV, TSV, JSON lines, Parquet, NumPy and CoNLL-U. "NA" or "007" are text."""

import csv
import io
import json
import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nlp_rnn.data.conllu import read_conllu
from nlp_rnn.data.lines import read_bytes, read_lines, short
from nlp_rnn.data.numbers import NUMBER
from nlp_rnn.errors import UsageError

log = logging.getLogger(__name__)

TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".parquet", ".npz", ".conllu")
Columns = Mapping[str, Sequence[str]]  # canonical name -> names to accept in the data, best first


class Numbers(tuple[str, ...]):
    """The names of a column that holds numbers, or lists of them, where others hold text."""


class Vectors(Numbers):
    """The names of a column whose rows are lists of equally many numbers."""


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
        return wanted_columns(_delimited_table(path, columns, rows), _by_own_name(columns), str(path))
    if suffix in (".jsonl", ".json"):
        return wanted_columns(_json_table(path, columns), _by_own_name(columns), str(path))
    if suffix == ".parquet":
        return wanted_columns(_parquet_table(path), columns, str(path))
    if suffix == ".npz":
        return wanted_columns(_numpy_table(path, columns), _by_own_name(columns), str(path))
    if suffix == ".conllu":
        sentences = read_conllu(path)
        lists = {"tokens": [tokens for tokens, _ in sentences], "upos": [upos for _, upos in sentences]}
        schema = pa.schema([(name, pa.list_(pa.string())) for name in lists])
        return wanted_columns(pa.table(lists, schema=schema), columns, str(path))
    raise UsageError(f"{path}: unknown format {suffix!r}; known are {', '.join(TABLE_SUFFIXES)}")


def _by_own_name(columns: Columns) -> Columns:
    """For a table that has the canonical names already."""
    return {
        name: type(names)((name,)) if isinstance(names, Numbers) else (name,)
        for name, names in columns.items()
    }


def _pick(available: Sequence[str], columns: Columns, where: str) -> dict[str, str]:
    """canonical name -> column that exists; a nested `translation.de` also goes by its last part."""
    short = {name.rpartition(".")[2]: name for name in reversed(available)} | {
        name: name for name in available
    }
    picked = {}
    for canonical, accepted in columns.items():
        found = [short[name] for name in accepted if name in short]
        if not found:
            wanted = " or ".join(map(repr, accepted))
            raise UsageError(f"{where}: no column {wanted}; the columns are {', '.join(available)}")
        picked[canonical] = found[0]
    return picked


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
        picked = _pick(first, columns, f"{path}, line {number}")
        places = {name: first.index(column) for name, column in picked.items()}
        rows = rows[content[0] + 1 :]
    elif len(first) == len(columns):
        places = {name: place for place, name in enumerate(columns)}
        log.warning("%s: no header, so its columns are taken for %s", path, ", ".join(columns))
    else:
        raise UsageError(
            f"{path}, line {number}: neither a header with the columns {', '.join(columns)} "
            f"nor a row of {len(columns)} fields; it has {len(first)}: {', '.join(map(short, first))}"
        )
    if len(first) > 1:  # in a single column an empty line is an empty text
        rows = [row for row in rows if row[1] != [""]]
    for number, fields in rows:
        if len(fields) != len(first):
            raise UsageError(
                f"{path}, line {number}: {len(first)} fields expected ({', '.join(map(short, first))}), "
                f"{len(fields)} found"
            )
    return pa.table(
        {name: pa.array([fields[place] for _, fields in rows], pa.string()) for name, place in places.items()}
    )


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
            raise UsageError(f"{path}, line {number}: a JSON object expected, found {short(line)}")
        nested = {k: v for value in record.values() if isinstance(value, dict) for k, v in value.items()}
        record = nested | {k: v for k, v in record.items() if not isinstance(v, dict)}
        if not picked or not record.keys() >= set(picked.values()):
            picked = _pick(list(record), columns, f"{path}, line {number}")
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
            picked = _pick(file.files, columns, str(path))
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


# ------------------------------------------------------------------------- columns as text and as numbers


def wanted_columns(table: pa.Table, columns: Columns, where: str) -> pa.Table:
    """The wanted columns of any table, renamed, each one text or lists of text; or numbers, where asked for.

    Of numbers: float64, or lists of float32, inner lists of one length laid end to end; blank text becomes
    null, and so does a row with an inner list that is null.
    Of text: class labels become their names (-1 becomes null), integers and integral floats their digits,
    booleans "0" and "1"; null stays null. A struct such as `translation: {de, en}` offers its fields as
    columns.
    """
    class_names = _class_names(table.schema)
    table = table.flatten()
    picked = _pick(table.column_names, columns, where)
    wanted = {}
    for name, column in picked.items():
        values = table.column(column).combine_chunks()
        numbers = isinstance(columns[name], Numbers)
        try:
            if numbers:
                if isinstance(columns[name], Vectors) and not _is_any_list(values.type):
                    raise UsageError(f"{where}: column {column!r} holds {values.type}, not lists of numbers")
                wanted[name] = _as_numbers(values, f"column {column!r}", where)
                if isinstance(columns[name], Vectors):
                    _check_even(wanted[name], f"column {column!r}", where)
            else:
                wanted[name] = _as_text(values, class_names.get(column))
        except pa.ArrowException:
            what = "numbers" if numbers else "text or labels"
            raise UsageError(f"{where}: column {column!r} holds {values.type}, not {what}") from None
    return pa.table(wanted)


def _as_numbers(values: pa.Array, column: str, where: str) -> pa.Array:
    missing = values.is_null().to_numpy(zero_copy_only=False)
    row = np.arange(len(values))  # of each item, the one it stands in
    items, is_list = values, _is_any_list(values.type)
    while _is_any_list(items.type):
        sizes = pc.list_value_length(items)
        known = sizes.drop_null()
        if items is not values and len(known):
            differ = pc.fill_null(pc.not_equal(sizes, known[0]), False).to_numpy(zero_copy_only=False)
            if differ.any():
                at = row[differ.argmax()] + 1
                raise UsageError(f"{where}, row {at}: {column} holds lists of unequal length")
        missing[row[items.is_null().to_numpy(zero_copy_only=False)]] = True
        row = np.repeat(row, pc.fill_null(sizes, 0).to_numpy())
        items = pc.list_flatten(items)
    if pa.types.is_boolean(items.type):
        raise UsageError(f"{where}: {column} holds {values.type}, not numbers; write 0 and 1")
    if not is_list and (pa.types.is_string(items.type) or pa.types.is_large_string(items.type)):
        trimmed = pc.utf8_trim_whitespace(items)
        items = pc.if_else(pc.equal(trimmed, ""), None, trimmed)
        for number, text in enumerate(items.to_pylist(), 1):
            if text is not None and not NUMBER.fullmatch(text):
                raise UsageError(f"{where}, row {number}: {column} holds no number ({short(text)}); give one")
    # Not safe: whole numbers that a float cannot hold are rounded.
    items = items.cast(pa.float32() if is_list else pa.float64(), safe=False)
    endless = pc.fill_null(pc.invert(pc.is_finite(items)), False).to_numpy(zero_copy_only=False)
    if endless.any():
        at = row[endless.argmax()] + 1
        raise UsageError(f"{where}, row {at}: {column} holds a number that is not finite, or too large")
    if not is_list:
        return items
    kept = ~missing[row]  # a null has no items
    items, counts = items.filter(pa.array(kept)), np.bincount(row[kept], minlength=len(values))
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), items, mask=pa.array(missing))


def _check_even(values: pa.Array, column: str, where: str) -> None:
    """UsageError unless all lists but null are of one length."""
    counts = pc.list_value_length(values)
    known = counts.drop_null()
    if len(known):
        differ = pc.fill_null(pc.not_equal(counts, known[0]), False).to_numpy(zero_copy_only=False)
        if differ.any():
            row = int(differ.argmax())
            raise UsageError(
                f"{where}, row {row + 1}: {column} holds {counts[row]} numbers, {known[0]} before; "
                "give equally many in all rows"
            )


def _is_any_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """The names of the class label columns, from the metadata that `datasets` writes."""
    if b"huggingface" not in (schema.metadata or {}):
        return {}
    from datasets import ClassLabel, Features  # late: most tables, and no prediction, ever need it

    names = {}
    for column, feature in Features.from_arrow_schema(schema).items():
        feature = feature[0] if isinstance(feature, list) else getattr(feature, "feature", feature)
        if isinstance(feature, ClassLabel):
            names[column] = feature.names
    return names


def _as_text(values: pa.Array, class_names: list[str] | None) -> pa.Array:
    kind = values.type
    if _is_any_list(kind):
        ends = np.cumsum(pc.fill_null(pc.list_value_length(values), 0).to_numpy(), dtype=np.int32)
        offsets = pa.array(np.concatenate([np.zeros(1, np.int32), ends]))
        items = _as_text(pc.list_flatten(values), class_names)
        return pa.ListArray.from_arrays(offsets, items, mask=values.is_null())
    if pa.types.is_dictionary(kind):
        values = values.dictionary_decode()
    elif pa.types.is_integer(kind) and class_names:
        known = pc.if_else(pc.greater_equal(values, 0), values, None)
        return pa.array(class_names, pa.string()).take(known)
    elif pa.types.is_floating(kind):
        values = pc.if_else(pc.is_nan(values), None, values)
        if pc.all(pc.equal(values, pc.round(values))).as_py() is not False:
            values = values.cast(pa.int64())
    elif pa.types.is_boolean(kind):
        values = values.cast(pa.int8())
    return values.cast(pa.string())
