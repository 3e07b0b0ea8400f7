"""Normalization of texts: line breaks of HTML become spaces, NFC, lower case; and what it changed where."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache

from .characters import ClassTable, lower_case
from .tokenizer_format import LINE_BREAK

Span = tuple[int, int]
"""The first character of a part of a text, and the one behind its last."""

_LINE_BREAK = re.compile(LINE_BREAK)
_RUN = re.compile("c+")


class Normalizer:
    """Normalizes texts as the tokenizers library does.

    Args:
        line_breaks: whether line breaks of HTML become spaces.
        lowercase: whether upper case is converted to lower case.
    """

    def __init__(self, line_breaks: bool, lowercase: bool) -> None:
        self.line_breaks = line_breaks
        self.lowercase = lowercase

    def apply(self, text: str) -> str:
        """The normalized text."""
        if self.line_breaks and "<" in text:
            text = _LINE_BREAK.sub(" ", text)
        if text.isascii():
            return text.lower() if self.lowercase else text
        # What Python's version of Unicode leaves as it is, an older one does too.
        if not unicodedata.is_normalized("NFC", text):
            text = "".join(_nfc(part) if composes else part for part, composes in _runs(text))
        return text.translate(lower_case()) if self.lowercase else text

    def align(self, text: str) -> tuple[str, list[Span]]:
        """The normalized text, and the part of the text that each of its characters stands for.

        That of a letter that was joined with accents is the letter without them, and that of a space for a
        line break of HTML is its last character.
        """
        spans = [(place, place + 1) for place in range(len(text))]
        if self.line_breaks and "<" in text:
            kept: list[Span] = []
            end = 0
            for match in _LINE_BREAK.finditer(text):
                kept += [*spans[end : match.start()], spans[match.end() - 1]]
                end = match.end()
            spans = kept + spans[end:]
            text = _LINE_BREAK.sub(" ", text)
        if not text.isascii():
            text, spans = _align_nfc(text, spans)
        if not self.lowercase:
            return text, spans
        lowered = [lower_case().get(ord(character), character) for character in text]
        spans = [span for span, lower in zip(spans, lowered, strict=True) for _ in lower]
        return "".join(lowered), spans


@cache
def _composing() -> ClassTable:
    return ClassTable({"composing": "c"}, "-", {})


def _runs(text: str) -> Iterator[tuple[str, bool]]:
    """The parts of a text, and of each whether it is a run of characters that NFC may change."""
    end = 0
    for match in _RUN.finditer(text.translate(_composing())):
        yield text[end : match.start()], False
        yield text[match.start() : match.end()], True
        end = match.end()
    yield text[end:], False


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _align_nfc(text: str, spans: list[Span]) -> tuple[str, list[Span]]:
    """NFC of a text. A character stands where the first one that it was made of stood."""
    composed: list[str] = []
    kept: list[Span] = []
    start = 0
    for part, composes in _runs(text):
        place = start
        for character, added in _compose(part) if composes else ((character, 0) for character in part):
            composed.append(character)
            if added > 0:  # it was a part of the character before this place
                kept.append(spans[place - 1])
            else:
                kept.append(spans[place])
                place += 1 - added
        start += len(part)
    return "".join(composed), kept


def _compose(run: str) -> Iterator[tuple[str, int]]:
    """NFC of a run, see annex 15 of Unicode: each character, and how many more it is than were there before.

    That is 0 for a character that took the place of another one, 1 for a character that one was decomposed
    into behind its first, and -1 for one that was made of two.
    """
    parts: list[tuple[str, int]] = []
    for character in run:
        decomposed = unicodedata.normalize("NFD", character)
        parts += [(part, int(number > 0)) for number, part in enumerate(decomposed)]
    parts = _ordered(parts)
    done: list[tuple[str, int]] = []
    starter = -1  # the place of the last one
    before = -1  # the combining class of the character before, -1 for a starter
    for part, added in parts:
        combining = unicodedata.combining(part)
        if starter >= 0 and before < combining:
            joined = _nfc(done[starter][0] + part)
            if len(joined) == 1:
                done[starter] = joined, done[starter][1] + added - 1
                continue
        starter, before = (starter, combining) if combining else (len(done), -1)
        done.append((part, added))
    yield from done


def _ordered(parts: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Marks in the order of their combining classes."""
    ordered: list[tuple[str, int]] = []
    marks: list[tuple[str, int]] = []
    for part in parts:
        if unicodedata.combining(part[0]):
            marks.append(part)
        else:
            ordered += [*sorted(marks, key=lambda mark: unicodedata.combining(mark[0])), part]
            marks = []
    return ordered + sorted(marks, key=lambda mark: unicodedata.combining(mark[0]))
