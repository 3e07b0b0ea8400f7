"""Batches: sequences padded to one length. Time comes first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def pad(sequences: Sequence[Sequence[int] | np.ndarray], value: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pad sequences to one length.

    Returns:
        [T, B] int64, padded with `value`; [B] int64 lengths.
    """
    lengths = [len(sequence) for sequence in sequences]
    padded = np.full((max(lengths, default=0), len(sequences)), value, dtype=np.int64)
    for column, sequence in enumerate(sequences):
        padded[: lengths[column], column] = sequence
    return padded, np.array(lengths, np.int64)


def pad_vectors(flat: Sequence[np.ndarray], width: int) -> tuple[np.ndarray, np.ndarray]:
    """Pad series of vectors to one length.

    Args:
        flat: one flat array [T * C] per series, step by step.
        width: C, the numbers per step.

    Returns:
        [T, B, C] float32, padded with 0; [B] int64 lengths.
    """
    lengths = [len(steps) // width for steps in flat]
    padded = np.zeros((max(lengths, default=0), len(flat), width), np.float32)
    for row, steps in enumerate(flat):
        padded[: lengths[row], row] = np.reshape(steps, (-1, width))
    return padded, np.array(lengths, np.int64)
