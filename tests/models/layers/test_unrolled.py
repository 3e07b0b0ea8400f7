"""Layers run by their equations answer as the layers themselves, and so do their gradients."""

import itertools

import pytest
import torch

from nlp_rnn.models.layers.cells import CELLS, recurrent_layer
from nlp_rnn.models.layers.unrolled import Unrolled, gates, stacked, unroll

CASES = list(itertools.product(CELLS, (False, True), (1, 2)))


def make(cell, bidirectional=False, depth=1):
    layer = recurrent_layer(cell, 5, 7, depth, 0.0, bidirectional)
    input = torch.randn(6, 3, 5)
    state = tuple(torch.randn_like(part) for part in layer.initial_state(3, input))
    return layer, input, state


def halves(found, layer):
    """The top layer's hidden states as the layer puts its outputs: [T, B, directions * H]."""
    return torch.cat(list(found["hidden"][:, -2 if layer.bidirectional else -1 :].unbind(1)), dim=-1)


def close(found, expected):
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("cell", "bidirectional", "depth"), CASES)
def test_an_unrolled_layer_equals_the_layer(cell, bidirectional, depth):
    layer, input, state = make(cell, bidirectional, depth)
    for start in (None, state):
        output, final = layer(input, start)
        close(halves(gates(layer, input, start), layer), output)
        unrolled = Unrolled(layer)
        found, ends = unrolled(input, start, torch.tensor([6, 6, 6]))
        close(found, output)
        close(unrolled.outputs(input, start), output)
        for end, expected in zip(ends, final, strict=True):
            close(end, expected)
        close(stacked(unrolled.rows)["hidden"], gates(layer, input, start)["hidden"])


def test_gradients_reach_every_step_as_the_recurrence_says():
    """Of a linear loss of the last state, back through tanh: g(t-1) = W_hh' (g(t) (1 - h(t)^2))."""
    layer, input, _ = make("rnn")
    (steps,) = unroll(layer, input)
    states = [step["hidden"] for step in steps]
    found = torch.autograd.grad(states[-1].sum(), states)
    expected = torch.ones(3, 7)
    for h, gradient in zip(reversed(states), reversed(found), strict=True):
        close(gradient, expected)
        expected = (expected * (1 - h**2)) @ layer.weight_hh_l0


def test_layers_that_cannot_be_unrolled_are_refused():
    layer, input, _ = make("gru")
    with pytest.raises(ValueError, match="one length"):
        Unrolled(layer)(input, lengths=torch.tensor([6, 5, 6]))
    with pytest.raises(ValueError, match="no steps"):
        gates(layer, input[:0])
    with pytest.raises(ValueError, match="the cell Identity has no equations to inspect"):
        gates(torch.nn.Identity(), input)
