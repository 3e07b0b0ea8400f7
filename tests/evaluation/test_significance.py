"""The tests agree with sacreBLEU and SciPy, and do what they promise on simulated data."""

import math

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.significance import PairedTest
from scipy import stats

from nlp_rnn.evaluation import significance
from nlp_rnn.evaluation.significance import (
    bootstrap_p,
    bootstrap_rows,
    holm,
    mcnemar_p,
    percentile_interval,
    randomization_p,
    swapped_rows,
)


def every(draws):
    return np.concatenate(list(draws))


def texts(seed, rows=40):
    """References, and two systems that are right about most of their words."""
    draw = np.random.default_rng(seed)
    words = np.array([f"word{n}" for n in range(30)])
    references = [draw.choice(words, draw.integers(4, 12)) for _ in range(rows)]

    def system(errors):
        return [
            " ".join(np.where(draw.random(len(words_)) < errors, draw.choice(words, len(words_)), words_))
            for words_ in references
        ]

    return [" ".join(words_) for words_ in references], system(0.25), system(0.35)


@pytest.mark.parametrize("metric", [BLEU(lowercase=True, force=True), CHRF(lowercase=True)])
@pytest.mark.parametrize(("test", "samples"), [("bs", 300), ("ar", 400)])
def test_p_values_are_those_of_sacrebleu(monkeypatch, metric, test, samples):
    monkeypatch.delenv("SACREBLEU_SEED", raising=False)
    monkeypatch.setattr(significance, "_CHUNK", 3200)  # several parts
    references, first, other = texts(0)
    systems = [("first", first), ("other", other)]
    _, scores = PairedTest(systems, {"metric": metric}, [references], test, samples)()
    theirs = next(results for name, results in scores.items() if name != "System")

    sums = [np.array(metric._extract_corpus_statistics(texts_, [references])) for texts_ in (first, other)]

    def score(total):
        return metric._compute_score_from_stats(total.tolist()).score

    values = [score(part.sum(0)) for part in sums]
    assert values == pytest.approx([result.score for result in theirs])
    if test == "bs":
        draws = every(bootstrap_rows(len(first), samples))
        ones, others = (np.array([score(part[rows].sum(0)) for rows in draws]) for part in sums)
        assert bootstrap_p(*values, ones, others) == theirs[1].p_value
        low, high = percentile_interval(others)
        assert (high - low) / 2 == pytest.approx(theirs[1].ci, rel=0.1)
    else:
        stays = every(swapped_rows(len(first), samples))[..., None]
        ones, others = (
            np.array([score(mixed.sum(0)) for mixed in np.where(chosen, *sums)]) for chosen in (stays, ~stays)
        )
        assert randomization_p(*values, ones, others) == theirs[1].p_value
    assert 0.001 < theirs[1].p_value < 0.5  # else it would show little


def test_draws_depend_on_the_seed_alone(monkeypatch):
    whole = [every(draw(77, 200)) for draw in (bootstrap_rows, swapped_rows)]
    monkeypatch.setattr(significance, "_CHUNK", 77 * 32)
    for draw, expected in zip((bootstrap_rows, swapped_rows), whole, strict=True):
        assert len(list(draw(77, 200))) > 1
        assert (every(draw(77, 200)) == expected).all()
        assert (every(draw(77, 200, seed=1)) != expected).any()


def test_blocks_of_rows_stay_together():
    drawn = every(bootstrap_rows(10, 500, block=3))
    assert drawn.shape == (500, 10)
    assert ((drawn[:, 1:3] - drawn[:, :2]) % 10 == 1).all()
    assert np.bincount(drawn.ravel()) == pytest.approx(np.full(10, 500), rel=0.2)  # each as often
    stays = every(swapped_rows(10, 50, block=4))
    assert stays.shape == (50, 10)
    for block in (stays[:, :4], stays[:, 4:8], stays[:, 8:]):
        assert (block == block[:, :1]).all()


def test_intervals_cover_the_truth_at_the_stated_rate():
    draw, truth, covered = np.random.default_rng(0), 0.7, 0
    draws = every(bootstrap_rows(150, 300))
    for _ in range(300):
        rows = draw.random(150) < truth
        low, high = percentile_interval(rows[draws].mean(1), 0.9)
        covered += low <= truth <= high
    assert 0.86 < covered / 300 < 0.94


@pytest.mark.parametrize(("effect", "least", "most"), [(0.0, 0.02, 0.09), (0.6, 0.9, 1.0)])
def test_randomization_finds_true_differences_and_few_others(effect, least, most):
    draw = np.random.default_rng(1)
    stays = every(swapped_rows(100, 200))
    found = 0
    for _ in range(300):
        one, other = draw.normal(size=100), draw.normal(effect, size=100)
        ones, others = (np.where(chosen, one, other).mean(1) for chosen in (stays, ~stays))
        found += randomization_p(one.mean(), other.mean(), ones, others) <= 0.05
    assert least <= found / 300 <= most


def test_a_model_and_itself_do_not_differ():
    scores = np.random.default_rng(2).random(50)
    assert bootstrap_p(0.5, 0.5, scores, scores) == 1
    assert randomization_p(0.5, 0.5, scores, scores) == 1
    assert mcnemar_p(0, 0) == 1
    assert mcnemar_p(4, 4) == 1


def test_equal_differences_count_as_large():
    """With one row that differs, half of the mixtures are the models themselves: p is 1, as it must be."""
    assert randomization_p(1.0, 2.0, np.array([1.0, 2.0]), np.array([2.0, 1.0])) == 1


@pytest.mark.parametrize("nothing", [bootstrap_p, randomization_p])
def test_undefined_scores_have_no_p_value(nothing):
    scores = np.array([1.0, np.nan])
    assert nothing(np.nan, 1.0, scores, scores) is None
    assert nothing(1.0, 1.0, scores[1:], scores[1:]) is None
    assert nothing(1.0, 1.0, scores, scores) == 1  # of the samples in which it is defined
    assert percentile_interval(scores[1:]) is None
    assert percentile_interval(scores) == (1.0, 1.0)


@pytest.mark.parametrize(("only_one", "only_other"), [(0, 5), (3, 10), (25, 40), (400, 500)])
def test_mcnemar_is_exact(only_one, only_other):
    expected = stats.binomtest(only_one, only_one + only_other).pvalue
    assert mcnemar_p(only_one, only_other) == pytest.approx(expected)
    assert mcnemar_p(only_other, only_one) == mcnemar_p(only_one, only_other)


@pytest.mark.parametrize(("only_one", "only_other"), [(500, 520), (700, 800), (900, 900)])
def test_mcnemar_of_many_rows_is_nearly_exact(only_one, only_other):
    expected = stats.binomtest(only_one, only_one + only_other).pvalue
    assert mcnemar_p(only_one, only_other) == pytest.approx(expected, rel=0.02)
    squared = max(0, abs(only_one - only_other) - 1) ** 2 / (only_one + only_other)
    assert mcnemar_p(only_one, only_other) == pytest.approx(float(stats.chi2.sf(squared, 1)))


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.5, 0.9], [1.0, 1.0]),
        ([0.02, None, 0.01], [0.02, None, 0.02]),
        ([0.3], [0.3]),
        ([], []),
    ],
)
def test_holm(p_values, expected):
    assert holm(p_values) == [None if p is None else pytest.approx(p) for p in expected]
    assert all(p is None or math.isfinite(p) for p in holm(p_values))
