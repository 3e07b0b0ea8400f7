from dataclasses import dataclass, replace

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nlp_rnn.data.batching import IGNORED, Batch, pad


@settings(deadline=None)
@given(
    st.lists(st.lists(st.integers(-100, 2**31 - 1), max_size=7), max_size=5),
    st.sampled_from([0, IGNORED]),
    st.sampled_from([list, np.array]),
)
def test_pad(sequences, value, kind):
    padded, lengths = pad([kind(sequence) for sequence in sequences], value)
    longest = max(map(len, sequences), default=0)
    assert padded.shape == (longest, len(sequences))
    assert padded.dtype == lengths.dtype == torch.int64
    assert lengths.tolist() == [len(sequence) for sequence in sequences]
    for column, sequence in zip(padded.t().tolist(), sequences, strict=True):
        assert column == sequence + [value] * (longest - len(sequence))


def test_padded_tensors_are_contiguous():
    assert pad([[1, 2], [3]])[0].is_contiguous()


@dataclass
class PairBatch(Batch):
    ids: Tensor
    word_lengths: Tensor
    texts: list[str] | None = None


def test_batches_move_but_for_their_lengths():
    batch = PairBatch([4, 2], torch.tensor([2, 1]), torch.zeros(2, 2), torch.tensor([5, 1]), ["a", "b"])
    moved = batch.to("meta")
    assert type(moved) is PairBatch
    assert moved.ids.device.type == "meta"
    assert moved.lengths is batch.lengths
    assert moved.word_lengths is batch.word_lengths
    assert (moved.rows, moved.texts, moved.labels) == ([4, 2], ["a", "b"], None)
    assert replace(moved, labels=torch.zeros(2)).to("meta").labels.device.type == "meta"
    assert len(batch) == len(moved) == 2
    assert batch.ids.device.type == "cpu"
