"""The scan over time against a loop, and what the minimal layers refuse."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_rnn.models.layers.cells import recurrent_layer
from nlp_rnn.models.layers.minimal import MinGRU, MinLSTM, linear_recurrence
from nlp_rnn.models.layers.recurrent import GRU

LAYERS = [MinGRU, MinLSTM]


def loop(z, c, start, backwards):
    outputs = [start] * len(z)
    for step in reversed(range(len(z))) if backwards else range(len(z)):
        start = (1 - z[step]) * start + z[step] * c[step]
        outputs[step] = start
    return torch.stack(outputs)


def numbers(steps, seed=0):
    generator = torch.Generator().manual_seed(seed)
    z = torch.rand(steps, 2, 3, generator=generator, dtype=torch.float64)
    c = torch.randn(steps, 2, 3, generator=generator, dtype=torch.float64)
    start = torch.randn(2, 3, generator=generator, dtype=torch.float64)
    return [part.requires_grad_() for part in (z, c, start)]


@settings(max_examples=40, deadline=None)
@given(steps=st.integers(1, 600), backwards=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_the_scan_and_its_gradients_are_those_of_the_loop(steps, backwards, seed):
    leaves = numbers(steps, seed)
    results = []
    for run in (linear_recurrence, loop):
        output = run(*leaves, backwards)
        results.append([output, *torch.autograd.grad(output.pow(3).sum(), leaves)])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-11, rtol=1e-9)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("steps", [1, 2, 19])
def test_first_and_second_derivatives(steps, backwards):
    for check in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert check(lambda *leaves: linear_recurrence(*leaves, backwards), numbers(steps), fast_mode=True)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("wide", [0, 1, 2])
def test_the_widest_dtype_is_computed_in(wide, backwards):
    given = [part.detach().float() for part in numbers(9)]
    given[wide] = given[wide].double() / 3  # exact in no float32
    results = []
    for leaves in (given, [part.double() for part in given]):
        leaves = [part.requires_grad_() for part in leaves]
        output = linear_recurrence(*leaves, backwards)
        results.append([output, torch.autograd.grad(output.pow(3).sum(), leaves)[wide]])
    for ours, double in zip(*results, strict=True):
        torch.testing.assert_close(ours, double, atol=1e-14, rtol=1e-13)


@pytest.mark.parametrize("z", [0.0, 1e-30, 1.0])
def test_fully_closed_or_open_gates_give_no_nan(z):
    gates = torch.full((2000, 1, 1), z, requires_grad=True)
    candidates, start = (
        torch.ones(2000, 1, 1, requires_grad=True),
        torch.full((1, 1), 3.0, requires_grad=True),
    )
    output = linear_recurrence(gates, candidates, start)
    assert torch.equal(output, torch.full_like(output, 1.0 if z == 1 else 3.0))
    for gradient in torch.autograd.grad(output.sum(), (gates, candidates, start)):
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("layer", LAYERS)
def test_preactivations_of_any_size_give_no_nan(layer):
    for size in (1e2, 1e4, -1e4):
        projected = torch.full((3, 4 * layer.num_gates), size, requires_grad=True)
        z, _ = layer.gate(projected)
        z.sum().backward()
        assert ((z >= 0) & (z <= 1)).all()
        assert torch.isfinite(projected.grad).all()


@pytest.mark.parametrize("layer", LAYERS)
def test_long_sequences_in_pieces_equal_the_whole(layer):
    torch.manual_seed(0)
    layer = layer(5, 7, num_layers=2)
    batch = torch.randn(500, 3, 5)
    whole, final = layer(batch)
    state, outputs = None, []
    for piece in batch.split([1, 16, 130, 353]):
        output, state = layer(piece, state)
        outputs.append(output)
    torch.testing.assert_close(torch.cat(outputs), whole, atol=1e-5, rtol=0)
    torch.testing.assert_close(state, final, atol=1e-5, rtol=0)


@pytest.mark.parametrize("layer", LAYERS)
def test_print_and_names(layer):
    name = layer.__name__
    assert repr(layer(8, 12)) == f"{name}(8, 12)"
    assert repr(layer(8, 12, num_layers=2)) == f"{name}(8, 12, num_layers=2)"
    full = recurrent_layer(name.lower(), 8, 12, 2, 0.5, True, locked=True)
    assert repr(full) == f"{name}(8, 12, num_layers=2, dropout=0.5, bidirectional=True, locked=True)"
    places = ("l0", "l0_reverse", "l1", "l1_reverse")
    assert [*full.state_dict()] == [f"{kind}_ih_{place}" for place in places for kind in ("weight", "bias")]
    assert all(full.state_dict()[f"weight_ih_{place}"].shape[1] == 24 for place in places[2:])
    assert repr(layer(8, 12).stepwise().cells[0]) == f"{name}Cell(8, 12)"


@pytest.mark.parametrize("layer", [*LAYERS, GRU])
@pytest.mark.parametrize(
    "sizes", [(8, 0), (8, -1), (8, 4, 0), (8, 4, 1, -0.1), (8, 4, 1, 1.1), (8, 4, 1, float("nan"))]
)
def test_invalid_sizes_are_refused(layer, sizes):
    with pytest.raises(ValueError, match=r"hidden_size|num_layers|dropout"):
        layer(*sizes[:2], **dict(zip(("num_layers", "dropout"), sizes[2:], strict=False)))


@pytest.mark.parametrize("layer", LAYERS)
def test_weight_dropout_without_recurrent_weights_is_refused(layer):
    with pytest.raises(ValueError, match="no hidden-to-hidden weights"):
        recurrent_layer(layer.__name__.lower(), 8, 12, 1, 0.0, weight_dropout=0.1)
