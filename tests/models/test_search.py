"""Decoding over fake step functions whose best sequences are known."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_rnn.lite.decoding.hypotheses import Hypothesis, gnmt_length_penalty
from nlp_rnn.models.sampling import sample
from nlp_rnn.models.search import beam_search, greedy

EOS, BOS = 0, 1


class Table:
    """A step function whose logits depend on the last token only: a Markov chain, log P = table[token].

    Its state records the tokens read so far, in order, and how many there are.
    """

    def __init__(self, probabilities: list[list[float]] | torch.Tensor, dtype=torch.float32):
        self.logits = torch.as_tensor(probabilities).log().to(dtype)
        self.rows: list[int] = []  # the number of rows of every call

    def __call__(self, tokens, state):
        history, count = state
        self.rows.append(len(tokens))
        position = int(count[0, 0, 0]) if len(tokens) else 0
        history = history.clone()
        history[0, :, position] = tokens
        return self.logits[tokens], (history, count + 1)


def start(rows: int = 1, length: int = 16):
    return torch.full((1, rows, length), -1), torch.zeros(1, rows, 1, dtype=torch.int64)


# Tokens: 0 EOS, 1 BOS, 2 a, 3 b, 4 c. Greedy takes a (0.5) and then can do no better than 0.3;
# b (0.4) leads to eos with 0.9: P(b) = 0.36 against P(a ...) <= 0.5 * 0.3.
TRAP = [
    [1.0, 0.0, 0.0, 0.0, 0.0],
    [0.05, 0.0, 0.5, 0.4, 0.05],
    [0.3, 0.0, 0.2, 0.25, 0.25],
    [0.9, 0.0, 0.05, 0.0, 0.05],
    [0.2, 0.0, 0.3, 0.3, 0.2],
]


def tables(vocab: int):
    weights = st.lists(st.floats(0.01, 1.0), min_size=vocab * vocab, max_size=vocab * vocab)
    return weights.map(lambda values: torch.tensor(values).view(vocab, vocab)).map(
        lambda t: t / t.sum(1, True)
    )


def seeded_tables(vocab: int):
    """Tables without equal probabilities, for tests in which the order of equals would matter."""
    return st.integers(0, 2**32 - 1).map(
        lambda seed: torch.rand(vocab, vocab, generator=torch.Generator().manual_seed(seed)).softmax(1)
    )


def enumerate_all(table, max_length, alpha, bos=BOS, forbidden=()):
    """Every possible hypothesis with its score, best first: plain Python over all sequences."""
    table = torch.as_tensor(table, dtype=torch.float64).clone()
    table[:, list(forbidden)] = 0
    table = table / table.sum(1, keepdim=True)
    log_table = table.log().tolist()
    inner = [token for token in range(len(log_table)) if token != EOS]
    found = []
    for length in range(1, max_length + 1):
        last = [EOS] if length < max_length else range(len(log_table))
        for sequence in itertools.product(*[inner] * (length - 1), last):
            log_prob = sum(log_table[a][b] for a, b in zip((bos, *sequence), sequence, strict=False))
            if log_prob > -math.inf:
                finished = sequence[-1] == EOS
                tokens = list(sequence[:-1] if finished else sequence)
                score = log_prob / ((5 + length) / 6) ** alpha
                found.append(Hypothesis(tokens, log_prob, score, finished))
    return sorted(found, key=lambda h: -h.score)


def assert_same(ours: Hypothesis, theirs: Hypothesis):
    assert (ours.tokens, ours.finished) == (theirs.tokens, theirs.finished)
    assert ours.log_prob == pytest.approx(theirs.log_prob, rel=1e-5, abs=1e-6)
    assert ours.score == pytest.approx(theirs.score, rel=1e-5, abs=1e-6)


def test_beam_search_finds_the_sequence_that_greedy_misses():
    options = {"bos_id": BOS, "eos_id": EOS, "max_length": 10}
    (taken,) = greedy(Table(TRAP), start(), **options)
    assert taken.tokens == [2]
    assert taken.finished
    assert taken.score == taken.log_prob == pytest.approx(math.log(0.5 * 0.3))
    ((found,),) = beam_search(Table(TRAP), start(), width=2, length_penalty=0.0, **options)
    assert found.tokens == [3]
    assert found.log_prob == pytest.approx(math.log(0.4 * 0.9))


@settings(max_examples=40, deadline=None)
@given(table=tables(4), max_length=st.integers(1, 4), alpha=st.sampled_from([0.0, 0.6, 1.0, 2.5]))
def test_a_wide_beam_finds_what_enumeration_finds(table, max_length, alpha):
    expected = enumerate_all(table, max_length, alpha)
    (found,) = beam_search(
        Table(table), start(), bos_id=BOS, eos_id=EOS, max_length=max_length,
        width=256, n_best=len(expected), length_penalty=alpha,
    )  # fmt: skip
    assert len(found) == len(expected)
    # Scores are compared in order, and sequences as a set: ties may come in any order.
    assert [h.score for h in found] == pytest.approx([h.score for h in expected], rel=1e-5, abs=1e-6)
    by_tokens = {(tuple(h.tokens), h.finished): h for h in expected}
    assert len({(tuple(h.tokens), h.finished) for h in found}) == len(found)
    for hypothesis in found:
        assert_same(hypothesis, by_tokens[tuple(hypothesis.tokens), hypothesis.finished])


def reference_beam(table, max_length, width, alpha, n_best):
    """Beam search in plain Python over lists, stopping only when `width` hypotheses are complete."""
    log_table = torch.as_tensor(table, dtype=torch.float64).log().tolist()
    live, done = [(0.0, [])], []
    for length in range(1, max_length + 1):
        grown = [
            (total + gain, [*tokens, token])
            for total, tokens in live
            for token, gain in enumerate(log_table[tokens[-1] if tokens else BOS])
        ]
        grown.sort(key=lambda pair: -pair[0])
        done += [
            (total / ((5 + length) / 6) ** alpha, tokens)
            for total, tokens in grown[:width]
            if tokens[-1] == EOS or length == max_length
        ]
        live = [pair for pair in grown if pair[1][-1] != EOS][:width]
        if len(done) >= width:
            break
    return sorted(done, key=lambda pair: -pair[0])[:n_best]


@settings(max_examples=60, deadline=None)
@given(
    table=seeded_tables(5), width=st.integers(2, 4), alpha=st.sampled_from([0.0, 0.8, 2.0]), data=st.data()
)
def test_optimal_stopping_changes_nothing(table, width, alpha, data):
    n_best = data.draw(st.integers(1, width))
    max_length = data.draw(st.integers(1, 9))
    (found,) = beam_search(
        Table(table), start(), bos_id=BOS, eos_id=EOS, max_length=max_length,
        width=width, n_best=n_best, length_penalty=alpha,
    )  # fmt: skip
    expected = reference_beam(table, max_length, width, alpha, n_best)
    assert [h.score for h in found] == pytest.approx([score for score, _ in expected], rel=1e-5, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(
    table=tables(5), alpha=st.sampled_from([0.0, 1.0, 3.0]), limits=st.lists(st.integers(1, 8), max_size=5)
)
def test_width_one_is_greedy(table, alpha, limits):
    options = {"bos_id": BOS, "eos_id": EOS, "max_length": limits}
    taken = greedy(Table(table), start(len(limits)), **options)
    found = beam_search(Table(table), start(len(limits)), width=1, length_penalty=alpha, **options)
    assert len(taken) == len(found) == len(limits)
    for ours, (theirs,) in zip(taken, found, strict=True):
        assert (ours.tokens, ours.log_prob, ours.finished) == (
            theirs.tokens,
            theirs.log_prob,
            theirs.finished,
        )
        length = len(ours.tokens) + ours.finished
        assert theirs.score == pytest.approx(ours.log_prob / gnmt_length_penalty(length, alpha))


DECODERS = {
    "greedy": lambda *a, **k: [[h] for h in greedy(*a, **k)],
    "beam": lambda *a, **k: beam_search(*a, width=3, n_best=3, **k),
    "top_k=1": lambda *a, **k: [[h] for h in sample(*a, top_k=1, **k)],
}


@pytest.mark.parametrize("name", DECODERS)
def test_a_row_alone_equals_a_row_among_others(name):
    """Rows start from different tokens and have different limits, so they end at different steps."""
    decode = DECODERS[name]
    table = torch.rand(9, 9, generator=torch.Generator().manual_seed(3)) ** 3
    table = table / table.sum(1, keepdim=True)
    firsts, limits = [1, 5, 2, 7, 8, 3, 4], torch.tensor([4, 9, 1, 12, 2, 12, 7])
    together = decode(Table(table), start(7), bos_id=torch.tensor(firsts), eos_id=EOS, max_length=limits)
    for row, (first, limit) in enumerate(zip(firsts, limits.tolist(), strict=True)):
        (alone,) = decode(Table(table), start(1), bos_id=first, eos_id=EOS, max_length=limit)
        assert together[row] == alone
        assert all(len(h.tokens) + h.finished <= limit for h in alone)
        assert all(len(h.tokens) == limit for h in alone if not h.finished)


@pytest.mark.parametrize("name", DECODERS)
def test_the_state_follows_its_hypothesis(name):
    """Every call's history must be exactly a path that was decoded; eos must never be read."""
    seen = []

    def step(tokens, state):
        logits, state = table(tokens, state)
        seen.extend(tuple(row[row >= 0].tolist()) for row in state[0][0])
        return logits + 0.01 * state[0][0].clamp(min=0).sum(1, keepdim=True) * table.tilt, state

    table = Table(torch.rand(7, 7, generator=torch.Generator().manual_seed(5)))
    table.tilt = torch.arange(7.0)
    (first, second) = DECODERS[name](step, start(2), bos_id=[1, 2], eos_id=EOS, max_length=6)
    assert all(EOS not in path for path in seen)
    for bos, hypotheses in ((1, first), (2, second)):
        for hypothesis in hypotheses:
            tokens = hypothesis.tokens if hypothesis.finished else hypothesis.tokens[:-1]
            assert (bos, *tokens) in seen
            # Scored again from scratch, with the history that belongs to it.
            total, path = 0.0, [bos]
            for token in hypothesis.tokens + [EOS] * hypothesis.finished:
                logits = table.logits[path[-1]] + 0.01 * sum(path) * table.tilt
                total += logits.log_softmax(0)[token].item()
                path.append(token)
            assert hypothesis.log_prob == pytest.approx(total, abs=1e-5)


