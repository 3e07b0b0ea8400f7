"""Batches: which rows go together, and how their ids become tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, TypeVar

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from torch.utils.data import Dataset, DistributedSampler

from nlp_rnn.data.vocabulary import BOS, EOS, PAD
from nlp_rnn.errors import UsageError
from nlp_rnn.settings import Range, Seed, Settings

# In training, rows whose second lengths differ by less than this may share a batch. Larger ones pad more; 1
# learns worse: on Multi30k, three epochs, a validation loss of 3.19, without any limit 3.09.
_MIXED = 8

IGNORED = -100
"""The target value that no loss and no metric counts."""

BatchSize = Annotated[int, Range(1, 1_000_000)]

BatchType = TypeVar("BatchType", bound="Batch")


@dataclass(frozen=True)
class Batching(Settings):
    """How rows are put together.

    Args:
        size: most sequences in a batch.
        max_tokens: most tokens in a batch of at most `size`, on its longer side and with padding, marks of
            beginning and end not counted; no limit if left out. A row
            longer than that is a batch by itself.
        num_workers: processes that prepare batches beside the main one.
        seed: of the order of the rows, which is another in each epoch.
    """

    size: BatchSize = 64
    max_tokens: Annotated[int, Range(1, 1_000_000_000)] | None = None
    num_workers: Annotated[int, Range(0, 256)] = 0
    seed: Seed = 0


@dataclass
class Batch:
    """Tensors of one step; time-major, [T, B].

    Names that end in `lengths` stay on the CPU, where the recurrent layers want them.
    """

    rows: list[int]
    """[B], which rows of the split these are."""
    lengths: Tensor
    """[B] int64, how long each sequence is that the model reads."""
    labels: Tensor | None = field(default=None, kw_only=True)
    """int64, what the model must say, `IGNORED` where nothing is scored: [B], or [T, B] if in step."""

    def __len__(self) -> int:
        return len(self.rows)

    def all_lengths(self) -> dict[str, Tensor]:
        """The lengths of all that is padded, by field."""
        names = [item.name for item in fields(self) if item.name.endswith("lengths")]
        found = {name: getattr(self, name) for name in names}
        return {name: lengths for name, lengths in found.items() if lengths is not None and len(lengths)}

    def to(self: BatchType, device: torch.device | str, non_blocking: bool = False) -> BatchType:
        """The batch on another device."""
        moved: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, Tensor) and not item.name.endswith("lengths"):
                value = value.to(device, non_blocking=non_blocking)
            moved[item.name] = value
        return type(self)(**moved)


def pad(sequences: Sequence[Sequence[int] | np.ndarray], value: int = 0) -> tuple[Tensor, Tensor]:
    """Put sequences side by side: [T, B] int64 filled up with `value`, and their lengths [B]."""
    lengths = [len(sequence) for sequence in sequences]
    padded = np.full((max(lengths, default=0), len(sequences)), value, dtype=np.int64)
    for column, sequence in enumerate(sequences):
        padded[: lengths[column], column] = sequence
    return torch.from_numpy(padded), torch.tensor(lengths, dtype=torch.int64)


def shift_targets(sequences: Sequence[Sequence[int] | np.ndarray]) -> tuple[Tensor, Tensor, Tensor]:
    """What a decoder is shown and what it must say: the one place where targets are shifted.

    Returns:
        [T, B] int64 the beginning and the ids, padded with 0; [T, B] int64 the ids and the end, then
        `IGNORED`; [B] their lengths, the mark of beginning or end counted.
    """
    ids, ends = pad(sequences, IGNORED)
    first = torch.full((1, len(ends)), BOS)
    shown = torch.cat([first, ids.masked_fill(ids == IGNORED, PAD)])
    labels = torch.cat([ids, torch.full_like(first, IGNORED)]).scatter(0, ends[None], EOS)
    return shown, labels, ends + 1


class Rows(Dataset):
    """Encoded rows, taken out a batch at a time: a list of indices in, a column of lists each out."""

    def __init__(self, table: pa.Table) -> None:
        self._length = len(table)
        self._lists: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self._others: dict[str, pa.Array] = {}
        for name in table.column_names:
            column = table[name].combine_chunks()
            if pa.types.is_list(column.type) and pa.types.is_primitive(column.type.value_type):
                # Not `to_numpy`, which imports pandas: half a second.
                self._lists[name] = (np.from_dlpack(column.values), np.from_dlpack(column.offsets))
            else:
                self._others[name] = column

    def __len__(self) -> int:
        return self._length

    def lengths(self, name: str) -> np.ndarray:
        """[N] lengths of a column of ids or numbers."""
        return np.diff(self._lists[name][1])

    def __getitem__(self, indices: list[int]) -> dict[str, list[Any]]:
        taken: dict[str, list[Any]] = {"row": indices}
        for name, (values, offsets) in self._lists.items():
            taken[name] = [values[offsets[i] : offsets[i + 1]] for i in indices]
        for name, column in self._others.items():
            taken[name] = column.take(pa.array(indices, pa.int64())).to_pylist()
        return taken


class LengthGroupedSampler(DistributedSampler):
    """Yields whole batches (lists of row numbers) of rows of equal, or nearly equal, length.

    Sorting by length first is what spares a recurrent model most padding. Ties fall in a new random order
    each epoch, and so do the batches; both are a function of seed and epoch alone. With several processes
    each takes its share of the batches: in training all take equally many (some batches twice, if need
    be), in evaluation each row is seen exactly once.

    Args:
        lengths: [N, K], the lengths that matter, the one that must not be padded first.
        batching: sizes and seed.
        shuffle: whether this is training.
        rank, world_size: this process, and of how many.
    """

    # A DistributedSampler by name, so that Lightning neither replaces it nor forgets to tell it the epoch.
    def __init__(
        self, lengths: np.ndarray, batching: Batching, shuffle: bool, rank: int = 0, world_size: int = 1
    ) -> None:
        self.lengths = lengths
        self.batching = batching
        self.shuffle = shuffle
        self.rank = rank
        self.num_replicas = world_size
        self.seed = batching.seed
        self.epoch = 0
        self._groups = lengths.copy()
        if shuffle:
            # Sorted to the token, each batch would pull the model to a target length of its own.
            self._groups[:, 1:] = -(-lengths[:, 1:] // _MIXED) * _MIXED
        elif world_size > max(1, len(lengths)):
            raise UsageError(f"a split of {len(lengths)} rows cannot be shared by {world_size} devices")
        # Where batches end in the sorted rows: the same each epoch, whatever the order of ties.
        order = np.lexsort(self._groups.T[::-1])
        self._ends = self._cut(self._groups[order])
        if (
            not shuffle and 0 < len(self._ends) < world_size
        ):  # none may stand idle: the others would wait for it
            self._ends = [len(lengths) * (rank + 1) // world_size for rank in range(world_size)]

    def _cut(self, lengths: np.ndarray) -> list[int]:
        size, max_tokens = self.batching.size, self.batching.max_tokens
        ends: list[int] = []
        start = longest = 0
        firsts, most = lengths[:, 0].tolist(), lengths.max(axis=1, initial=1).tolist()
        for at in range(len(firsts)):
            count = at - start
            longest = max(longest, most[at])
            full = count == size
            over = max_tokens is not None and (count + 1) * longest > max_tokens
            # At least half full and all of one length so far: rather a smaller batch than a padded one.
            even = count * 2 >= size and firsts[start] == firsts[at - 1] != firsts[at]
            if count and (full or over or even):
                ends.append(at)
                start, longest = at, most[at]
        return [*ends, len(firsts)] if firsts else []

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        if self.shuffle:
            return -(-len(self._ends) // self.num_replicas)
        return len(range(self.rank, len(self._ends), self.num_replicas))

    def __iter__(self) -> Iterator[list[int]]:
        random = np.random.default_rng((self.seed, self.epoch))
        ties = random.permutation(len(self.lengths)) if self.shuffle else np.arange(len(self.lengths))
        order = np.lexsort((ties, *self._groups.T[::-1]))
        batches = np.split(order, self._ends[:-1]) if self._ends else []
        if self.shuffle:
            batches = [batches[i] for i in random.permutation(len(batches))]
            short = -len(batches) % self.num_replicas
            batches += [batches[i % len(batches)] for i in range(short)]
        else:
            batches = batches[::-1]  # the largest first: what does not fit into memory fails at once
        for batch in batches[self.rank :: self.num_replicas]:
            yield batch.tolist()
