"""Series of numbers: the time steps of a file, cut into sequences, never shuffled, and scaled."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TypeVar

import numpy as np
import pyarrow as pa

from nlp_rnn.data.batching import Batching
from nlp_rnn.data.corpus.columns import Numbers
from nlp_rnn.data.corpus.corpus import Corpus
from nlp_rnn.data.corpus.splits import SPLITS
from nlp_rnn.data.corpus.validation import Split, check_labels, validate_rows
from nlp_rnn.data.module import CorpusData
from nlp_rnn.data.processor import Processor
from nlp_rnn.data.types import Dataset, DatasetDict
from nlp_rnn.errors import UsageError

log = logging.getLogger(__name__)

P = TypeVar("P", bound=Processor)


@dataclass(frozen=True)
class Series:
    """Successive rows of one file that belong together."""

    source: str
    """The file."""
    start: int
    """Which of its rows, counted from 0, is the first."""
    numbers: np.ndarray
    """[T, C] float64."""
    labels: list[str] | None = None
    """[T]."""

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, part: slice) -> Series:
        labels = self.labels[part] if self.labels is not None else None
        return Series(self.source, self.start + (part.start or 0), self.numbers[part], labels)

    @property
    def where(self) -> str:
        """What messages call it."""
        return f"{self.source}, rows {self.start + 1} to {self.start + len(self)}"


class SeriesData(CorpusData[P]):
    """Time steps, a row each and in order, of any corpus.

    Where the corpus has no validation split, it is the end of train. `max_examples` of the corpus takes a
    split's first rows.

    Args:
        corpus: where rows come from.
        numbers: the columns of numbers.
        group: the column that says which series a row is of, a new one at each change of it; empty if a file
            is one series.
        label: the column of labels; empty if there is none.
        batching: how sequences are put together.
    """

    def __init__(
        self,
        corpus: Corpus,
        numbers: Sequence[str],
        group: str,
        label: str,
        batching: Batching,
    ) -> None:
        super().__init__(corpus, batching)
        self.labels_column = label
        self.numbers = list(numbers)
        self.group = group
        named = [*self.numbers, *filter(None, (group, self.labels_column))]
        twice = [name for place, name in enumerate(named) if name in named[:place]]
        if twice:
            raise UsageError(f"column {twice[0]!r} is named twice: {', '.join(named)}")

    def columns(self) -> Mapping[str, str | Sequence[str]]:
        texts = {name: name for name in (self.group, self.labels_column) if name}
        return {**{name: Numbers((name,)) for name in self.numbers}, **texts}

    @abstractmethod
    def split_off_validation(self, train: list[Series]) -> tuple[list[Series], list[Series]]:
        """Train and a validation split from it: the later part."""

    @abstractmethod
    def table(self, series: list[Series]) -> pa.Table:
        """The rows of a split.

        Raises:
            UsageError: there is none.
        """

    def load(self) -> DatasetDict:
        from datasets import Dataset, DatasetDict

        return DatasetDict({name: Dataset(self.table(series)) for name, series in self._series.items()})

    def load_split(self, split: str) -> Dataset:
        from datasets import Dataset

        raw = self.corpus.table(self.columns(), split)
        return Dataset(self.table(self._series[split] if raw is None else self._cut(raw)))

    @cached_property
    def _series(self) -> dict[str, list[Series]]:
        """The series of each split."""
        raw = self.corpus.tables(self.columns())
        splits = {name: self._cut(split) for name, split in raw.items()}
        if self.labels_column:
            check_labels(raw, self.labels_column)
        if "validation" not in splits:
            splits["train"], splits["validation"] = self.split_off_validation(splits["train"])
        if self.labels_column:
            self._check_left(splits)
        return {name: splits[name] for name in SPLITS if name in splits}

    def _check_left(self, splits: Mapping[str, list[Series]]) -> None:
        """See that the part of train that is left to train on still has all labels, and two or more."""
        name, where = self.labels_column, splits["train"][0].source
        remedy = "take less of it with validation_fraction or more with max_examples, or split it otherwise"
        known = {label for part in splits["train"] for label in part.labels or ()}
        if len(known) < 2:
            raise UsageError(
                f"{where}: all {name} in the part of train that is trained on are {known.pop()}; {remedy}"
            )
        for part in (part for split in splits.values() for part in split):
            for row, label in enumerate(part.labels or (), part.start + 1):
                if label not in known:
                    raise UsageError(
                        f"{part.source}, row {row}: label {label!r} is never seen in the part of train that "
                        f"is trained on; {remedy}"
                    )

    def _cut(self, split: Split) -> list[Series]:
        where, table = split
        for name in self.numbers:
            if not pa.types.is_floating(table.schema.field(name).type):
                raise UsageError(
                    f"{where}: column {name!r} holds lists; give each number a column of its own"
                )
        table = validate_rows(where, table, labels=self.numbers[0])  # no row of a series is left out
        if self.corpus.max_examples is not None:
            table = table.slice(0, self.corpus.max_examples)
        if len(table) == 0:
            raise UsageError(f"{where}: no rows; give data with content")
        numbers = np.stack([table[name].to_numpy() for name in self.numbers], axis=1)
        labels = table[self.labels_column].to_pylist() if self.labels_column else None
        for row, label in enumerate(labels or (), 1):
            if not label.strip():
                raise UsageError(f"{where}, row {row}: column {self.labels_column!r} is blank")
        whole = Series(where, 0, numbers, labels)
        if not self.group:
            return [whole]
        groups = table[self.group].combine_chunks().dictionary_encode().indices.to_numpy()
        bounds = [0, *(np.flatnonzero(np.diff(groups)) + 1).tolist(), len(groups)]
        if again := len(bounds) - 1 - len(np.unique(groups)):
            log.warning(
                "%s: %d time(s) a value of column %r comes back after others, and begins a series of its own",
                where, again, self.group,
            )  # fmt: skip
        return [whole[start:end] for start, end in pairwise(bounds)]


def names_of(columns: str | Sequence[str] | None) -> list[str]:
    """Column names, given as a list or with commas between them."""
    names = columns.split(",") if isinstance(columns, str) else columns or ()
    return [name.strip() for name in names if name.strip()]
