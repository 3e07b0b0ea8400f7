"""Sentences as strings of characters, for a language model that reads a word within its sentence.

A sentence is its words with one space between them, whatever stood between them in a text. So a list of words
and a text are read alike, in training and after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from .batches import pad
from .tokenizer_format import BOS


class Strings(NamedTuple):
    """The characters of a batch of sentences, and where the words are in them; arrays or tensors, int64."""

    ids: Any
    """[C, B]: BOS and the ids of the characters, padded with 0."""
    lengths: Any
    """[B]: how many of them a sentence has, BOS included."""
    firsts: Any
    """[T, B]: the place of the first character of each word; that behind the one before if it has none."""
    lasts: Any
    """[T, B]: the place of the last character of each word; that of the one before it if it has none."""


def lay_out(rows: Mapping[str, list[Any]], space: int) -> Strings:
    """Put the words of each row one behind the other.

    Args:
        rows: encoded rows with `string_ids`, the ids of the characters of all words, and `string_counts`, how
            many each word has.
        space: the id of a space.
    """
    sentences, firsts, lasts = [], [], []
    for flat, counts in zip(rows["string_ids"], rows["string_counts"], strict=True):
        letters = iter(np.asarray(flat).tolist())
        ids, starts, ends = [BOS], [], []
        for place, count in enumerate(counts):
            ids += [space] if place else []
            starts.append(len(ids))
            ids += islice(letters, int(count))
            ends.append(len(ids) - 1)
        sentences.append(ids)
        firsts.append(starts)
        lasts.append(ends)
    return Strings(*pad(sentences), pad(firsts)[0], pad(lasts)[0])
