"""Tables of Unicode as the tokenizers library has it, for the C file to split texts as it does."""

from __future__ import annotations

import numpy as np

from nlp_rnn.export.c.source import array, ranges
from nlp_rnn.lite.text import characters


def _in_set(name: str) -> list[str]:
    """The ranges of a set in `nlp_rnn.lite.text.characters`."""
    firsts, ends = characters.ranges(name)
    return [f"{{0x{first:X}, 0x{end - 1:X}}}" for first, end in zip(firsts, ends, strict=True)]


def _lower_case() -> list[str]:
    """{character, its lower case, the second character of that or 0}, of all but ASCII that change."""
    rows = []
    for code, text in sorted(characters.lower_case().items()):
        if code >= 128:
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
    blank = np.array([code for code in range(0x110000) if chr(code).isspace()])
    sets = {"nlp_spaces": "space", "nlp_digits": "digit", "nlp_word_characters": "word"} if words else {}
    tables = {"nlp_blank": ranges(blank)} | {name: _in_set(written) for name, written in sets.items()}
    return [array("uint32_t", name, rows, "][2") for name, rows in tables.items()]


def lower_case() -> str:
    """The definition of the table of lower case."""
    return array("uint32_t", "nlp_lower_table", _lower_case(), "][3")
