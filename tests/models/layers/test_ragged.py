"""Segments cover every step, and rows and steps move without losing a gradient."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from nlp_rnn.models.layers import ragged
from nlp_rnn.models.layers.ragged import GatherRows, PermuteSteps, ScatterRows


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
    for move in (
        lambda rows: GatherRows.apply(rows, indices, 5),
        lambda rows: ScatterRows.apply(rows, indices, 7),
        lambda rows: PermuteSteps.apply(rows.view(2, 3, 2), order),
    ):
        assert gradcheck(move, matrix)
        assert gradgradcheck(lambda rows, move=move: move(rows).pow(3), matrix, fast_mode=True)
