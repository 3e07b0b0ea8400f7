"""The layers against torch's own, run one sequence at a time, and with dropout in every way that they run."""

import itertools
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nlp_rnn.models.layers import ragged, recurrent
from nlp_rnn.models.layers.cells import CELLS, recurrent_layer
from nlp_rnn.models.layers.dropout import dropout
from nlp_rnn.models.layers.recurrent import LSTM


class Loop(nn.Module):
    """A minimal cell as its equations stand, a step at a time, called as torch's layers are."""

    def __init__(self, gates, input_size, hidden_size, depth, bidirectional):
        super().__init__()
        self.gates, self.hidden_size, self.bidirectional = gates, hidden_size, bidirectional
        self.places = [f"l{k}{end}" for k in range(depth) for end in ("", "_reverse")[: 1 + bidirectional]]
        for place in self.places:
            size = input_size if place.startswith("l0") else hidden_size * (1 + bidirectional)
            setattr(self, f"weight_ih_{place}", nn.Parameter(torch.empty(gates * hidden_size, size)))
            setattr(self, f"bias_ih_{place}", nn.Parameter(torch.empty(gates * hidden_size)))

    def forward(self, input, state):
        finals, outputs = [], []
        for place, h in zip(self.places, state, strict=True):
            weight, bias = getattr(self, f"weight_ih_{place}"), getattr(self, f"bias_ih_{place}")
            steps = range(len(input))
            output = [None] * len(input)
            for step in reversed(steps) if "reverse" in place else steps:
                *gates, candidate = (input[step] @ weight.T + bias).chunk(self.gates, -1)
                i, *f = (gate.sigmoid() for gate in gates)
                h = f[0] / (f[0] + i) * h + i / (f[0] + i) * candidate if f else (1 - i) * h + i * candidate
                output[step] = h
            finals.append(h)
            outputs.append(torch.stack(output))
            if len(outputs) == 1 + self.bidirectional:
                input, outputs = torch.cat(outputs, -1), []
        return input, torch.stack(finals)


PLAIN = {
    "rnn": nn.RNN,
    "gru": nn.GRU,
    "lstm": nn.LSTM,
    "mingru": partial(Loop, 2),
    "minlstm": partial(Loop, 3),
}
CASES = list(itertools.product(CELLS, (False, True), (1, 2)))


def make(cell, bidirectional, depth, seed=0):
    torch.manual_seed(seed)
    layer = recurrent_layer(cell, 5, 7, depth, 0.0, bidirectional)
    plain = PLAIN[cell](5, 7, depth, bidirectional=bidirectional)
    plain.load_state_dict(layer.state_dict())
    return layer, plain


def alone(plain, sequence, state):
    """A plain layer's outputs and final state for one sequence [T, I]; T may be 0."""
    if len(sequence) == 0:
        return torch.zeros(0, plain.hidden_size * (2 if plain.bidirectional else 1)), state
    output, final = plain(sequence[:, None], state if len(state) > 1 else state[0])
    return output[:, 0], final if isinstance(final, tuple) else (final,)


def run_packed(monkeypatch):
    """Let ragged batches take the way that they take with cuDNN."""
    layers = recurrent._LengthAware
    monkeypatch.setattr(layers, "_run_layers", layers._run_cudnn)


@pytest.mark.parametrize("way", ["one segment", "segments", "most segments", "packed"])
@pytest.mark.parametrize(("cell", "bidirectional", "depth"), CASES)
def test_ragged_batch_equals_each_sequence_alone(cell, bidirectional, depth, way, monkeypatch):
    monkeypatch.setattr(
        ragged, "SEGMENT_COST", {"one segment": 1000, "segments": 4, "most segments": 0}.get(way)
    )
    if way == "packed":
        run_packed(monkeypatch)
    layer, plain = make(cell, bidirectional, depth)
    lengths = torch.tensor([3, 6, 0, 1, 6, 4])
    batch = torch.randn(6, len(lengths), 5)
    start = tuple(torch.randn_like(part) for part in layer.initial_state(len(lengths), batch))
    output, final = layer(batch, start, lengths)
    torch.testing.assert_close(layer.outputs(batch, start, lengths), output, atol=1e-6, rtol=0)
    for row, length in enumerate(lengths.tolist()):
        state = tuple(part[:, row : row + 1].contiguous() for part in start)
        expected, expected_state = alone(plain, batch[:length, row], state)
        torch.testing.assert_close(output[:length, row], expected, atol=1e-6, rtol=0)
        assert output[length:, row].abs().sum() == 0
        for part, expected_part in zip(final, expected_state, strict=True):
            torch.testing.assert_close(part[:, row], expected_part[:, 0], atol=1e-6, rtol=0)


