"""Weights of corpora: how often their rows are drawn in each epoch of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Part(NamedTuple):
    """Successive rows of which each epoch has `drawn`, another random selection each time."""

    start: int
    end: int
    drawn: int


def plan_weights(sizes: Sequence[int], weights: Sequence[float]) -> tuple[np.ndarray, tuple[Part, ...]]:
    """The rows of an epoch, of several corpora one after another.

    A row is drawn as often as the whole part of its corpus' weight says; by the rest of the weight, that
    fraction of the corpus' rows is drawn once more, rounded to a number of rows, at least one.

    Args:
        sizes: [K] the rows of each corpus.
        weights: [K] how often each corpus is drawn.

    Returns:
        [M] int64 numbers of rows, and which of these M are drawn in part.
    """
    blocks: list[np.ndarray] = []
    parts: list[Part] = []
    start = place = 0
    for size, weight in zip(sizes, weights, strict=True):
        rows = np.arange(start, start + size)
        whole, fraction = divmod(weight, 1)
        blocks += [rows] * int(whole)
        place += size * int(whole)
        if fraction and size:
            blocks.append(rows)
            parts.append(Part(place, place + size, max(1, round(fraction * size))))
            place += size
        start += size
    return np.concatenate(blocks), tuple(parts)


def draw_parts(order: np.ndarray, parts: Sequence[Part], random: np.random.Generator | None) -> np.ndarray:
    """Leave out of an order of rows what an epoch does not have of its parts.

    It is a systematic sample: of n rows in their order, every (n / drawn)-th one from a random start. So each
    row has the same chance, the number of rows is always the same, and where rows are in order of length,
    the lengths are nearly the same in each epoch.

    Args:
        order: [M] the numbers 0 to M - 1, rows of equal length in random order.
        parts: of which only so many are drawn.
        random: chooses the starts; in the middle if None.

    Returns:
        The numbers that are left, in order.
    """
    if not parts:
        return order
    kept = np.ones(len(order), bool)
    for start, end, drawn in parts:
        size = end - start
        places = np.flatnonzero((order >= start) & (order < end))
        offset = size // 2 if random is None else int(random.integers(size))
        ends = (np.arange(size + 1, dtype=np.int64) * drawn + offset) // size
        kept[places[np.diff(ends) == 0]] = False
    return order[kept]
