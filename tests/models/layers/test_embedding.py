"""Embedding equals torch's, and says which ids are out of range."""

import pytest
import torch
from torch import nn

from nlp_rnn.models.layers.embedding import Embedding
from nlp_rnn.models.layers.int8 import Int8Embedding


def test_it_is_torchs():
    ours, theirs = Embedding(5, 3), nn.Embedding(5, 3)
    theirs.load_state_dict(ours.state_dict())
    ids = torch.tensor([[0, 4], [2, 2]])
    assert torch.equal(ours(ids), theirs(ids))
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize("ids", [[0, 5], [-1, 4]])
@pytest.mark.parametrize("int8", [False, True])
def test_ids_out_of_range_are_named(ids, int8):
    embedding = Int8Embedding(torch.randn(5, 3)) if int8 else Embedding(5, 3)
    message = f"between 0 and 4, as the vocabulary's do, not {ids[0]} and {ids[1]}"
    with pytest.raises(ValueError, match=message):
        embedding(torch.tensor(ids))
