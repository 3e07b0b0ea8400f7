"""Tables to answer: rows with all of their columns, in chunks of bounded size."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from nlp_rnn.data.corpus.columns import Columns, match_columns, matching_columns
from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.files import shorten

TABLE_SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".parquet")
"""The endings of files that are tables; `data_suffix` finds them."""


class Chunk(ABC):
    """Successive rows of a table, in the forms in which tables are written."""

    start: int
    """The number of the first row in the table, counted from 0."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def column(self, name: str, is_numeric: bool) -> pa.Array:
        """The values of a column, for the model to read."""

    @abstractmethod
    def texts(self) -> list[list[str]]:
        """The cells of each row as text."""

    @abstractmethod
    def objects(self) -> list[str]:
        """Each row as a JSON object."""

    @abstractmethod
    def arrow(self) -> pa.Table:
        """All columns; the schema is that of all chunks of a table."""


class TableInput(ABC):
    """A table in a file.

    Args:
        path: the file.
        columns: canonical name -> names to accept, of the columns that the model reads.

    Raises:
        UsageError: the file is malformed (with the line), or has columns of one name.
    """

    def __init__(self, path: Path, columns: Columns) -> None:
        self.path = path
        self.columns = columns

    names: list[str]
    """All columns."""
    searched: list[str]
    """The columns among which those that the model reads are searched, such as the fields of structs."""
    separator: str | None = None
    """What separates the fields, for tables of text."""
    is_quoted = True
    """Whether quotes enclose fields, for tables of text."""
    predicted: Sequence[str] = ()
    """The columns whose next values the model predicts, where rows are steps of series."""

    @property
    @abstractmethod
    def schema(self) -> pa.Schema:
        """The Arrow types of the columns."""

    @abstractmethod
    def chunks(self, size: int) -> Iterator[Chunk]:
        """Read all rows, at most `size` at a time."""


def cell_text(value: Any) -> str:
    """A value as the text of a cell: as JSON writes it, but text as it is and nothing for null."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str).strip('"')


def find_columns(table: TableInput, remedy: str = "") -> dict[str, str]:
    """The columns that a model reads, by their canonical names.

    Args:
        table: the table.
        remedy: how to name a missing column, if not by its canonical name.

    Raises:
        UsageError: one is missing, or several columns could be it.
    """
    if not table.names and table.columns:
        raise UsageError(f"{table.path}: is empty, and has not even names of columns; give a table")
    found = matching_columns(table.searched, table.columns)
    for canonical, accepted in table.columns.items():
        if canonical not in found:
            wanted = " or ".join(map(repr, accepted))
            naming = remedy or f"--columns {canonical}=COLUMN"
            raise UsageError(
                f"{table.path}: no column {wanted} for the model to read; the columns are "
                f"{join_names(map(shorten, table.names))}; name it: {naming}, or, where "
                "the first row is no header, name all columns in their order: --file-columns"
            )
    return match_columns(table.searched, table.columns, str(table.path))
