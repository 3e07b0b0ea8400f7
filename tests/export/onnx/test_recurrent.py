"""Every cell, direction and depth as ONNX operators, against torch."""

from itertools import product

import numpy as np
import pytest
import torch

from nlp_rnn.errors import UsageError
from nlp_rnn.export.onnx.checking import start_session
from nlp_rnn.export.onnx.graph import FLOAT, INT64, Graph
from nlp_rnn.export.onnx.recurrent import CELL_GRAPHS, recurrent
from nlp_rnn.models.layers.cells import CELLS

LAYERS = list(product(CELLS, (1, 2, 3), (False, True)))
LENGTHS = torch.tensor([6, 1, 4, 0, 3])


def make_layer(cell, num_layers, bidirectional):
    layer = CELLS[cell](4, 5, num_layers=num_layers, bidirectional=bidirectional).eval()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(3)  # into the bends of sigmoid and tanh
    return layer


def compute(layer, inputs, with_lengths, with_state):
    """What ONNX Runtime computes: the output, then the tensors of the state."""
    graph = Graph("layer")
    value = graph.input("input", FLOAT, ("steps", "batch", 4))
    lengths = graph.input("lengths", INT64, ("batch",)) if with_lengths else ""
    names = [f"state_{number}" for number in range(layer.state_tensors)] if with_state else []
    state = [graph.input(name, FLOAT, (None, "batch", 5)) for name in names]
    output, states = recurrent(graph, "rnn", layer, value, lengths, state)
    for name, result in zip(("output", "first", "second"), [output, *states.stacked(graph)], strict=False):
        graph.output(name, result, FLOAT, (None, None, None))
    session = start_session(graph.model())
    return session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})


@pytest.mark.parametrize(("cell", "num_layers", "bidirectional"), LAYERS)
@pytest.mark.parametrize(("with_lengths", "with_state"), product((False, True), (False, True)))
@torch.no_grad()
def test_agrees_with_torch(cell, num_layers, bidirectional, with_lengths, with_state):
    layer = make_layer(cell, num_layers, bidirectional)
    input = torch.randn(6, len(LENGTHS), 4)
    inputs = {"input": input}
    state = lengths = None
    if with_lengths:
        lengths = inputs["lengths"] = LENGTHS
    if with_state:
        zeros = layer.initial_state(len(LENGTHS), input)
        state = tuple(torch.rand_like(tensor) * 2 - 1 for tensor in zeros)
        inputs |= {f"state_{number}": tensor for number, tensor in enumerate(state)}
    output, final = layer(input, state, lengths)
    results = compute(layer, inputs, with_lengths, with_state)
    for expected, found in zip((output, *final), results, strict=True):
        scale = max(1.0, expected.abs().max().item())
        np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=2e-6 * scale)


@pytest.mark.parametrize(("cell", "num_layers", "bidirectional"), LAYERS)
def test_what_is_behind_an_end_affects_nothing(cell, num_layers, bidirectional):
    layer = make_layer(cell, num_layers, bidirectional)
    input = torch.randn(6, len(LENGTHS), 4)
    behind = torch.arange(6)[:, None] >= LENGTHS
    filled = [
        compute(
            layer, {"input": input.masked_fill(behind[..., None], value), "lengths": LENGTHS}, True, False
        )
        for value in (0.0, 1e4, torch.nan)
    ]
    for other in filled[1:]:
        for expected, found in zip(filled[0], other, strict=True):
            np.testing.assert_array_equal(found, expected)
    assert not filled[2][0][behind.numpy()].any()


@pytest.mark.parametrize("cell", CELLS)
def test_a_batch_of_one_equals_a_batch_of_many(cell):
    layer = make_layer(cell, 2, True)
    input = torch.randn(6, len(LENGTHS), 4)
    together = compute(layer, {"input": input, "lengths": LENGTHS}, True, False)
    for row, length in enumerate(LENGTHS.tolist()):
        if length:
            alone = compute(layer, {"input": input[:length, row : row + 1]}, False, False)
            np.testing.assert_allclose(together[0][:length, row], alone[0][:, 0], atol=1e-5)
            np.testing.assert_allclose(together[1][:, row], alone[1][:, 0], atol=1e-5)


@pytest.mark.parametrize("cell", [name for name in CELLS if not name.startswith("min")])
def test_there_is_one_operator_per_layer_and_direction(cell):
    layer, graph = make_layer(cell, 3, True), Graph("layer")
    recurrent(graph, "rnn", layer, graph.input("input", FLOAT, ("steps", "batch", 4)))
    operators = [node for node in graph.model().graph.node if node.op_type == cell.upper()]
    assert len(operators) == 6


def test_every_cell_has_a_graph():
    assert {cell.layer for cell in CELLS.values()} == set(CELL_GRAPHS)


def test_a_cell_of_ones_own_is_refused_by_name_until_it_has_a_row(monkeypatch):
    class OwnGRU(CELLS["gru"].layer):  # which may compute anything
        pass

    layer, input = OwnGRU(4, 5), {"input": torch.randn(6, 2, 4)}
    with pytest.raises(UsageError, match="the layer OwnGRU has no ONNX graph; those of RNN, GRU, LSTM,"):
        compute(layer, input, False, False)
    monkeypatch.setitem(CELL_GRAPHS, OwnGRU, CELL_GRAPHS[CELLS["gru"].layer])  # its row
    output, _ = compute(layer, input, False, False)
    np.testing.assert_allclose(output, layer(input["input"])[0].detach(), atol=2e-6)
