from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DistributedSampler

from nlp_rnn.data import Corpus, TranslationData, Vocabulary, VocabularySettings, sampling
from nlp_rnn.data.batching import Batching
from nlp_rnn.data.corpus import spool
from nlp_rnn.data.sampling import LengthGroupedSampler


@st.composite
def rows_and_batching(draw):
    columns = draw(st.integers(1, 2))
    rows = draw(st.lists(st.tuples(*[st.integers(0, 12)] * columns), max_size=60))
    size = draw(st.integers(1, 9))
    max_tokens = draw(st.none() | st.integers(1, 60))
    lengths = np.array(rows, dtype=np.int64).reshape(len(rows), columns)
    return lengths, Batching(size=size, max_tokens=max_tokens, seed=draw(st.integers(0, 3)))


def everyone(lengths, batching, shuffle, world_size, epoch=0, accumulated=1):
    """The batches of every process."""
    ranks = []
    for rank in range(world_size):
        sampler = LengthGroupedSampler(lengths, batching, shuffle, rank, world_size, accumulated)
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert len(sampler) == len(batches)
        ranks.append(batches)
    return ranks


def flat(batches):
    return [row for batch in batches for row in batch]


@settings(deadline=None)
@given(rows_and_batching(), st.integers(1, 5))
def test_evaluation_takes_turns_in_the_batches_of_one_process(made, world_size):
    lengths, batching = made
    ranks = everyone(lengths, batching, False, world_size)
    assert len({len(batches) for batches in ranks}) == 1
    in_turn = [batch for batches in zip(*ranks, strict=True) for batch in batches if batch]
    assert in_turn == everyone(lengths, batching, False, 1)[0]
    assert sorted(flat(in_turn)) == list(range(len(lengths)))


@settings(deadline=None)
@given(rows_and_batching(), st.integers(1, 4), st.integers(1, 3), st.integers(0, 4))
def test_training_steps_do_not_depend_on_processes_and_accumulation(made, world_size, accumulated, epoch):
    lengths, batching = made
    batching = replace(batching, max_tokens=None)
    ranks = everyone(lengths, batching, True, world_size, epoch, accumulated)
    assert len({len(batches) for batches in ranks}) == 1
    assert all(len(batch) <= batching.size for batch in flat(ranks))
    rounds = [flat(batches) for batches in zip(*ranks, strict=True)]
    steps = [flat(rounds[start : start + accumulated]) for start in range(0, len(rounds), accumulated)]
    whole = replace(batching, size=batching.size * world_size * accumulated)
    assert [sorted(step) for step in steps] == [
        sorted(batch) for batch in everyone(lengths, whole, True, 1, epoch)[0]
    ]
    assert sorted(flat(steps)) == list(range(len(lengths)))  # each row once


def test_processes_share_the_work_evenly():
    lengths = np.random.default_rng(0).integers(1, 50, (1003, 1))
    for batches in zip(*everyone(lengths, Batching(size=16), True, 4), strict=True):
        counts = [len(batch) for batch in batches]
        assert max(counts) - min(counts) <= 1
        longest = [int(lengths[batch].max()) for batch in batches if batch]
        assert max(longest) - min(longest) <= 2


@settings(deadline=None)
@given(rows_and_batching(), st.booleans(), st.integers(1, 3), st.integers(1, 3))
def test_limits_are_kept(made, shuffle, world_size, accumulated):
    lengths, batching = made
    for batch in flat(everyone(lengths, batching, shuffle, world_size, accumulated=accumulated)):
        assert len(batch) <= batching.size
        if batching.max_tokens is not None and len(batch) > 1:
            assert len(batch) * lengths[batch].max() <= batching.max_tokens


@settings(deadline=None)
@given(rows_and_batching(), st.integers(0, 5), st.integers(1, 3))
def test_order_is_a_function_of_seed_and_epoch(made, epoch, world_size):
    lengths, batching = made
    first = everyone(lengths, batching, True, world_size, epoch)
    assert everyone(lengths, batching, True, world_size, epoch) == first
    sampler = LengthGroupedSampler(lengths, batching, True, 0, world_size)
    for earlier in range(epoch + 1):  # as a run that comes to this epoch sees it
        sampler.set_epoch(earlier)
        batches = list(sampler)
    assert batches == first[0]


