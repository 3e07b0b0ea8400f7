"""Corpora in local files: tables, whole or in parts; the sides of parallel text; a text per file."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

import pyarrow as pa

from nlp_rnn.data.corpus.columns import Columns, MissingColumnError
from nlp_rnn.data.corpus.layout import Layout
from nlp_rnn.data.corpus.splits import named_split
from nlp_rnn.data.corpus.spool import text_column
from nlp_rnn.data.corpus.tables import TABLE_SUFFIXES, is_table, read_table
from nlp_rnn.data.corpus.text import (
    ARCHIVES,
    data_stem,
    data_suffix,
    decompressed_name,
    plain_lines,
    read_lines,
)
from nlp_rnn.data.corpus.validation import Split
from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.files import read_errors

log = logging.getLogger(__name__)

_PART = re.compile(r"(?P<name>.+)-(?P<number>\d{4,5})-of-(?P<count>\d{4,5})(-[0-9a-f]{16})?")
_SPREADSHEETS = (".xlsx", ".xls", ".ods", ".numbers")
ORIGIN = "origin.json"
"""The file of a folder that says where its data is from; it is no data itself."""
_UNLABELED = ("unsup", "unlabeled", "unlabelled")


def find_files(folder: Path, columns: Columns, one_label: bool = False) -> dict[str, list[Path]]:
    """Find the data of a folder.

    Args:
        folder: contains tables (train.csv), also in parts (train-00000-of-00002.parquet); text files whose
            extensions are column names (train.de, train.de.txt); or a folder per split with tables, or with
            a folder of text files per label (train/positive/1.txt).
        columns: canonical name -> names to accept in the data.
        one_label: whether each row has one label, which may be the name of its folder.

    Returns:
        Files, or one folder with a folder per label, by name of the split: the parts of a table and the
        sides of parallel text are together.

    Raises:
        UsageError: the folder has no data.
    """
    files: dict[str, list[Path]] = {}
    entries = list(_entries(folder))
    for path in entries:
        if name := _split_name(path, columns):
            files.setdefault(name, []).append(path)
    if files:
        return files
    folders = [path for path in entries if path.is_dir()]
    for path in folders:
        tables = [file for file in _entries(path) if file.is_file() and is_table(file, columns)]
        if tables:
            files[path.name] = tables
        elif one_label and any(map(_has_texts, _entries(path))):
            files[path.name] = [path]
    if not files and one_label and any(map(_has_texts, folders)):
        return {"train": [folder]}
    inner = folders[0] if len(folders) == 1 else None
    if inner and named_split(inner.name) is None and (not files or _splits_among(files[inner.name])):
        return find_files(inner, columns, one_label)  # data/train.csv
    if not files:
        endings = ", ".join(f".{name}" for names in columns.values() for name in names)
        found = f"; found {join_names(path.name for path in entries)}" if entries else ""
        raise MissingColumnError(
            f"{folder}: nothing to read: give tables ({', '.join(TABLE_SUFFIXES)}), or text in files that "
            f"end in the name of a column: {endings}{found}"
        )
    return files


def read_files(files: list[Path], columns: Columns, layout: Layout) -> Split:
    """Read one split.

    Args:
        files: as `find_files` gives them.
        columns: canonical name -> names to accept in the data.
        layout: how files are to be read.

    Raises:
        UsageError: the files cannot be read, or do not fit together.
    """
    if files[0].is_dir() and _split_name(files[0], columns) is None:
        return str(files[0]), _texts_by_label(files[0], layout)
    tables = [file for file in files if is_table(file, columns)]
    # The folder of a treebank may also hold its raw text.
    tables = [file for file in tables if data_suffix(file) != ".txt"] or tables
    sides = [file for file in files if not is_table(file, columns)]
    if tables and sides:
        raise UsageError(f"{tables[0]}: {sides[0].name} is in the same folder; keep one of the two")
    if tables:
        _check_parts(tables)
        parts = [read_table(file, columns, layout) for file in tables]
        where = str(tables[0]) if len(tables) == 1 else f"{tables[0].parent} ({len(tables)} parts)"
        return where, pa.concat_tables(parts, promote_options="permissive")
    return _read_sides(files, columns, layout)


def content_files(files: list[Path]) -> Iterator[tuple[str, Path]]:
    """The files that hold a split, in a fixed order, each with the label that is the name of its folder."""
    for path in files:
        if path.is_dir():
            yield from ((file.parent.name, file) for file in sorted(path.glob("*/*")) if file.is_file())
        else:
            yield "", path


def _entries(folder: Path) -> Iterator[Path]:
    with read_errors(folder):
        found = (path for path in folder.iterdir() if not path.name.startswith("."))
        return iter(sorted(path for path in found if path.name != ORIGIN))


def _split_name(file: Path, columns: Columns) -> str | None:
    """The name of the split that a file belongs to; None if it is no data."""
    if is_table(file, columns):
        part = _PART.fullmatch(data_stem(file))
        return part["name"] if part else data_stem(file)
    side = _side(file, columns)
    return None if side is None else side[0]


def _side(file: Path, columns: Columns) -> tuple[str, str] | None:
    """The split, and the column whose texts a file holds: train and `de` of train.de and train.de.txt.

    None for a file that is no side of parallel text.
    """
    extensions = {name for names in columns.values() for name in names}
    name = decompressed_name(file)
    inner = Path(name.stem)
    if name.suffix.lower() == ".txt" and inner.suffix[1:] in extensions:
        name = inner
    return (name.stem, name.suffix[1:]) if name.suffix[1:] in extensions else None


def _check_parts(tables: list[Path]) -> None:
    """Raise UsageError unless several tables are the parts of one; warn if parts are missing."""
    parts = [part for file in tables if (part := _PART.fullmatch(data_stem(file)))]
    counts = {int(part["count"]) for part in parts}
    if len(splits := _splits_among(tables)) > 1:
        raise UsageError(
            f"{tables[0].parent}: holds the splits {join_names(sorted(splits))}, not the parts of one; "
            "give this folder as the corpus"
        )
    same_format = len(set(map(data_suffix, tables))) == 1 and len(set(map(data_stem, tables))) == len(tables)
    if len(tables) > 1 and not (same_format and len(parts) in (0, len(tables)) and len(counts) <= 1):
        raise UsageError(f"{tables[0]}: {tables[1].name} is in the same folder; keep one of the two")
    if parts and len(parts) != max(counts):
        log.warning("%s: %d of %d parts are there", tables[0], len(parts), max(counts))


def _splits_among(tables: list[Path]) -> set[str]:
    """The splits that the names of tables say that they are."""
    return {split for file in tables if (split := named_split(data_stem(file))) is not None}


def _has_texts(folder: Path) -> bool:
    return folder.is_dir() and any(map(_is_text, _entries(folder)))


def _is_text(file: Path) -> bool:
    return data_suffix(file) == ".txt" and file.is_file()


def _texts_by_label(folder: Path, layout: Layout) -> pa.Table:
    """Each text is a file; the name of its folder is its label."""
    files: list[Path] = []
    for inner in _entries(folder):
        if not inner.is_dir() or inner.name in _UNLABELED:
            continue
        if others := [file for file in _entries(inner) if not _is_text(file)]:
            log.warning("%s: not used: %s", inner, join_names(file.name for file in others))
        files += filter(_is_text, _entries(inner))
    texts = text_column("\n".join(read_lines(file, layout.encoding)) for file in files)
    labels = text_column(file.parent.name for file in files)
    return pa.table({"text": texts, "label": labels})


def _read_sides(files: list[Path], columns: Columns, layout: Layout) -> Split:
    """Parallel text: one file per column, with one text per line."""
    extensions = {file: side[1] for file in files if (side := _side(file, columns)) is not None}
    sides = {}
    for name, accepted in columns.items():
        matches = [file for extension in accepted for file in files if extensions.get(file) == extension]
        if not matches:
            raise UsageError(_unreadable(files[0], accepted))
        if len(matches) > 1 and extensions[matches[0]] == extensions[matches[1]]:
            raise UsageError(f"{matches[0]}: {matches[1].name} is in the same folder; keep one of the two")
        sides[name] = (matches[0], text_column(plain_lines(matches[0], layout.encoding)))
    if len({len(lines) for _, lines in sides.values()}) > 1:
        counts = ", ".join(f"{file.name} {len(lines)}" for file, lines in sides.values())
        raise UsageError(
            f"{files[0].parent}: parallel files of unequal length, in lines {counts}; align them"
        )
    where = " and ".join(str(file) for file, _ in sides.values())
    return where, pa.table({name: lines for name, (_, lines) in sides.items()})


def _unreadable(file: Path, accepted: tuple[str, ...]) -> str:
    suffix = data_suffix(file)
    if file.suffix.lower() in ARCHIVES:
        return f"{file}: an archive of files; unpack it, and give the file or folder in it"
    if suffix in _SPREADSHEETS:
        return f"{file}: a spreadsheet; save it as CSV (UTF-8)"
    if suffix == ".txt":
        endings = " or ".join(f".{extension}" for extension in accepted)
        return (
            f"{file}: text without columns: if there are tabs between fields, rename it to .tsv and state "
            "the columns in their order by corpus.columns; if it is one side of parallel text, give a folder "
            f"with a file per side, this one's ending in {endings}"
        )
    similar = get_close_matches(suffix, TABLE_SUFFIXES, 1)
    hint = f"; did you mean {similar[0]}?" if similar else ""
    wanted = " or ".join(f"{data_stem(file)}.{extension}" for extension in accepted)
    return (
        f"{file}: {suffix or 'no ending'} is not one of the formats {', '.join(TABLE_SUFFIXES)}{hint}; "
        f"as one side of parallel text it needs a folder that also holds {wanted}"
    )
