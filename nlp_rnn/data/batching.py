"""Batches: which rows are batched together, and how their ids become tensors."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field, fields
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from torch.utils.data import Dataset, DistributedSampler, SequentialSampler
from typing_extensions import override

from nlp_rnn.data.corpus.spool import empty_array, joined_array, row_numbers
from nlp_rnn.data.labels import IGNORED as IGNORED  # also importable from here
from nlp_rnn.data.vocabulary import BOS, EOS, PAD
from nlp_rnn.data.weighting import Part, draw_parts
from nlp_rnn.lite.text import batches
from nlp_rnn.settings import Range, Seed, Settings

# In training, rows are grouped by their second lengths (such as those of the targets), rounded up to a
# multiple of this. A larger value needs more padding. 1 trains worse: after three epochs on Multi30k the
# validation loss is 3.19, against 3.09 without grouping by second length.
_BUCKET_WIDTH = 8

_ROWS_AT_ONCE = 1 << 16  # whose lengths are lists

BatchSize = Annotated[int, Range(1, 1_000_000)]

BatchType = TypeVar("BatchType", bound="Batch")
ItemType = TypeVar("ItemType")


@dataclass(frozen=True)
class Batching(Settings):
    """How rows are batched.

    Args:
        size: maximum number of sequences per batch.
        max_tokens: maximum number of tokens per batch, padding included, BOS and EOS not; for pairs of
            sequences, on the longer side. `size` still applies. A longer row is a batch by itself. No limit
            if left out.
        num_workers: number of worker processes that prepare batches.
        seed: seed of the order of the rows, which differs in each epoch.
    """

    size: BatchSize = 64
    max_tokens: Annotated[int, Range(1, 1_000_000_000)] | None = None
    num_workers: Annotated[int, Range(0, 256)] = 0
    seed: Seed = 0


@dataclass
class Batch:
    """The tensors of one batch; time-major, [T, B].

    Fields whose names end in `lengths` stay on the CPU, where the recurrent layers need them.
    """

    rows: list[int]
    """[B] row numbers within the split."""
    lengths: Tensor
    """[B] int64, lengths of the input sequences."""
    labels: Tensor | None = field(default=None, kw_only=True)
    """[B] or, with one label per step, [T, B] int64: the target ids; `IGNORED` where nothing is scored."""

    def __len__(self) -> int:
        return len(self.rows)

    def all_lengths(self) -> dict[str, Tensor]:
        """Return the lengths of all padded sequences, by field name; empty ones are left out."""
        names = [item.name for item in fields(self) if item.name.endswith("lengths")]
        tensors = {name: getattr(self, name) for name in names}
        return {name: lengths for name, lengths in tensors.items() if lengths is not None and len(lengths)}

    def to(self: BatchType, device: torch.device | str, non_blocking: bool = False) -> BatchType:
        """Return the batch with all tensors but lengths moved to a device.

        Args:
            device: the device.
            non_blocking: go on before the copy is complete, as is always done from pinned memory.
        """
        return self._map(lambda value: value.to(device, non_blocking=non_blocking or value.is_pinned()))

    def pin_memory(self: BatchType) -> BatchType:
        """Return the batch with all tensors but lengths in pinned memory; DataLoader calls this."""
        return self._map(Tensor.pin_memory)

    def _map(self: BatchType, change: Callable[[Tensor], Tensor]) -> BatchType:
        changed: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            on_device = isinstance(value, Tensor) and not item.name.endswith("lengths")
            changed[item.name] = change(value) if on_device else value
        return type(self)(**changed)


def pad(sequences: Sequence[Sequence[int] | np.ndarray], value: int = 0) -> tuple[Tensor, Tensor]:
    """Pad sequences to one length.

    Returns:
        [T, B] int64, padded with `value`; [B] int64 lengths.
    """
    padded, lengths = batches.pad(sequences, value)
    return torch.from_numpy(padded), torch.from_numpy(lengths)


def pad_vectors(flat: Sequence[np.ndarray], width: int) -> tuple[Tensor, Tensor]:
    """Pad series of vectors to one length.

    Args:
        flat: one flat array [T * C] per series, step by step.
        width: C, the numbers per step.

    Returns:
        [T, B, C] float32, padded with 0; [B] int64 lengths.
    """
    padded, lengths = batches.pad_vectors(flat, width)
    return torch.from_numpy(padded), torch.from_numpy(lengths)


def shift_targets(sequences: Sequence[Sequence[int] | np.ndarray]) -> tuple[Tensor, Tensor, Tensor]:
    """Make the input and the labels of a decoder from target ids. No other code shifts targets.

    Returns:
        [T, B] int64 input: BOS and the ids, padded with 0; [T, B] int64 labels: the ids and EOS, padded with
        `IGNORED`; [B] int64 lengths of both, with BOS or EOS.
    """
    ids, ends = pad(sequences, IGNORED)
    first = torch.full((1, len(ends)), BOS)
    inputs = torch.cat([first, ids.masked_fill(ids == IGNORED, PAD)])
    labels = torch.cat([ids, torch.full_like(first, IGNORED)]).scatter(0, ends[None], EOS)
    return inputs, labels, ends + 1


class Rows(Dataset[dict[str, list[Any]]]):
    """Encoded rows, read one batch at a time.

    Indexing takes a list of row numbers and returns columns of lists: `rows[[3, 5]]["token_ids"]` are the
    ids of rows 3 and 5. The column `row` has the row numbers.

    Args:
        table: the rows, in chunks of any size, which stay where they are.
        path: the Arrow file that the table is mapped from, if it is: other processes then open the file
            rather than get a copy of the rows.
    """

    parts: tuple[Part, ...] = ()
    """Rows of which each epoch of training has some only."""

    def __init__(self, table: pa.Table, path: Path | None = None) -> None:
        self._path = path
        self._index: np.ndarray | None = None
        batches = table.to_batches()
        self._size = len(table)
        self._starts = np.cumsum([0, *map(len, batches)])[:-1]  # of the chunks
        self._lists: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}  # values, offsets of each chunk
        self._scalars: dict[str, list[pa.Array]] = {}
        for place, (name, kind) in enumerate(zip(table.schema.names, table.schema.types, strict=True)):
            chunks = [batch.column(place) for batch in batches]
            if pa.types.is_list(kind) and pa.types.is_primitive(kind.value_type):
                # Not `to_numpy`: that imports pandas, which takes half a second.
                self._lists[name] = [
                    (np.from_dlpack(chunk.values), np.from_dlpack(chunk.offsets)) for chunk in chunks
                ]
            else:
                self._scalars[name] = chunks

    @classmethod
    def open(cls, path: Path) -> Self:
        """Map the rows of an Arrow file into memory."""
        return cls(pa.ipc.open_file(pa.memory_map(str(path))).read_all(), path)

    @override
    def __reduce__(self) -> str | tuple[Any, ...]:
        if self._path is None:
            return super().__reduce__()
        return _reopen, (type(self), self._path, self._index)

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return [*self._lists, *self._scalars]

    def __len__(self) -> int:
        return self._size if self._index is None else len(self._index)

    def repeated(self, repeats: np.ndarray) -> Rows:
        """Return these rows, each as often as `repeats` [N] says, one after another."""
        return self.select(np.repeat(np.arange(len(self)), repeats))

    def select(self, numbers: np.ndarray, parts: tuple[Part, ...] = ()) -> Rows:
        """Return the rows of these numbers, [M] int, in this order.

        Args:
            numbers: of rows, each as often as it is to occur.
            parts: those of the M rows of which each epoch of training has some only.
        """
        selected = copy(self)
        selected._index = numbers if self._index is None else self._index[numbers]
        selected.parts = parts
        return selected

    def content_hash(self) -> str:
        """Return a SHA-256 hash (hex) of the values of all columns, however they are split into chunks.

        Raises:
            ValueError: the rows are a selection.
        """
        if self._index is not None:
            raise ValueError("rows that are repeated have no hash")
        digest = hashlib.sha256(str(self._size).encode())
        for name in sorted(self.names):
            digest.update(f"\x1c{name}\x1d".encode())
            for values, offsets in self._lists.get(name, ()):
                digest.update(np.ascontiguousarray(values[offsets[0] : offsets[-1]]).tobytes())
            for _, offsets in self._lists.get(name, ()):
                digest.update(np.diff(offsets).astype(np.int64).tobytes())
            for chunk in self._scalars.get(name, ()):
                for value in chunk.to_pylist():
                    digest.update(f"{value!r}\x1e".encode(errors="surrogatepass"))
        return digest.hexdigest()

    def column(self, name: str) -> np.ndarray:
        """Return a column of numbers, one per row."""
        whole = np.concatenate([chunk.to_numpy() for chunk in self._scalars[name]] or [np.zeros(0, np.int32)])
        return whole if self._index is None else whole[self._index]

    def values(self, name: str) -> Iterator[np.ndarray]:
        """Yield the items of all lists in a column, in parts of bounded size."""
        return (values[offsets[0] : offsets[-1]] for values, offsets in self._lists[name])

    def lengths(self, name: str) -> np.ndarray:
        """Return the lengths [N] of the lists in a column, int32."""
        whole = joined_array((np.diff(offsets) for _, offsets in self._lists[name]), self._size, np.int32)
        return whole if self._index is None else whole[self._index]

    def __getitem__(self, indices: list[int]) -> dict[str, list[Any]]:
        numbers = np.asarray(indices, np.int64)
        if self._index is not None:
            numbers = self._index[numbers]
        chunks = np.searchsorted(self._starts, numbers, side="right") - 1
        places = list(zip(chunks.tolist(), (numbers - self._starts[chunks]).tolist(), strict=True))
        columns: dict[str, list[Any]] = {"row": numbers.tolist()}
        for name, parts in self._lists.items():
            columns[name] = [
                parts[chunk][0][parts[chunk][1][row] : parts[chunk][1][row + 1]] for chunk, row in places
            ]
        for name, arrays in self._scalars.items():
            columns[name] = [arrays[chunk][row].as_py() for chunk, row in places]
        return columns


def _reopen(rows: type[Rows], path: Path, index: np.ndarray | None) -> Rows:
    opened = rows.open(path)
    opened._index = index
    return opened


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
                    yield part[self.rank :: self.num_replicas].tolist()
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
