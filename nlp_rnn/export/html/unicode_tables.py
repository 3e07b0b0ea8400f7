"""The classes of characters that tokenizers and splitters use, as tables for JavaScript.

Browsers know other versions of Unicode than the tokenizers library, whose parts know different ones of their
own. So the page reads tables that were asked of the library itself, of all code points at once.

A set of characters is written as numbers in base 36: how many code points are left out, how many follow that
are in the set, and so on.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import groupby
from typing import Any

from tokenizers import Regex, normalizers, pre_tokenizers

from nlp_rnn.lite.text.word_rules import character_class

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
# All code points but the surrogates, and the planes where nothing is assigned or all is for private use.
_RANGES = (range(0xD800), range(0xE000, 0x40000), range(0xE0000, 0xE1000))
_ALL = "".join(chr(point) for points in _RANGES for point in points)
_HIGHEST_MARK = "\u0345"  # its canonical combining class, 240, is the highest one: all other marks precede it
_LOWEST_MARK = "\u0334"  # of class 1, the lowest one


@cache
def regex_class(regex: str) -> str:
    r"""The characters that a class of the library's regular expressions matches, such as `\w`."""
    split = pre_tokenizers.Split(Regex(f"{regex}+"), "removed", invert=True)
    return _encode(_points(split.pre_tokenize_str(_ALL)))


@cache
def punctuation() -> str:
    """The characters that the library isolates as punctuation."""
    pieces = pre_tokenizers.Punctuation("contiguous").pre_tokenize_str(_ALL)
    # Pieces are punctuation or not by turns; the first one is control characters.
    return _encode(_points(pieces[1::2]))


@cache
def composing() -> str:
    """The characters that the library's NFC may change, move or join; all others stay as they are.

    Runs of them are composed by the browser, of whatever version: how assigned characters compose is stable.
    """
    decomposed = _apply(normalizers.NFD(), _ALL)
    found = {ord(a) for a, b in zip(_ALL, decomposed, strict=True) if a != b}
    found |= {ord(part) for a, b in zip(_ALL, decomposed, strict=True) if a != b for part in b}
    others = [mark for mark in _ALL if unicodedata.category(mark) in ("Mn", "Mc", "Me", "Cn")]
    for before, after in ((_HIGHEST_MARK, ""), ("", _LOWEST_MARK)):
        texts = [f"{before}{mark}{after}" for mark in others]
        moved = zip(others, texts, _apply(normalizers.NFC(), texts), strict=True)
        found |= {ord(mark) for mark, text, result in moved if text != result}
    return _encode(sorted(found | {ord(_HIGHEST_MARK), ord(_LOWEST_MARK)}))


@cache
def lower_case() -> dict[str, Any]:
    """The lower case of characters: `runs` of [first, count, step, difference], and `others` as texts."""
    lowered = _apply(normalizers.Lowercase(), _ALL)
    changed = {ord(a): b for a, b in zip(_ALL, lowered, strict=True) if a != b}
    others = {chr(point): text for point, text in changed.items() if len(text) > 1}
    runs: list[list[int]] = []
    for point, text in changed.items():
        if len(text) > 1:
            continue
        difference = ord(text) - point
        if runs and runs[-1][3] == difference:
            first, count, step, _ = runs[-1]
            gap = point - (first + (count - 1) * step)
            if gap <= 2 and (count == 1 or gap == step):
                runs[-1] = [first, count + 1, gap, difference]
                continue
        runs.append([point, 1, 1, difference])
    return {"runs": runs, "others": others}


@cache
def letter_classes() -> dict[str, str]:
    """The characters of each class of `nlp_rnn.lite.text.word_rules` that stands for many."""
    classify: Callable[[str], str] = character_class.__wrapped__  # without its cache of recent characters
    points: dict[str, list[int]] = {name: [] for name in "Aa0m"}
    for character in _ALL:
        if (name := classify(character)) in points:
            points[name].append(ord(character))
    return {name: _encode(ones) for name, ones in points.items()}


def _apply(normalizer: normalizers.Normalizer, texts: Iterable[str]) -> list[str]:
    """Normalize many short texts, all at once; none has a line feed in its result but the line feed."""
    joined = normalizer.normalize_str("\n\n".join(text if text != "\n" else "" for text in texts))
    return [text or "\n" for text in joined.split("\n\n")]


def _points(pieces: Iterable[tuple[str, tuple[int, int]]]) -> Iterator[int]:
    return (ord(character) for text, _ in pieces for character in text)


def _encode(points: Iterable[int]) -> str:
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
