"""The equations of each cell: the state follows from the gates that they name."""

import itertools

import pytest
import torch

from nlp_rnn.models.layers import equations
from nlp_rnn.models.layers.cells import CELLS, recurrent_layer
from nlp_rnn.models.layers.unrolled import gates

CASES = list(itertools.product(CELLS, (False, True), (1, 2)))


def make(cell, bidirectional=False, depth=1):
    layer = recurrent_layer(cell, 5, 7, depth, 0.0, bidirectional)
    input = torch.randn(6, 3, 5)
    state = tuple(torch.randn_like(part) for part in layer.initial_state(3, input))
    return layer, input, state


def close(actual, expected):
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("step", "torch_cell"),
    [
        (equations.rnn, torch.nn.RNNCell),
        (equations.gru, torch.nn.GRUCell),
        (equations.lstm, torch.nn.LSTMCell),
    ],
)
def test_a_step_equals_torchs_cell(step, torch_cell):
    cell, input = torch_cell(5, 7), torch.randn(3, 5)
    state = tuple(torch.randn(3, 7) for _ in range(2 if torch_cell is torch.nn.LSTMCell else 1))
    expected = cell(input, state if len(state) == 2 else state[0])
    found = step(input, state, list(cell.parameters()))
    if len(state) == 2:
        close(found["cell"], expected[1])
        expected = expected[0]
    close(found["hidden"], expected)


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
    top = found["hidden"][:, -2 if bidirectional else -1 :]
    close(torch.cat(list(top.unbind(1)), dim=-1), output)


@pytest.mark.parametrize(("cell", "gate"), [("lstm", "forget"), ("gru", "update"), ("minlstm", "forget")])
def test_an_open_gate_keeps_the_state(cell, gate):
    layer, input, state = make(cell)
    with torch.no_grad():
        layer.bias_ih_l0[7:14] = 50
        if cell != "gru":
            layer.bias_ih_l0[:7] = -50  # the input gate
    found = gates(layer, input, state)
    assert found[gate].min() > 0.999
    kept = found["cell" if cell == "lstm" else "hidden"]
    close(kept, state[-1].expand_as(kept))
