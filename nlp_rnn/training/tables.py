"""Tables of results: in aligned columns for people, and as CSV."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nlp_rnn.files import atomic_write

Table = Sequence[Sequence[str]]
"""Rows of cells; the first one is the header."""


def number_text(value: Any) -> str:
    """A value as a cell: numbers with six digits, and nothing for None and NaN."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def in_columns(table: Table) -> str:
    """A table in aligned columns."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table]
    return "\n".join(line.rstrip() for line in lines)


def write_csv(path: Path, table: Table) -> None:
    """Write a table as CSV, whole or not at all."""
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(table)
