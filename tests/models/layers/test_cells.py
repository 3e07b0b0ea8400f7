"""Each row of the cells registry is complete and fits its layer."""

import pytest
import torch
from torch import nn

from nlp_rnn.models.layers.cells import CELLS, Cell, cell_name, recurrent_layer
from nlp_rnn.models.layers.quantization import quantize_layer
from nlp_rnn.models.layers.recurrent import LSTM


def test_an_unknown_cell_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="'lsmt': use one of rnn, gru, lstm, mingru, minlstm"):
        recurrent_layer("lsmt", 1, 1, 1, 0.0)


@pytest.mark.parametrize("cell", CELLS)
def test_a_layer_knows_the_name_of_its_cell(cell):
    layer = recurrent_layer(cell, 3, 4, 1, 0.0)
    assert type(layer) is CELLS[cell].layer
    assert cell_name(layer) == cell
    if CELLS[cell].int8_step is not None:
        assert cell_name(quantize_layer(layer)) == cell


def test_a_subclass_of_a_layer_has_the_cell_of_its_base():
    class Other(LSTM):
        pass

    assert cell_name(Other(3, 4)) == "lstm"


def test_a_layer_without_a_row_has_the_name_of_its_class():
    assert cell_name(nn.Identity()) == "Identity"


@pytest.mark.parametrize("cell", CELLS)
def test_the_row_fits_the_layer(cell):
    layer, row = recurrent_layer(cell, 3, 4, 1, 0.0), CELLS[cell]
    state = layer.initial_state(2, torch.zeros(1))
    assert len(state) == layer.state_tensors == len(row.states)
    step = row.equations(torch.randn(2, 3), tuple(tensor[0] for tensor in state), layer.all_weights[0])
    assert set(row.states) <= set(step)
    assert all(value.shape == (2, 4) for value in step.values())
    num_gates = len(layer.all_weights[0][0]) // 4
    for gate in (row.forget_gate, row.input_gate):
        assert gate is None or 0 <= gate < num_gates


@pytest.mark.parametrize("cell", CELLS)
def test_squash_maps_numbers_into_the_range_of_the_state(cell):
    squashed = CELLS[cell].squash(torch.tensor([-1e9, -1.0, 0.0, 2.0, 1e9]))
    assert squashed.abs().max() <= 1
    assert (squashed.diff() > 0).all()


@pytest.mark.parametrize("cell", CELLS)
def test_dropout_is_left_out_with_one_layer(cell):
    assert recurrent_layer(cell, 3, 4, 1, 0.5).dropout == 0
    assert recurrent_layer(cell, 3, 4, 2, 0.5).dropout == 0.5


@pytest.mark.parametrize("layer", [nn.LSTM, LSTM(3, 4), "lstm"])
def test_a_row_without_a_recurrent_layer_is_refused(layer):
    with pytest.raises(TypeError, match="must be a subclass of RecurrentLayer, not "):
        Cell(layer)
