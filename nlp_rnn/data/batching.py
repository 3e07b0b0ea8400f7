"""Batches: which rows go together, and how their ids become tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import datasets
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, DistributedSampler

IGNORED = -100
"""The target value that no loss and no metric counts."""

BatchType = TypeVar("BatchType", bound="Batch")


@dataclass(frozen=True)
class Batching:
    """How rows are put together.

    Args:
        size: most sequences in a batch.
        max_tokens: most positions in a batch, padding included; no limit if left out.
        num_workers: processes that prepare batches beside the main one.
        seed: of the order of the rows, which is another in each epoch.
    """

    size: int = 64
    max_tokens: int | None = None
    num_workers: int = 0
    seed: int = 0


@dataclass
class Batch:
    """Tensors of one step; time-major, [T, B].

    Names that end in `lengths` stay on the CPU, where the recurrent layers want them.
    """

    rows: list[int]
    """[B], which rows of the split these are."""
    lengths: Tensor
    """[B] int64, how long each sequence is that the model reads."""

    def __len__(self) -> int:
        return len(self.rows)

    def to(self: BatchType, device: torch.device | str, non_blocking: bool = False) -> BatchType:
        """The batch on another device."""
        moved: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Tensor) and not field.name.endswith("lengths"):
                value = value.to(device, non_blocking=non_blocking)
            moved[field.name] = value
        return type(self)(**moved)


def pad(sequences: Sequence[Sequence[int] | np.ndarray], value: int = 0) -> tuple[Tensor, Tensor]:
    """Put sequences side by side: [T, B] int64 filled up with `value`, and their lengths [B]."""
    lengths = [len(sequence) for sequence in sequences]
    padded = np.full((len(sequences), max(lengths, default=0)), value, dtype=np.int64)
    for row, sequence in enumerate(sequences):
        padded[row, : lengths[row]] = sequence
    return torch.from_numpy(padded).t().contiguous(), torch.tensor(lengths)


class Rows(Dataset):
    """Encoded rows, taken out a batch at a time: a list of indices in, a column of lists each out."""

    def __init__(self, data: datasets.Dataset) -> None:
        self._ids: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for name, feature in data.features.items():
            if isinstance(feature, datasets.List) and feature.feature.dtype.startswith("int"):
                column = data.with_format("arrow")[name][:].combine_chunks()
                self._ids[name] = (column.values.to_numpy(), column.offsets.to_numpy())
        others = [name for name in data.column_names if name not in self._ids]
        self._others = data.select_columns(others) if others else None
        self._length = len(data)

    def __len__(self) -> int:
        return self._length

    def lengths(self, name: str) -> np.ndarray:
        """[N] lengths of an id column."""
        return np.diff(self._ids[name][1])

    def __getitem__(self, indices: list[int]) -> dict[str, list[Any]]:
        taken: dict[str, list[Any]] = {"row": indices}
        for name, (values, offsets) in self._ids.items():
            taken[name] = [values[offsets[i] : offsets[i + 1]] for i in indices]
        if self._others is not None:
            taken.update(self._others[indices])
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
        # Where batches end in the sorted rows: the same each epoch, whatever the order of ties.
        order = np.lexsort(lengths.T[::-1])
        self._ends = self._cut(lengths[order])

    def _cut(self, lengths: np.ndarray) -> list[int]:
        ends: list[int] = []
        start = 0
        longest = 0
        for at, row in enumerate(lengths):
            count = at - start
            longest = max(longest, int(row.max()), 1)
            full = count == self.batching.size
            over = self.batching.max_tokens is not None and (count + 1) * longest > self.batching.max_tokens
            # At least half full and all of one length so far: rather a smaller batch than a padded one.
            even = count * 2 >= self.batching.size and lengths[start, 0] == lengths[at - 1, 0] != row[0]
            if count and (full or over or even):
                ends.append(at)
                start, longest = at, max(int(row.max()), 1)
        return [*ends, len(lengths)] if len(lengths) else []

    def padding_share(self) -> float:
        """The share of positions on the first side of all batches that hold no token."""
        lengths = np.sort(self.lengths[:, 0])
        computed = sum(
            (end - start) * int(lengths[end - 1])
            for start, end in zip([0, *self._ends], self._ends, strict=False)
        )
        return 1 - float(lengths.sum()) / computed if computed else 0.0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        if self.shuffle:
            return -(-len(self._ends) // self.num_replicas)
        return len(range(self.rank, len(self._ends), self.num_replicas))

    def __iter__(self) -> Iterator[list[int]]:
        random = np.random.default_rng((self.seed, self.epoch))
        ties = random.permutation(len(self.lengths)) if self.shuffle else np.arange(len(self.lengths))
        order = np.lexsort((ties, *self.lengths.T[::-1]))
        batches = np.split(order, self._ends[:-1]) if self._ends else []
        if self.shuffle:
            batches = [batches[i] for i in random.permutation(len(batches))]
            short = -len(batches) % self.num_replicas
            batches += [batches[i % len(batches)] for i in range(short)]
        else:
            batches = batches[::-1]  # the largest first: what does not fit into memory fails at once
        for batch in batches[self.rank :: self.num_replicas]:
            yield batch.tolist()