def test_epochs_and_seeds_differ():
    lengths = np.random.default_rng(0).integers(1, 6, (200, 1))
    orders = [
        everyone(lengths, Batching(size=8, seed=seed), True, 1, epoch)[0]
        for seed in range(3)
        for epoch in range(3)
    ]
    assert len({str(order) for order in orders}) == 9
    # Not only the order of the batches: which rows of one length go together, too.
    assert len({str(sorted(sorted(batch) for batch in order)) for order in orders}) == 9


def test_evaluation_is_the_same_each_epoch_largest_first():
    lengths = np.random.default_rng(0).integers(1, 30, (100, 1))
    batches = everyone(lengths, Batching(size=8), False, 1)[0]
    assert batches == everyone(lengths, Batching(size=8, seed=5), False, 1, epoch=3)[0]
    longest = [lengths[batch].max() for batch in batches]
    assert longest[0] == lengths.max()
    assert longest == sorted(longest, reverse=True)


def test_rows_of_one_length_go_together():
    lengths = np.repeat([3, 9, 5], 16)[:, None]
    batches = everyone(lengths, Batching(size=8), True, 1)[0]
    assert len(batches) == 6
    assert all(len(set(lengths[batch, 0])) == 1 for batch in batches)


def test_training_groups_second_lengths_up_to_multiples_of_8():
    lengths = np.array([[5, second] for second in range(17)] * 8)
    batches = everyone(lengths, Batching(size=8), True, 1)[0]
    groups = [sorted(set(-(-lengths[batch, 1] // 8))) for batch in batches]
    assert sorted(map(tuple, groups)) == [(0,)] + [(1,)] * 8 + [(2,)] * 8
    # Within a group they are mixed.
    assert all(
        len(set(lengths[batch, 1])) > 2 for batch, group in zip(batches, groups, strict=True) if group[0]
    )


@pytest.mark.parametrize(
    ("lengths", "sizes"),
    [
        ([2] * 3 + [6] * 8, [8, 3]),
        ([2] * 4 + [6] * 7, [4, 7]),
        ([2] * 5 + [6] * 7, [5, 7]),
        ([2] * 3 + [4] * 2 + [6] * 5, [8, 2]),  # not of one length
    ],
)
def test_batches_at_least_half_full_end_where_the_length_changes(lengths, sizes):
    batches = everyone(np.array(lengths)[:, None], Batching(size=8), False, 1)[0]
    assert [len(batch) for batch in reversed(batches)] == sizes


@pytest.mark.parametrize(("tokens", "sizes"), [(4, [1, 1]), (3, [2, 2]), (100, [1, 1])])
def test_a_budget_is_for_the_batch_of_each_process(tokens, sizes):
    """The budget is 6; even a row beyond it is one of two, for each process gets a batch."""
    first, second = everyone(np.full((8, 1), tokens), Batching(size=4, max_tokens=6), True, 2)
    counts = {(len(one), len(other)) for one, other in zip(first, second, strict=True)}
    assert counts == {tuple(sizes)}


def test_processes_and_accumulated_batches_share_a_step_evenly():
    lengths = np.random.default_rng(0).integers(1, 50, (1003, 1))
    ranks = everyone(lengths, Batching(size=4), True, 3, accumulated=4)
    counts = np.array([[len(batch) for batch in batches] for batches in ranks])  # [ranks, batches]
    steps = counts.reshape(3, -1, 4)
    assert (steps.max((0, 2)) - steps.min((0, 2))).max() <= 1


def test_the_first_column_matters_most():
    lengths = np.array([[first, second] for first in (4, 7) for second in (1, 2, 3)] * 4)
    for batch in everyone(lengths, Batching(size=12), False, 1)[0]:
        assert len(set(lengths[batch, 0])) == 1
        assert (np.diff(lengths[batch, 1]) >= 0).all()


@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_batches_fill_the_budget(length):
    """An empty row counts as one token."""
    sampler = LengthGroupedSampler(np.full((12, 1), length), Batching(size=100, max_tokens=6), False)
    assert [len(batch) for batch in sampler] == [6 // max(1, length)] * (2 * max(1, length))


def test_a_budget_is_for_the_longer_side():
    lengths = np.array([[2, 3]] * 12)
    sampler = LengthGroupedSampler(lengths, Batching(size=100, max_tokens=6), False)
    assert [len(batch) for batch in sampler] == [2] * 6


def test_a_resumed_epoch_begins_where_it_was_left():
    sampler = LengthGroupedSampler(np.ones((20, 1), int), Batching(size=3), True)
    sampler.skip(4, 2)
    rest = list(sampler)
    sampler.set_epoch(5)
    following = list(sampler)
    sampler.set_epoch(4)
    whole = everyone(np.ones((20, 1), int), Batching(size=3), True, 1, 4)[0]
    assert rest == list(sampler) == whole[2:]
    assert following == everyone(np.ones((20, 1), int), Batching(size=3), True, 1, 5)[0]
    assert len(sampler) == len(whole) == 7


def test_a_row_beyond_the_budget_goes_alone():
    lengths = np.array([[100], [2], [2], [2]])
    batches = everyone(lengths, Batching(size=8, max_tokens=6), False, 1)[0]
    assert [sorted(batch) for batch in batches] == [[0], [1, 2, 3]]


def test_lightning_takes_it_for_a_distributed_sampler():
    assert isinstance(LengthGroupedSampler(np.ones((3, 1), int), Batching(), True), DistributedSampler)


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("shuffle", [False, True])
def test_the_order_does_not_depend_on_where_it_is_sorted(columns, shuffle, monkeypatch, cache_home):
    """Sorting in parts, on disk, gives the order of one sort in memory."""
    lengths = np.random.default_rng(0).integers(0, 40, (500, columns), np.int32)
    whole = LengthGroupedSampler(lengths, Batching(7, seed=5), shuffle)
    whole.set_epoch(3)
    random, ties = np.random.default_rng((5, 3)), np.arange(500, dtype=np.int32)
    order = np.lexsort((random.permutation(ties) if shuffle else ties, *whole._groups.T[::-1]))
    batches = [batch.tolist() for batch in np.split(order, whole._ends[:-1])]
    numbers = random.permutation(len(batches)) if shuffle else range(len(batches))[::-1]
    expected = [batches[number] for number in numbers]
    assert list(whole) == expected
    monkeypatch.setattr(sampling, "_ROWS_AT_ONCE", 64)
    monkeypatch.setattr(spool, "CHUNK_ROWS", 30)
    monkeypatch.setattr(spool, "_ARRAY_IN_MEMORY", 100)
    in_parts = LengthGroupedSampler(lengths, Batching(7, seed=5), shuffle)
    in_parts.set_epoch(3)
    assert list(in_parts) == expected


def test_real_sentences_are_hardly_padded(shared_data, record_property):
    def lengths(side):
        lines = (shared_data / "multi30k" / f"train.{side}").read_text(encoding="utf-8").splitlines()
        vocabulary = Vocabulary.train(lines, VocabularySettings())
        return [len(ids) for ids in vocabulary.encode(lines)]

    both = np.array([lengths("de"), lengths("en")]).T
    batches = list(LengthGroupedSampler(both, Batching(size=128), True))
    for column, side, most in ((0, "source", 0.01), (1, "target", 0.25)):
        positions = sum(len(batch) * both[batch, column].max() for batch in batches)
        padding = 1 - both[:, column].sum() / positions
        record_property(f"{side}_padding", round(float(padding), 4))
        assert padding < most
    record_property("mean_batch", round(len(both) / len(batches), 1))
    assert len(both) / len(batches) > 110  # not by means of small batches


def test_workers_give_the_same_batches():
    def batches(workers):
        corpus = Corpus(max_examples=120)
        data = TranslationData(corpus, batching=Batching(size=16, num_workers=workers))
        loader = data.train_dataloader()
        for epoch in range(2):
            loader.sampler.set_epoch(epoch)
            yield from ((batch.rows, batch.source.tolist(), batch.references) for batch in loader)

    assert list(batches(2)) == list(batches(0))
