"""The twin of one step a call: the layer's answers, and the layer's own parameters."""

import copy
import io
import itertools
import pickle

import pytest
import torch

from nlp_rnn.models.layers.cells import CELLS, recurrent_layer
from nlp_rnn.models.seq2seq import Decoder

CASES = list(itertools.product(CELLS, (1, 2, 3)))


def make(cell, depth=2, dropout=0.0):
    torch.manual_seed(0)
    return recurrent_layer(cell, 5, 7, depth, dropout)


def steps(twin, batch, state):
    outputs = []
    for input in batch:
        output, state = twin(input, state)
        outputs.append(output)
    return torch.stack(outputs), state


def same(twin, layer):
    """Whether the twin has the layer's parameters, not equal ones."""
    return [*map(id, twin.parameters())] == [*map(id, layer.parameters())]


def check_equal(layer, twin, atol=1e-6):
    kind = next(layer.parameters())
    batch = torch.randn(9, 3, 5).to(kind)
    start = tuple(torch.randn_like(part) for part in layer.initial_state(3, kind))
    whole, final = layer(batch, start)
    stepped, stepped_final = steps(twin, batch, start)
    torch.testing.assert_close(stepped, whole, atol=atol, rtol=0)
    for one, other in zip(stepped_final, final, strict=True):
        torch.testing.assert_close(one, other, atol=atol, rtol=0)


@pytest.mark.parametrize(("cell", "depth"), CASES)
def test_steps_equal_the_whole(cell, depth):
    layer = make(cell, depth)
    check_equal(layer, layer.stepwise())


@pytest.mark.parametrize(("cell", "depth"), CASES)
def test_gradients_of_steps_are_those_of_the_whole(cell, depth):
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
def test_parameters_are_shared_whatever_happens_to_the_layer(cell):
    layer, other = make(cell), recurrent_layer(cell, 5, 7, 2, 0.0)
    twin = layer.stepwise()
    assert same(twin, layer)
    layer.load_state_dict(other.state_dict())
    assert same(twin, layer)
    check_equal(other, twin)
    twin(torch.randn(3, 5), layer.initial_state(3, torch.zeros(1)))[0].sum().backward()
    torch.optim.SGD(twin.parameters(), lr=0.1).step()
    assert same(twin, layer)
    check_equal(layer, twin)
    layer.to(torch.float64)
    assert same(twin, layer)
    check_equal(layer, twin, 1e-14)
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
def test_copies_have_twins_of_their_own(cell, copied):
    layer = make(cell)
    twin = layer.stepwise()
    other = copied(layer)
    assert same(other.stepwise(), other)
    assert not set(map(id, other.parameters())) & set(map(id, layer.parameters()))
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(2)
    check_equal(other, other.stepwise())
    check_equal(layer, twin)
    pair = copied(torch.nn.ModuleList([layer, twin]))
    assert same(pair[1], pair[0])


@pytest.mark.parametrize("cell", CELLS)
def test_the_layer_keeps_its_print_its_keys_and_the_random_numbers(cell):
    layer = make(cell)
    before, numbers = (repr(layer), [*layer.state_dict()], [*layer.modules()]), torch.get_rng_state()
    layer.stepwise()
    with torch.no_grad():
        layer(torch.zeros(1, 2, 5))
    assert (repr(layer), [*layer.state_dict()], [*layer.modules()]) == before
    assert torch.equal(torch.get_rng_state(), numbers)


def test_dropout_between_layers_acts_in_the_layers_mode():
    layer = make("gru", dropout=0.9)
    input, state = torch.randn(4, 5), layer.initial_state(4, torch.zeros(1))
    assert not torch.equal(layer.stepwise()(input, state)[0], layer.stepwise()(input, state)[0])
    twin = layer.stepwise()
    layer.eval()
    check_equal(layer, twin)
    torch.nn.ModuleList([layer]).train()
    assert not torch.equal(twin(input, state)[0], twin(input, state)[0])


def test_the_decoder_steps_through_the_twin():
    decoder = Decoder(11, 6, 8, 2, 0.0).eval()
    twin, seen = decoder.rnn.stepwise(), []
    twin.register_forward_hook(lambda *_: seen.append(1))
    with torch.no_grad():
        decoder.step(torch.tensor([1, 2]), decoder.rnn.initial_state(2, torch.zeros(1)))
    assert seen == [1]


@pytest.mark.parametrize("cell", CELLS)
def test_both_directions_are_refused(cell):
    with pytest.raises(ValueError, match="cannot run step by step"):
        recurrent_layer(cell, 5, 7, 1, 0.0, bidirectional=True).stepwise()
