"""Tables of CSV or JSON lines: the rows with all of their columns, and the answers in columns beside them."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, count, islice
from pathlib import Path
from typing import Any, Literal, TextIO

import numpy as np

from .errors import UsageError, join_names
from .files import open_bytes
from .lines import decoded_lines, stripped_lines
from .pipelines import Pipeline

_QUOTED = re.compile(r'"(?:[^"]|"")*"')  # a cell in quotes; those inside are doubled


def answer_table(
    answerer: Pipeline, path: Path, output: TextIO, suffix: str, named: Mapping[str, str]
) -> None:
    """Answer each row of a table, in order and in bounded memory.

    Args:
        answerer: the model.
        path: the table.
        output: where to write.
        suffix: the format of the output, .csv, .tsv or .jsonl.
        named: canonical name -> the column that the model reads, where it is not the one of the training.

    Raises:
        UsageError: the table is malformed, or has no column for the model to read.
    """
    task = answerer.task
    if unknown := [name for name in named if name not in task.columns]:
        raise UsageError(
            f"--columns: {task.name} has no column {unknown[0]!r}; it has {join_names(task.columns)}"
        )
    quotes = path.suffix.lower() != ".tsv" or _has_quotes(path)
    with open_bytes(path) as file:
        header, rows = _read_table(stripped_lines(decoded_lines(file, str(path))), path, quotes)
        writer: _Writer | None = None
        if header:
            _find_columns(task, dict.fromkeys(header), path, named)
            added = list(_cells(answerer, {}))
            writer = _Writer(output, suffix, header, added, task.separator, quotes)
        start = 1
        while chunk := list(islice(rows, 16 * answerer.batch_size)):
            found = _find_columns(task, chunk[0], path, named)
            numbered = enumerate(chunk, start)
            inputs = [_input(answerer, row, found, f"{path}, row {number}") for number, row in numbered]
            present = [place for place, value in enumerate(inputs) if value is not None]
            answers: list[dict[str, Any] | None] = [None] * len(chunk)
            try:
                for place, answer in zip(present, answerer.iterate(inputs[i] for i in present), strict=True):
                    answers[place] = answer
            except UsageError as error:
                raise UsageError(f"{path}, rows {start} to {start + len(chunk) - 1}: {error}") from error
            cells = [_cells(answerer, answer or {}) for answer in answers]
            if writer is None:
                writer = _Writer(output, suffix, list(chunk[0]), list(cells[0]), task.separator, quotes)
            writer.write(chunk, cells)
            start += len(chunk)


def _has_quotes(path: Path) -> bool:
    """Whether quotes enclose cells of a table with tabs, as in CSV; else they are ordinary text.

    They do if all cells of the header are quoted, or just those cells that hold quotes, as most programs
    write them.
    """
    with open_bytes(path) as file:
        lines = stripped_lines(decoded_lines(file, str(path)))
        header = next(lines, "")
        if all(re.fullmatch('".*"', cell.strip()) for cell in header.split("\t")):
            return True
        has_pair = False
        for line in chain([header], lines):
            for cell in line.split("\t") if '"' in line else ():
                if '"' in cell and not _QUOTED.fullmatch(cell):
                    return False
                has_pair = has_pair or '""' in cell[1:-1] or cell == '""'
        return has_pair


def _read_table(lines: Iterator[str], path: Path, quotes: bool) -> tuple[list[str], Iterator[dict[str, Any]]]:
    """The header of a table, empty where each row names its columns, and the rows.

    Raises:
        UsageError: the table is empty, or its header or a row is malformed.
    """
    is_json = path.suffix.lower() == ".jsonl"
    rows = _json_rows(lines, path) if is_json else _csv_rows(lines, path, quotes)
    first = next(rows, None)
    if first is None or not (first or is_json):
        raise UsageError(f"{path}: is empty, and has not even names of columns; give a table")
    return ([], chain([first], rows)) if is_json else (list(first), rows)


def _json_rows(lines: Iterator[str], path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _json_row(line, f"{path}, line {number}")


def _csv_rows(lines: Iterator[str], path: Path, quotes: bool) -> Iterator[dict[str, Any]]:
    """The header, as keys without values, then the rows with the same keys."""
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    style: Literal[0, 3] = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=separator, strict=True, quoting=style)
    try:
        header = next(reader, [])
        if len(set(header)) < len(header):
            raise UsageError(f"{path}: has columns of one name: {join_names(header)}")
        yield dict.fromkeys(header)
        for row in reader:
            if len(row) != len(header):
                raise UsageError(
                    f"{path}, line {reader.line_num}: {len(row)} cell(s), not the {len(header)} of the header"
                )
            yield dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise UsageError(f"{path}, line {reader.line_num}: not a row of CSV ({error})") from None


def _json_row(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where}: not valid JSON ({error})") from None
    if not isinstance(row, dict):
        raise UsageError(f"{where}: not a JSON object")
    return row


def _find_columns(task: Any, row: Mapping[str, Any], path: Path, named: Mapping[str, str]) -> list[str]:
    """The columns that the model reads.

    Raises:
        UsageError: one is missing.
    """
    found = []
    for name in task.columns:
        trained = task.data_columns.get(name, name)
        accepted = [named[name]] if name in named else [trained] if isinstance(trained, str) else trained
        column = next((column for column in accepted if column in row), None)
        if column is None:
            raise UsageError(
                f"{path}: has no column {join_names(accepted)}; name it with --columns {name}=COLUMN, one of "
                f"{join_names(row)}"
            )
        found.append(column)
    return found


def _input(answerer: Pipeline, row: Mapping[str, Any], found: Sequence[str], where: str) -> Any:
    """What the model reads of a row; None where a cell is missing.

    Raises:
        UsageError: a cell is no input.
    """
    values = [row.get(column) for column in found]
    if None in values:
        return None
    values = [str(value) if type(value) is int else value for value in values]
    value = values[0] if len(values) == 1 else values
    reader = answerer.task.processor
    if isinstance(value, str) and not reader.is_input(value):  # numbers in a cell of text
        try:
            return reader.parse(value)
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from None
    if not reader.is_input(value):
        raise UsageError(
            f"{where}: column {join_names(found)} is no {reader.input_description}: {value!a:.60}"
        )
    return value


def _cells(answerer: Pipeline, answer: dict[str, Any]) -> dict[str, Any]:
    cells: dict[str, Any] = answerer.task.cells(answer)
    return cells | {"unknown": answer.get("unknown")} if answerer.task.processor.counts_unknown else cells


class _Plain:
    """Writes cells with tabs between them, in which there is no way to write a tab or a line break."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def writerow(self, cells: Iterable[str]) -> None:
        """Write one row."""
        self._file.write("\t".join(re.sub(r"[\t\r\n]", " ", cell) for cell in cells) + "\n")


