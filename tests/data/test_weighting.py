"""Weights of corpora: rows per epoch are what they say, at random, and as many in each epoch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_rnn.data.batching import Batching
from nlp_rnn.data.sampling import LengthGroupedSampler
from nlp_rnn.data.weighting import draw_parts, plan_weights


@pytest.mark.parametrize(("weights", "expected"), [
    ([1, 1], [1] * 4 + [1] * 6), ([1, 2], [1] * 4 + [2] * 6), ([1, 0.5], [1] * 4 + [0.5] * 6),
    ([1, 2.5], [1] * 4 + [2.5] * 6), ([1, 0.001], [1] * 4 + [1 / 6] * 6),
])  # fmt: skip
def test_rows_are_drawn_as_often_as_their_weight_says(weights, expected):
    numbers, parts = plan_weights([4, 6], weights)
    counts = np.zeros(10)
    for seed in range(3000):
        drawn = draw_parts(np.arange(len(numbers)), parts, np.random.default_rng(seed))
        counts += np.bincount(numbers[drawn], minlength=10)
    np.testing.assert_allclose(counts / 3000, expected, atol=0.04)


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 9), min_size=2, max_size=60), st.integers(1, 9), st.floats(0.05, 2.5), st.data()
)
def test_epochs_have_as_many_batches_of_other_rows(lengths, size, weight, data):
    own = data.draw(st.integers(1, len(lengths) - 1))
    numbers, parts = plan_weights([own, len(lengths) - own], [1, weight])
    drawn_lengths = np.array(lengths)[numbers][:, None]
    world = data.draw(st.integers(1, 3))

    def epoch(number, rank=0, world_size=1):
        batching = Batching(size=size)
        sampler = LengthGroupedSampler(drawn_lengths, batching, True, rank, world_size, parts=parts)
        sampler.set_epoch(number)
        batches = list(sampler)
        assert len(batches) == len(sampler)
        return batches

    first = [row for batch in epoch(0) for row in batch]
    assert len(set(first)) == len(first)
    rows = numbers[first]
    assert set(rows[rows < own]) == set(range(own))  # of the main corpus each, once
    assert (rows < own).sum() == own
    count = (len(lengths) - own) * weight
    assert abs(len(rows) - own - count) <= 1
    assert epoch(0) == epoch(0)
    assert len([row for batch in epoch(1) for row in batch]) == len(first)
    ranks = [row for rank in range(world) for batch in epoch(0, rank, world) for row in batch]
    assert sorted(ranks) == sorted(first)  # however many processes there are


def test_other_rows_are_drawn_in_each_epoch_and_a_resumed_one_goes_on():
    _, parts = plan_weights([50, 50], [1, 0.5])
    sampler = LengthGroupedSampler(np.ones((100, 1), int), Batching(size=8), True, parts=parts)
    epochs = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        epochs.append(list(sampler))
    first, second = ({row for batch in epoch for row in batch} for epoch in epochs)
    assert first != second
    assert len(first) == len(second) == 75
    sampler.skip(1, 3)
    assert list(sampler) == epochs[1][3:]


def test_evaluation_has_all_rows():
    _, parts = plan_weights([5, 5], [1, 0.5])
    sampler = LengthGroupedSampler(np.ones((10, 1), int), Batching(size=4), False, parts=parts)
    assert sorted(row for batch in sampler for row in batch) == list(range(10))
