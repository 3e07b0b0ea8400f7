"""BPE-dropout: rows of subwords that are segmented anew in each epoch (Provilkov et al. 2020)."""

from __future__ import annotations

import json
import string
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch.utils.data import Dataset
from typing_extensions import override

from nlp_rnn.data.batching import Batching
from nlp_rnn.data.rows import Rows
from nlp_rnn.data.sampling import RowNumbers
from nlp_rnn.data.vocabulary import Vocabulary
from nlp_rnn.errors import UsageError
from nlp_rnn.lite.text.subwords import pairs
from nlp_rnn.lite.text.tokenizer import SUBWORD_SPACE

_STEP = 0x9E3779B97F4A7C15  # odd, so that multiples are different numbers of 64 bits
_PLACE = np.uint64(0xD1B54A32D192ED03)


def check_subwords(vocabularies: Mapping[str, Vocabulary]) -> None:
    """Refuse dropout of subwords where there are none.

    Args:
        vocabularies: of the columns of ids, by the name of the column.

    Raises:
        UsageError: the task has no such column, or one is of words or characters.
    """
    if not vocabularies:
        raise UsageError("batching.subword_dropout is for texts of subwords, which this task does not read")
    for vocabulary in vocabularies.values():
        if vocabulary.level != "bpe":
            raise UsageError(
                f"batching.subword_dropout is for vocabulary.level bpe, not {vocabulary.level}: leave it out"
            )


class ResegmentedRows(Dataset[dict[str, list[Any]]]):
    """Rows whose subwords are drawn anew in each epoch, by seed, epoch and row number alone.

    Args:
        rows: encoded rows.
        vocabularies: of the columns of ids that are drawn anew.
        batching: with the probability and the seed.
        max_length: maximum number of tokens; the rest is cut off.
    """

    def __init__(
        self, rows: Rows, vocabularies: Mapping[str, Vocabulary], batching: Batching, max_length: int
    ) -> None:
        check_subwords(vocabularies)
        self._rows = rows
        self._seed = batching.seed
        self._max_length = max_length
        self._columns = {
            name: SubwordDropout(vocabulary, batching.subword_dropout)
            for name, vocabulary in vocabularies.items()
        }

    @override
    def __getitem__(self, numbers: RowNumbers) -> dict[str, list[Any]]:
        columns = self._rows[numbers]
        rows = np.array(columns["row"], np.uint64)
        for place, (name, dropout) in enumerate(self._columns.items()):
            (base,) = np.random.SeedSequence((self._seed, numbers.epoch, place)).generate_state(1, np.uint64)
            drawn = dropout.draw(columns[name], mix(base + rows))
            columns[name] = [ids[: self._max_length] for ids in drawn]
        return columns


