"""Scaling of numbers to mean 0 and standard deviation 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nlp_rnn.errors import UsageError


def mean_std(columns: np.ndarray, names: Sequence[str], where: str) -> tuple[list[float], list[float]]:
    """Compute mean and standard deviation of each column.

    Args:
        columns: [N, C] numbers.
        names: the C column names, for messages.
        where: what messages call the data.

    Returns:
        C means and C standard deviations.

    Raises:
        UsageError: a column is constant, or its squares exceed the range of floats.
    """
    for name, low, high in zip(names, columns.min(0), columns.max(0), strict=True):
        if low == high:
            raise UsageError(
                f"{where}: column {name!r} is constant in train ({low:g}), so there is nothing to learn or "
                "predict; leave it out"
            )
    with np.errstate(all="ignore"):
        means, deviations = columns.mean(0), columns.std(0)
    for name, deviation in zip(names, deviations, strict=True):
        if not 0 < deviation < np.inf:
            raise UsageError(f"{where}: column {name!r} is too large or too small to scale; change its unit")
    return means.tolist(), deviations.tolist()


def standardize(
    flat: Sequence[float], means: Sequence[float], deviations: Sequence[float], steps: int = -1
) -> np.ndarray:
    """Scale a series to the mean 0 and the standard deviation 1 that its columns have in the train split.

    Args:
        flat: [T * C] numbers, step by step.
        means: C means of the train split.
        deviations: C standard deviations of the train split.
        steps: T, if it is known.

    Returns:
        [T * C] float32.

    Raises:
        ValueError: the number of numbers does not fit the number of columns, or `steps`.
        UsageError: a scaled number exceeds the range of float32.
    """
    columns = np.asarray(flat, np.float64).reshape(steps, len(means))
    with np.errstate(over="ignore"):
        scaled = ((columns - means) / deviations).astype(np.float32)
    if not np.isfinite(scaled).all():
        step, column = np.argwhere(~np.isfinite(scaled))[0]
        raise UsageError(
            f"step {step + 1}: {columns[step, column]:g} is beyond float32 when scaled as in the train split "
            f"(mean {means[column]:g}, standard deviation {deviations[column]:g})"
        )
    return scaled.ravel()
