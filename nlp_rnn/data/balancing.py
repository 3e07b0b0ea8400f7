"""Rare labels: weights in the loss, or rows that are repeated in each epoch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np

Balance = Literal["none", "weights", "sampling"]
"""How rare labels get as much weight as frequent ones."""


def balanced_weights(labels: Iterable[str], classes: Sequence[str]) -> list[float]:
    """The weight of each class with which all classes have the same sum of weights over the rows.

    Args:
        labels: the label of each row.
        classes: [C] the classes, each of which occurs.

    Returns:
        [C] weights; their mean over the rows is 1.
    """
    counts = Counter(labels)
    return [counts.total() / (len(classes) * counts[name]) for name in classes]


def balanced_repeats(label_ids: np.ndarray) -> np.ndarray:
    """How often each row is in an epoch so that all labels are about equally frequent.

    Args:
        label_ids: [N] int, the label of each row.

    Returns:
        [N] int64: the number of rows of the most frequent label, divided by that of the row's own label, and
        rounded; at least 1.
    """
    _, labels, counts = np.unique(label_ids, return_inverse=True, return_counts=True)
    repeats: np.ndarray = np.rint(counts.max() / counts).astype(np.int64)[labels]
    return repeats
