"""What tasks return to shared code: probes for inspection, encoders, judgements and stream states."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import pyarrow as pa
from torch import Tensor, nn

from nlp_rnn.data.rows import Rows
from nlp_rnn.data.types import Dataset
from nlp_rnn.data.vocabulary import Vocabulary
from nlp_rnn.models.layers.base import RecurrentLayer, State

Answers = Callable[[], list[dict[str, Any]]]
"""Makes the answers to the rows of a batch from what was computed for its metrics."""


class StreamState(NamedTuple):
    """What is kept of a stream after a piece of it was read; its size does not depend on the length read."""

    answer: dict[str, Any]
    """The answer to what has been read."""
    state: State
    """The tensors from which reading goes on: the recurrent state first."""


class Alignment(NamedTuple):
    """Which tokens of the input a model looks at when it writes each token of its answer."""

    tokens: list[str]
    """[U], the tokens written, with EOS."""
    weights: Tensor
    """[U, T] float32: over the T tokens read, each row a sum of 1."""


@dataclass(frozen=True)
class Probe:
    """How inspection runs a model and reads its output.

    Args:
        tokens: the name of the ids [T, B] in the batch, and of their vocabulary in the processor.
        logits: (model, batch) -> logits [T, B, C], or [1, B, C] of a model that answers at the end.
        answers: `per_step` if the logits of each step are scores of the processor's labels, `running` if
            those at the end of each prefix of the text are, `next` if those of each step are scores of the
            token that follows; None if the logits are none of these.
        alignment: a batch of one -> the alignment of its answer; None where the model has no attention.
        reads_from_end: whether the ids are in the opposite order of the text.
        temperature: what the logits are divided by before they become probabilities.
    """

    tokens: str
    logits: Callable[[nn.Module, Any], Tensor]
    answers: Literal["per_step", "running", "next"] | None = None
    alignment: Callable[[Any], Alignment | None] = lambda _: None
    reads_from_end: bool = False
    temperature: float = 1.0


class Encoder(NamedTuple):
    """The layers of a model from which another model can be initialized, and their vocabulary."""

    vocabulary: Vocabulary
    embedding: nn.Embedding
    rnn: RecurrentLayer
    """Reads forward."""
    backward_rnn: RecurrentLayer | None = None
    """Reads backward; None if nothing does."""


class AnswerColumn(NamedTuple):
    """A column of a table of answers."""

    type: pa.DataType
    value: Callable[[dict[str, Any]], Any]
    """The cell of an answer."""
    separator: str = " "
    """What is between the items of a list, where a cell is text."""


class Target(NamedTuple):
    """An answer that is taken for true."""

    columns: dict[str, Any]
    """Canonical columns, and how sure the model is: its `probability`, from 0 to 1, or its `score`."""
    flaw: str = ""
    """What speaks against it, in the plural, such as "translations without an end"; "" if nothing does."""


class Decision(NamedTuple):
    """A label or another choice that a model made, beside the true one."""

    reference: str
    answer: str
    probability: float | None = None
    """That the model gives to `answer`; None if it gives none."""
    part: str = ""
    """The part of the input that it is about, such as a word; "" for the input as a whole."""


class Judgement(NamedTuple):
    """What an answer is worth beside what the data says."""

    reference: str = ""
    """What the data says, as one line of text; "" if it says nothing about single inputs."""
    score: float | None = None
    """The quality of the answer, see `Capabilities.row_score`; None if there is none."""
    decisions: Sequence[Decision] | None = None
    """The choices of which the answer consists; None where answers are not simply right or wrong."""


class RowScore(NamedTuple):
    """What the `score` of a `Judgement` is."""

    name: str
    lower_is_better: bool = False


class EncodedSplit(NamedTuple):
    """The rows of a split."""

    columns: Dataset
    """Canonical columns."""
    rows: Rows
    """The same, encoded by the task's processor."""


class Baseline(NamedTuple):
    """What can be reached without a recurrent network."""

    name: str
    results: Mapping[str, float]
    """By the names of `Task.compute_metrics`."""


class TextPair(NamedTuple):
    """What a model wrote, beside what it read and what the data says."""

    row: int
    input: str
    answer: str
    reference: str


class Finding(NamedTuple):
    """What a report says of the answers of one task alone."""

    title: str
    text: str
    rows: Sequence[Mapping[str, Any]]
    """A table, whose columns are the keys."""


class StepRows(NamedTuple):
    """How the answer to a series becomes rows of a table whose rows are steps."""

    columns: Mapping[str, AnswerColumn]
    """What an answer adds to a row, or the columns of a row that follows; each takes its cell from `rows`."""
    rows: Callable[[dict[str, Any]], list[dict[str, Any]]]
    """The answer of each row."""
    follow: bool = False
    """Whether the rows are steps behind the series, rather than its own."""
    length: int = 0
    """The number of last steps that are read, if they follow."""
