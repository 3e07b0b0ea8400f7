"""Decoding with demands, over step functions whose best sequences are found by enumeration."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_rnn.lite.decoding.constraints import Phrases
from nlp_rnn.lite.decoding.hypotheses import gnmt_length_penalty
from nlp_rnn.models.constraints import constrained_beam_search, force_prefixes
from nlp_rnn.models.search import beam_search, greedy

EOS, BOS = 0, 1
OPTIONS = {"bos_id": BOS, "eos_id": EOS}


def make_table(seed, vocab=5):
    """Log-probabilities [step, last token, token]; as they depend on the step, none are equal."""
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.rand(12, vocab, vocab, generator=generator)).log_softmax(-1)


def make_step(tables):
    """A step function in which row r uses table r, by a number in its state; it counts its steps too."""
    tables = torch.stack(tables)

    def step(tokens, state):
        number, count = state
        return tables[number[0, :, 0], count[0, :, 0], tokens], (number, count + 1)

    rows = len(tables)
    return step, (torch.arange(rows).view(1, rows, 1), torch.zeros(1, rows, 1, dtype=torch.int64))


def contains(tokens, phrase):
    return any(list(phrase) == tokens[i : i + len(phrase)] for i in range(len(tokens)))


def enumerate_best(table, max_length, alpha, phrases=(), prefix=()):
    """(score, tokens) of all sequences that meet the demands, best first: plain Python."""
    table = table.tolist()
    found = []
    for length in range(1, max_length + 1):
        inner = [token for token in range(5) if token != EOS]
        last = [EOS] if length < max_length else range(5)
        for sequence in itertools.product(*[inner] * (length - 1), last):
            tokens = [token for token in sequence if token != EOS]
            if tokens[: len(prefix)] != list(prefix) or not all(contains(tokens, p) for p in phrases):
                continue
            steps = list(zip(table, (BOS, *sequence), sequence, strict=False))[len(prefix) :]
            log_prob = sum(step[before][after] for step, before, after in steps)
            found.append((log_prob / gnmt_length_penalty(length, alpha), tokens))
    return sorted(found, reverse=True)


def phrase_lists(most=3):
    return st.lists(st.lists(st.integers(2, 4), min_size=1, max_size=2), max_size=most)


def total(phrases):
    return Phrases(phrases).size


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    phrases=phrase_lists(2),
    alpha=st.sampled_from([0.0, 1.0]),
    prefix=st.booleans(),
)
def test_a_wide_beam_finds_the_best_sequence_that_meets_the_demands(seed, phrases, alpha, prefix):
    table, beginning = make_table(seed), [3, 2] if prefix else []
    max_length = max(4, total(phrases) + len(beginning))
    expected = enumerate_best(table, max_length, alpha, phrases, beginning)
    step, state = force_prefixes(*make_step([table]), [beginning])
    (found,) = constrained_beam_search(
        step, state, [phrases], max_length=max_length, width=400, n_best=3, length_penalty=alpha, **OPTIONS
    )
    assert [h.score for h in found] == pytest.approx([score for score, _ in expected[:3]], abs=1e-5)
    assert [h.tokens for h in found] == [tokens for _, tokens in expected[:3]]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    constraints=st.lists(phrase_lists(), min_size=1, max_size=4),
    width=st.integers(1, 3),
    alpha=st.sampled_from([0.0, 1.0]),
)
def test_every_constraint_is_met_whatever_the_width_and_the_other_rows(seed, constraints, width, alpha):
    tables = [make_table(seed + number) for number in range(len(constraints))]
    max_length = max(5, *map(total, constraints))
    options = {"max_length": max_length, "width": width, "length_penalty": alpha, "n_best": width, **OPTIONS}
    together = constrained_beam_search(*make_step(tables), constraints, **options)
    for table, phrases, hypotheses in zip(tables, constraints, together, strict=True):
        assert hypotheses
        for hypothesis in hypotheses:
            assert all(contains(hypothesis.tokens, phrase) for phrase in phrases)
        assert len({tuple(h.tokens) for h in hypotheses}) == len(hypotheses)
        step, state = make_step([table])
        (alone,) = constrained_beam_search(step, state, [phrases], **options)
        assert alone == hypotheses
        if not phrases:
            (free,) = beam_search(step, state, **options)
            assert [h.tokens for h in free] == [h.tokens for h in hypotheses]
            assert [h.score for h in free] == pytest.approx([h.score for h in hypotheses], abs=1e-5)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31), width=st.integers(2, 4), alpha=st.sampled_from([0.0, 2.5]), data=st.data())
def test_without_constraints_it_is_beam_search(seed, width, alpha, data):
    n_best = data.draw(st.integers(1, width))
    options = {"max_length": 11, "width": width, "length_penalty": alpha, "n_best": n_best, **OPTIONS}
    step, state = make_step([make_table(seed)])
    (free,) = beam_search(step, state, **options)
    (found,) = constrained_beam_search(step, state, [[]], **options)
    assert [h.tokens for h in found] == [h.tokens for h in free]
    assert [h.score for h in found] == pytest.approx([h.score for h in free], abs=1e-5)


def test_a_phrase_that_the_model_says_anyway_is_said_once():
    table = torch.full((12, 5, 5), -9.0)
    for before, after in ((BOS, 2), (2, 3), (3, 4), (4, EOS)):
        table[:, before, after] = 0.0
    (found,) = constrained_beam_search(
        *make_step([table]), [[[2, 3], [3], [3, 4]]], max_length=9, width=1, **OPTIONS
    )
    assert found[0].tokens == [2, 3, 4]
    assert found[0].finished


@pytest.mark.parametrize(
    ("tokens", "phrases"),
    [
        ([2, 3, 2, 3, 4], [[2, 3, 4]]),
        ([2, 2, 2, 3], [[2, 2, 3]]),
        ([2, 3, 2, 2, 3, 2, 3, 4], [[2, 3, 2, 3, 4], [3, 2, 2]]),
        ([4, 2, 3], [[2], [2, 3], [3]]),
    ],
)
def test_progress_is_that_of_the_longest_match(tokens, phrases):
    known = Phrases(phrases)
    progress = known.start
    for end in range(1, len(tokens) + 1):
        progress = known.advance(progress, tokens[end - 1])
        for phrase, matched in zip(phrases, progress, strict=True):
            read = tokens[:end]
            sizes = [n for n in range(len(phrase) + 1) if read[len(read) - n :] == phrase[:n] and n <= end]
            assert matched == (len(phrase) if contains(read, phrase) else max(sizes))
    assert known.covered(progress) == known.size
    assert known.wanted(progress) == set()


def test_a_prefix_is_forced_in_any_search_and_counts_nothing():
    tables = [make_table(seed) for seed in range(3)]
    prefixes = [[4, 4, 2], [], [3]]
    step, state = make_step(tables)
    forced = force_prefixes(step, state, prefixes)
    for width in (1, 3):
        found = beam_search(*forced, max_length=8, width=width, **OPTIONS)
        for table, prefix, (best, *_) in zip(tables, prefixes, found, strict=True):
            assert best.tokens[: len(prefix)] == prefix
            ids = [BOS, *best.tokens, *([EOS] if best.finished else [])]
            steps = list(zip(table, ids, ids[1:], strict=False))[len(prefix) :]
            expected = sum(float(step[before, after]) for step, before, after in steps)
            assert best.log_prob == pytest.approx(expected, abs=1e-5)
    free = greedy(step, state, max_length=8, **OPTIONS)
    assert greedy(*forced, max_length=8, **OPTIONS)[1] == free[1]


@pytest.mark.parametrize(
    ("constraints", "options", "message"),
    [
        ([[[2], []]], {}, "a constraint has no token"),
        ([[[2, EOS]]], {}, "row 0: a constraint has token 0, which is never produced"),
        ([[[2, 3]]], {"forbidden": [3]}, "row 0: a constraint has token 3"),
        ([[[2, 3], [4, 4, 4]]], {"max_length": 4}, "have 5 tokens, more than its max_length of 4"),
        ([], {}, "must be 1 lists, one per row, not 0"),
        ([[]], {"width": 2, "n_best": 3}, "n_best must be from 1 to the beam width 2"),
    ],
)
def test_impossible_demands_are_refused(constraints, options, message):
    with pytest.raises(ValueError, match=message):
        constrained_beam_search(
            *make_step([make_table(0)]), constraints, **{"max_length": 9, **OPTIONS, **options}
        )


def test_logits_that_are_nan_are_refused():
    with pytest.raises(ValueError, match="NaN"):
        constrained_beam_search(*make_step([make_table(0) * torch.nan]), [[[2]]], max_length=3, **OPTIONS)


def test_without_rows_there_is_nothing():
    step, _ = make_step([make_table(0)])
    state = (torch.zeros(1, 0, 1, dtype=torch.int64),) * 2
    assert constrained_beam_search(step, state, [], max_length=3, **OPTIONS) == []
