"""Layers by their equations: equal to the layers themselves, and the state follows from the gates."""

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
def test_equals_the_layer(cell, bidirectional, depth):
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


@pytest.mark.parametrize(("cell", "bidirectional", "depth"), CASES)
def test_the_state_follows_from_the_gates(cell, bidirectional, depth):
    layer, input, _ = make(cell, bidirectional, depth)
    found = gates(layer, input)
    output, _ = layer(input)
    for index in range(found["hidden"].size(1)):
        backwards = bidirectional and index % 2
        own = {name: values[:, index] for name, values in found.items()}
        own = {name: values.flip(0) if backwards else values for name, values in own.items()}
        before = torch.cat([torch.zeros(1, 3, 7), own["hidden"][:-1]])
        if cell == "lstm":
            cell_before = torch.cat([torch.zeros(1, 3, 7), own["cell"][:-1]])
            close(own["forget"] * cell_before + own["input"] * own["candidate"], own["cell"])
            close(own["output"] * own["cell"].tanh(), own["hidden"])
        elif cell == "gru":
            close((1 - own["update"]) * own["candidate"] + own["update"] * before, own["hidden"])
        elif cell == "mingru":
            close((1 - own["update"]) * before + own["update"] * own["candidate"], own["hidden"])
        elif cell == "minlstm":
            close(own["forget"] * before + own["input"] * own["candidate"], own["hidden"])
            close(own["forget"] + own["input"], torch.ones(6, 3, 7))
        for name in set(found) - {"hidden", "cell", "candidate"}:
            assert 0 < own[name].min() < own[name].max() < 1
    close(halves(found, layer), output)


@pytest.mark.parametrize(("cell", "gate"), [("lstm", "forget"), ("gru", "update"), ("minlstm", "forget")])
def test_a_gate_that_is_held_open_keeps_the_state(cell, gate):
    layer, input, state = make(cell)
    with torch.no_grad():
        layer.bias_ih_l0[7:14] = 50
        if cell != "gru":
            layer.bias_ih_l0[:7] = -50  # the input gate
    found = gates(layer, input, state)
    assert found[gate].min() > 0.999
    kept = found["cell" if cell == "lstm" else "hidden"]
    close(kept, state[-1].expand_as(kept))


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


def test_refusals():
    layer, input, _ = make("gru")
    with pytest.raises(ValueError, match="one length"):
        Unrolled(layer)(input, lengths=torch.tensor([6, 5, 6]))
    with pytest.raises(ValueError, match="no steps"):
        gates(layer, input[:0])
    with pytest.raises(ValueError, match="the cell Identity has no equations to inspect"):
        gates(torch.nn.Identity(), input)
