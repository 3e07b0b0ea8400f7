"""Numbers: parsed from a line of text, and scaled as a model reads them."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import UsageError
from ..files import shorten

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_LARGEST = sys.float_info.max


def parse_numbers(line: str) -> list[Any]:
    """Parse numbers with spaces or commas between them, or a JSON list of numbers, which may be nested.

    Returns:
        A list of floats, or of nested lists of floats.

    Raises:
        UsageError: the line is something else, or has a number that is not finite.
    """
    line = line.strip()
    if line.startswith("["):
        try:
            numbers: list[Any] = json.loads(line, parse_int=float)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"not a JSON list of numbers ({error}): {shorten(line)}") from None
    else:
        words = re.split(r"\s*,\s*|\s+", line) if line else []
        for word in words:
            if not NUMBER.fullmatch(word):
                raise UsageError(
                    f"not a number: {shorten(word)}; give numbers with spaces or commas between them"
                )
        numbers = [float(word) for word in words]
    _check(numbers, line)
    return numbers


def _check(numbers: list[Any], line: str) -> None:
    for item in numbers:
        if isinstance(item, list):
            _check(item, line)
        elif isinstance(item, bool) or not isinstance(item, (int, float)):
            raise UsageError(f"not a number: {shorten(json.dumps(item))} in {shorten(line)}")
        elif not -_LARGEST <= item <= _LARGEST:  # NaN is neither
            raise UsageError(f"a number that is not finite in {shorten(line)}")


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
