"""Reading one local file into rows: plain lines, CSV, TSV, JSON lines, Parquet and CoNLL-U.

Text stays what it is: UTF-8, a byte-order mark stripped, lines ending at "\\n" only ("\\r\\n" equals "\\n";
a bare "\\r", U+2028, U+0085 or form feed is white space inside a line), and "NA", "null" or "007" are text.
"""

import csv
import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import conllu
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datasets import ClassLabel, Features

from nlp_rnn.errors import UsageError

log = logging.getLogger(__name__)

TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".parquet", ".conllu")
Columns = Mapping[str, Sequence[str]]  # canonical name -> names to accept in the data, best first


# ---------------------------------------------------------------------------------------------- lines


def open_bytes(path: str | Path) -> BinaryIO:
    """A regular file opened for reading; UsageError says what is wrong with any other path."""
    path = Path(path)
    try:
        if path.is_dir():
            raise UsageError(f"{path}: is a directory; give a file")
        if path.exists() and not path.is_file():  # reading a FIFO would wait for ever
            raise UsageError(f"{path}: is not a regular file (a pipe, socket or device); give a file")
        return path.open("rb")
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None


def read_bytes(path: str | Path) -> bytes:
    """All bytes of a regular file; UsageError says what is wrong with any other path."""
    with open_bytes(path) as file:
        return file.read()


def read_lines(path: str | Path) -> list[str]:
    """The lines of a UTF-8 text file, without their ends.

    NUL characters are kept and counted in one warning. Raises UsageError for a path that is not a readable
    file and, with line and byte offset, for invalid UTF-8.
    """
    data = read_bytes(path)
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"{path}, line {line}: invalid UTF-8 at byte offset {error.start} of the file; convert the file"
        ) from None
    if nuls := text.count("\0"):
        log.warning("%s: kept %d NUL character(s) as text", path, nuls)
    if not text:
        return []
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]


# --------------------------------------------------------------------------------------------- tables


