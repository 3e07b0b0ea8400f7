"""Numbers in a line of text."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from nlp_rnn.errors import UsageError
from nlp_rnn.files import shorten

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
