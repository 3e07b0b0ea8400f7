"""Texts to ids as a `tokenizer.json` of this package says, computed as the tokenizers library does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from .characters import ClassTable
from .normalizing import Normalizer, Span
from .subwords import Subwords
from .tokenizer_format import CHARACTER, EOS, LINE_BREAK, UNK

SUBWORD_SPACE = "▁"
"""Stands for a space in subwords."""

Token = tuple[int, int, int]
"""The id of a token, and where in the text it begins and ends."""
_Cut = Callable[[str], Iterator[Span]]

# `WORD` of `tokenizer_format`, of ASCII.
_WORD = re.compile(r"[0-9]+(?:[.,][0-9]+)*|[a-zA-Z0-9_]+(?:['\-][a-zA-Z0-9_]+)*|[^a-zA-Z0-9_\t-\r ]")
# Punctuation stands alone, and other pieces begin where a space was.
_PUNCTUATION = r"!-/:-@\[-`{-~"
_PIECE = re.compile(rf"[{_PUNCTUATION}]|[{SUBWORD_SPACE}]?[^{_PUNCTUATION}{SUBWORD_SPACE}]+|{SUBWORD_SPACE}")


class Tokenizer:
    """Encodes texts.

    Args:
        state: the object in a `tokenizer.json` that `check_tokenizer` knows.

    Raises:
        UsageError: its merges are damaged.
    """

    def __init__(self, state: Mapping[str, Any]) -> None:
        model, parts = state["model"], state["normalizer"]["normalizers"]
        self._normalizer = Normalizer(
            line_breaks=any(part.get("pattern") == {"Regex": LINE_BREAK} for part in parts),
            lowercase=any(part["type"] == "Lowercase" for part in parts),
        )
        # No text gets the ids of padding, BOS or EOS.
        self._ids = {token: id for token, id in model["vocab"].items() if id > EOS}
        self._subwords = Subwords(model["vocab"], model.get("merges")) if model["type"] == "BPE" else None
        pattern = (state.get("pre_tokenizer") or {}).get("pattern")
        self._cut: _Cut = _whole
        if pattern:
            self._cut = _characters if pattern == {"Regex": CHARACTER} else _words

    def normalize(self, text: str) -> str:
        """Normalize a text, see `Normalizer`."""
        return self._normalizer.apply(text)

    def encode(self, texts: Iterable[str]) -> list[list[int]]:
        """The ids of texts."""
        return [self._encode(self._normalizer.apply(text)) for text in texts]

    def tokens(self, text: str) -> list[Token]:
        """The tokens of a text."""
        text, spans = self._normalizer.align(text)
        found: list[Token] = []
        if self._subwords is None:
            for start, end in self._cut(text):
                found.append((self._ids.get(text[start:end], UNK), spans[start][0], spans[end - 1][1]))
            return found
        pieces = _pieces(text)
        if sum(map(len, pieces)) > len(text):  # a mark was put before it
            spans = [spans[0], *spans]
        place = 0
        for piece in pieces:
            for id, size in self._subwords.split(piece):
                found.append((id, spans[place][0], spans[place + size - 1][1]))
                place += size
        return found

    def _encode(self, text: str) -> list[int]:
        if self._subwords is not None:
            encode = self._subwords.encode
            return [id for piece in _pieces(text) for id in encode(piece)]
        get = self._ids.get
        if self._cut is _words and text.isascii():  # without the way over positions
            return [get(word, UNK) for word in _WORD.findall(text)]
        return [get(text[start:end], UNK) for start, end in self._cut(text)]


def _whole(text: str) -> Iterator[Span]:
    if text:
        yield 0, len(text)


def _characters(text: str) -> Iterator[Span]:
    return ((place, place + 1) for place in range(len(text)))


def _words(text: str) -> Iterator[Span]:
    classes = text if text.isascii() else text.translate(_word_classes())
    return (match.span() for match in _WORD.finditer(classes))


def _mark(text: str) -> str:
    """A text with the marks of subwords for spaces; a text begins with one."""
    marked = text.replace(" ", SUBWORD_SPACE)
    return marked if marked.startswith(SUBWORD_SPACE) or not marked else SUBWORD_SPACE + marked


def _pieces(text: str) -> list[str]:
    """The pieces of a marked text that are split into subwords one by one."""
    marked = _mark(text)
    if text.isascii():
        return _PIECE.findall(marked)
    classes = marked.translate(_piece_classes())
    return [marked[slice(*match.span())] for match in _PIECE.finditer(classes)]


@cache
def _word_classes() -> ClassTable:
    own = {character: character for character in map(chr, range(128))}
    return ClassTable({"digit": "0", "word": "a", "space": " "}, "!", own | {"’": "'"})


@cache
def _piece_classes() -> ClassTable:
    own = {character: character for character in (*map(chr, range(128)), SUBWORD_SPACE)}
    return ClassTable({"punctuation": "!"}, "a", own)
