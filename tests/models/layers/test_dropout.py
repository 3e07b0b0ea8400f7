"""Dropout: the right fraction of zeros, sampled by torch's generator, and gradients with the same mask."""

import pytest
import torch
from torch import nn

from nlp_rnn.models.layers.dropout import Dropout, dropout


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_fraction_of_zeros_and_scale(p, dtype):
    torch.manual_seed(0)
    dropped = dropout(torch.ones(300, 301, dtype=dtype), p)
    assert (dropped == 0).float().mean().item() == pytest.approx(p, abs=0.01)
    assert dropped[dropped != 0].unique().float().item() == pytest.approx(1 / (1 - p), rel=1e-2)


def test_neighbors_are_independent():
    torch.manual_seed(0)
    zero = (dropout(torch.ones(400, 400), 0.5) == 0).float() - 0.5
    for shift in (1, 2, 3, 4, 8, 16):
        for dimension in (0, 1):
            assert abs((zero * zero.roll(shift, dimension)).mean().item()) < 0.25 * 0.02


def test_the_gradient_has_the_mask_of_the_output():
    input = torch.ones(50, 40, requires_grad=True)
    output = dropout(input, 0.3)
    output.sum().backward()
    assert torch.equal(input.grad, output.detach())


def test_torchs_generator_is_the_seed():
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(dropout(torch.ones(64), 0.5))
        draws.append(dropout(torch.ones(64), 0.5))
    assert torch.equal(draws[0], draws[2])
    assert torch.equal(draws[1], draws[3])
    assert not torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[4])


@pytest.mark.parametrize(("p", "training"), [(0.0, True), (0.5, False)])
def test_without_dropout_no_random_number_is_used(p, training):
    input, before = torch.ones(3), torch.get_rng_state()
    assert dropout(input, p, training) is input
    assert torch.equal(torch.get_rng_state(), before)


def test_probability_1_zeroes_everything():
    assert dropout(torch.ones(3), 1.0).tolist() == [0, 0, 0]


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (5,), (2, 3, 7)])
def test_any_shape(shape):
    assert dropout(torch.ones(shape), 0.5).shape == shape


def test_the_module_equals_torchs_in_printout_and_modes():
    layer = Dropout(0.5)
    assert repr(layer) == repr(nn.Dropout(0.5))
    assert (layer(torch.ones(1000)) == 0).any()
    assert torch.equal(layer.eval()(torch.ones(10)), torch.ones(10))


@pytest.mark.parametrize("p", [0.3, 1.0])
def test_locked_dropout_has_one_mask_for_all_steps(p):
    torch.manual_seed(0)
    input = torch.rand(7, 80, 90, requires_grad=True)
    output = dropout(input, p, locked=True)
    zero = output == 0
    assert torch.equal(zero, zero[:1].expand_as(zero))
    assert zero[0].float().mean().item() == pytest.approx(p, abs=0.02)
    assert all(len(column.unique()) == (1 if p == 1 else 2) for column in (zero[0, 0], zero[0, :, 0]))
    torch.testing.assert_close(output, torch.where(zero, 0, input / (1 - p)), atol=0, rtol=1e-4)
    output.sum().backward()
    assert torch.equal(input.grad == 0, zero)


def test_the_locked_module():
    layer = Dropout(0.5, locked=True)
    assert repr(layer) == "Dropout(p=0.5, inplace=False, locked=True)"
    zero = layer(torch.ones(3, 40, 5)) == 0
    assert torch.equal(zero[0], zero[2])
    assert torch.equal(layer.eval()(torch.ones(3, 4, 5)), torch.ones(3, 4, 5))


@pytest.mark.parametrize("locked", [False, True])
def test_second_derivatives(locked):
    def run(input):
        torch.manual_seed(0)
        return dropout(input.pow(3), 0.5, locked=locked)

    input = torch.randn(3, 2, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(run, input)
    assert torch.autograd.gradgradcheck(run, input, fast_mode=True)


@pytest.mark.parametrize("p", [1.5, -0.1, float("nan")])
def test_a_probability_outside_0_to_1_is_refused(p):
    for training in (True, False):
        with pytest.raises(ValueError, match="must be from 0 to 1"):
            dropout(torch.ones(3), p, training)
