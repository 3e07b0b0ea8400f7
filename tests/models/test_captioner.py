"""The caption of a vector does not depend on its batch, and is the same step by step."""

import itertools

import pytest
import torch

from nlp_rnn.models.captioner import Captioner
from nlp_rnn.models.layers.cells import CELLS

CASES = list(itertools.product(CELLS, (1, 2)))


def make(cell, layers):
    torch.manual_seed(0)
    return Captioner(9, 13, 6, 8, layers, 0.5, cell).eval()


def test_printout():
    assert repr(Captioner(64, 30, 16, 32, 2, 0.5, "gru")) == (
        "Captioner(\n"
        "  (projection): Linear(in_features=64, out_features=64, bias=True)\n"
        "  (decoder): Decoder(\n"
        "    (embedding): Embedding(30, 16)\n"
        "    (rnn): GRU(16, 32, num_layers=2, dropout=0.5)\n"
        "    (fc_out): Linear(in_features=32, out_features=30, bias=True)\n"
        "    (dropout): Dropout(p=0.5, inplace=False)\n"
        "  )\n"
        ")"
    )


@pytest.mark.parametrize(("cell", "layers"), CASES)
def test_stepwise_equals_whole(cell, layers):
    model = make(cell, layers)
    vectors, target = torch.randn(3, 9), torch.randint(13, (7, 3))
    whole = model(vectors, target)
    assert whole.shape == (7, 3, 13)
    torch.testing.assert_close(model.decoder.fc_out(model.features(vectors, target)), whole)
    state = model.start(vectors)
    assert len(state) == model.decoder.rnn.state_tensors
    assert all(part.shape == (layers, 3, 8) and part.abs().max() <= 1 for part in state)
    with torch.no_grad():
        for step in range(7):
            logits, state = model.decoder.step(target[step], state)
            torch.testing.assert_close(logits, whole[step], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("cell", "layers"), CASES)
def test_a_caption_alone_equals_itself_among_longer_ones(cell, layers):
    model = make(cell, layers)
    vectors, target, lengths = torch.randn(4, 9), torch.randint(13, (5, 4)), torch.tensor([2, 5, 1, 4])
    together = model.features(vectors, target, lengths)
    for row, length in enumerate(lengths.tolist()):
        one = slice(row, row + 1)
        alone = model.features(vectors[one], target[:length, one])
        torch.testing.assert_close(together[:length, one], alone, atol=1e-6, rtol=0)
        assert not together[length:, row].any()


@pytest.mark.parametrize(("cell", "layers"), CASES)
def test_every_layer_and_state_tensor_depends_on_the_vector(cell, layers):
    model = make(cell, layers)
    for part in model.start(torch.randn(2, 9)):
        for layer in part:
            assert not torch.allclose(layer[0], layer[1])
    model(torch.randn(2, 9), torch.randint(13, (3, 2))).sum().backward()
    assert (model.projection.weight.grad.abs().sum(1) > 0).all()
