"""Classes of characters and lower case as the tokenizers library has them.

The parts of the library know different versions of Unicode, and Python others. So `characters.json` holds
tables that were asked of the library itself, of all code points; `scripts/character_tables.py` writes it.
Texts are split with them without torch, and the exports to HTML and C copy them.

A set of characters is written as numbers in base 36: how many code points are left out, how many follow that
are in the set, and so on.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

_KEPT = 0x20000  # above are code points that are many and rare, which must not fill the memory


@cache
def tables() -> dict[str, Any]:
    r"""The tables by name.

    Returns:
        `word`, `digit` and `space` are the sets that `\w`, `\d` and `\s` match; `punctuation` the set that is
        isolated before subwords; `composing` the set that NFC may change, move or join, while all others stay
        as they are. `lower` is the lower case: `runs` of [first, count, step, difference], and `others`,
        whose lower case is several characters. `library` is the version of the library.
    """
    read: dict[str, Any] = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    return read


@cache
def ranges(name: str) -> tuple[list[int], list[int]]:
    """The first code points of the ranges of a set in `tables`, and those behind their last ones."""
    numbers = [int(number, 36) for number in tables()[name].split(" ")]
    firsts, ends = [], []
    place = 0
    for skipped, count in zip(numbers[::2], numbers[1::2], strict=True):
        firsts.append(place + skipped)
        place += skipped + count
        ends.append(place)
    return firsts, ends


@cache
def lower_case() -> dict[int, str]:
    """The lower case of all code points that have another one, to translate texts with.

    Each character by itself: a sigma at the end of a word is one like any other.
    """
    table = tables()["lower"]
    lower = {ord(character): text for character, text in table["others"].items()}
    for first, count, step, difference in table["runs"]:
        for point in range(first, first + count * step, step):
            lower[point] = chr(point + difference)
    return lower


class ClassTable(dict[int, str]):
    """Translates each character of a text to one ASCII character that stands for its class.

    Regular expressions of the classes of a text then find in it what those of Unicode would in the text.

    Args:
        names: the sets in `tables` and the character of each; of several sets that have a code point, the
            first one counts.
        others: the character of all other code points.
        exact: characters that stand for themselves, or for another one.
    """

    def __init__(self, names: Mapping[str, str], others: str, exact: Mapping[str, str]) -> None:
        super().__init__({ord(character): mark for character, mark in exact.items()})
        self._sets = [(mark, *ranges(name)) for name, mark in names.items()]
        self._others = others

    def __missing__(self, point: int) -> str:
        mark = next((mark for mark, firsts, ends in self._sets if _has(firsts, ends, point)), self._others)
        if point < _KEPT:
            self[point] = mark
        return mark


def _has(firsts: list[int], ends: list[int], point: int) -> bool:
    place = bisect_right(firsts, point) - 1
    return place >= 0 and point < ends[place]
