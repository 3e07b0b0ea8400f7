"""Series of numbers: the rows of a file are time steps in order, split into series by a group column."""

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
from typing_extensions import override

from nlp_rnn.data.batching import Batching
from nlp_rnn.data.builtin.corpora import EXAMPLES
from nlp_rnn.data.corpus.columns import Numbers
from nlp_rnn.data.corpus.corpus import Corpus
from nlp_rnn.data.corpus.drawing import Drawn
from nlp_rnn.data.corpus.splits import SPLITS
from nlp_rnn.data.corpus.validation import Split, check_labels, normalize_labels, validate_rows
from nlp_rnn.data.corpus_data import CorpusData
from nlp_rnn.data.processor import Processor
from nlp_rnn.data.types import Dataset, DatasetDict
from nlp_rnn.errors import UsageError, join_names

log = logging.getLogger(__name__)

P = TypeVar("P", bound=Processor)


@dataclass(frozen=True)
class Series:
    """Successive rows of one file that form one series."""

    source: str
    """The file, as messages call it."""
    start: int
    """The number of the first row in the file, counted from 0."""
    numbers: np.ndarray
    """[T, C] float64."""
    labels: list[str] | None = None
    """[T] labels, one per step."""

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, part: slice) -> Series:
        labels = self.labels[part] if self.labels is not None else None
        return Series(self.source, self.start + (part.start or 0), self.numbers[part], labels)

    @property
    def rows(self) -> np.ndarray:
        """[T] the numbers of its rows in the file, from 0."""
        return np.arange(self.start, self.start + len(self))

    @property
    def where(self) -> str:
        """The file and rows, for messages."""
        return f"{self.source}, rows {self.start + 1} to {self.start + len(self)}"


class SeriesData(CorpusData[P]):
    """Base class: a corpus whose rows are time steps in order.

    If the corpus has no validation split, the end of train becomes one; of a corpus that is one table, the
    last part is for test, and the part before it for validation. `max_examples` of the corpus keeps the first
    rows of each split.

    Args:
        corpus: where rows come from.
        numbers: the columns of numbers.
        group: the column that names the series of each row; a new series starts where it changes. Empty if
            each file is one series.
        label: the column of labels; empty if there is none.
        batching: how series are batched.

    Raises:
        UsageError: a column is named twice, or the corpus has groups of its own.
    """

    inputs: list[str]
    """The columns of numbers that a model reads."""

    def __init__(
        self,
        corpus: Corpus,
        numbers: Sequence[str],
        group: str,
        label: str,
        batching: Batching,
    ) -> None:
        super().__init__(corpus, batching)
        if corpus.group is not None:
            raise UsageError(
                "corpus.group is for rows that are drawn at random: name the series by data.group"
            )
        self.labels_column = label
        self.numbers = list(numbers)
        self.group = group
        named = [*self.numbers, *filter(None, (group, self.labels_column))]
        repeated = [name for place, name in enumerate(named) if name in named[:place]]
        if repeated:
            raise UsageError(f"column {repeated[0]!r} is named twice: {join_names(named)}")

    @override
    def columns(self) -> Mapping[str, str | Sequence[str]]:
        texts = {name: name for name in (self.group, self.labels_column) if name}
        return {**{name: Numbers((name,)) for name in self.numbers}, **texts}

    @override
    def input_columns(self) -> Mapping[str, str | Sequence[str]]:
        columns = self.columns()
        return {name: columns[name] for name in (*self.inputs, self.group) if name}

    @abstractmethod
    def split_off(self, train: list[Series], fractions: Mapping[str, float]) -> dict[str, list[Series]]:
        """Split the series of train: the later parts become other splits.

        Args:
            train: all series.
            fractions: the fraction of all steps or series that each split gets, in the order of time.

        Returns:
            The series of train and of each split, none of them empty.

        Raises:
            UsageError: train is too small.
        """

    @abstractmethod
    def table(self, series: list[Series]) -> pa.Table:
        """Make the rows of a split from its series.

        Raises:
            UsageError: the series are too short for a row.
        """

    @override
    def load(self) -> DatasetDict:
        from datasets import Dataset, DatasetDict

        return DatasetDict({name: Dataset(self.table(series)) for name, series in self._series.items()})

    @override
    def load_measured(self, split: str, drawn: Drawn | None = None) -> tuple[Dataset, str]:
        from datasets import Dataset

        label, guess = self.labels_column or None, not self._names_columns
        raw, rows, note = self.corpus.measured_rows(self.columns(), split, label, guess, drawn)
        if raw is None:  # validation, to be split off train
            return Dataset(self.table(self._series[split])), ""
        most = self.corpus.max_examples
        if rows is None:
            return Dataset(self.table(self._split_series(self._normalized(raw), most))), ""
        if most is not None and most < len(rows):
            rows, note = rows[:most], f"the first {most:,} of {note}"
        return Dataset(self.table(_parts_in(self._split_series(self._normalized(raw)), rows))), note

    def _normalized(self, split: Split) -> Split:
        where, table = split
        return where, normalize_labels(table, self.labels_column or None)

    @cached_property
    def _series(self) -> dict[str, list[Series]]:
        """The series of each split."""
        label = self.labels_column or None
        tables, fractions = self.corpus.tables(self.columns(), label, not self._names_columns)
        raw = {name: self._normalized(split) for name, split in tables.items()}
        most = self.corpus.max_examples
        splits = {name: self._split_series(split, most) for name, split in raw.items()}
        if self.labels_column:
            check_labels(raw, self.labels_column)
        if self.corpus.path not in EXAMPLES:
            _warn_shared(splits)
        if fractions:
            parts = self._split_off(splits["train"], fractions)
            splits |= parts
            rows = {name: np.concatenate([one.rows for one in series]) for name, series in parts.items()}
            self._drawn = self.corpus.record(raw["train"][1], label, rows)
        self._check_train_labels(splits)
        return {name: splits[name] for name in SPLITS if name in splits}

    def _split_off(self, train: list[Series], fractions: dict[str, float]) -> dict[str, list[Series]]:
        """As `split_off`; without test, and with a warning, where train is too small for that too."""
        if "test" in fractions:
            try:
                parts = self.split_off(train, fractions)
                self._check_train_labels(parts)
                return parts
            except UsageError as error:
                log.warning("there is no test split: %s", error)
        return self.split_off(train, {"validation": fractions["validation"]})

    def _check_train_labels(self, splits: Mapping[str, list[Series]]) -> None:
        """Check that train without what is held out still has every label, and at least two."""
        name, where = self.labels_column, splits["train"][0].source
        if not name:
            return
        remedy = "lower validation_fraction, raise max_examples, or give a validation split"
        known = {label for part in splits["train"] for label in part.labels or ()}
        if len(known) < 2:
            raise UsageError(
                f"{where}: all {name} in train without what is held out are {known.pop()}; {remedy}"
            )
        for part in (part for split in splits.values() for part in split):
            for row, label in enumerate(part.labels or (), part.start + 1):
                if label not in known:
                    raise UsageError(
                        f"{part.source}, row {row}: label {label!r} is never seen in train without "
                        f"what is held out; {remedy}"
                    )

    def _split_series(self, split: Split, most: int | None = None) -> list[Series]:
        """The series of a split, or of its first rows, in order."""
        where, table = split
        for name in self.numbers:
            if not pa.types.is_floating(table.schema.field(name).type):
                raise UsageError(
                    f"{where}: column {name!r} holds lists; give each number a column of its own"
                )
        validate_rows(where, table, None, keep_all=True)
        if most is not None:
            table = table.slice(0, most)
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
        if repeats := len(bounds) - 1 - len(np.unique(groups)):
            log.warning(
                "%s: %d time(s) a value of column %r comes back after other values; each starts a new series",
                where, repeats, self.group,
            )  # fmt: skip
        return [whole[start:end] for start, end in pairwise(bounds)]