def read_table(path: str | Path, columns: Columns) -> pa.Table:
    """The wanted columns of a .csv, .tsv, .jsonl, .json, .parquet or .conllu file, under canonical names.

    CSV follows RFC 4180; TSV knows no quoting: every tab separates, every line is a row. Both may lack a
    header if a line has exactly the wanted columns, in their order; empty lines between rows of several
    columns are passed over. JSON files hold one object a line. CoNLL-U offers the columns `tokens` and
    `upos`. Every column comes out as text or lists of text, see `text_columns`.

    Raises UsageError naming file and line for malformed rows, and the columns that exist if one is missing.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return _delimited_table(path, columns, _csv_rows(path) if suffix == ".csv" else _tsv_rows(path))
    if suffix in (".jsonl", ".json"):
        return text_columns(_json_table(path, columns), {name: (name,) for name in columns}, str(path))
    if suffix == ".parquet":
        return text_columns(_parquet_table(path), columns, str(path))
    if suffix == ".conllu":
        sentences = read_conllu(path)
        lists = {"tokens": [tokens for tokens, _ in sentences], "upos": [upos for _, upos in sentences]}
        schema = pa.schema([(name, pa.list_(pa.string())) for name in lists])
        return text_columns(pa.table(lists, schema=schema), columns, str(path))
    raise UsageError(f"{path}: unknown format {suffix!r}; known are {', '.join(TABLE_SUFFIXES)}")


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
    else:
        raise UsageError(
            f"{path}, line {number}: neither a header with the columns {', '.join(columns)} "
            f"nor a row of {len(columns)} fields; it has {len(first)}: {', '.join(map(_short, first))}"
        )
    if len(first) > 1:  # in a single column an empty line is an empty text
        rows = [row for row in rows if row[1] != [""]]
    for number, fields in rows:
        if len(fields) != len(first):
            raise UsageError(
                f"{path}, line {number}: {len(first)} fields expected ({', '.join(map(_short, first))}), "
                f"{len(fields)} found"
            )
    return pa.table(
        {name: pa.array([fields[place] for _, fields in rows], pa.string()) for name, place in places.items()}
    )


def _short(text: str) -> str:
    return repr(text if len(text) <= 30 else text[:30] + "…")


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
            raise UsageError(f"{path}, line {number}: a JSON object expected, found {_short(line)}")
        nested = {k: v for value in record.values() if isinstance(value, dict) for k, v in value.items()}
        record = nested | {k: v for k, v in record.items() if not isinstance(v, dict)}
        if not picked or not record.keys() >= set(picked.values()):
            picked = _pick(list(record), columns, f"{path}, line {number}")
        rows.append({name: record[column] for name, column in picked.items()})
    arrays = {}
    for name in columns:
        try:
            arrays[name] = pa.array([row[name] for row in rows], None if rows else pa.string())
        except (
            pa.ArrowException,
            UnicodeEncodeError,
            OverflowError,
        ) as error:  # types mixed, or half a surrogate pair
            raise UsageError(f"{path}, column {name!r}: {' '.join(str(error).split())}") from None
    return pa.table(arrays)


def _parquet_table(path: Path) -> pa.Table:
    try:
        table = pq.ParquetFile(pa.BufferReader(read_bytes(path))).read()
        table.validate(full=True)  # among others, that text is UTF-8
        return table
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{path}: damaged or not Parquet ({' '.join(str(error).split())})") from None


# ------------------------------------------------------------------------------------ columns as text


def text_columns(table: pa.Table, columns: Columns, where: str) -> pa.Table:
    """The wanted columns of any table, renamed, each one text or lists of text.

    Class labels become their names (-1 becomes null), integers and integral floats their digits, booleans
    "0" and "1"; null stays null. A struct such as `translation: {de, en}` offers its fields as columns.
    """
    class_names = _class_names(table.schema)
    table = table.flatten()
    picked = _pick(table.column_names, columns, where)
    texts = {}
    for name, column in picked.items():
        values = table.column(column).combine_chunks()
        try:
            texts[name] = _as_text(values, class_names.get(column))
        except pa.ArrowException:
            raise UsageError(f"{where}: column {column!r} holds {values.type}, not text or labels") from None
    return pa.table(texts)


def _class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """The names of the class label columns, from the metadata that `datasets` writes."""
    if b"huggingface" not in (schema.metadata or {}):
        return {}
    names = {}
    for column, feature in Features.from_arrow_schema(schema).items():
        feature = feature[0] if isinstance(feature, list) else getattr(feature, "feature", feature)
        if isinstance(feature, ClassLabel):
            names[column] = feature.names
    return names


def _as_text(values: pa.Array, class_names: list[str] | None) -> pa.Array:
    kind = values.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
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


# -------------------------------------------------------------------------------------------- CoNLL-U


_WORD, _OTHER = re.compile(r"[0-9]+"), re.compile(r"[0-9]+[-.][0-9]+")  # 3; a range 3-4 or an empty node 3.1
_FIELDS = ("id", "form", "lemma", "upos")


def read_conllu(path: str | Path) -> list[tuple[list[str], list[str]]]:
    """(forms, UPOS tags) of each sentence, one entry a syntactic word: no ranges, no empty nodes.

    A word without a tag keeps the tag "_"; one warning counts such words. Raises UsageError with the line.
    """
    sentences: list[tuple[list[str], list[str]]] = []
    untagged = 0
    for block in conllu_blocks((line + "\n" for line in read_lines(path)), str(path)):
        lines = [line for line in block.split("\n") if _columns(line)]
        if not lines:  # comments only
            continue
        try:
            parsed = conllu.parse_token_and_metadata("\n".join(lines), fields=_FIELDS)
        except conllu.exceptions.ParseException as error:
            raise UsageError(f"{path}, sentence {len(sentences) + 1}: {error}") from None
        words = [token for token in parsed if isinstance(token["id"], int)]
        sentences.append(([word["form"] for word in words], [word["upos"] for word in words]))
        untagged += sum(word["upos"] == "_" for word in words)
    if untagged:
        log.warning("%s: %d word(s) without a UPOS tag are left out of scoring", path, untagged)
    return sentences


def conllu_blocks(lines: Iterable[str], name: str = "input") -> Iterator[str]:
    """The text of one sentence at a time with its comments and the blank lines after it; nothing is lost:
    `"".join(conllu_blocks(lines)) == "".join(lines)`.

    lines: with their ends, such as a text stream opened with encoding="utf-8", newline="\\n".
    Raises UsageError with name and line number for a token line that is not ten columns after an ID.
    """
    block: list[str] = []
    blank_before = False
    for number, line in enumerate(lines, 1):
        blank = not line.strip()
        if blank_before and not blank:
            yield "".join(block)
            block = []
        block.append(line)
        blank_before = blank
        if columns := _columns(line):
            _check_columns(columns, f"{name}, line {number}")
    if block:
        yield "".join(block)


def block_words(block: str) -> list[str]:
    """The forms of a sentence block's syntactic words."""
    return [columns[1] for line in block.split("\n") if _is_word(columns := _columns(line))]


def replace_upos(block: str, tags: Sequence[str]) -> str:
    """The same text with the UPOS column of the words replaced, one tag a word, every other byte kept.

    Raises ValueError if the numbers of words and tags differ.
    """
    lines = block.split("\n")
    words = [i for i, line in enumerate(lines) if _is_word(_columns(line))]
    for i, tag in zip(words, tags, strict=True):
        columns = lines[i].split("\t")
        lines[i] = "\t".join([*columns[:3], tag, *columns[4:]])
    return "\n".join(lines)


def _columns(line: str) -> list[str]:
    """The columns of a token line; [] for comments and blank lines."""
    line = line.removeprefix("\ufeff")
    return [] if line.startswith("#") or not line.strip() else line.rstrip("\r\n").split("\t")


def _is_word(columns: list[str]) -> bool:
    return bool(columns) and _WORD.fullmatch(columns[0]) is not None


def _check_columns(columns: list[str], where: str) -> None:
    if len(columns) != 10:
        raise UsageError(f"{where}: 10 columns separated by tabs expected, {len(columns)} found")
    if not (_WORD.fullmatch(columns[0]) or _OTHER.fullmatch(columns[0])):
        raise UsageError(f"{where}: {_short(columns[0])} is not a word ID such as 3, 3-4 or 3.1")
    if not all(columns[:4]):
        raise UsageError(f"{where}: an empty column; write _ for no value")
    if any("  " in column for column in columns[:4]):  # the conllu package would split there
        raise UsageError(f"{where}: two spaces in a row inside a column; use one")
