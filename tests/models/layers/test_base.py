"""Layers that take one time step per call: the same answers, and the same parameter objects."""

import copy
import io
import itertools
import pickle

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence

from nlp_rnn.models.layers.base import Stepwise
from nlp_rnn.models.layers.cells import CELLS, recurrent_layer
from nlp_rnn.models.seq2seq import Decoder

CASES = list(itertools.product(CELLS, (1, 2, 3)))


def make(cell, depth=2, dropout=0.0):
    torch.manual_seed(0)
    return recurrent_layer(cell, 5, 7, depth, dropout)


def steps(stepwise, batch, state):
    outputs = []
    for input in batch:
        output, state = stepwise(input, state)
        outputs.append(output)
    return torch.stack(outputs), state


def same(stepwise, layer):
    """Whether both have the same parameter objects, not equal ones."""
    return [*map(id, stepwise.parameters())] == [*map(id, layer.parameters())]


def check_equal(layer, stepwise, atol=1e-6):
    weight = next(layer.parameters())
    batch = torch.randn(9, 3, 5).to(weight)
    start = tuple(torch.randn_like(zeros) for zeros in layer.initial_state(3, weight))
    whole, final = layer(batch, start)
    stepped, stepped_final = steps(stepwise, batch, start)
    torch.testing.assert_close(stepped, whole, atol=atol, rtol=0)
    for ours, theirs in zip(stepped_final, final, strict=True):
        torch.testing.assert_close(ours, theirs, atol=atol, rtol=0)


@pytest.mark.parametrize(("cell", "depth"), CASES)
def test_steps_equal_the_whole_sequence(cell, depth):
    layer = make(cell, depth)
    check_equal(layer, layer.stepwise())


@pytest.mark.parametrize(("cell", "depth"), CASES)
def test_gradients_of_steps_are_those_of_the_whole_sequence(cell, depth):
    layer = make(cell, depth)
    batch = torch.randn(6, 3, 5)
    gradients = []
    for run in (layer, lambda batch: steps(layer.stepwise(), batch, layer.initial_state(3, batch))):
        output, final = run(batch)
        (output.pow(2).sum() + sum(part.pow(3).sum() for part in final)).backward()
        gradients.append([parameter.grad for parameter in layer.parameters()])
        layer.zero_grad()
    for whole, stepped in zip(*gradients, strict=True):
        torch.testing.assert_close(stepped, whole, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_parameters_stay_shared_when_the_layer_is_loaded_trained_or_converted(cell):
    layer, other = make(cell), recurrent_layer(cell, 5, 7, 2, 0.0)
    stepwise = layer.stepwise()
    assert same(stepwise, layer)
    layer.load_state_dict(other.state_dict())
    assert same(stepwise, layer)
    check_equal(other, stepwise)
    stepwise(torch.randn(3, 5), layer.initial_state(3, torch.zeros(1)))[0].sum().backward()
    torch.optim.SGD(stepwise.parameters(), lr=0.1).step()
    assert same(stepwise, layer)
    check_equal(layer, stepwise)
    layer.to(torch.float64)
    assert same(stepwise, layer)
    check_equal(layer, stepwise, 1e-14)
    layer.load_state_dict(other.double().state_dict(), assign=True)
    assert same(layer.stepwise(), layer)
    check_equal(other, layer.stepwise(), 1e-14)


def pickled(model):
    return pickle.loads(pickle.dumps(model))


def saved(model):
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled, saved])
@pytest.mark.parametrize("cell", CELLS)
def test_copied_layer_uses_its_own_parameters(cell, copied):
    layer = make(cell)
    stepwise = layer.stepwise()
    other = copied(layer)
    assert same(other.stepwise(), other)
    assert not set(map(id, other.parameters())) & set(map(id, layer.parameters()))
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(2)
    check_equal(other, other.stepwise())
    check_equal(layer, stepwise)
    pair = copied(torch.nn.ModuleList([layer, stepwise]))
    assert same(pair[1], pair[0])


@pytest.mark.parametrize("cell", CELLS)
def test_stepping_leaves_printout_keys_and_random_numbers_as_they_are(cell):
    layer = make(cell)
    before, numbers = (repr(layer), [*layer.state_dict()], [*layer.modules()]), torch.get_rng_state()
    layer.stepwise()
    with torch.no_grad():
        layer(torch.zeros(1, 2, 5))
    assert (repr(layer), [*layer.state_dict()], [*layer.modules()]) == before
    assert torch.equal(torch.get_rng_state(), numbers)


