"""Recurrent layers with int8 weights: near the float ones, and blind to the rest of their batch."""

import itertools

import pytest
import torch

from nlp_rnn.models.layers.cells import recurrent_layer
from nlp_rnn.models.layers.quantization import quantize_layer

CELLS = ("rnn", "gru", "lstm")  # those that have int8 weights
CASES = list(itertools.product(CELLS, (False, True), (1, 2, 3)))
LENGTHS = torch.tensor([3, 6, 0, 1, 6, 4])


def pair(cell, bidirectional, depth, hidden=32):
    """A layer, and the same in int8; weights large enough for states to move far."""
    layer = recurrent_layer(cell, 16, hidden, depth, 0.0, bidirectional).eval()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-0.4, 0.4)
    return layer, quantize_layer(layer)


def start(layer, batch):
    """A state from -1 to 1, as `h` of every cell is."""
    zeros = layer.initial_state(batch, torch.zeros(1))
    return tuple(torch.rand_like(part) * 2 - 1 for part in zeros)


@pytest.mark.parametrize(("cell", "bidirectional", "depth"), CASES)
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["even", "ragged"])
@torch.no_grad()
def test_int8_layers_are_near_the_float_ones(cell, bidirectional, depth, lengths):
    layer, rounded = pair(cell, bidirectional, depth)
    input = torch.randn(6, 6, 16)
    for state in (None, start(layer, 6)):
        output, final = layer(input, state, lengths)
        near, near_final = rounded(input, state, lengths)
        torch.testing.assert_close(rounded.outputs(input, state, lengths), near, atol=0, rtol=0)
        errors = [(output - near).abs()]
        errors += [(one - other).abs() for one, other in zip(final, near_final, strict=True)]
        assert 0 < max(error.max() for error in errors) < 0.1
        assert max(error.mean() for error in errors) < 0.01
        if lengths is not None:
            behind = torch.arange(6)[:, None] >= lengths
            assert near[behind].abs().sum() == 0
            for part, began in zip(near_final, state or layer.initial_state(6, input), strict=True):
                assert torch.equal(part[:, 2], began[:, 2])


@pytest.mark.parametrize(("cell", "bidirectional", "depth"), CASES)
def test_a_sequence_alone_equals_itself_in_any_batch(cell, bidirectional, depth):
    _, layer = pair(cell, bidirectional, depth)
    state = start(layer, 6)
    # The others are far larger: a scale shared with them would show.
    input = torch.randn(6, 6, 16) * torch.tensor([1.0, 1000, 1000, 1, 0.01, 1])[:, None]
    output, final = layer(input, state, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        one = tuple(part[:, row : row + 1] for part in state)
        alone, alone_final = layer(input[:length, row : row + 1], one)
        assert torch.equal(output[:length, row], alone[:, 0])
        for part, alone_part in zip(final, alone_final, strict=True):
            assert torch.equal(part[:, row], alone_part[:, 0])


@pytest.mark.parametrize("cell", CELLS)
def test_steps_equal_the_whole_sequence(cell):
    _, layer = pair(cell, False, 2)
    input = torch.randn(5, 3, 16)
    whole, final = layer(input)
    state = layer.initial_state(3, input)
    stepwise = layer.stepwise()
    for time in range(5):
        output, state = stepwise(input[time], state)
        assert torch.equal(output, whole[time])
    assert all(torch.equal(one, other) for one, other in zip(state, final, strict=True))


@pytest.mark.parametrize("shape", [(0, 3), (4, 0), (0, 0)])
def test_empty_batches(shape):
    _, layer = pair("lstm", True, 2)
    output, state = layer(torch.zeros(*shape, 16), lengths=torch.zeros(shape[1], dtype=torch.long))
    assert output.shape == (*shape, 64)
    assert all(part.shape == (4, shape[1], 32) and not part.any() for part in state)


def test_a_bidirectional_layer_cannot_run_step_by_step():
    with pytest.raises(ValueError, match="cannot run step by step"):
        pair("gru", True, 1)[1].stepwise()
