"""Lengths are checked, segments cover every step, and rows and steps move without losing a gradient."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from nlp_rnn.errors import UsageError
from nlp_rnn.models.layers import ragged
from nlp_rnn.models.layers.cells import CELLS
from nlp_rnn.models.layers.ragged import GatherRows, PermuteSteps, ScatterRows, validate_lengths


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 40), min_size=1, max_size=12).filter(any),
    cost=st.sampled_from([0, 9, 999]),
)
def test_segments_cover_every_step_of_every_sequence(lengths, cost):
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
    # No more expensive than one segment, or one per length.
    alive = sum(length > 0 for length in lengths)
    assert padded + cost * len(segments) <= max(lengths) * alive - sum(lengths) + cost
    assert padded + cost * len(segments) <= cost * len(set(lengths) - {0})


@pytest.mark.parametrize("lengths", [[2, 0, 3], torch.tensor([2, 0, 3]), torch.tensor([2.0, 0.0, 3.0])])
def test_lengths_become_integers_on_the_cpu(lengths):
    validated = validate_lengths(lengths, steps=3, batch=3)
    assert validated.tolist() == [2, 0, 3]
    assert validated.dtype == torch.int64


def test_full_lengths_are_none():
    assert validate_lengths(None, steps=3, batch=2) is None
    assert validate_lengths([3, 3], steps=3, batch=2) is None
    assert validate_lengths([], steps=3, batch=0) is None


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([1, 2], "has shape"),
        ([[1, 2, 3]], "has shape"),
        ([4, 1, 1], "between 0 and 3"),
        ([-1, 1, 1], "between 0 and 3"),
    ],
)
def test_wrong_lengths_are_refused(lengths, message):
    with pytest.raises(ValueError, match=message):
        validate_lengths(lengths, steps=3, batch=3)


def test_rows_are_gathered_and_scattered_back():
    matrix, indices = torch.randn(6, 2), torch.tensor([4, 0, 3])
    gathered = GatherRows.apply(matrix, indices, 5)
    assert torch.equal(gathered[:3], matrix[indices])
    assert not gathered[3:].any()
    scattered = ScatterRows.apply(gathered, indices, 6)
    assert torch.equal(scattered[indices], matrix[indices])
    assert not scattered[[1, 2, 5]].any()


def test_steps_are_permuted_and_permuted_back():
    batch, order = torch.randn(2, 3, 4), torch.tensor([3, 1, 5, 0, 4, 2])  # its own inverse
    permuted = PermuteSteps.apply(batch, order)
    assert torch.equal(permuted.flatten(0, 1), batch.flatten(0, 1)[order])
    assert torch.equal(PermuteSteps.apply(permuted, order), batch)


def test_gradients_are_correct():
    matrix = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    indices, order = torch.tensor([4, 0, 3]), torch.tensor([3, 1, 5, 0, 4, 2])
    assert gradcheck(lambda rows: GatherRows.apply(rows, indices, 5), matrix)
    assert gradcheck(lambda rows: ScatterRows.apply(rows, indices, 7), matrix)
    assert gradcheck(lambda rows: PermuteSteps.apply(rows.view(2, 3, 2), order), matrix)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.filterwarnings("ignore")
def test_what_would_record_the_lengths_of_one_batch_is_refused(cell):
    layer, lengths = CELLS[cell].layer(3, 4), torch.tensor([3, 1])
    inputs = (torch.randn(3, 2, 3), None, lengths)
    run = torch.nn.Module()
    run.forward = lambda input, lengths: layer.outputs(input, lengths=lengths)
    for record in (
        lambda: torch.jit.trace(layer, inputs[:1]),
        lambda: torch.jit.trace(run, (inputs[0], lengths)),
        lambda: torch.jit.script(layer),
        lambda: torch.jit.script(torch.nn.Sequential(layer)),
    ):
        with pytest.raises(UsageError, match="would make constants of one batch's lengths"):
            record()
    with pytest.raises(Exception, match="data-dependent"):  # torch's own refusal
        torch.export.export(layer, inputs)
