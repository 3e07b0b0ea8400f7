"""Running text: all rows end to end, read by several streams a window at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from torch.utils.data import Dataset, DistributedSampler

from nlp_rnn.data.batching import Batching, Rows
from nlp_rnn.data.vocabulary import BOS

# An evaluation's, so that no figure depends on the size of batches: each stream begins knowing nothing.
_STREAMS = 32


class Window(NamedTuple):
    """Where some streams are."""

    fresh: bool  # whether they begin here
    starts: np.ndarray  # [B]
    lengths: np.ndarray  # [B], 0 to `width`: how far each goes
    width: int


class RunningText(Dataset):
    """The rows end to end, each behind its mark of beginning; behind the last comes the first again."""

    def __init__(self, rows: Rows) -> None:
        taken = rows[list(range(len(rows)))]
        ends = np.cumsum([len(ids) for ids in taken["token_ids"]])
        self._ids = np.insert(np.concatenate(taken["token_ids"]), np.r_[0, ends[:-1]], BOS)  # [N]
        self._characters = np.zeros(len(self._ids), np.int64)  # [N], each row's where its end is to be said
        self._characters[ends + np.arange(len(ends))] = taken["characters"]

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, window: Window) -> dict[str, Any]:
        places = (window.starts + np.arange(window.width + 1)[:, None]) % len(self._ids)  # [width + 1, B]
        inside = np.arange(window.width)[:, None] < window.lengths  # [width, B]
        return {
            "row": list(range(len(window.starts))),
            "span": self._ids[places],
            "lengths": window.lengths,
            "characters": (self._characters[places[:-1]] * inside).sum(0),
            "fresh": window.fresh,
        }


class StreamSampler(DistributedSampler):
    """Yields the windows of text that several streams share, each position once.

    In training there are `batching.size` streams a device, and they begin elsewhere each epoch, a function of
    seed and epoch alone. In evaluation their number is fixed, whatever devices share them. All devices have
    equally many windows. No stream is shorter than a window where they can be fewer.

    Args:
        total: positions in the text.
        window: steps in a window.
        batching: size and seed.
        shuffle: whether this is training.
        rank, world_size: this process, and of how many.
    """

    # A DistributedSampler by name, so that Lightning neither replaces it nor forgets to tell it the epoch.
    def __init__(
        self, total: int, window: int, batching: Batching, shuffle: bool, rank: int = 0, world_size: int = 1
    ) -> None:
        self.total = total
        self.window = window
        self.shuffle = shuffle
        self.seed = batching.seed
        self.epoch = 0
        streams = batching.size * world_size if shuffle else _STREAMS
        streams = max(world_size if shuffle else 1, min(streams, total // window))
        bounds = np.arange(streams + 1) * total // streams
        self._starts, self._ends = bounds[:-1][rank::world_size], bounds[1:][rank::world_size]
        self._longest = -(-total // streams)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self._longest // self.window)

    def __iter__(self) -> Iterator[Window]:
        offset = (
            int(np.random.default_rng((self.seed, self.epoch)).integers(self.total)) if self.shuffle else 0
        )
        for start in range(0, self._longest, self.window):
            width = min(self.window, self._longest - start)
            lengths = np.clip(self._ends - self._starts - start, 0, width)
            yield Window(start == 0, self._starts + start + offset, lengths, width)
