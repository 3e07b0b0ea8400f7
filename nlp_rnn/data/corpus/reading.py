"""Reads the splits of a source: which they are, with which columns, and which of their rows are measured."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nlp_rnn.data.corpus.columns import Columns
from nlp_rnn.data.corpus.drawing import Drawn, content_hash, number_groups
from nlp_rnn.data.corpus.layout import Layout
from nlp_rnn.data.corpus.sources import Source
from nlp_rnn.data.corpus.splits import SPLITS, choose_splits
from nlp_rnn.data.corpus.validation import Split
from nlp_rnn.errors import UsageError, join_names

log = logging.getLogger(__name__)

ALL = "all"
"""Stands for all rows of a corpus that is one table, whatever split each is in."""

_GROUP = "corpus.group"
"""The canonical name of the column of groups."""


@dataclass(frozen=True)
class Reader:
    """Reads the splits of one source with the wanted columns, without validating their rows.

    Args:
        source: where the rows come from.
        columns: canonical name -> names to accept in the data.
        layout: how files are to be read.
        requested: canonical split -> its name in the source; None to detect it.
        group: the column of groups, which is read with train, if there is one.
    """

    source: Source
    columns: Columns
    layout: Layout
    requested: Mapping[str, str | None]
    group: str | None = None

    def is_needed(self, split: str) -> bool:
        """Whether nothing can be done without a split: train, and those that the user named."""
        return split == "train" or self.requested[split] is not None

    def choose(self, only: str | None = None) -> dict[str, str]:
        """The source's names of the splits, or of one alone, by canonical name; those left are named."""
        names = self.source.splits(self.columns, self.layout)
        if self.source.is_bundled and only == "test" and only not in names:  # its names cannot be set
            raise UsageError(f"{self.source.name} has no test split; it has {', '.join(names)}")
        chosen = choose_splits(names, self.requested, self.source.name, only)
        if only is None and (unused := [name for name in names if name not in chosen.values()]):
            log.warning(
                "%s: not used: %s (used are %s)",
                self.source.name, join_names(unused), join_names(chosen.values()),
            )  # fmt: skip
        return chosen

    def read(self, chosen: Mapping[str, str], needed: bool = False) -> dict[str, Split]:
        """Read splits.

        Args:
            chosen: canonical split -> its name in the source.
            needed: whether to refuse a split that cannot be read, rather than leave it out with a warning.

        Raises:
            UsageError: a split that is needed cannot be read.
        """
        splits = {}
        for split, name in chosen.items():
            try:
                splits[split] = self.source.read(name, self.columns, self.layout)
            except UsageError as error:
                # One that nobody asked for, such as a test split without labels, need not stop training.
                if needed or self.is_needed(split):
                    raise
                log.warning("the %s split is left out: %s", split, error)
        return splits

    def groups(self, train: str) -> np.ndarray | None:
        """The number of the group of each row of train; None without a column of groups.

        Args:
            train: the source's name of train.

        Raises:
            UsageError: there is no such column.
        """
        if self.group is None:
            return None
        where, table = self.source.read(train, {**self.columns, _GROUP: (self.group,)}, self.layout)
        if _GROUP not in table.column_names:
            raise UsageError(f"{where}: no column {self.group!r} for corpus.group; it needs a table")
        return number_groups(where, table[_GROUP])

    def table(self, split: str) -> Split | None:
        """Read one split; a single table is used whole, for any split.

        Returns:
            The split; None for a validation split that is to be drawn from train.

        Raises:
            UsageError: the source has no such split, or it cannot be read.
        """
        names = self.source.splits(self.columns, self.layout)
        if split == ALL and ALL not in names:
            if len(names) != 1:
                raise UsageError(f"{self.source.name}: has the splits {join_names(names)}; name one of them")
            return self.source.read(names[0], self.columns, self.layout)
        if split == ALL:
            return self.source.read(ALL, self.columns, self.layout)
        if split not in SPLITS:
            raise UsageError(f"unknown split {split!r}: use one of {', '.join(SPLITS)}")
        if self.source.is_whole:
            return self.source.read("train", self.columns, self.layout)
        return self.read(self.choose(split), needed=True).get(split)

    def measured(
        self, split: str, labels: str | None, drawn: Drawn, name: str
    ) -> tuple[Split, np.ndarray | None, str] | None:
        """Read the rows of a split that training drew from the same rows as these.

        Args:
            split: the split.
            labels: column of labels, if there is one.
            drawn: the record of the training.
            name: what a record of this corpus would call it.

        Returns:
            All rows; the numbers of those in the split, and which these are, in words; None and no words if
            training had other rows. None if the source has a split of this name, and is to be read as usual.

        Raises:
            UsageError: the rows cannot be read, or training put none into the split.
        """
        if split not in SPLITS or not (self.source.is_whole or split == "train" or not self._has(split)):
            return None
        if not self._has("train") or (whole := self.table("train")) is None:
            return None
        where, table = whole
        if table.num_rows != drawn.rows or content_hash(table, labels) != drawn.content:
            if name == drawn.source or table.num_rows == drawn.rows:
                log.warning(
                    "%s: not the rows that the model was trained on, though of the same %s; some of those "
                    "may be among the rows measured", where, "name" if name == drawn.source else "number",
                )  # fmt: skip
            return (whole, None, "") if self.source.is_whole or split == "train" else None
        splits = drawn.split_rows()
        if split not in splits:
            raise UsageError(
                f"{where}: the model was trained on it, and no rows were held out for {split}; there are "
                f"{', '.join(splits)}, and {ALL} for all rows"
            )
        rows = splits[split]
        use = "that the model was trained on" if split == "train" else f"held out in training, for {split}"
        return whole, rows, f"{len(rows):,} of {table.num_rows:,} rows of {name}: those {use}"

    def _has(self, split: str) -> bool:
        """Whether the source itself has a split."""
        if self.source.is_whole:
            return split == "train"
        names = self.source.splits(self.columns, self.layout)
        try:
            return split in choose_splits(names, self.requested, self.source.name, split)
        except UsageError:
            return False
