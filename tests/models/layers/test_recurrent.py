"""The layers against plain torch ones, run a sequence at a time."""

import itertools
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nlp_rnn.models.layers import ragged
from nlp_rnn.models.layers.cells import CELLS, recurrent_layer


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


@pytest.mark.parametrize("way", ["not cut", "cut", "cut everywhere", "packed"])
@pytest.mark.parametrize(("cell", "bidirectional", "depth"), CASES)
def test_ragged_batch_equals_each_sequence_alone(cell, bidirectional, depth, way, monkeypatch):
    monkeypatch.setattr(ragged, "SEGMENT_COST", {"not cut": 1000, "cut": 4, "cut everywhere": 0}.get(way))
    layer, plain = make(cell, bidirectional, depth)
    lengths = torch.tensor([3, 6, 0, 1, 6, 4])
    batch = torch.randn(6, len(lengths), 5)
    start = tuple(torch.randn_like(part) for part in layer.initial_state(len(lengths), batch))
    if way == "packed" and cell.startswith("min"):
        pytest.skip("cuDNN has no such layer")
    if way == "packed":
        output, final = layer._run_cudnn(batch, start, lengths)
    else:
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


@pytest.mark.parametrize(("cell", "bidirectional", "depth"), CASES)
def test_in_bfloat16_too_padding_changes_nothing(cell, bidirectional, depth):
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


@pytest.mark.parametrize(
    ("lengths", "message"),
    [([1, 2], "has shape"), ([4, 1, 1], "between 0 and 3"), ([-1, 1, 1], "between 0 and 3")],
)
def test_wrong_lengths_are_refused(lengths, message):
    with pytest.raises(ValueError, match=message):
        make("gru", True, 1)[0](torch.zeros(3, 3, 5), lengths=lengths)


def test_unknown_cell_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="'lsmt': use one of rnn, gru, lstm, mingru, minlstm"):
        recurrent_layer("lsmt", 1, 1, 1, 0.0)


def test_dropout_between_layers_acts_in_training_alone():
    layer = recurrent_layer("gru", 4, 4, 2, 0.9)
    batch, lengths = torch.randn(5, 2, 4), [5, 3]
    torch.manual_seed(0)
    assert not torch.equal(layer(batch, lengths=lengths)[0], layer(batch, lengths=lengths)[0])
    layer.eval()
    assert torch.equal(layer(batch, lengths=lengths)[0], layer(batch, lengths=lengths)[0])


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 40), min_size=1, max_size=12).filter(any),
    cost=st.sampled_from([0, 9, 999]),
)
def test_cuts_cover_every_step_of_every_sequence(lengths, cost):
    before, ragged.SEGMENT_COST = ragged.SEGMENT_COST, cost
    try:
        segments = ragged.plan_segments(torch.tensor(sorted(lengths, reverse=True)))
    finally:
        ragged.SEGMENT_COST = before
    assert [segment.start for segment in segments] == [0, *(segment.end for segment in segments[:-1])]
    assert segments[-1].end == max(lengths)
    for segment in segments:
        assert segment.rows == sum(length > segment.start for length in lengths)
    padded = sum((segment.end - segment.start) * segment.rows for segment in segments) - sum(lengths)
    if cost == 0:
        assert padded == 0
    # No dearer than no cut at all, or one at every length.
    alive = sum(length > 0 for length in lengths)
    assert padded + cost * len(segments) <= max(lengths) * alive - sum(lengths) + cost
    assert padded + cost * len(segments) <= cost * len(set(lengths) - {0})


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
