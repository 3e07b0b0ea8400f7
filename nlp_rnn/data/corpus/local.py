"""Corpora in local files: one table, or the sides of parallel text."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from nlp_rnn.data.corpus.columns import Columns
from nlp_rnn.data.corpus.tables import TABLE_SUFFIXES, read_table
from nlp_rnn.data.corpus.validation import Split
from nlp_rnn.errors import UsageError
from nlp_rnn.files import read_errors, read_lines


def find_files(folder: Path, columns: Columns) -> dict[str, list[Path]]:
    """Find the data files of a folder.

    Args:
        folder: contains tables (train.csv), or text files whose extensions are column names (train.de).
        columns: canonical name -> names to accept in the data.

    Returns:
        The files by name without extension: the sides of parallel text are together.

    Raises:
        UsageError: the folder has no data files.
    """
    extensions = {name for names in columns.values() for name in names}
    files: dict[str, list[Path]] = {}
    with read_errors(folder):
        candidates = sorted(folder.iterdir())
    for file in candidates:
        is_data = file.suffix.lower() in TABLE_SUFFIXES or file.suffix[1:] in extensions
        if is_data and not file.name.startswith("."):
            files.setdefault(file.stem, []).append(file)
    if not files:
        endings = ", ".join(f".{name}" for name in sorted(extensions))
        raise UsageError(
            f"{folder}: nothing to read: give tables ({', '.join(TABLE_SUFFIXES)}), or text in files "
            f"that end in the name of a column: {endings}"
        )
    return files


def read_files(files: list[Path], columns: Columns) -> Split:
    """Read one split.

    Args:
        files: one table, or one text file per column with one text per line.
        columns: canonical name -> names to accept in the data.

    Raises:
        UsageError: the files cannot be read, or do not fit together.
    """
    tables = [file for file in files if file.suffix.lower() in TABLE_SUFFIXES]
    if len(tables) > 1:
        raise UsageError(f"{tables[0]}: {tables[1].name} is in the same folder; keep one of the two")
    if tables:
        return str(tables[0]), read_table(tables[0], columns)
    sides = {}
    for name, accepted in columns.items():
        matches = [file for extension in accepted for file in files if file.suffix[1:] == extension]
        if not matches:
            wanted = " or ".join(f"{files[0].stem}.{extension}" for extension in accepted)
            raise UsageError(
                f"{files[0]}: not one of the formats {', '.join(TABLE_SUFFIXES)}; as one side of "
                f"parallel text it needs a folder that also holds {wanted}"
            )
        sides[name] = (matches[0], read_lines(matches[0]))
    if len({len(lines) for _, lines in sides.values()}) > 1:
        counts = ", ".join(f"{file.name} {len(lines)}" for file, lines in sides.values())
        raise UsageError(
            f"{files[0].parent}: parallel files of unequal length, in lines {counts}; align them"
        )
    where = " and ".join(str(file) for file, _ in sides.values())
    return where, pa.table({name: pa.array(lines, pa.string()) for name, (_, lines) in sides.items()})
