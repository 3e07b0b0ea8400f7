"""A sequence's values are the same alone and among longer sequences, and padding is not read."""

import itertools

import pytest
import torch
from torch import nn

from nlp_rnn.models.layers.cells import CELLS
from nlp_rnn.models.layers.quantization import quantize
from nlp_rnn.models.regressor import Regressor, match_dtype

LENGTHS = torch.tensor([4, 0, 7, 1, 7])


@pytest.mark.parametrize(("cell", "depth"), itertools.product(CELLS, (1, 2)))
def test_a_sequence_alone_equals_itself_in_a_batch(cell, depth):
    model = Regressor(6, 2, 5, depth, 0.5, cell).eval()
    vectors = torch.randn(7, 5, 6)
    together = model(vectors, LENGTHS)
    assert together.shape == (5, 2)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = model(vectors[:length, row : row + 1])
        torch.testing.assert_close(together[row], alone[0], atol=1e-6, rtol=0)
    vectors[LENGTHS[0] :, 0] = 1e3
    assert torch.equal(model(vectors, LENGTHS), together)


def test_an_empty_sequence_is_answered_from_a_state_of_zeros():
    model = Regressor(6, 2, 5, 1, 0.0).eval()
    assert torch.equal(model(torch.randn(3, 1, 6), torch.tensor([0]))[0], model.fc_out.bias)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_vectors_are_converted_to_the_dtype_of_the_weights(dtype):
    vectors = torch.randn(3, 2, 6, dtype=torch.float64)
    assert match_dtype(nn.Linear(6, 2).to(dtype), vectors).dtype == dtype
    assert Regressor(6, 2, 5, 1, 0.0).to(dtype)(vectors).dtype == dtype


def test_a_layer_without_float_weights_leaves_vectors_as_they_are():
    vectors = torch.randn(3, 2, 6, dtype=torch.float64)
    assert match_dtype(nn.Identity(), vectors) is vectors


def test_int8_weights_read_vectors_of_any_dtype():
    model = Regressor(6, 2, 5, 1, 0.0).eval()
    vectors = torch.randn(3, 2, 6, dtype=torch.float64)
    expected = model(vectors)
    torch.testing.assert_close(quantize(model)(vectors), expected, atol=0.05, rtol=0)


@pytest.mark.parametrize("cell", CELLS)
def test_nan_behind_an_end_reaches_neither_answers_nor_gradients(cell):
    model = Regressor(3, 2, 5, 2, 0.0, cell)
    vectors = torch.randn(6, 2, 3)
    expected = model(vectors[:2], torch.tensor([2, 1]))
    vectors[2:, 0] = vectors[1:, 1] = torch.nan
    found = model(vectors, torch.tensor([2, 1]))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    found.sum().backward()
    assert all(weight.grad.isfinite().all() for weight in model.parameters())
