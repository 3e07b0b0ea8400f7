"""Records of single answers: what a model said to each row, beside what the data says.

`nlp_rnn.evaluation.measuring.evaluate(..., answers=True)` keeps them, as `Report.answers`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nlp_rnn.data.batching import Batch
from nlp_rnn.data.processor import Processor
from nlp_rnn.data.rows import Rows
from nlp_rnn.data.types import Dataset
from nlp_rnn.data.vocabulary import UNK
from nlp_rnn.files import atomic_write
from nlp_rnn.tasks.base import Task
from nlp_rnn.tasks.interface import Answers, Decision


@dataclass(frozen=True)
class AnswerRecord:
    """The answer to one row.

    Args:
        row: its number among the rows that are measured, from 0.
        input: what the model read, as text.
        answer: see `Task.answer`.
        text: the answer as one line of text.
        reference: what the data says, as one line of text; "" if it says nothing about single rows.
        score: the quality of the answer, see `Task.row_score`; None if there is none.
        decisions: the labels of which the answer consists, each beside the true one; None where answers are
            not simply right or wrong, such as translations.
        unknown: the tokens that the vocabulary lacks, as they are written.
        length: the number of tokens, words or steps that were read, of a pair in the first text.
    """

    row: int
    input: str
    answer: Mapping[str, Any]
    text: str
    reference: str
    score: float | None
    decisions: Sequence[Decision] | None
    unknown: Sequence[str]
    length: int

    @property
    def total(self) -> int:
        """The number of decisions."""
        return len(self.decisions or ())

    @property
    def right(self) -> int:
        """The number of those that are right."""
        return sum(decision.reference == decision.answer for decision in self.decisions or ())

    @property
    def is_right(self) -> bool | None:
        """Whether all decisions are right; None where there are none."""
        return self.right == self.total if self.decisions else None


def record_answers(
    task: Task, batch: Batch, answers: Answers | None, columns: Dataset, rows: Rows
) -> Iterator[AnswerRecord]:
    """The records of a batch.

    Args:
        task: the model, which reads each row by itself, see `Capabilities.by_row`.
        batch: of `rows`.
        answers: what `Task.update_metrics` returned for it.
        columns: the canonical columns of all rows.
        rows: the same, encoded.
    """
    made = task.answer(batch) if answers is None else answers()
    values = {**columns[batch.rows], **rows[batch.rows]}
    for place, (number, answer) in enumerate(zip(batch.rows, made, strict=True)):
        row = {name: _plain(column[place]) for name, column in values.items()}
        judgement = task.judge(answer, row)
        yield AnswerRecord(
            row=number,
            input=task.processor.input_text(row),
            answer=answer,
            text=task.format_answer(answer),
            reference=judgement.reference,
            score=judgement.score,
            decisions=judgement.decisions,
            unknown=_unknown(task.processor, row),
            length=int(batch.lengths[place]),
        )


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value


def _unknown(processor: Processor, row: Mapping[str, Any]) -> Sequence[str]:
    """The tokens of a row that the vocabulary lacks."""
    if not processor.counts_unknown or not any(UNK in row[name] for name in processor.length_columns):
        return ()
    return tuple(processor.unknown_tokens({name: [value] for name, value in row.items()}))


def answers_table(task: Task, records: Sequence[AnswerRecord]) -> pa.Table:
    """The records as a table: one row per input, in the order of the data.

    Its columns are `row`, `input`, `length`, `unknown`, `reference`, `quality` (the score of the record),
    `right` and `total` (of its decisions), and those of the answers, see `Task.record_columns`.
    """
    made: dict[str, tuple[pa.DataType, list[Any]]] = {
        "row": (pa.int64(), [record.row for record in records]),
        "input": (pa.large_string(), [record.input for record in records]),
        "length": (pa.int32(), [record.length for record in records]),
        "unknown": (pa.list_(pa.string()), [list(record.unknown) for record in records]),
        "reference": (pa.large_string(), [record.reference for record in records]),
        "quality": (pa.float64(), [record.score for record in records]),
        "right": (pa.int32(), [None if record.decisions is None else record.right for record in records]),
        "total": (pa.int32(), [None if record.decisions is None else record.total for record in records]),
    }
    for name, column in task.record_columns().items():
        made[name] = column.type, [column.value(dict(record.answer)) for record in records]
    return pa.table({name: pa.array(values, arrow_type) for name, (arrow_type, values) in made.items()})


def write_answers(task: Task, records: Sequence[AnswerRecord], out: Path) -> None:
    """Write the records as a Parquet file, completely or not at all."""
    with atomic_write(out) as temporary:
        pq.write_table(answers_table(task, records), temporary)
