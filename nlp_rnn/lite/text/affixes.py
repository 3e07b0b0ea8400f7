"""Prefixes and suffixes of words as ids, by a hash: any word has some, also one that a vocabulary lacks.

The hash is FNV-1a with 32 bits over UTF-8 (Fowler, Noll and Vo), which is a line in any language of
programming, so that exported models compute it too.
"""

from __future__ import annotations

from collections.abc import Sequence

MAX_AFFIX = 16
"""The most letters of an affix."""
MAX_BUCKETS = 2**24
"""The most ids per kind of affix."""


def fnv1a(text: str) -> int:
    """The FNV-1a hash of a text's UTF-8, from 0 to 2**32 - 1."""
    value = 0x811C9DC5
    for byte in text.encode():
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def affix_ids(word: str, sizes: Sequence[int], buckets: int) -> list[int]:
    """The ids of a word's affixes.

    Args:
        word: as the vocabulary writes it, such as in lower case. One shorter than an affix is that affix.
        sizes: the number of characters (code points) of each affix; below 0 of a suffix.
        buckets: the number of ids of each kind of affix.

    Returns:
        Of the affix at place n, `n * buckets` plus the remainder of its hash by `buckets`.
    """
    affixes = (word[:size] if size > 0 else word[size:] for size in sizes)
    return [place * buckets + fnv1a(affix) % buckets for place, affix in enumerate(affixes)]
