"""The bfloat16 LSTM kernel against torch's LSTM, run one sequence at a time."""

import pytest
import torch
from torch import nn

from nlp_rnn.models.layers import recurrent
from nlp_rnn.models.layers.cells import recurrent_layer
from nlp_rnn.models.layers.kernels import lstm_layer


@pytest.mark.parametrize("backwards", [False, True])
def test_in_float32_it_equals_torchs_layer(backwards):
    torch.manual_seed(0)
    plain = nn.LSTM(5, 7)
    weights = list(plain.all_weights[0])
    lengths, sizes = [4, 2, 2, 1], [4, 3, 1, 1]
    batch = torch.randn(4, 4, 5, requires_grad=True)
    h, c = (torch.randn(4, 7, requires_grad=True) for _ in range(2))
    leaves = [batch, h, c, *weights]

    packed = torch.cat([batch[step, :size] for step, size in enumerate(sizes)])
    output, *final = lstm_layer(packed, h, c, weights, sizes, backwards, torch.float32)
    columns = [[] for _ in lengths]
    rows = iter(output)
    for size in sizes:
        for row in range(size):
            columns[row].append(next(rows))
    ours = [torch.stack(column) for column in columns]
    weighted = sum(column.pow(2).sum() for column in ours) + sum(part.pow(3).sum() for part in final)
    our_gradients = torch.autograd.grad(weighted, leaves)

    total = 0
    for row, length in enumerate(lengths):
        sequence = batch[:length, row : row + 1]
        sequence = sequence.flip(0) if backwards else sequence
        expected, state = plain(sequence, (h[None, row : row + 1], c[None, row : row + 1]))
        expected = expected.flip(0) if backwards else expected
        torch.testing.assert_close(ours[row], expected[:, 0], atol=1e-6, rtol=0)
        for part, theirs in zip(final, state, strict=True):
            torch.testing.assert_close(part[row], theirs[0, 0], atol=1e-6, rtol=0)
        total = total + expected.pow(2).sum() + sum(part.pow(3).sum() for part in state)
    for ours, theirs in zip(our_gradients, torch.autograd.grad(total, leaves), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("lengths", [None, [6, 2, 0, 5, 6]])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_gradients_in_bfloat16_equal_those_of_torchs_kernel(bidirectional, lengths, monkeypatch):
    torch.manual_seed(0)
    layer = recurrent_layer("lstm", 20, 16, 2, 0.0, bidirectional)
    batch = torch.randn(6, 5, 20)
    results = []
    for wide in (1 << 30, 1):
        monkeypatch.setattr(recurrent, "_MIN_HIDDEN", wide)
        layer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            output, final = layer(batch, lengths=lengths)
        (output.float().pow(2).sum() + sum(part.float().pow(2).sum() for part in final)).backward()
        grads = [weight.grad.clone() for weight in layer.parameters()]
        results.append([output, *final, *grads])
    monkeypatch.setattr(recurrent, "_MIN_HIDDEN", 1)
    exact_output, exact_final = layer(batch, lengths=lengths)
    for torchs, ours in zip(*results, strict=True):
        scale = torchs.float().abs().max()
        torch.testing.assert_close(ours.float(), torchs.float(), atol=0.03 * scale.item(), rtol=0)
    torch.testing.assert_close(results[1][0].float(), exact_output, atol=0.02, rtol=0)
    for part, exact in zip(results[1][1:3], exact_final, strict=True):
        torch.testing.assert_close(part.float(), exact, atol=0.02, rtol=0)


@pytest.mark.parametrize("backwards", [False, True])
def test_outputs_behind_the_last_step_are_zero(backwards):
    weights = nn.LSTM(2, 3).all_weights[0]
    batch = torch.cat([torch.randn(3, 2), torch.zeros(4, 2)])
    output, _, _ = lstm_layer(batch, torch.ones(2, 3), torch.ones(2, 3), weights, [2, 1], backwards)
    assert output.shape == (7, 3)
    assert output[:3].all()
    assert not output[3:].any()


def test_second_derivatives_are_refused():
    weights = nn.LSTM(2, 3).all_weights[0]
    output, _, _ = lstm_layer(torch.randn(2, 2), torch.zeros(1, 3), torch.zeros(1, 3), weights, [1, 1], False)
    with pytest.raises(RuntimeError, match="no second derivative here; run the LSTM without autocast"):
        torch.autograd.grad(output.float().sum(), weights, create_graph=True)


@pytest.mark.parametrize(
    ("hidden_size", "trains", "used"), [(512, True, True), (512, False, False), (16, True, False)]
)
def test_wide_layers_train_with_this_kernel_in_bfloat16(hidden_size, trains, used, monkeypatch):
    calls = []

    def recorded(*args, **options):
        calls.append(args)
        return lstm_layer(*args, **options)

    monkeypatch.setattr(recurrent, "lstm_layer", recorded)
    layer = recurrent_layer("lstm", 4, hidden_size, 1, 0.0, False)
    with torch.autocast("cpu", torch.bfloat16), torch.set_grad_enabled(trains):
        layer(torch.randn(2, 3, 4))
    assert bool(calls) == used