@pytest.mark.parametrize("width", [2, 3, 5])
def test_a_row_stops_when_as_many_hypotheses_are_complete_as_the_beam_is_wide(width):
    # Each step completes one hypothesis, and with this penalty a longer one would always score higher.
    model = Table([[1.0, 0.0, 0.0], [0.5, 0.0, 0.5], [0.5, 0.0, 0.5]])
    ((best,),) = beam_search(
        model, start(), bos_id=BOS, eos_id=EOS, max_length=15, width=width, length_penalty=10.0
    )
    assert len(model.rows) == width
    assert len(best.tokens) == width - 1


def test_beam_search_steps_live_rows_only():
    sure = torch.tensor(TRAP)
    sure[2] = torch.tensor([0.96, 0.01, 0.01, 0.01, 0.01])  # from bos 2, eos at once beats all else
    model = Table(sure)
    beam_search(model, start(3), bos_id=[2, 1, 2], eos_id=EOS, max_length=12, width=2, length_penalty=0.0)
    assert model.rows[0] == 3
    assert model.rows[1] == 2  # rows 0 and 2 are over after a step; row 1 has two live hypotheses
    assert len(model.rows) < 12


def test_length_penalty_favors_longer_sequences():
    table = torch.zeros(4, 4)
    table[1, EOS], table[1, 2] = 0.51, 0.49  # eos at once, or the certain chain 2 3 eos
    table[2, 3] = table[3, EOS] = table[0, EOS] = 1.0
    options = {"bos_id": BOS, "eos_id": EOS, "max_length": 8, "width": 2, "n_best": 2}
    (short,) = beam_search(Table(table), start(), length_penalty=0.0, **options)
    assert [h.tokens for h in short] == [[], [2, 3]]
    (long,) = beam_search(Table(table), start(), length_penalty=1.0, **options)
    assert [h.tokens for h in long] == [[2, 3], []]
    assert long[0].score == pytest.approx(math.log(0.49) / (8 / 6))
    assert long[1].score == pytest.approx(math.log(0.51))


