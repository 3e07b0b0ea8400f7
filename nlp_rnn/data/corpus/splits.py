"""Which split of a corpus is which, and what is drawn where one is missing or too large."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from nlp_rnn.data.corpus.validation import encode_labels, is_list, rows_covering_labels
from nlp_rnn.errors import UsageError

SPLITS = ("train", "validation", "test")

_NAMES = {  # the exact names, and what a longer name holds at its start or after one of - _ .
    "train": (("train",), r"train"),
    "validation": (("validation", "valid", "val", "dev"), r"(validation|valid|val|dev)(?![a-z])"),
    "test": (("test",), r"test"),
}


def choose_splits(
    names: Sequence[str], asked: Mapping[str, str | None], where: str, only: str | None = None
) -> dict[str, str]:
    """Canonical split -> which of the names it is; of one split, or of all with train.

    Args:
        names: what the corpus calls its splits.
        asked: canonical split -> its name, None to find it.
        where: what messages call the corpus.
        only: the one split that is wanted; all of them if None.

    Raises:
        UsageError: one that is asked for, or train, is not there, or could be one of several.
    """
    chosen = {}
    for split, name in asked.items():
        if only not in (None, split):
            continue
        exact, pattern = _NAMES[split]
        free = [n for n in names if n not in asked.values()]
        found = [n for n in free if re.search(rf"(^|[-_.]){pattern}", n.lower())]
        found = [n for n in found if n.lower() in exact] or found
        if name is not None:
            found = [name] if name in names else []
        if len(found) > 1:
            raise UsageError(f"{where}: {', '.join(found)} could each be {split}; set {split}_split")
        if not found and (name is not None or split == "train" or (only and split == "test")):
            what = f"{split} split {name!r}" if name else f"{split} split"
            measured = " (--split of evaluate.py)" if split == "test" else ""
            raise UsageError(f"{where}: no {what}; found {', '.join(names)}; set {split}_split{measured}")
        if found:
            chosen[split] = found[0]
    return chosen


def draw_validation(
    train: pa.Table, labels: str | None, fraction: float, seed: int, where: str
) -> tuple[pa.Table, pa.Table]:
    """(train, validation): a share of the rows, seeded; at least one row of each label stays in train.

    Labels that are one a row are shared out evenly.

    Raises:
        UsageError: there are too few rows.
    """
    order = np.random.default_rng(seed).permutation(train.num_rows)
    stay = rows_covering_labels(train, labels, order) if labels is not None else order[:1]
    pool = order[~np.isin(order, stay)]
    if labels is not None and not is_list(train, labels):
        codes, _, _ = encode_labels(train, labels)
        pool = pool[np.argsort(codes[pool], kind="stable")]
    size = min(len(pool), max(1, round(fraction * train.num_rows)))
    if size == 0:
        raise UsageError(f"{where}: {train.num_rows} rows are too few to draw a validation split from")
    # Evenly spaced in an order that is random within each label: proportional to within one row a label.
    drawn = np.zeros(train.num_rows, bool)
    drawn[pool[((np.arange(size) + 0.5) * len(pool) / size).astype(int)]] = True
    return train.filter(pa.array(~drawn)), train.filter(pa.array(drawn))


def subsample(split: str, table: pa.Table, labels: str | None, most: int | None, seed: int) -> pa.Table:
    """At most so many rows, seeded, their order kept; at least one row of each label stays in train.

    Raises:
        UsageError: there are more labels than that.
    """
    if most is None or table.num_rows <= most:
        return table
    order = np.random.default_rng([seed, SPLITS.index(split)]).permutation(table.num_rows)
    if split == "train" and labels is not None:
        stay = rows_covering_labels(table, labels, order)
        if len(stay) > most:
            raise UsageError(f"max_examples={most} cannot hold all labels; give {len(stay)}")
        order = np.concatenate([stay, order[~np.isin(order, stay)]])
    return table.take(pa.array(np.sort(order[:most])))
