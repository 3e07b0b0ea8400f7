"""Chrono initialization: the biases it sets, those it leaves, and their effect."""

import math

import pytest
import torch

from nlp_rnn.models.layers.cells import recurrent_layer
from nlp_rnn.models.layers.initialization import chrono_init_

# cell -> for each gate in torch's order, the sign of its bias; None where it stays as it was.
SIGNS = {
    "lstm": (-1, 1, None, None),
    "gru": (None, 1, None),
    "mingru": (-1, None),
    "minlstm": (-1, 1, None),
}


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", SIGNS)
def test_biases_are_logarithms_of_times_up_to_the_longest(cell, bidirectional):
    torch.manual_seed(0)
    layer = recurrent_layer(cell, 4, 500, 2, 0.0, bidirectional)
    before = {name: parameter.clone() for name, parameter in layer.named_parameters()}
    chrono_init_(layer, 40)
    drawn = []
    for name, parameter in layer.named_parameters():
        if "weight" in name:
            assert torch.equal(parameter, before[name])
            continue
        found = []
        for bias, old, sign in zip(
            parameter.view(-1, 500), before[name].view(-1, 500), SIGNS[cell], strict=True
        ):
            if sign is None:
                assert torch.equal(bias, old)
            elif "bias_hh" in name:
                assert not bias.any()
            else:
                found.append((sign * bias).exp())
        for times in found:
            assert 1 <= times.min() < 1.5
            assert 38 < times.max() <= 39.001
            assert times.mean().item() == pytest.approx(20, abs=2)  # uniform
            torch.testing.assert_close(times, found[0])
        drawn += found[:1]
    assert len(drawn) == (4 if bidirectional else 2)
    assert not torch.equal(drawn[0], drawn[1])
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in layer.parameters())


@pytest.mark.parametrize("cell", SIGNS)
@torch.no_grad()
def test_the_state_is_kept_for_the_requested_time(cell):
    torch.manual_seed(0)
    layer = recurrent_layer(cell, 4, 300, 1, 0.0)
    for parameter in layer.parameters():
        parameter.zero_()
    batch, start = torch.zeros(100, 3, 4), tuple(torch.ones(1, 3, 300) for _ in range(layer.state_tensors))
    assert layer(batch, start)[1][-1].max() < 1e-6
    chrono_init_(layer, 1000)
    kept = layer(batch, start)[1][-1][0]
    # A unit with the time u forgets at the rate 1 / (1 + u); all times from 1 to 999 are as likely.
    gate, sign = next((gate, sign) for gate, sign in enumerate(SIGNS[cell]) if sign)
    times = (sign * layer.bias_ih_l0.view(-1, 300)[gate]).exp()
    torch.testing.assert_close(kept, ((times / (1 + times)) ** 100).expand(3, -1), atol=1e-4, rtol=0)
    assert kept.mean() > 0.6


def test_a_plain_layer_is_refused():
    with pytest.raises(ValueError, match="the cell rnn has no gates"):
        chrono_init_(recurrent_layer("rnn", 4, 5, 1, 0.0), 10)


@pytest.mark.parametrize("longest", [1.9, -3, math.inf, math.nan])
def test_invalid_times_are_refused(longest):
    layer = recurrent_layer("lstm", 4, 5, 1, 0.0)
    before = layer.bias_ih_l0.clone()
    with pytest.raises(ValueError, match="at least 2"):
        chrono_init_(layer, longest)
    assert torch.equal(layer.bias_ih_l0, before)
