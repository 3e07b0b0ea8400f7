"""Word vectors in the formats of GloVe, fastText and word2vec: read for a vocabulary, and written."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nlp_rnn.data.corpus.text import compressing
from nlp_rnn.data.vector_files import (
    VectorReader,
    check_size,
    is_fasttext_model,
    load_fasttext,
    open_vectors,
)
from nlp_rnn.data.vocabulary import PAD, SPECIALS
from nlp_rnn.files import atomic_write, shorten

log = logging.getLogger(__name__)

RANKS = ("as written", "in lower case", "normalized", "by their subwords")
"""The ways in which a word is found, best first."""

_BY_SUBWORDS = len(RANKS) - 1


@dataclass(frozen=True)
class FoundVectors:
    """The vectors of a vocabulary that a file has.

    Args:
        matrix: [V, E] float32; rows of tokens that were not found are zero.
        ranks: [V] int8: the position in `RANKS` of the way in which each token was found; -1 for those that
            were not.
        is_word: [V] bool, whether a token is a word, rather than one for padding and the like.
    """

    matrix: np.ndarray
    ranks: np.ndarray
    is_word: np.ndarray

    @property
    def is_found(self) -> np.ndarray:
        """[V] bool."""
        return self.ranks >= 0

    def report(self) -> str:
        """How many words were found, and how, in one line."""
        ranks = self.ranks[self.is_word]
        counts = [int((ranks == rank).sum()) for rank in range(len(RANKS))]
        total, size = sum(counts), len(ranks)
        ways = ", ".join(f"{count:,} {way}" for count, way in zip(counts, RANKS, strict=True) if count)
        return f"{total:,} of {size:,} tokens found ({total / max(size, 1):.1%}" + (
            f": {ways})" if ways else ")"
        )


def find_vectors(path: str | Path, tokens: Sequence[str], size: int | None = None) -> FoundVectors:
    """Read the vectors of some tokens, in one pass and in memory for these tokens alone.

    A token takes the vector of the word that equals it; else of the first that does so in lower case; else of
    the first that does so after Unicode's NFKC normalization and case folding.
    Damaged lines are left out, with a warning that has their numbers. A fastText model (.bin) also has the
    vectors of words that it has never seen; it is read whole, by gensim.

    Args:
        path: text of GloVe, fastText (.vec) or word2vec, one word and its numbers per line, word2vec's binary
            format, or a fastText model (.bin). All but the last may be compressed (.gz, .bz2, .xz, .zst), or
            in a .zip archive. Of several files in one archive, the name of one follows:
            vectors.zip/vectors.100d.txt.
        tokens: [V], each once, as they are after the vocabulary's own normalization.
        size: the number of dimensions that the vectors must have; any if None.

    Raises:
        UsageError: the file cannot be read, has no vectors, or vectors of another size.
    """
    wanted = _Wanted(tokens)
    with open_vectors(str(path)) as (file, name):
        if is_fasttext_model(file):
            return _from_fasttext(load_fasttext(str(path), name), name, tokens, size)
        reader = VectorReader(name, file, size)
        for word, numbers in reader.entries():
            if places := wanted.places(word):
                vector = reader.vector(numbers)
                if vector is not None:
                    wanted.take(places, vector)
        reader.finish()
    assert reader.size is not None
    return wanted.found(reader.size)


def write_vectors(path: str | Path, tokens: Sequence[str], matrix: np.ndarray) -> int:
    """Write vectors in word2vec's text format, or its binary format where the path ends in .bin.

    The padding token is left out, and with a warning those tokens that this format cannot hold. With the
    ending of a compression, such as .gz or .xz, the file is compressed.

    Args:
        path: the file to write, in a folder that is made if there is none; it appears when it is complete.
        tokens: [V].
        matrix: [V, E].

    Returns:
        How many vectors were written.

    Raises:
        UsageError: the file cannot be written.
    """
    path = Path(path)
    is_binary = ".bin" in path.suffixes[-2:]
    rows, left_out = [], []
    for token, row in zip(tokens, matrix, strict=True):
        if not token or "\n" in token or (" " if is_binary else "\t") in token:
            left_out.append(token)
        elif token != SPECIALS[PAD]:
            rows.append((token, row))
    if left_out:
        log.warning(
            "%s: %d token(s) left out that cannot be written as words, such as %s",
            path, len(left_out), shorten(left_out[0]),
        )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        atomic_write(path) as temporary,
        temporary.open("wb") as file,
        compressing(file, path) as stream,
    ):
        stream.write(f"{len(rows)} {matrix.shape[1]}\n".encode())
        for token, row in rows:
            if is_binary:
                stream.write(token.encode() + b" " + row.astype("<f4").tobytes() + b"\n")
            else:
                numbers = " ".join(str(number) for number in row.astype(np.float32))
                stream.write(f"{token} {numbers}\n".encode())
    return len(rows)


def _from_fasttext(model: Any, name: str, tokens: Sequence[str], size: int | None) -> FoundVectors:
    """The vectors of tokens in a fastText model, of those that it lacks from their subwords."""
    check_size(name, model.vector_size, size)
    matrix = np.zeros((len(tokens), model.vector_size), np.float32)
    ranks = np.full(len(tokens), -1, np.int8)
    for place, token in enumerate(tokens):
        if token in model.key_to_index or token not in SPECIALS:
            with suppress(KeyError):  # not even a subword of it is known
                matrix[place] = model.get_vector(token)
                ranks[place] = 0 if token in model.key_to_index else _BY_SUBWORDS
    return FoundVectors(matrix, ranks, _are_words(tokens))


def _are_words(tokens: Sequence[str]) -> np.ndarray:
    """[V] bool."""
    return np.array([token not in SPECIALS for token in tokens], bool)


class _Wanted:
    """The tokens that are looked for, and the best vectors so far."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._ranks = np.full(len(tokens), -1, np.int8)
        self._are_words = _are_words(tokens)
        self._vectors: dict[int, np.ndarray] = {}
        self._by_key: tuple[dict[str, list[int]], ...] = tuple({} for _ in RANKS[:_BY_SUBWORDS])
        for place, token in enumerate(tokens):
            if place != PAD:
                for by_key, key in zip(self._by_key, (token, token.lower(), _normalized(token)), strict=True):
                    by_key.setdefault(key, []).append(place)

    def places(self, word: str) -> list[tuple[int, int]]:
        """Place and rank of the tokens whose vector this word's would be."""
        lower = word.lower()
        keys = (word, lower, lower if word.isascii() else _normalized(word))
        places: dict[int, int] = {}
        for rank, (by_key, key) in enumerate(zip(self._by_key, keys, strict=True)):
            for place in by_key.get(key, ()):
                if self._ranks[place] < 0 or rank < self._ranks[place]:
                    places.setdefault(place, rank)
        return list(places.items())

    def take(self, places: Sequence[tuple[int, int]], vector: np.ndarray) -> None:
        for place, rank in places:
            self._ranks[place] = rank
            self._vectors[place] = vector

    def found(self, size: int) -> FoundVectors:
        matrix = np.zeros((len(self._ranks), size), np.float32)
        for place, vector in self._vectors.items():
            matrix[place] = vector
        return FoundVectors(matrix, self._ranks, self._are_words)


def _normalized(word: str) -> str:
    return unicodedata.normalize("NFKC", word).casefold()
