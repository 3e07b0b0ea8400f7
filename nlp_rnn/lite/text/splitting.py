"""Raw text to words, in the way of the corpus that a model was trained on.

A chunk, which is what stands between white space, is split without regard to its neighbors. So a text that
arrives in pieces is split as the whole, and words that have white space between them already stay the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, pairwise
from typing import NamedTuple

from .pieces import starts_new_character
from .word_rules import JOINER, classes, general_ends, inside_literals

CHUNK = re.compile(r"\S+")
# Chunks whose ends are kept, and the longest of them.
_MAX_KEPT, _MAX_KEPT_LENGTH = 2**16, 100
_MAX_RUN = 12  # characters of a run of letters that are compared
_MAX_PARTS = 4  # of a known word, as the general rules cut it
_APOSTROPHE = re.compile("['’]")


class Token(NamedTuple):
    """A word of a text, or a contraction, which stands for several words."""

    start: int
    end: int
    """In characters of the text; `end` is behind the last one."""
    words: tuple[str, ...]
    """The word as it is written; those of a contraction, such as French "du", de and le."""


@dataclass(frozen=True)
class WordSplitter:
    """Splits raw text into words; learned from the corpus that a model was trained on.

    Args:
        weights: how much each feature of a place in a chunk speaks for the end of a word there; general rules
            decide if there are none.
        chunks: chunks that would be split otherwise, with spaces between their words.
        contractions: in lower case, each with the words that it stands for behind it: "du de le".
        dense: whether many chunks of letters alone have several words, as in Chinese.
    """

    weights: dict[str, int] = field(default_factory=dict)
    chunks: Sequence[str] = ()
    contractions: Sequence[str] = ()
    dense: bool = False

    def split(self, text: str) -> Iterator[Token]:
        """The words of a text in their order. Together they are all of it but the white space."""
        for match in CHUNK.finditer(text):
            start = match.start()
            for before, end in pairwise((0, *self.ends(match.group()))):
                written = text[start + before : start + end]
                yield Token(start + before, start + end, self._words(written))

    def ends(self, chunk: str) -> tuple[int, ...]:
        """Where the words of a chunk end, in ascending order; the last one is its length."""
        ends = self._kept.get(chunk)
        if ends is None:
            is_composed = unicodedata.is_normalized("NFC", chunk)
            ends = self._find_ends(chunk) if is_composed else self._ends_when_composed(chunk)
            if len(chunk) <= _MAX_KEPT_LENGTH:
                if len(self._kept) >= _MAX_KEPT:
                    self._kept.clear()
                self._kept[chunk] = ends
        return ends

    def _ends_when_composed(self, chunk: str) -> tuple[int, ...]:
        """The ends of words are the same whether an accented letter is one character or several."""
        starts = [i for i, character in enumerate(chunk) if i == 0 or starts_new_character(character)]
        characters = [unicodedata.normalize("NFC", chunk[a:b]) for a, b in pairwise([*starts, len(chunk)])]
        ends = set(self.ends("".join(characters)))
        sizes = accumulate(map(len, characters))
        places = [end for size, end in zip(sizes, [*starts[1:], len(chunk)], strict=True) if size in ends]
        return (*places,) if places and places[-1] == len(chunk) else (*places, len(chunk))

    def _find_ends(self, chunk: str) -> tuple[int, ...]:
        if known := self._known.get(chunk):
            return known
        kinds = classes(chunk)
        if not self.weights:
            return tuple(end for end in self._general_ends(chunk) if not kinds.startswith("m", end))
        if not self.dense and is_letters(kinds):
            return (len(chunk),)
        weight = self.weights.get
        scored = ((place, sum(weight(name, 0) for name in names)) for place, names in features(chunk, kinds))
        return (*(place for place, score in scored if score > 0), len(chunk))

    def _general_ends(self, chunk: str) -> Iterator[int]:
        """What the general rules find, but known words are whole, and so are those around an apostrophe."""
        starts = [0, *general_ends(chunk)]
        number = 0
        while number < len(starts) - 1:
            start, number = starts[number], number + 1
            behind = range(min(number + _MAX_PARTS, len(starts)) - 1, number - 1, -1)
            number = next((n for n in behind if self._is_known(chunk, start, starts[n])), number)
            end = starts[number]
            for match in _APOSTROPHE.finditer(chunk, start, end):
                if self._is_known(chunk, start, end):
                    break
                place, after = match.start(), match.end()
                cut = next(
                    (i for i in (place - 1, place) if i > start and self._is_known(chunk, i, end)), None
                )
                if cut is None and after < end and self._is_known(chunk, start, after):
                    cut = after
                if cut is not None:
                    yield cut
                    start = cut
            yield end

    def _is_known(self, chunk: str, start: int, end: int) -> bool:
        # Longer ones are not cut out, which would take quadratic time.
        return end - start <= self._longest and len(self._known.get(chunk[start:end], ())) == 1

    def _words(self, written: str) -> tuple[str, ...]:
        words = self._contracted.get(written.lower()) if self._contracted else None
        if words is None:
            return (written,)
        if len(written) > 1 and written.isupper():
            return tuple(map(str.upper, words))
        return (words[0].capitalize(), *words[1:]) if written[0].isupper() else words

    @cached_property
    def _known(self) -> dict[str, tuple[int, ...]]:
        return {words.replace(" ", ""): ends_of(words) for words in self.chunks}

    @cached_property
    def _longest(self) -> int:
        return max(map(len, self._known), default=0)

    @cached_property
    def _contracted(self) -> dict[str, tuple[str, ...]]:
        entries = [entry.split(" ") for entry in self.contractions]
        return {contraction: tuple(words) for contraction, *words in entries if all(words) and words}

    @cached_property
    def _kept(self) -> dict[str, tuple[int, ...]]:
        return {}


def ends_of(words: str) -> tuple[int, ...]:
    """Where words with spaces between them end when these are left out."""
    return tuple(accumulate(map(len, words.split(" "))))


def is_letters(kinds: str) -> bool:
    """Whether the classes of characters are those of letters alone."""
    return not kinds.strip("aAm")


def features(chunk: str, kinds: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The places inside a chunk where a word may end, each with the names of its features.

    They are the characters and classes of characters around it, the runs of letters on both sides, and
    whether the general rules cut there.

    Args:
        chunk: the chunk.
        kinds: the classes of its characters.
    """
    lower = chunk.lower()
    lower = lower if len(lower) == len(chunk) else chunk  # the lower case of a few letters is two
    size, text, kind = len(chunk), f"\2\2\2{lower}\3\3\3", f"\2\2\2{kinds}\3\3\3"
    inside = inside_literals(chunk)
    is_letter, cuts = [k in "aA0m" for k in kinds], set(general_ends(chunk))
    begin = 0  # of the run on the left
    for place in range(1, size):
        if place > 1 and is_letter[place - 1] != is_letter[place - 2]:
            begin = place - 1
        if kinds[place] in ("m", JOINER) or kinds[place - 1] == JOINER or place in inside:
            continue
        end = place + 1
        while end < min(size, place + _MAX_RUN) and is_letter[end] == is_letter[place]:
            end += 1
        left, right = lower[max(begin, place - _MAX_RUN) : place], lower[place:end]
        i, cut = place + 3, "+" if place in cuts else "-"
        yield place, (
            f"A{cut}", f"B{cut}{kind[i - 1 : i + 1]}",
            f"C{kind[i - 1 : i + 1]}", f"D{kind[i - 2 : i + 1]}", f"E{kind[i - 1 : i + 2]}",
            f"F{kind[i - 2 : i + 2]}", f"G{kind[i - 3 : i + 3]}",
            f"H{text[i - 1]}", f"I{text[i]}", f"J{text[i - 2 : i]}", f"K{text[i : i + 2]}",
            f"L{text[i - 1 : i + 1]}", f"M{text[i - 2 : i + 2]}", f"N{text[i - 3 : i + 3]}",
            f"O{text[i - 3 : i]}", f"P{text[i : i + 3]}",
            f"Q{left}|{kind[i]}", f"R{kind[i - 1]}|{right}", f"S{left}|{right}",
            f"T{min(place, 4)}{kind[i - 1 : i + 1]}", f"U{min(size - place, 4)}{kind[i - 1 : i + 1]}",
        )  # fmt: skip
