"""Splits: recognized by name, sampled if validation is missing, subsampled if too large."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from nlp_rnn.data.corpus.validation import encode_labels, is_list, rows_covering_labels
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


def draw_validation(
    train: pa.Table, labels: str | None, fraction: float, seed: int, where: str
) -> tuple[pa.Table, pa.Table]:
    """Sample a validation split from train, at least one row; one row of each label stays in train.

    Args:
        train: the rows of train.
        labels: column of labels; if it has one label per row, the sample is stratified.
        fraction: fraction of the rows that becomes validation.
        seed: seed of the sampling.
        where: what messages call the corpus.

    Returns:
        The rows of train and those of validation, both in their order.

    Raises:
        UsageError: there are too few rows.
    """
    order = np.random.default_rng(seed).permutation(train.num_rows)
    kept = rows_covering_labels(train, labels, order) if labels is not None else order[:1]
    pool = order[~np.isin(order, kept)]
    if labels is not None and not is_list(train, labels):
        codes, _, _ = encode_labels(train, labels)
        pool = pool[np.argsort(codes[pool], kind="stable")]
    size = min(len(pool), max(1, round(fraction * train.num_rows)))
    if size == 0:
        raise UsageError(f"{where}: {train.num_rows} rows are too few to sample a validation split from")
    # Evenly spaced rows of an order that is sorted by label and random within each label: each label's part
    # is right to within one row.
    sampled = np.zeros(train.num_rows, bool)
    sampled[pool[((np.arange(size) + 0.5) * len(pool) / size).astype(int)]] = True
    return train.filter(pa.array(~sampled)), train.filter(pa.array(sampled))


def subsample(
    split: str, table: pa.Table, labels: str | None, max_examples: int | None, seed: int
) -> pa.Table:
    """Sample at most `max_examples` rows, which keep their order; train keeps one row of each label.

    Args:
        split: train, validation or test; each has its own sample.
        table: the rows of the split.
        labels: column of labels, if there is one.
        max_examples: maximum number of rows; None for all.
        seed: seed of the sampling.

    Raises:
        UsageError: there are more labels than `max_examples`.
    """
    if max_examples is None or table.num_rows <= max_examples:
        return table
    order = np.random.default_rng([seed, SPLITS.index(split)]).permutation(table.num_rows)
    if split == "train" and labels is not None:
        kept = rows_covering_labels(table, labels, order)
        if len(kept) > max_examples:
            raise UsageError(f"max_examples={max_examples} cannot hold all labels; give {len(kept)} or more")
        order = np.concatenate([kept, order[~np.isin(order, kept)]])
    return table.take(pa.array(np.sort(order[:max_examples])))