@pytest.mark.parametrize(("cell", "bidirectional", "depth"), CASES)
def test_gradients_of_a_ragged_batch_are_the_sum_of_those_alone(cell, bidirectional, depth):
    layer, plain = make(cell, bidirectional, depth)
    lengths = torch.tensor([5, 2, 3])
    batch = torch.randn(5, 3, 5)
    output, final = layer(batch, lengths=lengths)
    (output.pow(2).sum() + sum(part.pow(3).sum() for part in final)).backward()
    for row, length in enumerate(lengths.tolist()):
        start = plain_start(plain, layer)
        out, state = alone(plain, batch[:length, row], start)
        (out.pow(2).sum() + sum(part.pow(3).sum() for part in state)).backward()
    for (name, ours), theirs in zip(layer.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-5, rtol=1e-5, msg=name)


def plain_start(plain, layer):
    return tuple(torch.zeros_like(part) for part in layer.initial_state(1, torch.zeros(1)))


@settings(max_examples=40, deadline=None)
@given(
    case=st.sampled_from(CASES),
    lengths=st.lists(st.integers(0, 8), min_size=1, max_size=6),
    order=st.randoms(use_true_random=False),
    garbage=st.sampled_from([0.0, 1e3, -1e3]),
)
def test_padding_and_order_never_change_an_answer(case, lengths, order, garbage):
    layer, _ = make(*case)
    batch = torch.randn(9, len(lengths), 5, generator=torch.Generator().manual_seed(1))
    for row, length in enumerate(lengths):
        batch[length:, row] = garbage
    output, final = layer(batch, lengths=lengths)
    shuffled = list(range(len(lengths)))
    order.shuffle(shuffled)
    output2, final2 = layer(batch[:, shuffled], lengths=[lengths[i] for i in shuffled])
    torch.testing.assert_close(output[:, shuffled], output2, atol=1e-6, rtol=0)
    for part, part2 in zip(final, final2, strict=True):
        torch.testing.assert_close(part[:, shuffled], part2, atol=1e-6, rtol=0)
    row = shuffled[0]
    short, _ = layer(batch[: lengths[row], row : row + 1])
    torch.testing.assert_close(output[: lengths[row], row], short[:, 0], atol=1e-6, rtol=0)


WAYS_OF_PADDING = ["segments", "packed", "bfloat16 kernel"]


def take(way, monkeypatch):
    """Let ragged batches take a way; returns whether it computes in bfloat16."""
    if way == "packed":
        run_packed(monkeypatch)
    monkeypatch.setattr(ragged, "SEGMENT_COST", 4)
    monkeypatch.setattr(recurrent, "_MIN_HIDDEN", 1 if way == "bfloat16 kernel" else 1 << 30)
    return way == "bfloat16 kernel"


@pytest.mark.parametrize("way", WAYS_OF_PADDING)
@pytest.mark.parametrize(("cell", "bidirectional", "depth"), CASES)
def test_values_and_gradients_in_the_padding_reach_nothing(cell, bidirectional, depth, way, monkeypatch):
    low_precision = take(way, monkeypatch)
    layer, _ = make(cell, bidirectional, depth)
    lengths = torch.tensor([3, 6, 0, 1])
    behind = torch.arange(6)[:, None] >= lengths
    batch, d_output = torch.randn(6, 4, 5), torch.randn(6, 4, 7 * (1 + bidirectional))
    results = []
    for value, gradient in ((0.0, 0.0), (float("nan"), float("nan")), (float("inf"), 1e30)):
        batch[behind], d_output[behind] = value, gradient
        input = batch.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=low_precision):
            output, final = layer(input, lengths=lengths)
        whole = (output * d_output.masked_fill(behind[..., None], 0)).sum()
        leaves = [input, *layer.parameters()]
        gradients = torch.autograd.grad(
            [output, *final], leaves, [d_output.to(output), *map(torch.ones_like, final)]
        )
        assert not gradients[0][behind].any()
        results.append([whole, *final, *gradients])
    for expected, *others in zip(*results, strict=True):
        assert all(torch.equal(expected, other) for other in others)