@pytest.mark.parametrize("decode", DECODERS.values(), ids=DECODERS)
def test_forbidden_tokens_never_come_and_the_rest_is_renormalized(decode):
    table = torch.rand(5, 5, generator=torch.Generator().manual_seed(0))
    table[:, 3] = 10  # by far the most probable
    model = Table(table / table.sum(1, keepdim=True))
    before = model.logits.clone()
    (found,) = decode(model, start(), bos_id=BOS, eos_id=EOS, max_length=4, forbidden=[3, BOS])
    assert torch.equal(model.logits, before)
    expected = {tuple(h.tokens): h for h in enumerate_all(table, 4, 0.0, forbidden=[3, BOS])}
    for hypothesis in found:
        assert not {3, BOS} & set(hypothesis.tokens)
        assert hypothesis.log_prob == pytest.approx(expected[tuple(hypothesis.tokens)].log_prob, rel=1e-5)


def test_fewer_hypotheses_where_fewer_are_possible():
    table = torch.zeros(3, 3)
    table[1, 2] = table[2, EOS] = table[0, EOS] = 1.0
    (found,) = beam_search(Table(table), start(), bos_id=BOS, eos_id=EOS, max_length=5, width=8, n_best=8)
    assert found == [Hypothesis([2], 0.0, 0.0, True)]


def test_scores_of_bfloat16_logits_are_computed_in_float32():
    table = torch.rand(5, 5, generator=torch.Generator().manual_seed(1))
    half = Table(table, torch.bfloat16)
    full = Table(half.logits.float().softmax(1))
    options = {"bos_id": BOS, "eos_id": EOS, "max_length": 9}
    for decode in DECODERS.values():
        (ours,), (theirs,) = decode(half, start(), **options), decode(full, start(), **options)
        for a, b in zip(ours, theirs, strict=True):
            assert_same(a, b)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 0, "n_best": 0}, "width must be at least 1"),
        ({"width": 2, "n_best": 3}, "n_best must be from 1 to the beam width 2"),
        ({"n_best": 0}, "n_best must be from 1"),
        ({"length_penalty": -0.1}, "length_penalty must be from 0 to 10"),
        ({"length_penalty": math.nan}, "length_penalty must be from 0 to 10"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(changes, message):
    with pytest.raises(ValueError, match=message) as caught:
        beam_search(Table(TRAP), start(2), bos_id=BOS, eos_id=EOS, max_length=5, **changes)
    assert "\n" not in str(caught.value)
