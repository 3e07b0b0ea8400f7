"""Samplers: which rows are batched together, and in which order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import numpy as np
from torch.utils.data import DistributedSampler, SequentialSampler
from typing_extensions import override

from nlp_rnn.data.batching import Batching
from nlp_rnn.data.corpus.spool import empty_array, row_numbers
from nlp_rnn.data.labels import IGNORED as IGNORED  # also importable from here
from nlp_rnn.data.weighting import Part, draw_parts

# In training, rows are grouped by their second lengths (such as those of the targets), rounded up to a
# multiple of this. A larger value needs more padding. 1 trains worse: after three epochs on Multi30k the
# validation loss is 3.19, against 3.09 without grouping by second length.
_BUCKET_WIDTH = 8

_ROWS_AT_ONCE = 1 << 16  # whose lengths are lists

ItemType = TypeVar("ItemType")


class EpochSampler(DistributedSampler[ItemType], SequentialSampler, ABC):
    """Yields the items of an epoch in an order that depends only on its number, from any position on.

    A subclass of DistributedSampler, so that Lightning does not replace it and sets the epoch; and of
    SequentialSampler, so that it does not replace it for `overfit_batches` either.
    """

    epoch = 0
    _begun = (-1, 0)

    @override
    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def skip(self, epoch: int, items: int) -> None:
        """Leave out the first items of an epoch, which a resumed run has been trained on."""
        self.epoch = epoch
        self._begun = epoch, items

    @override
    def __iter__(self) -> Iterator[ItemType]:  # type: ignore[override]  # of SequentialSampler, of ints
        epoch, items = self._begun
        yield from islice(self.items(), items if epoch == self.epoch else 0, None)

    @abstractmethod
    def items(self) -> Iterator[ItemType]:
        """All items of the epoch."""


class RowNumbers(list[int]):
    """The numbers of the rows of a batch; in training they know their epoch, in which rows may differ."""

    def __init__(self, numbers: Iterable[int], epoch: int) -> None:
        super().__init__(numbers)
        self.epoch = epoch


class LengthGroupedSampler(EpochSampler[list[int]]):
    """Yields batches (lists of row numbers) of rows of equal, or nearly equal, length.

    Sorting by length keeps padding low. In each epoch of training, rows of equal length and whole batches
    are in a new random order, which depends only on seed and epoch.

    Each row is seen exactly once, and all processes get as many batches. In training, the rows of one
    optimizer step are planned as one large batch and dealt out to processes and accumulated batches: so the
    step does not depend on how many there are, and rows of one length cost all processes the same. In
    evaluation, processes take turns in the batches of a single process. Where rows do not suffice, a process
    gets an empty batch.

    Args:
        lengths: [N, K] lengths of each row, most important first: rows are sorted by these.
        batching: batch sizes and seed.
        shuffle: whether this is for training.
        rank: number of this process.
        world_size: number of processes.
        accumulated: number of batches per optimizer step and process, in training.
        parts: rows of which each epoch of training has some only. The batches have as many rows in each
            epoch, so that one may be longer than `max_tokens`, by what rows of nearly equal length differ.
    """

    def __init__(
        self,
        lengths: np.ndarray,
        batching: Batching,
        shuffle: bool,
        rank: int = 0,
        world_size: int = 1,
        accumulated: int = 1,
        parts: Sequence[Part] = (),
    ) -> None:
        self.lengths = lengths
        self.batching = batching
        self.shuffle = shuffle
        self.rank = rank
        self.num_replicas = world_size
        self.accumulated = accumulated
        self.seed = batching.seed
        self.parts = parts if shuffle else ()
        self._groups = lengths
        if shuffle and lengths.shape[1] > 1:
            # If sorted by exact length, each batch would train the model on targets of one length.
            self._groups = empty_array(lengths.shape, lengths.dtype)
            for start in range(0, len(lengths), _ROWS_AT_ONCE):
                part = lengths[start : start + _ROWS_AT_ONCE]
                self._groups[start : start + len(part)] = part
                self._groups[start : start + len(part), 1:] = -(-part[:, 1:] // _BUCKET_WIDTH) * _BUCKET_WIDTH
        # Where batches end in the sorted rows: the same in each epoch, for ties do not change it.
        self._ends = self._plan_batches(world_size * accumulated if shuffle else 1)

    def _plan_batches(self, parts: int) -> np.ndarray:
        """Where each batch ends in the sorted rows, if it is divided into parts."""
        size, max_tokens = self.batching.size * parts, self.batching.max_tokens
        ends = array("q")  # which take 8 bytes each
        start = longest = 0
        first = before = 0  # the lengths of the batch's first row, and of the row before
        rows = draw_parts(self._sorted(row_numbers(len(self._groups))), self.parts, None)
        for row, (length, maximum) in enumerate(_lengths_by_row(self._groups, rows)):
            count = row - start
            longest = max(longest, maximum)
            is_full = count == size
            share = -(-(count + 1) // parts)
            too_large = max_tokens is not None and share > 1 and share * longest > max_tokens
            # At least half full, and all rows of one length: a smaller batch is better than a padded one.
            length_changes = count * 2 >= size and first == before != length
            if count and (is_full or too_large or length_changes):
                ends.append(row)
                start, longest = row, maximum
            if start == row:
                first = length
            before = length
        if len(rows):
            ends.append(len(rows))
        return np.array(ends, np.int64)

    def _sorted(self, rows: np.ndarray) -> np.ndarray:
        """Sort numbers of rows by their groups, the first column first; those of equal groups stay in order.

        What `np.lexsort` gives, part by part, so that no memory is needed for each row.
        """
        for values in self._groups.T[::-1]:
            counts = np.zeros(1 + int(values.max(initial=0)), np.int64)
            for start in range(0, len(values), _ROWS_AT_ONCE):
                part = np.bincount(values[start : start + _ROWS_AT_ONCE])
                counts[: len(part)] += part
            places = np.cumsum(counts) - counts  # where the next row of each value goes
            found = empty_array(len(rows), rows.dtype)
            for start in range(0, len(rows), _ROWS_AT_ONCE):
                part = rows[start : start + _ROWS_AT_ONCE]
                keys = values[part]
                order = np.argsort(keys, kind="stable")
                keys, firsts, sizes = np.unique(keys[order], return_index=True, return_counts=True)
                found[np.repeat(places[keys] - firsts, sizes) + np.arange(len(part))] = part[order]
                places[keys] += sizes
            rows = found
        return rows

    def __len__(self) -> int:
        if self.shuffle:
            return len(self._ends) * self.accumulated
        return -(-len(self._ends) // self.num_replicas)

    @override
    def items(self) -> Iterator[list[int]]:
        random = np.random.default_rng((self.seed, self.epoch))
        rows = row_numbers(len(self.lengths))
        if self.shuffle:  # the place of each row among those of its lengths
            ties = row_numbers(len(rows))
            random.shuffle(ties)
            for start in range(0, len(ties), _ROWS_AT_ONCE):
                part = ties[start : start + _ROWS_AT_ONCE]
                rows[part] = np.arange(start, start + len(part))
            del ties
        rows = draw_parts(self._sorted(rows), self.parts, random)
        starts = np.concatenate([[0], self._ends[:-1]])
        if self.shuffle:
            for number in random.permutation(len(self._ends)):
                batch = rows[starts[number] : self._ends[number]]
                for part in np.array_split(batch, self.accumulated):
                    yield RowNumbers(part[self.rank :: self.num_replicas].tolist(), self.epoch)
            return
        # The largest first: running out of memory shows at once.
        for turn in range(self.rank, len(self) * self.num_replicas, self.num_replicas):
            number = len(self._ends) - 1 - turn
            yield rows[starts[number] : self._ends[number]].tolist() if number >= 0 else []


def _lengths_by_row(lengths: np.ndarray, rows: np.ndarray) -> Iterator[tuple[int, int]]:
    """The first and the greatest length of each of these rows of [N, K], the latter at least 1."""
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = lengths[rows[start : start + _ROWS_AT_ONCE]]
        yield from zip(part[:, 0].tolist(), part.max(axis=1, initial=1).tolist(), strict=True)
