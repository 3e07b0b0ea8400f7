"""The classes of characters that splitters use, as tables for JavaScript.

Browsers know other versions of Unicode than Python. The tables of tokenizers are those of
`nlp_rnn.lite.text.characters`, where it says how a set of characters is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from itertools import chain, groupby

from nlp_rnn.lite.text.word_rules import character_class

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
# All code points but the surrogates, and the planes where nothing is assigned or all is for private use.
_RANGES = (range(0xD800), range(0xE000, 0x40000), range(0xE0000, 0xE1000))


@cache
def letter_classes() -> dict[str, str]:
    """The characters of each class of `nlp_rnn.lite.text.word_rules` that stands for many."""
    classify: Callable[[str], str] = character_class.__wrapped__  # without its cache of recent characters
    points: dict[str, list[int]] = {name: [] for name in "Aa0m"}
    for point in chain(*_RANGES):
        if (name := classify(chr(point))) in points:
            points[name].append(point)
    return {name: write_set(ones) for name, ones in points.items()}


def write_set(points: Iterable[int]) -> str:
    """Write an ascending set of code points."""
    numbers: list[int] = []
    end = 0
    for _, run in groupby(enumerate(points), lambda pair: pair[1] - pair[0]):
        run_points = [point for _, point in run]
        numbers += [run_points[0] - end, len(run_points)]
        end = run_points[-1] + 1
    return " ".join(map(_base36, numbers))


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"
