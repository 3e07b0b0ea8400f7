"""Reads a table from a file in any of the formats that are known."""

import io
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nlp_rnn.data.corpus import spool
from nlp_rnn.data.corpus.columns import (
    Columns,
    Words,
    by_canonical_name,
    match_columns,
    select_columns,
)
from nlp_rnn.data.corpus.conllu import read_conllu
from nlp_rnn.data.corpus.delimited import read_delimited
from nlp_rnn.data.corpus.json_table import read_json
from nlp_rnn.data.corpus.layout import DETECTED, Layout
from nlp_rnn.data.corpus.text import data_suffix, opened_data, read_data
from nlp_rnn.data.corpus.word_lines import WORD_LINE_SUFFIXES, is_word_lines, read_word_lines
from nlp_rnn.errors import UsageError

TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".parquet", ".npz", ".conllu", *WORD_LINE_SUFFIXES)


def is_table(path: Path, columns: Columns) -> bool:
    """Return whether a file's name says that it is a table; text files are, for columns of words."""
    suffix = data_suffix(path)
    has_words = any(isinstance(names, Words) for names in columns.values())
    return suffix in TABLE_SUFFIXES or (suffix == ".txt" and has_words)


def read_table(path: str | Path, columns: Columns, layout: Layout = DETECTED) -> pa.Table:
    """Read columns of a .csv, .tsv, .jsonl, .json, .parquet, .npz or .conllu file, or of words per line.

    All may be compressed (.gz, .bz2, .xz, .zst). "NA" or "007" are text. NumPy's `.npz` has one array per
    column, whose first dimension is the rows.

    Args:
        path: the file; its ending is its format.
        columns: canonical name -> names to accept in the file.
        layout: how the file is to be read.

    Returns:
        A table with the canonical columns, converted as by `select_columns`.

    Raises:
        UsageError: the file is malformed (with the line) or lacks a column (with the columns that it has).
    """
    path = Path(path)
    suffix = data_suffix(path)
    canonical = by_canonical_name(columns)
    if suffix == ".tsv" and is_word_lines(path, columns, layout):
        return select_columns(read_word_lines(path, columns, layout), columns, str(path))
    if suffix in (".csv", ".tsv"):
        return select_columns(read_delimited(path, columns, layout), canonical, str(path))
    if suffix in (".jsonl", ".json"):
        return select_columns(read_json(path, columns, layout), canonical, str(path))
    if suffix == ".parquet":
        return select_columns(_parquet_table(path, columns), columns, str(path))
    if suffix == ".npz":
        return select_columns(_numpy_table(path, columns), canonical, str(path))
    if suffix == ".conllu":
        return select_columns(read_conllu(path, layout.encoding), columns, str(path))
    if suffix in WORD_LINE_SUFFIXES or is_table(path, columns):
        return select_columns(read_word_lines(path, columns, layout), columns, str(path))
    raise UsageError(f"{path}: unknown format {suffix!r}; known are {', '.join(TABLE_SUFFIXES)}")


def _parquet_table(path: Path, columns: Columns) -> pa.Table:
    try:
        with opened_data(path) as source:
            file = pq.ParquetFile(source)
            schema = file.schema_arrow
            wanted = match_columns(schema.empty_table().flatten().column_names, columns, str(path)).values()
            # A column, or the struct that a field such as `translation.de` is in.
            names = [name for name in schema.names if any(f"{w}.".startswith(f"{name}.") for w in wanted)]
            batches = file.iter_batches(spool.CHUNK_ROWS, columns=names)
            return spool.spooled((_checked(batch, schema) for batch in batches), schema)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # the latter for names of columns
        raise UsageError(f"{path}: damaged or not Parquet ({' '.join(str(error).split())})") from None


def _checked(batch: pa.RecordBatch, schema: pa.Schema) -> pa.Table:
    batch.validate(full=True)  # checks, for example, that text is UTF-8
    return pa.Table.from_batches([batch]).replace_schema_metadata(schema.metadata)


def _numpy_table(path: Path, columns: Columns) -> pa.Table:
    """The wanted columns under their canonical names; other arrays are not read."""
    try:
        with np.load(io.BytesIO(read_data(path)), allow_pickle=False) as file:
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