@pytest.mark.parametrize("way", WAYS_OF_PADDING)
@pytest.mark.parametrize(("cell", "bidirectional", "depth"), CASES)
def test_outputs_and_their_gradients_equal_those_of_each_row(cell, bidirectional, depth, way, monkeypatch):
    """With more rows than a multiple in which sequences may run past their end."""
    low_precision = take(way, monkeypatch)
    layer, _ = make(cell, bidirectional, depth)
    lengths = torch.arange(20) % 7
    batch, d_output = torch.randn(6, 20, 5), torch.randn(6, 20, 7 * (1 + bidirectional))
    gradients = []
    outputs = torch.zeros_like(d_output)
    with torch.autocast("cpu", torch.bfloat16, enabled=low_precision):
        together = layer.outputs(batch, lengths=lengths).float()
        gradients.append(torch.autograd.grad((together * d_output).sum(), [*layer.parameters()]))
        for row, length in enumerate(lengths.tolist()):
            outputs[:length, row] = layer.outputs(batch[:length, row : row + 1])[:, 0].float()
        gradients.append(torch.autograd.grad((outputs * d_output).sum(), [*layer.parameters()]))
    torch.testing.assert_close(together, outputs, atol=2e-2 if low_precision else 1e-6, rtol=0)
    for ours, alone in zip(*gradients, strict=True):
        assert (ours - alone).norm() <= (2e-2 if low_precision else 1e-5) * alone.norm()


