"""Answers to the rows of a table: they are columns beside those that the table has."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Any

import pyarrow as pa

from nlp_rnn.data.corpus.columns import (
    Columns,
    Numbers,
    Sentences,
    Words,
    by_canonical_name,
    matching_columns,
    select_columns,
)
from nlp_rnn.data.corpus.corpus import accepted_columns
from nlp_rnn.data.corpus.layout import Layout
from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.inference.table_formats import open_table
from nlp_rnn.inference.table_input import Chunk, TableInput, find_columns
from nlp_rnn.inference.table_output import free_names, open_writer
from nlp_rnn.lite.lines import parse_line
from nlp_rnn.lite.pipelines import BasePipeline
from nlp_rnn.settings import column_settings
from nlp_rnn.tasks.base import Task
from nlp_rnn.tasks.interface import AnswerColumn

log = logging.getLogger(__name__)


def read_table(
    task: Task,
    path: Path,
    columns: Mapping[str, str] | None = None,
    file_columns: Sequence[str] | None = None,
    encoding: str | None = None,
) -> TableInput:
    """Open a table whose rows a model is to answer.

    Args:
        task: the model, which remembers what its columns were called in training.
        path: the file.
        columns: names of columns where they are others: settings of the task's DataModule, and its
            processor's `optional_columns`.
        file_columns: names of the columns of a file without a header, in their order.
        encoding: of a text file.

    Raises:
        UsageError: the table cannot be read, or has no column for the model to read.
    """
    named = dict(columns or {})
    optional = task.processor.optional_columns
    known = column_settings(task.data_classes()[0])
    for name in named:
        if name not in known and name not in optional:
            raise UsageError(
                f"--columns: {task.name} has no column {name!r}; it has {', '.join([*known, *optional])}"
            )
    asked = {name: type(optional[name])((named.pop(name),)) for name in optional if name in named}
    remembered = {name: value for name, value in task.data_columns.items() if name != "corpus"}
    stated = task.data_columns.get("corpus", {})
    data_class: Any = task.data_classes()[0]
    data = data_class(**{**task.processor.data_settings(), **remembered, **named})
    data.check(task.processor)
    wanted = input_columns(data)
    layout = Layout(tuple(file_columns or ()) or None, encoding or stated.get("encoding") or "utf-8", False)
    table = open_table(path, wanted, layout)
    in_training = tuple(stated.get("columns", ()))
    is_found = len(matching_columns(table.searched, wanted)) == len(wanted)
    if not is_found and file_columns is None and len(in_training) == len(table.names):
        table = open_table(path, wanted, replace(layout, columns=in_training))
    read = matching_columns(table.searched, wanted).values()
    unnamed = {name: names for name, names in optional.items() if name not in asked}
    matching = matching_columns(table.searched, unnamed)
    if found := [name for name, column in matching.items() if column not in read]:
        log.warning(
            "%s: each answer must have what these columns say: %s; rename one that is for something else",
            path, join_names(found),
        )  # fmt: skip
    table.columns = {**wanted, **{name: optional[name] for name in found}, **asked}
    table.predicted = data.predicted_columns
    return table


def input_columns(data: Any) -> Columns:
    """The names of the columns that the model reads; those of labels do not matter."""
    wanted = accepted_columns(data.input_columns())
    return {name: Sentences(names) if isinstance(names, Words) else names for name, names in wanted.items()}


def answer_table(
    answerer: BasePipeline, table: TableInput, output: str, suffix: str, scores: bool = False
) -> None:
    """Write a table with the answers to its rows, in order and in bounded memory.

    Args:
        answerer: the model.
        table: the rows.
        output: a file, or - for standard output.
        suffix: the format of the output, see `output_format`.
        scores: whether to write the probability of each class too.

    Raises:
        UsageError: the table has no column for the model to read, or the output cannot be written.
    """
    found = find_columns(table)
    columns = answer_columns(answerer.task, table, scores)
    with open_writer(output, suffix, table, columns) as writer:
        for chunk in table.chunks(16 * answerer.batch_size):
            writer.write(chunk, answer_chunk(answerer, table, found, chunk))


def answer_columns(task: Task, table: TableInput, scores: bool) -> dict[str, AnswerColumn]:
    """The columns that a table gets, by names that it does not have yet."""
    columns = task.answer_columns(scores)
    if task.processor.counts_unknown:
        columns["unknown"] = AnswerColumn(pa.int32(), itemgetter("unknown"))
    return free_names(columns, table.names)


def answer_chunk(
    answerer: BasePipeline, table: TableInput, found: Mapping[str, str], chunk: Chunk
) -> list[dict[str, Any] | None]:
    """The answers to the rows of a chunk; None is that to a row without an input.

    Args:
        answerer: the model.
        table: the table of the chunk.
        found: canonical name -> the column that the model reads.
        chunk: the rows.

    Raises:
        UsageError: a cell is no input.
    """
    inputs = _inputs(answerer.task, table, chunk, found)
    present = [place for place, value in enumerate(inputs) if value is not None]
    answers: list[dict[str, Any] | None] = [None] * len(inputs)
    try:
        for place, answer in zip(present, answerer.iterate(inputs[i] for i in present), strict=True):
            answers[place] = answer
    except UsageError as error:
        raise UsageError(f"{_where(table, chunk)}: {error}") from error
    return answers


def _inputs(task: Task, table: TableInput, chunk: Chunk, found: Mapping[str, str]) -> list[Any]:
    """What the model reads of each row; None where a cell is missing."""
    processor = task.processor
    if not found:
        return [
            parse_line(processor, line, f"{table.path}, line {number}")
            for number, (line,) in enumerate(chunk.texts(), chunk.start + 1)
        ]
    is_numeric = {name: isinstance(names, Numbers) for name, names in table.columns.items()}
    cells = pa.table({name: chunk.column(column, is_numeric[name]) for name, column in found.items()})
    selected = select_columns(cells, by_canonical_name(table.columns), _where(table, chunk))
    inputs: list[Any] = []
    for number, cell in enumerate(selected.to_pylist(), chunk.start + 1):
        if any(isinstance(value, list) and None in value for value in cell.values()):
            raise UsageError(f"{table.path}, row {number}: a list holds no value (null); fill it in")
        demands = {name: value for name in processor.optional_columns if (value := cell.pop(name, None))}
        row = list(cell.values())
        value = row[0] if len(row) == 1 else row
        if None in row:
            value = None
        elif isinstance(value, list) and not processor.is_input(value):  # words where it reads text
            value = " ".join(value)
        if demands and value and not value.isspace():  # there is no answer without a text
            value = processor.with_demands(value, demands)
        inputs.append(value)
    return inputs


def _where(table: TableInput, chunk: Chunk) -> str:
    return f"{table.path}, rows {chunk.start + 1:,} to {chunk.start + len(chunk):,}"