class SubwordDropout:
    """Splits rows of subwords into characters, and merges them again with some merges left out at random.

    In a piece of text, such as a word, each possible merge is left out with the probability, all others
    compete, and the one that was found first in training is made. This is repeated until none is left. The
    pieces of all rows are merged at the same time, so that a step of all is a few operations on arrays.

    Random numbers are hashes of the key of the row, of the step and of the place in the row: so a row does
    not depend on the other rows of its batch.

    Args:
        vocabulary: of subwords.
        probability: of leaving out a merge. At 0 the ids are those of the vocabulary itself.
    """

    def __init__(self, vocabulary: Vocabulary, probability: float) -> None:
        model = json.loads(vocabulary.to_json())["model"]
        ids: dict[str, int] = model["vocab"]
        self._size = len(ids)
        self._threshold = np.uint64(int(probability * 2**64))
        split = [[id] for id in range(self._size)]
        ranked: dict[int, tuple[int, int]] = {}  # both ids as one number, to rank and id
        for rank, (first, second) in enumerate(pairs(model.get("merges"))):
            made = ids[first + second]
            split[made] = split[ids[first]] + split[ids[second]]
            ranked[ids[first] * self._size + ids[second]] = rank, made
        self._counts = np.array([len(characters) for characters in split])
        self._starts = np.cumsum(self._counts) - self._counts
        self._characters = np.concatenate(split)
        self._pairs = np.array([*sorted(ranked), 1 << 62])  # a last one, which is no pair
        found = [ranked[pair] for pair in sorted(ranked)]
        self._ranks = np.array([rank for rank, _ in found], np.int64)
        self._made = np.array([made for _, made in found], np.int64)
        self._is_space = np.array([token.startswith(SUBWORD_SPACE) for token in vocabulary.tokens()])
        self._is_alone = np.array([_is_punctuation(token) for token in vocabulary.tokens()])

    def draw(self, rows: Sequence[np.ndarray], keys: np.ndarray) -> list[np.ndarray]:
        """Segment rows anew.

        Args:
            rows: B rows of ids; the characters that they are made of stay the same.
            keys: [B] uint64, what the random numbers of each row depend on.

        Returns:
            B rows of ids.
        """
        tokens = np.concatenate([*rows, np.zeros(0, np.int32)]).astype(np.int64)
        counts = self._counts[tokens]
        ends = np.cumsum(counts)
        symbols = self._characters[
            np.repeat(self._starts[tokens] - (ends - counts), counts)
            + np.arange(ends[-1] if len(ends) else 0)
        ]
        row = np.repeat(np.repeat(np.arange(len(rows)), [len(ids) for ids in rows]), counts)
        sizes = np.bincount(row, minlength=len(rows))
        place = np.arange(len(row)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        begins = self._is_space[symbols] | self._is_alone[symbols] | (place == 0)
        begins[1:] |= self._is_alone[symbols[:-1]]
        kept = self._merge(symbols, np.cumsum(begins), keys[row] + place.astype(np.uint64) * _PLACE)
        drawn = symbols[kept].astype(np.int32)
        ends = np.cumsum(np.bincount(row[kept], minlength=len(rows)))
        return np.split(drawn, ends[:-1])[: len(rows)]

    def _merge(self, symbols: np.ndarray, piece: np.ndarray, keys: np.ndarray) -> np.ndarray:
        """Merge symbols [N], in place, within their pieces [N]; says of each if it is left [N]."""
        kept = np.ones(len(symbols), bool)
        live = np.arange(len(symbols))  # of the pieces that are not finished
        steps = 0
        while len(live) > 1:
            left, right = live[:-1], live[1:]
            numbers = symbols[left] * self._size + symbols[right]
            found = np.searchsorted(self._pairs, numbers)
            possible = np.flatnonzero((self._pairs[found] == numbers) & (piece[left] == piece[right]))
            steps += 1
            step = np.uint64(steps * _STEP % 2**64)
            possible = possible[mix(keys[left[possible]] + step) >= self._threshold]
            if not len(possible):
                break
            pieces = piece[left[possible]]
            firsts = np.flatnonzero(np.diff(pieces, prepend=-1))  # where the merges of each piece begin
            # The merge of the lowest rank, and of equal ones the leftmost.
            order = self._ranks[found[possible]] << 32 | np.arange(len(possible))
            best = possible[np.minimum.reduceat(order, firsts) & 0xFFFFFFFF]
            symbols[left[best]] = self._made[found[best]]
            kept[right[best]] = False
            is_merged = np.zeros(piece[-1] + 1, bool)
            is_merged[pieces] = True
            live = live[kept[live] & is_merged[piece[live]]]
        return kept


def _is_punctuation(token: str) -> bool:
    """Whether a token is a punctuation mark, which is a piece by itself."""
    return len(token) == 1 and (token in string.punctuation or unicodedata.category(token).startswith("P"))


def mix(values: np.ndarray) -> np.ndarray:
    """Hash numbers of 64 bits (the finalizer of SplitMix64, Steele et al. 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = values ^ (values >> np.uint64(31))
    return mixed