@pytest.mark.parametrize("lengths", [None, [3, 1, 2]], ids=["even", "ragged"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_second_derivatives(cell, bidirectional, lengths, monkeypatch):
    monkeypatch.setattr(ragged, "SEGMENT_COST", 0)
    layer = CELLS[cell](2, 2, bidirectional=bidirectional).double()
    leaves = [
        torch.randn(3, 3, 2),
        *(torch.randn_like(part) for part in layer.initial_state(3, torch.ones(1))),
    ]
    leaves = [leaf.double().requires_grad_() for leaf in leaves]

    def run(input, *state):
        output, final = layer(input, state, lengths)
        return output, *final

    assert torch.autograd.gradgradcheck(run, leaves, fast_mode=True)


@pytest.mark.parametrize(("cell", "bidirectional", "depth"), CASES)
def test_padding_changes_nothing_in_bfloat16(cell, bidirectional, depth):
    layer, _ = make(cell, bidirectional, depth)
    batch, lengths = torch.randn(6, 3, 5), [3, 6, 0]
    other = batch.clone()
    other[3:, 0] = 1e3
    other[:, 2] = -1e3
    with torch.autocast("cpu", torch.bfloat16):
        output, final = layer(batch, lengths=lengths)
        output2, final2 = layer(other, lengths=lengths)
        alone, alone_final = layer(batch[:3, :1])
    assert torch.equal(output, output2)
    assert all(torch.equal(part, part2) for part, part2 in zip(final, final2, strict=True))
    torch.testing.assert_close(output[:3, :1].float(), alone.float(), atol=2e-2, rtol=0)
    for part, alone_part in zip(final, alone_final, strict=True):
        torch.testing.assert_close(part[:, :1].float(), alone_part.float(), atol=2e-2, rtol=0)


@pytest.mark.parametrize("lengths", [None, [3, 6, 1]], ids=["even", "packed"])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_kernels_that_are_wrong_under_autocast_run_without(cell, lengths, monkeypatch):
    monkeypatch.setattr(recurrent, "autocast_is_right", lambda device: False)
    if lengths:
        run_packed(monkeypatch)
    layer, _ = make(cell, True, 2)
    batch = torch.randn(6, 3, 5).bfloat16()
    start = tuple(torch.randn_like(part).bfloat16() for part in layer.initial_state(3, batch))
    expected, expected_final = layer(batch.float(), tuple(part.float() for part in start), lengths)
    with torch.autocast("cpu", torch.bfloat16):
        output, final = layer(batch, start, lengths)
    torch.testing.assert_close(output, expected, atol=1e-6, rtol=0)
    for part, expected_part in zip(final, expected_final, strict=True):
        torch.testing.assert_close(part, expected_part, atol=1e-6, rtol=0)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_with_masks_even_sequences_are_run_by_layers_with_cudnn_too(cell):
    layer = recurrent_layer(cell, 5, 7, 2, 0.5, locked=True)
    batch = torch.randn(6, 3, 5)
    start = tuple(torch.randn_like(part) for part in layer.initial_state(3, batch))
    results = []
    for way in (layer._run_cudnn, layer._run_layers):
        torch.manual_seed(1)
        output, final = way(batch, start, None, True)
        results.append([output, *final])
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


def test_dropout_between_layers_acts_in_training_only():
    layer = recurrent_layer("gru", 4, 4, 2, 0.9)
    batch, lengths = torch.randn(5, 2, 4), [5, 3]
    torch.manual_seed(0)
    assert not torch.equal(layer(batch, lengths=lengths)[0], layer(batch, lengths=lengths)[0])
    layer.eval()
    assert torch.equal(layer(batch, lengths=lengths)[0], layer(batch, lengths=lengths)[0])


@pytest.mark.parametrize("cell", CELLS)
def test_one_step_without_gradients_equals_one_with(cell):
    layer, _ = make(cell, False, 2)
    batch = torch.randn(1, 3, 5)
    start = tuple(torch.randn_like(part) for part in layer.initial_state(3, batch))
    output, final = layer(batch, start)
    with torch.no_grad():
        output2, final2 = layer(batch, start)
    torch.testing.assert_close(output, output2, atol=1e-6, rtol=0)
    for part, part2 in zip(final, final2, strict=True):
        torch.testing.assert_close(part, part2, atol=1e-6, rtol=0)


# Locked dropout and weight dropout

RECURRENT = ("rnn", "gru", "lstm")  # the cells with hidden-to-hidden weights
LENGTHS = torch.tensor([3, 6, 1, 6, 4])
WAYS = {"even": None, "ragged": LENGTHS, "packed": LENGTHS, "bfloat16": None, "ragged bfloat16": LENGTHS}
# A gate of each cell, and the bias with which nothing of the old state is left.
FORGETS = {"gru": (1, -1e4), "lstm": (1, -1e4), "mingru": (0, 1e4), "minlstm": (1, -1e4)}


def run(layer, way, batch, monkeypatch):
    """The outputs and the final state, in float32, with as many segments as possible."""
    monkeypatch.setattr(ragged, "SEGMENT_COST", 0)
    monkeypatch.setattr(recurrent, "_MIN_HIDDEN", 1)
    if way == "packed":
        run_packed(monkeypatch)
    with torch.autocast("cpu", torch.bfloat16, enabled="bfloat16" in way):
        output, final = layer(batch, lengths=WAYS[way])
    return output.float(), [part.float() for part in final]


@pytest.mark.parametrize("locked", [False, True])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cell", CELLS)
def test_locked_dropout_has_one_mask_per_sequence(cell, way, locked, monkeypatch):
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
def test_weight_dropout_acts_in_training_only(cell):
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


def test_weight_dropout_of_1_leaves_no_recurrent_weight():
    layer = LSTM(5, 7, weight_dropout=1.0)
    steps = torch.randn(2, 3, 5)
    with torch.no_grad():
        dropped = layer(steps)[0]
        layer.weight_hh_l0.zero_()
        torch.testing.assert_close(dropped, layer.eval()(steps)[0])