def test_dropout_between_layers_follows_the_mode_of_the_layer():
    layer = make("gru", dropout=0.9)
    input, state = torch.randn(4, 5), layer.initial_state(4, torch.zeros(1))
    assert not torch.equal(layer.stepwise()(input, state)[0], layer.stepwise()(input, state)[0])
    stepwise = layer.stepwise()
    layer.eval()
    check_equal(layer, stepwise)
    torch.nn.ModuleList([layer]).train()
    assert not torch.equal(stepwise(input, state)[0], stepwise(input, state)[0])


def test_the_decoder_steps_through_the_stepwise_layer(monkeypatch):
    decoder = Decoder(11, 6, 8, 2, 0.0).eval()
    stepwise, seen = decoder.rnn.stepwise(), []
    monkeypatch.setattr(
        stepwise, "step", lambda *arguments: seen.append(1) or Stepwise.step(stepwise, *arguments)
    )
    with torch.no_grad():
        decoder.step(torch.tensor([1, 2]), decoder.rnn.initial_state(2, torch.zeros(1)))
    assert seen == [1]


@pytest.mark.parametrize("cell", CELLS)
def test_a_bidirectional_layer_cannot_run_step_by_step(cell):
    with pytest.raises(ValueError, match="cannot run step by step"):
        recurrent_layer(cell, 5, 7, 1, 0.0, bidirectional=True).stepwise()


# ------------------------------------------------------------------------------------- as torch's layers


TORCHS = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}


def as_torchs(cell, **options):
    ours = CELLS[cell].layer(5, 7, num_layers=2, bidirectional=True, **options)
    theirs = TORCHS[cell](5, 7, num_layers=2, bidirectional=True, **options)
    theirs.load_state_dict(ours.state_dict())
    start = tuple(torch.randn(4, 3, 7) for _ in range(ours.state_tensors))
    return ours, theirs, start, start if len(start) > 1 else start[0]


def check_same(found, expected):
    for ours, theirs in zip(found, expected if isinstance(expected, tuple) else (expected,), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("cell", TORCHS)
def test_a_call_with_hx_is_torchs(cell, batch_first):
    ours, theirs, start, hx = as_torchs(cell, batch_first=batch_first)
    batch = torch.randn(*(3, 6) if batch_first else (6, 3), 5)
    output, final = ours(batch, hx=hx)
    expected, expected_final = theirs(batch, hx=hx)
    check_same([output, *final], (expected, *(expected_final if len(start) > 1 else [expected_final])))
    check_same(ours(batch)[1], theirs(batch)[1])
    lengths = torch.tensor([6, 2, 0])
    ragged = ours(batch, start, lengths)[0]
    steps = ragged.transpose(0, 1) if batch_first else ragged
    assert torch.equal(steps.abs().sum(-1).gt(0).sum(0), lengths)
    check_same([ours.outputs(batch, start, lengths)], ragged)


@pytest.mark.parametrize("in_order", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("cell", TORCHS)
def test_packed_sequences_are_taken_and_returned_as_torchs(cell, batch_first, in_order):
    ours, theirs, _, hx = as_torchs(cell, batch_first=batch_first)
    lengths = [6, 4, 4] if in_order else [2, 6, 2]
    batch = torch.randn(*(3, 6) if batch_first else (6, 3), 5)
    packed = pack_padded_sequence(batch, lengths, batch_first, enforce_sorted=in_order)
    output, final = ours(packed, hx)
    expected, expected_final = theirs(packed, hx)
    check_same(final, expected_final)
    check_same(output[:2], expected[:2])
    for ours_order, order in zip(output[2:], expected[2:], strict=True):
        assert (ours_order is None and order is None) or torch.equal(ours_order, order)
    with pytest.raises(ValueError, match="lengths of their own"):
        ours(packed, hx, lengths)


@pytest.mark.parametrize("cell", ["mingru", "minlstm"])
def test_minimal_layers_take_batches_first_and_print_it(cell):
    first, plain = CELLS[cell].layer(5, 7, batch_first=True), CELLS[cell].layer(5, 7)
    plain.load_state_dict(first.state_dict())
    batch = torch.randn(3, 6, 5)
    output, final = first(batch)
    expected, expected_final = plain(batch.transpose(0, 1))
    check_same([output.transpose(0, 1), *final], (expected, *expected_final))
    assert repr(first).endswith("(5, 7, batch_first=True)")
