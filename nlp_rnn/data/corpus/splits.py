"""Splits: recognized by name, and sampled if too large."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from nlp_rnn.data.corpus.spool import row_numbers, spooled, table_chunks
from nlp_rnn.data.corpus.validation import rows_covering_labels
from nlp_rnn.errors import UsageError, join_names

SPLITS = ("train", "validation", "test")

# The exact names, and a pattern that longer names match at their start or after one of - _ .
_NAMES = {
    "train": (("train",), r"train"),
    "validation": (("validation", "valid", "val", "dev"), r"(validation|valid|val|dev)(?![a-z])"),
    "test": (("test",), r"test"),
}
# Rarer names, which count where there are no others.
_RARE = {
    "validation": r"(^|[-_.])(devel|development|eval|evaluation)(?![a-z])",
    "test": r"(^|[-_.])devtest(?![a-z])",
}


def named_split(name: str) -> str | None:
    """Return the split that a name stands for by itself; None if it is not one of the usual names."""
    return next((split for split in SPLITS if re.search(rf"(^|[-_.]){_NAMES[split][1]}", name.lower())), None)


def choose_splits(
    names: Sequence[str], requested: Mapping[str, str | None], where: str, only: str | None = None
) -> dict[str, str]:
    """Find out which of a corpus's splits are train, validation and test.

    Args:
        names: what the corpus calls its splits.
        requested: canonical split -> its name in the corpus; None to detect it.
        where: what messages call the corpus.
        only: the one split to find; all of them if None.

    Returns:
        Canonical split -> its name in the corpus. Validation and test may be missing.

    Raises:
        UsageError: a requested split, or train, is missing; or several names match one split.
    """
    chosen = {}
    for split, name in requested.items():
        if only not in (None, split):
            continue
        exact, pattern = _NAMES[split]
        free = [candidate for candidate in names if candidate not in requested.values()]
        matches = [candidate for candidate in free if re.search(rf"(^|[-_.]){pattern}", candidate.lower())]
        if not matches and split in _RARE:
            matches = [candidate for candidate in free if re.search(_RARE[split], candidate.lower())]
        matches = [candidate for candidate in matches if candidate.lower() in exact] or matches
        if name is not None:
            matches = [name] if name in names else []
        if len(matches) > 1:
            raise UsageError(f"{where}: {join_names(matches)} could each be {split}; set {split}_split")
        if not matches and (name is not None or split == "train" or (only and split == "test")):
            missing = f"{split} split {name!r}" if name else f"{split} split"
            option = " (evaluate: --split)" if split == "test" else ""
            raise UsageError(f"{where}: no {missing}; found {join_names(names)}; set {split}_split{option}")
        if matches:
            chosen[split] = matches[0]
    return chosen


def sample_rows(
    split: str, table: pa.Table, labels: str | None, max_examples: int | None, seed: int
) -> np.ndarray:
    """Sample at most `max_examples` rows; of train, one row of each label among them.

    Args:
        split: train, validation or test; each has its own sample.
        table: the rows of the split.
        labels: column of labels, if there is one.
        max_examples: maximum number of rows; None for all.
        seed: seed of the sampling.

    Returns:
        The numbers of the rows, in order.

    Raises:
        UsageError: there are more labels than `max_examples`.
    """
    if max_examples is None or table.num_rows <= max_examples:
        return row_numbers(table.num_rows)
    order = np.random.default_rng([seed, SPLITS.index(split)]).permutation(table.num_rows)
    if split == "train" and labels is not None:
        kept = rows_covering_labels(table, labels, order)
        if len(kept) > max_examples:
            raise UsageError(f"max_examples={max_examples} cannot hold all labels; give {len(kept)} or more")
        order = np.concatenate([kept, order[~np.isin(order, kept)]])
    return np.sort(order[:max_examples])


def take_rows(table: pa.Table, rows: np.ndarray) -> pa.Table:
    """Return the rows with these numbers, which are in order; without a copy if they are all."""
    if len(rows) == table.num_rows:
        return table
    return spooled(
        (
            part.take(pa.array(rows[slice(*np.searchsorted(rows, [start, start + len(part)]))] - start))
            for start, part in table_chunks(table)
        ),
        table.schema,
    )