def last_steps(train: list[Series], fractions: Mapping[str, float]) -> dict[str, list[Series]]:
    """Cut each series in time: its last part goes to the last split.

    Args:
        train: the series.
        fractions: the fraction of the steps of each series that each split gets, in the order of time.

    Returns:
        The parts of train and of each split, one of each series; some may be empty.
    """
    parts: dict[str, list[Series]] = {name: [] for name in ("train", *fractions)}
    for series in train:
        end = len(series)
        for name, fraction in reversed(list(fractions.items())):
            start = max(0, end - max(1, round(fraction * len(series))))
            parts[name].append(series[start:end])
            end = start
        parts["train"].append(series[:end])
    return parts


def last_series(train: list[Series], fractions: Mapping[str, float]) -> dict[str, list[Series]]:
    """Give the last series to other splits, whole; at least one stays in train.

    Args:
        train: the series.
        fractions: the fraction of the series that each split gets, in the order of time.

    Raises:
        UsageError: there are too few series.
    """
    if len(train) <= len(fractions):
        raise UsageError(
            f"{train[0].source}: {len(train)} series are too few for train, {' and '.join(fractions)}; give "
            "more, or files for these splits"
        )
    parts: dict[str, list[Series]] = {}
    rest, names = train, list(fractions)
    while names:
        name = names.pop()
        most = len(rest) - len(names) - 1  # one at least for each of the others
        count = min(most, max(1, round(fractions[name] * len(train))))
        rest, parts[name] = rest[:-count], rest[-count:]
    return {"train": rest, **parts}


def _parts_in(series: list[Series], rows: np.ndarray) -> list[Series]:
    """The parts of series that are among these rows, whose numbers are in order."""
    parts = []
    for one in series:
        first, last = np.searchsorted(rows, [one.start, one.start + len(one)])
        places = rows[first:last] - one.start
        runs = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
        parts += [one[int(run[0]) : int(run[-1]) + 1] for run in runs if len(run)]
    return parts


def _warn_shared(splits: Mapping[str, list[Series]]) -> None:
    """Warn of series of other splits that train has too, as they are or as part of its only series."""
    train = [series.numbers.tobytes() for series in splits["train"]]
    for name, parts in splits.items():
        if name == "train":
            continue
        bytes_of = [series.numbers.tobytes() for series in parts]
        known = {content for content in bytes_of if content in train[0]} if len(train) == 1 else set(train)
        if shared := sum(content in known for content in bytes_of):
            log.warning("%s: %d %s series are also in train", parts[0].source, shared, name)


def parse_names(columns: str | Sequence[str] | None) -> list[str]:
    """Return column names from a list, or from one text with commas between them."""
    names = columns.split(",") if isinstance(columns, str) else columns or ()
    return [name.strip() for name in names if name.strip()]
