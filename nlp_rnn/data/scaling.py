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
