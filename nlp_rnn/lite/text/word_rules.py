"""General rules for the words of a text in which white space separates them, for any language that does so.

They hold where a corpus does not tell how its words were written in the text, and they are what
`nlp_rnn.tasks.tagging.splitting` learns to improve on where it does.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from .pieces import starts_new_character

JOINER = "z"
"""The class of a zero-width joiner, which makes one emoji of two."""

_HAS_LITERAL = re.compile(r"://|www\.|@|<3", re.IGNORECASE)
# Of bounded length where what follows may be missing, so that no text takes long.
_LITERAL = re.compile(
    r"""(?:[a-z][a-z0-9+.-]{1,15}://|www\.)[^\s<>"]*[^\s<>".,;:!?'’)\]}*…]   # URL
    |[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+                            # e-mail
    |@\w+                                                                   # mention
    |<3+(?!\w)""",
    re.IGNORECASE | re.VERBOSE,
)
# Of the classes of characters, see `character_class`.
_WORD = re.compile(
    r"""\A['’][aA]m*[aA]?m*\Z                     # a clitic by itself: 's
    |0[0mz]*(?:[.,:/'’-]0[0mz]*)*[aAmz]*       # number: 1,000.50 10:30 2024-01-05 1st
    |(?:[aA]m*\.){2,}(?![aA0])                    # abbreviation: U.S. e.g.
    |[:;=]['-]?(?:\)+|\(+|[][DPpO/\\|*])(?![aA0]) # emoticon
    |\#[aA0_][aA0_mz]*                            # hashtag
    |[aA0_][aA0_mz]*(?:(?:['’‑-]|\.(?=a))[aA0_][aA0_mz]*)*
    |R{1,2}|''                                    # flag; quotation mark of treebanks
    |([][(){}"«»„“”‚‘’'])m*                       # one by one
    |([^aA0_R])(?:\2|m)*(?:z[^aA0_R]m*)*          # ... !!! --""",
    re.VERBOSE,
)
_CLASSES = {"\u200d": JOINER, "_": "_"}


@lru_cache(2**16)
def character_class(character: str) -> str:
    """The class of a character.

    It is `A` for an upper-case letter, `a` for other letters, `0` for a digit, `m` for what belongs to the
    character before it, such as an accent, `R` for half of a flag; the character itself for all others.
    """
    if known := _CLASSES.get(character):
        return known
    category = unicodedata.category(character)
    if not starts_new_character(character) or category == "Cf" or "\U0001f3fb" <= character <= "\U0001f3ff":
        return "m"
    if category in ("Lu", "Lt"):
        return "A"
    if category[0] in "LN":
        return "a" if category[0] == "L" else "0"
    return "R" if "\U0001f1e6" <= character <= "\U0001f1ff" else character


def classes(text: str) -> str:
    """The classes of the characters of a text, of the same length."""
    return "".join(map(character_class, text))


def inside_literals(chunk: str) -> set[int]:
    """The places inside of URLs, e-mail addresses and the like, where no word ends."""
    if not _HAS_LITERAL.search(chunk):
        return set()
    return {place for match in _LITERAL.finditer(chunk) for place in range(match.start() + 1, match.end())}


def general_ends(chunk: str) -> list[int]:
    """Where the words of a text without white space end, in ascending order; the last one is its length."""
    ends: list[int] = []
    place, kinds = 0, classes(chunk)
    has_literal = _HAS_LITERAL.search(chunk) is not None
    while place < len(chunk):
        match = (_LITERAL.match(chunk, place) if has_literal else None) or _WORD.match(kinds, place)
        place = match.end() if match else place + 1
        while kinds.startswith("m", place):
            place += 1
        ends.append(place)
    return ends
