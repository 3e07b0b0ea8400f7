"""Where texts can be cut so that the tokens of the pieces are the tokens of the text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from .tokenizer_format import OPTIONAL_SPACE

PARTIAL_LINE_BREAK = re.compile(rf"<(b(r({OPTIONAL_SPACE}/?)?)?)?\Z")
# The longest pending text of a stream of characters. No writing system has more than 30 accents on a letter
# (UAX 15).
MAX_PENDING = 64
# Characters that are tokenized at once: meanwhile each takes up to 300 bytes.
_AT_ONCE = 1 << 20


def is_long(text: str) -> bool:
    """Whether a text is too long to be tokenized at once."""
    return len(text) > _AT_ONCE


def groups(texts: Iterable[str]) -> Iterator[list[str]]:
    """Successive texts of at most `_AT_ONCE` characters together; a long text is by itself."""
    group: list[str] = []
    size = 0
    for text in texts:
        size += len(text)
        if group and size > _AT_ONCE:
            yield group
            group, size = [], len(text)
        group.append(text)
    if group:
        yield group


def pieces(text: str) -> Iterator[str]:
    """Cut a long text before spaces, so that the tokens of the pieces are the tokens of the text.

    A text without spaces is cut between characters, where a token may end too early.
    """
    start = 0
    while len(text) - start > _AT_ONCE:
        end = _last_cut(text, start, start + _AT_ONCE)
        yield text[start:end]
        start = end
    yield text[start:]


def _last_cut(text: str, start: int, end: int) -> int:
    """The last position between `start` and `end` at which to cut a text."""
    cut = text.rfind(" ", start + 1, end)
    while cut > start:
        partial_break = PARTIAL_LINE_BREAK.search(text, max(start, cut - MAX_PENDING), cut)
        if partial_break is None:
            return cut
        cut = text.rfind(" ", start + 1, partial_break.start())
    return next((i for i in range(end, end - MAX_PENDING, -1) if starts_new_character(text[i])), end)


def starts_new_character(character: str) -> bool:
    """Whether NFC never joins a character to the one before it: no accent, no Hangul vowel or final."""
    if not character:
        return False
    return unicodedata.category(character)[0] != "M" and not "\u1160" <= character <= "\u11ff"
