"""Answers to a table whose rows are the steps of series: a label of each step, or the steps that follow."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from typing_extensions import override

from nlp_rnn.data.corpus.columns import Columns, Numbers, by_canonical_name, matching_columns, select_columns
from nlp_rnn.data.corpus.validation import validate_rows
from nlp_rnn.errors import UsageError
from nlp_rnn.inference.table_input import Chunk, TableInput, find_columns
from nlp_rnn.inference.table_output import free_names, open_writer
from nlp_rnn.inference.table_parquet import ParquetChunk
from nlp_rnn.lite.pipelines import BasePipeline
from nlp_rnn.tasks.interface import StepRows

log = logging.getLogger(__name__)

_ROWS = 10_000  # that are read at once
_REMEDY = "--columns inputs=COLUMN,COLUMN, or group=COLUMN; group= where all rows are one series"


def answer_series(
    answerer: BasePipeline,
    steps: StepRows,
    table: TableInput,
    output: str,
    suffix: str,
    scores: bool = False,
) -> None:
    """Write the answers to the series of a table, in order; the longest series is held in memory.

    A new series begins where the group column of the model changes. For a model that labels steps,
    the output is the table with a column of labels. For a model that predicts the next steps, it is only the
    predicted rows: they have the columns of the table, all empty but the group and the predicted columns.

    Args:
        answerer: the model.
        steps: how its answers become rows.
        table: the rows, steps in order.
        output: a file, or - for standard output.
        suffix: the format of the output, see `output_format`.
        scores: whether the probability of each class is asked for, which there is not.

    Raises:
        UsageError: the table has no column for the model to read, a number is missing, or the output cannot
            be written.
    """
    answerer.task.answer_columns(scores)  # refuses `scores`
    found = find_columns(table, _REMEDY)
    if steps.follow:
        _write_following(answerer, steps, table, found, output, suffix)
    else:
        _write_beside(answerer, steps, table, found, output, suffix)


def _write_beside(
    answerer: BasePipeline,
    steps: StepRows,
    table: TableInput,
    found: Mapping[str, str],
    output: str,
    suffix: str,
) -> None:
    # The table is read twice, side by side: for the model, which needs whole series, and to be written.
    series = (numbers for _, numbers in _series(table, found))
    answers = (row for answer in answerer.iterate(series, answerer.batch_size) for row in steps.rows(answer))
    with open_writer(output, suffix, table, free_names(steps.columns, table.names)) as writer:
        for chunk in table.chunks(_ROWS):
            writer.write(chunk, list(islice(answers, len(chunk))))


def _write_following(
    answerer: BasePipeline,
    steps: StepRows,
    table: TableInput,
    found: Mapping[str, str],
    output: str,
    suffix: str,
) -> None:
    groups: list[Any] = []
    short = 0

    def last_windows() -> Iterator[np.ndarray]:
        nonlocal short
        for group, numbers in _series(table, found):
            groups.append(group)
            short += len(numbers) < steps.length
            yield numbers[-steps.length :]

    group_name = next((found[name] for name, names in table.columns.items() if not _is_numeric(names)), None)
    following = _Following(table, steps, group_name)
    with open_writer(output, suffix, following, {}) as writer:
        written = 0
        for number, answer in enumerate(answerer.iterate(last_windows(), answerer.batch_size)):
            chunk = following.chunk(written, steps.rows(answer), groups[number])
            writer.write(chunk, [None] * len(chunk))
            written += len(chunk)
    if short:
        log.warning(
            "%s: %d series shorter than the %d steps that the model was trained on; their forecasts may be "
            "poor", table.path, short, steps.length,
        )  # fmt: skip


def _is_numeric(names: tuple[str, ...]) -> bool:
    return isinstance(names, Numbers)


def _series(table: TableInput, found: Mapping[str, str]) -> Iterator[tuple[Any, np.ndarray]]:
    """The series of a table: its group, and [T, C] float64.

    Raises:
        UsageError: a number or a group is missing, or no number.
    """
    numbers = [name for name, names in table.columns.items() if _is_numeric(names)]
    group_column = next((name for name in table.columns if name not in numbers), None)
    parts: list[np.ndarray] = []  # of the series that is not at its end yet
    current: Any = None
    for chunk in table.chunks(_ROWS):
        cells = _cells(table, chunk, found)
        steps = np.stack([cells[name].to_numpy() for name in numbers], axis=1)
        groups = [None] * len(steps) if group_column is None else cells[group_column].to_pylist()
        if not (finite := np.isfinite(steps).all(1)).all():
            row = chunk.start + int(finite.argmin()) + 1
            raise UsageError(f"{table.path}, row {row:,}: a number is infinite; the model cannot read it")
        start = 0
        for end in range(1, len(groups) + 1):
            if end < len(groups) and groups[end] == groups[start]:
                continue
            if parts and groups[start] != current:
                yield current, np.concatenate(parts)
                parts = []
            current = groups[start]
            parts.append(steps[start:end])
            start = end
    if parts:
        yield current, np.concatenate(parts)


def _cells(table: TableInput, chunk: Chunk, found: Mapping[str, str]) -> pa.Table:
    """What the model reads of the rows of a chunk, by canonical name."""
    columns: Columns = table.columns
    read = pa.table({name: chunk.column(found[name], _is_numeric(names)) for name, names in columns.items()})
    where = f"{table.path}, rows from {chunk.start + 1:,} on" if chunk.start else str(table.path)
    cells = select_columns(read, by_canonical_name(columns), where)
    validate_rows(where, cells, None, keep_all=True)
    return cells


class _Following(TableInput):
    """The rows that follow series, with the columns of their table.

    Args:
        table: the table of the series.
        steps: what is predicted.
        group: the column of groups of the table, if it has one.
    """

    def __init__(self, table: TableInput, steps: StepRows, group: str | None) -> None:
        super().__init__(table.path, {})
        # By the names that these columns have here.
        called = [matching_columns(table.names, {name: (name,)}).get(name, name) for name in table.predicted]
        self._columns = dict(zip(called, steps.columns.values(), strict=True))
        self.names = self.searched = [*table.names, *(name for name in called if name not in table.names)]
        self.separator, self.is_quoted = table.separator, table.is_quoted
        self._group = group
        types = {field.name: field.type for field in table.schema}
        self._schema = pa.schema(
            [(name, self._columns[name].type if name in called else types[name]) for name in self.names]
        )

    @property
    @override
    def schema(self) -> pa.Schema:
        return self._schema

    @override
    def chunks(self, size: int) -> Iterator[Chunk]:
        raise NotImplementedError  # it is only written

    def chunk(self, start: int, rows: list[dict[str, Any]], group: Any) -> Chunk:
        """The rows behind one series."""
        cells: dict[str, list[Any]] = {name: [None] * len(rows) for name in self.names}
        for name, column in self._columns.items():
            cells[name] = [column.value(row) for row in rows]
        arrays = [pa.array(cells[field.name], field.type) for field in self._schema]
        if self._group is not None:
            place = self.names.index(self._group)
            arrays[place] = pa.array([group] * len(rows), pa.string()).cast(self._schema.field(place).type)
        return ParquetChunk(start, Path(self.path), pa.table(arrays, self._schema))
