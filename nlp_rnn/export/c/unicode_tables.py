"""Tables of Unicode as the library of tokenizers has it, for the C file to split texts as it does."""

from __future__ import annotations

from functools import cache

import numpy as np
from tokenizers import Regex, normalizers, pre_tokenizers

from nlp_rnn.export.c.source import array, ranges

_SEPARATOR = "\x00"
_CODES = np.array([code for code in range(1, 0x110000) if not 0xD800 <= code < 0xE000])


@cache
def _in_class(pattern: str) -> list[str]:
    """The ranges of the characters that a regular expression of one character matches."""
    splitter = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
    found: list[int] = []
    for start in range(0, len(_CODES), 1 << 16):
        text = "".join(map(chr, _CODES[start : start + (1 << 16)]))
        for piece, _ in splitter.pre_tokenize_str(text):
            found += map(ord, piece)
    return ranges(np.array(sorted(found)))


@cache
def _lower_case() -> list[str]:
    """{character, its lower case, the second character of that or 0}, of all but ASCII that change."""
    lower = normalizers.Lowercase().normalize_str(_SEPARATOR.join(map(chr, _CODES))).split(_SEPARATOR)
    rows = []
    for code, text in zip(_CODES.tolist(), lower, strict=True):
        if code >= 128 and text != chr(code):
            first, second = (*map(ord, text), 0)[:2]
            assert len(text) <= 2
            rows.append(f"{{0x{code:X}, 0x{first:X}, {f'0x{second:X}' if second else 0}}}")
    return rows


def classes(words: bool) -> list[str]:
    """The definitions of the tables of white space and, for words, of digits and of the characters of words.

    What is blank, and what separates given words, Python says; it knows four characters more.

    Args:
        words: whether texts are split into words.
    """
    blank = np.array([code for code in _CODES.tolist() if chr(code).isspace()])
    patterns = {"nlp_spaces": r"\s", "nlp_digits": r"\d", "nlp_word_characters": r"\w"} if words else {}
    tables = {"nlp_blank": ranges(blank)} | {name: _in_class(regex) for name, regex in patterns.items()}
    return [array("uint32_t", name, rows, "][2") for name, rows in tables.items()]


def lower_case() -> str:
    """The definition of the table of lower case."""
    return array("uint32_t", "nlp_lower_table", _lower_case(), "][3")