class _Writer:
    """Writes rows with their answers.

    Args:
        file: where to write.
        suffix: the format.
        names: the columns of the table.
        added: those of the answers.
        separator: between the items of a list in a cell of text.
        quotes: whether quotes enclose cells in a table with tabs.
    """

    def __init__(
        self,
        file: TextIO,
        suffix: str,
        names: Sequence[str],
        added: Sequence[str],
        separator: str,
        quotes: bool = True,
    ) -> None:
        self._file = file
        self._names = names
        self._added = _free_names(added, names)
        self._separator = separator
        self._csv: Any = None
        if suffix == ".tsv" and not quotes:
            self._csv = _Plain(file)
            self._csv.writerow([*self._names, *self._added])
        elif suffix != ".jsonl":
            self._csv = csv.writer(file, delimiter="\t" if suffix == ".tsv" else ",", lineterminator="\n")
            self._csv.writerow([*self._names, *self._added])

    def write(self, rows: Sequence[dict[str, Any]], cells: Sequence[Mapping[str, Any]]) -> None:
        """Write rows with the cells of their answers."""
        for row, answer in zip(rows, cells, strict=True):
            if self._csv is None:
                whole = {**row, **dict(zip(self._added, answer.values(), strict=True))}
                self._file.write(json.dumps(whole, ensure_ascii=False) + "\n")
                continue
            texts = [self._text(value, name) for name, value in answer.items()]
            self._csv.writerow([*(self._text(row.get(name), "") for name in self._names), *texts])

    def _text(self, value: Any, column: str) -> str:
        if value is None:
            return ""
        if isinstance(value, list) and not any(isinstance(item, (list, dict)) for item in value):
            return self._separator.join(self._text(item, column) for item in value)
        if isinstance(value, float) and column.startswith("probability"):
            return str(np.float32(value))  # the fewest digits that tell it from others
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _free_names(names: Sequence[str], taken: Iterable[str]) -> list[str]:
    """Names that a table does not have yet: prediction_2, probability_2."""
    keys = {name.casefold() for name in taken}
    for number in count(1):
        named = [f"{name}_{number}" if number > 1 else name for name in names]
        if keys.isdisjoint(map(str.casefold, named)):
            return named
    raise AssertionError  # pragma: no cover
