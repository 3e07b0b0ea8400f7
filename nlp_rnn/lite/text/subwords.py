"""Subwords by byte pair encoding (Sennrich et al. 2016)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import Any

from ..errors import UsageError
from .tokenizer_format import UNK

_MAX_KEPT = 50_000  # pieces whose ids are kept
_MAX_KEPT_LENGTH = 100  # characters


class Subwords:
    """Splits pieces of texts into subwords.

    Args:
        ids: the ids of the tokens.
        merges: pairs of tokens, the most frequent in training first: lists of two, or texts with a space
            between the two.

    Raises:
        UsageError: a pair is none, or of tokens that are none.
    """

    def __init__(self, ids: Mapping[str, int], merges: Any) -> None:
        self._ids = ids
        self._merges: dict[tuple[int, int], tuple[int, int]] = {}  # of ids, to rank and id
        for rank, (first, second) in enumerate(pairs(merges)):
            for token in (first, second, first + second):
                if token not in ids:
                    raise UsageError(
                        f"not a readable tokenizer.json: merge token {token!a:.60} out of vocabulary"
                    )
            self._merges[ids[first], ids[second]] = rank, ids[first + second]
        self._kept: dict[str, list[int]] = {}

    def encode(self, piece: str) -> list[int]:
        """The ids of a piece."""
        ids = self._kept.get(piece)
        if ids is None:
            ids = [id for id, _ in self.split(piece)]
            if len(piece) <= _MAX_KEPT_LENGTH:
                if len(self._kept) >= _MAX_KEPT:
                    self._kept.clear()
                self._kept[piece] = ids
        return ids

    def split(self, piece: str) -> list[tuple[int, int]]:
        """The ids of a piece, each with its number of characters."""
        # A queue of what can be joined, for a piece may have a million characters.
        get, merges = self._ids.get, self._merges
        ids = [get(character, UNK) for character in piece]
        size = len(ids)
        sizes = [1] * size  # 0 where one was joined to the one before it
        after, before = list(range(1, size + 1)), list(range(-1, size - 1))
        queue = [
            (merge[0], place, merge[1])
            for place, pair in enumerate(pairwise(ids))
            if (merge := merges.get(pair))
        ]
        heapify(queue)
        while queue:
            _, place, id = heappop(queue)
            if not sizes[place] or (second := after[place]) == size:
                continue
            if merges.get((ids[place], ids[second]), (0, -1))[1] != id:  # one of the two was joined meanwhile
                continue
            ids[place] = id
            sizes[place] += sizes[second]
            sizes[second] = 0
            third = after[place] = after[second]
            if third < size:
                before[third] = place
            for first, next in ((before[place], place), (place, third)):
                if first >= 0 and next < size and (merge := merges.get((ids[first], ids[next]))):
                    heappush(queue, (merge[0], first, merge[1]))
        return [(id, length) for id, length in zip(ids, sizes, strict=True) if length]


def pairs(merges: Any) -> Sequence[Sequence[str]]:
    """The merges of a `tokenizer.json` as pairs of tokens, see `Subwords`.

    Raises:
        UsageError: one is no pair.
    """
    if isinstance(merges, list):
        if all(isinstance(merge, str) for merge in merges):
            merges = [merge.split(" ") for merge in merges if not merge.startswith("#version")]
        if all(isinstance(merge, list) and [type(part) for part in merge] == [str, str] for merge in merges):
            found: Sequence[Sequence[str]] = merges
            return found
    raise UsageError("not a readable tokenizer.json: its merges are not pairs of tokens")
