"""Running text: all rows joined, and read by several streams in windows (truncated backpropagation)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from torch.utils.data import Dataset
from typing_extensions import override

from nlp_rnn.data.batching import Batching
from nlp_rnn.data.rows import Rows
from nlp_rnn.data.sampling import EpochSampler
from nlp_rnn.data.vocabulary import BOS

# The number of streams in evaluation. It is fixed so that metrics do not depend on the batch size, for each
# stream starts without context.
_EVALUATION_STREAMS = 32


class Window(NamedTuple):
    """The next steps of B streams."""

    fresh: bool  # whether the streams start here
    starts: np.ndarray  # [B] positions in the text
    lengths: np.ndarray  # [B] steps of each stream, 0 to `width`
    width: int


class RunningText(Dataset[dict[str, Any]]):
    """The rows joined, each after a BOS. The text is circular: after the last row comes the first.

    Args:
        rows: encoded rows with the columns `token_ids` and `characters`.
    """

    def __init__(self, rows: Rows) -> None:
        lengths = rows.lengths("token_ids") + 1
        ends = np.cumsum(lengths, dtype=np.int64)
        # [N] number of characters of a row, at the position where its EOS is predicted
        self._characters = np.zeros(int(ends[-1]), np.int32)
        self._characters[ends - 1] = rows.column("characters")
        self._ids = np.full(len(self._characters), BOS, np.int32)  # [N]
        is_token = np.ones(len(self._ids), bool)
        is_token[ends - lengths] = False
        self._ids[is_token] = np.concatenate(list(rows.values("token_ids")))

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, window: Window) -> dict[str, Any]:
        positions = (window.starts + np.arange(window.width + 1)[:, None]) % len(self._ids)  # [width + 1, B]
        # The text backward is a running text too: before each row the BOS that was behind it.
        inside = np.arange(window.width)[:, None] < window.lengths  # [width, B]
        return {
            "row": list(range(len(window.starts))),
            "span": self._ids[positions],
            "backward_span": self._ids[-positions],
            "lengths": window.lengths,
            "characters": (self._characters[positions[:-1]] * inside).sum(0),
            "fresh": window.fresh,
        }


class StreamSampler(EpochSampler[Window]):
    """Yields windows of a running text that several streams read in parallel; each position is read once.

    In training there are `batching.size` streams per device, and they start at other positions in each
    epoch, which depend only on seed and epoch. In evaluation the number of streams is fixed, however many
    devices share them. All devices have the same number of windows. There are fewer streams if they would
    otherwise be shorter than a window.

    Args:
        total: number of positions in the text.
        window: number of steps per window.
        batching: batch size and seed.
        shuffle: whether this is for training.
        rank: number of this process.
        world_size: number of processes.
    """

    def __init__(
        self, total: int, window: int, batching: Batching, shuffle: bool, rank: int = 0, world_size: int = 1
    ) -> None:
        self.total = total
        self.window = window
        self.shuffle = shuffle
        self.seed = batching.seed
        streams = batching.size * world_size if shuffle else _EVALUATION_STREAMS
        streams = max(world_size if shuffle else 1, min(streams, total // window))
        bounds = np.arange(streams + 1) * total // streams
        self._starts, self._ends = bounds[:-1][rank::world_size], bounds[1:][rank::world_size]
        self._longest = -(-total // streams)

    def __len__(self) -> int:
        return -(-self._longest // self.window)

    @override
    def items(self) -> Iterator[Window]:
        offset = 0
        if self.shuffle:
            offset = int(np.random.default_rng((self.seed, self.epoch)).integers(self.total))
        for start in range(0, self._longest, self.window):
            width = min(self.window, self._longest - start)
            lengths = np.clip(self._ends - self._starts - start, 0, width)
            yield Window(start == 0, self._starts + start + offset, lengths, width)
