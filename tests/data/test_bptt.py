"""Running text: each position once, by streams of equal length, starting elsewhere in each epoch.

That each token of a corpus is predicted once is tested with `LanguageModelingData`.
"""

import numpy as np
import pyarrow as pa
import pytest

from nlp_rnn.data import Batching
from nlp_rnn.data.bptt import RunningText, StreamSampler, Window
from nlp_rnn.data.rows import Rows
from nlp_rnn.data.vocabulary import BOS


def test_rows_are_joined_with_bos_and_the_text_is_circular():
    text = RunningText(Rows(pa.table({"token_ids": [[5, 6], [7]], "characters": [3, 2]})))
    assert len(text) == 5
    item = text[Window(True, np.array([0, 3]), np.array([3, 2]), 3)]
    assert item["span"].T.tolist() == [[BOS, 5, 6, BOS], [BOS, 7, BOS, 5]]
    assert item["lengths"].tolist() == [3, 2]
    assert item["characters"].tolist() == [3, 2]  # of the rows whose EOS is predicted within the lengths
    assert item["fresh"]


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_streams_share_all_positions(world_size):
    positions = []
    for rank in range(world_size):
        windows = list(StreamSampler(100, 7, Batching(4), True, rank, world_size))
        assert [window.fresh for window in windows] == [True] + [False] * (len(windows) - 1)
        for window in windows:
            assert len(window.starts) == len(window.lengths) <= 4
            for start, length in zip(window.starts, window.lengths, strict=True):
                positions += [position % 100 for position in range(start, start + length)]
    assert sorted(positions) == list(range(100))


def test_a_short_text_has_fewer_streams():
    (window, *_) = StreamSampler(20, 7, Batching(4), True)
    assert len(window.starts) == 2
    (window,) = StreamSampler(3, 7, Batching(4), False)
    assert window.lengths.tolist() == [3]


def test_each_epoch_starts_at_another_offset():
    sampler = StreamSampler(1000, 7, Batching(4), True)
    starts = []
    for epoch in (0, 0, 1):
        sampler.set_epoch(epoch)
        starts.append(next(iter(sampler)).starts.tolist())
    assert starts[0] == starts[1] != starts[2]
    assert next(iter(StreamSampler(1000, 7, Batching(4), False))).starts[0] == 0
