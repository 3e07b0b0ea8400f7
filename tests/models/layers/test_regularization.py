"""Locked dropout and weight dropout, in every way that layers run."""

import itertools

import pytest
import torch

from nlp_rnn.models.layers import ragged, recurrent
from nlp_rnn.models.layers.cells import CELLS, recurrent_layer
from nlp_rnn.models.layers.dropout import dropout
from nlp_rnn.models.layers.recurrent import LSTM

RECURRENT = ("rnn", "gru", "lstm")  # the cells with hidden-to-hidden weights
LENGTHS = torch.tensor([3, 6, 1, 6, 4])
WAYS = {"even": None, "ragged": LENGTHS, "bfloat16": None, "ragged bfloat16": LENGTHS}
# A gate of each cell, and the bias with which nothing of the old state is left.
FORGETS = {"gru": (1, -1e4), "lstm": (1, -1e4), "mingru": (0, 1e4), "minlstm": (1, -1e4)}


def run(layer, way, batch, monkeypatch):
    """The outputs and the final state, in float32, with as many cuts as can be."""
    monkeypatch.setattr(ragged, "SEGMENT_COST", 0)
    monkeypatch.setattr(recurrent, "_MIN_HIDDEN", 1)
    with torch.autocast("cpu", torch.bfloat16, enabled="bfloat16" in way):
        output, final = layer(batch, lengths=WAYS[way])
    return output.float(), [part.float() for part in final]


@pytest.mark.parametrize("locked", [False, True])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cell", CELLS)
def test_locked_dropout_has_one_mask_a_sequence(cell, way, locked, monkeypatch):
    torch.manual_seed(0)
    layer = recurrent_layer(cell, 4, 30, 2, 0.5, locked=locked)
    # The first layer's outputs are the same at each step, and the second remembers nothing.
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if name != "weight_ih_l1":
                parameter.zero_()
            if name.startswith("bias_ih") and cell in FORGETS:
                gate, bias = FORGETS[cell]
                parameter.view(-1, 30)[gate] = bias
        layer.bias_ih_l0.view(-1, 30)[-2:] += 1.0
        layer.bias_ih_l1.view(-1, 30)[-2:] += 0.1
    output, _ = run(layer, way, torch.zeros(6, 5, 4), monkeypatch)
    lengths = [6] * 5 if WAYS[way] is None else LENGTHS.tolist()
    for row, length in enumerate(lengths):
        spread = (output[:length, row] - output[0, row]).abs().max()
        assert (spread < 0.02) == (locked or length == 1)
    for one, other in itertools.combinations(range(5), 2):
        assert not torch.equal(output[0, one], output[0, other])


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cell", RECURRENT)
def test_weight_dropout_is_the_layer_with_weights_dropped_once(cell, way, bidirectional, monkeypatch):
    torch.manual_seed(0)
    layer = recurrent_layer(cell, 5, 7, 2, 0.0, bidirectional, weight_dropout=0.5)
    plain = recurrent_layer(cell, 5, 7, 2, 0.0, bidirectional)
    plain.load_state_dict(layer.state_dict())
    batch = torch.randn(6, 5, 5)
    torch.manual_seed(3)
    output, final = run(layer, way, batch, monkeypatch)
    (output.sum() + sum(part.sum() for part in final)).backward()

    torch.manual_seed(3)
    for index, names in enumerate(plain._all_weights):
        dropped = dropout(layer.all_weights[index][1].detach(), 0.5)
        setattr(plain, names[1], torch.nn.Parameter(dropped))
        assert torch.equal(layer.all_weights[index][1].grad == 0, dropped == 0)
    expected, expected_final = run(plain, way, batch, monkeypatch)
    assert torch.equal(output, expected)
    assert all(torch.equal(one, other) for one, other in zip(final, expected_final, strict=True))


@pytest.mark.parametrize("cell", RECURRENT)
@torch.no_grad()
def test_weight_dropout_acts_in_training_alone(cell):
    torch.manual_seed(0)
    layer = recurrent_layer(cell, 5, 7, 1, 0.0, weight_dropout=0.9)
    plain = recurrent_layer(cell, 5, 7, 1, 0.0)
    plain.load_state_dict(layer.state_dict())
    for steps in (1, 4):
        batch, start = (
            torch.randn(steps, 3, 5),
            tuple(torch.rand(1, 3, 7) for _ in range(layer.state_tensors)),
        )
        assert not torch.equal(layer.train()(batch, start)[0], plain(batch, start)[0])
        before = torch.get_rng_state()
        assert torch.equal(layer.eval()(batch, start)[0], plain(batch, start)[0])
        assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("cell", RECURRENT)
def test_options_print_and_leave_the_keys_as_they_are(cell):
    plain = recurrent_layer(cell, 5, 7, 2, 0.5, True)
    layer = recurrent_layer(cell, 5, 7, 2, 0.5, True, locked=True, weight_dropout=0.25)
    torchs = getattr(torch.nn, cell.upper())(5, 7, 2, dropout=0.5, bidirectional=True)
    assert repr(plain) == repr(torchs)
    assert repr(layer) == repr(torchs)[:-1] + ", locked=True, weight_dropout=0.25)"
    assert [*layer.state_dict()] == [*torchs.state_dict()]


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_weight_dropout_outside_0_to_1_is_refused(value):
    with pytest.raises(ValueError, match="between 0 and 1"):
        LSTM(5, 7, weight_dropout=value)
