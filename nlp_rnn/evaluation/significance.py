"""Whether two models differ by more than chance would: resampling tests over the rows that both answered.

All random numbers depend on a seed alone, and are drawn as sacreBLEU draws them: with its seed, the p-values
of BLEU and chrF are those of `sacrebleu --paired-bs` and `--paired-ar`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

SEED = 12345
"""The seed that sacreBLEU takes."""

_CHUNK = 1 << 22  # random numbers that are held at once
_EXACT = 1000  # discordant pairs up to which McNemar's test is computed from the binomial distribution
_ROUNDING = 1e-12  # relative; sums of floats in another order differ by less


def bootstrap_rows(rows: int, resamples: int, seed: int = SEED, block: int = 1) -> Iterator[np.ndarray]:
    """Draw rows with replacement (Efron 1979), or blocks of consecutive rows (Künsch 1989).

    Args:
        rows: N, how many there are.
        resamples: how often N rows are drawn.
        seed: of the random numbers.
        block: the number of consecutive rows that are drawn together, where neighbors depend on each other.

    Yields:
        [R, N] int64 row numbers of some of the resamples, R of them at a time.
    """
    generator = np.random.default_rng(seed)
    starts = -(-rows // block)
    for count in _chunks(resamples, rows):
        drawn = generator.integers(rows, size=(count, starts))
        if block > 1:  # the rows are a circle, so that each is drawn as often as another
            drawn = ((drawn[:, :, None] + np.arange(block)) % rows).reshape(count, -1)[:, :rows]
        yield drawn


def swapped_rows(rows: int, trials: int, seed: int = SEED, block: int = 1) -> Iterator[np.ndarray]:
    """Draw for which rows the answers of two models change places.

    Args:
        rows: N, how many there are.
        trials: how often it is drawn.
        seed: of the random numbers.
        block: the number of consecutive rows whose answers change places together.

    Yields:
        [R, N] bool, of R trials at a time: True where an answer stays.
    """
    generator = np.random.default_rng(seed)
    for count in _chunks(trials, rows):
        stays = generator.integers(2, size=(count, -(-rows // block)), dtype=bool)
        yield stays if block == 1 else np.repeat(stays, block, axis=1)[:, :rows]


def _chunks(total: int, rows: int) -> Iterator[int]:
    # NumPy makes 32 bools of a random number and drops the rest: with a multiple of 32 per chunk nothing is
    # dropped, and the bools do not depend on the size of a chunk.
    size = max(32, _CHUNK // max(1, rows) // 32 * 32)
    for start in range(0, total, size):
        yield min(size, total - start)


def percentile_interval(scores: np.ndarray, level: float = 0.95) -> tuple[float, float] | None:
    """The interval between two percentiles of bootstrapped scores (Efron & Tibshirani 1993, chapter 13).

    Args:
        scores: [R] float; those that are not finite, such as the mean of nothing, are left out.
        level: the fraction of scores inside.

    Returns:
        Its ends; None if no score is finite.
    """
    finite = scores[np.isfinite(scores)]
    if not len(finite):
        return None
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bootstrap_p(one: float, other: float, ones: np.ndarray, others: np.ndarray) -> float | None:
    """The p-value of paired bootstrap resampling (Koehn 2004), as sacreBLEU and Moses compute it.

    It is the fraction of resamples whose absolute difference is above the mean one by as much as the measured
    difference: one tail of the distribution, so that it is about half of what `randomization_p` is.

    Args:
        one: the score of a model on all rows.
        other: that of another one.
        ones: [R] float, scores of the model on the resampled rows.
        others: [R] float, those of the other one on the same rows.

    Returns:
        The p-value; None if a score is undefined.
    """
    differences = np.abs(ones - others)
    differences = differences[np.isfinite(differences)]
    if not len(differences):
        return None
    return _fraction_above(one, other, differences - differences.mean())


def randomization_p(one: float, other: float, ones: np.ndarray, others: np.ndarray) -> float | None:
    """The two-sided p-value of paired approximate randomization (Noreen 1989; Riezler & Maxwell 2005).

    It is the fraction of trials in which models whose answers were exchanged at random differ by as much as
    the models themselves.

    Args:
        one: the score of a model on all rows.
        other: that of another one.
        ones: [R] float, scores of the first mixture of answers of both.
        others: [R] float, those of the second one, which has the other answers.

    Returns:
        The p-value; None if a score is undefined.
    """
    differences = np.abs(ones - others)
    differences = differences[np.isfinite(differences)]
    return _fraction_above(one, other, differences) if len(differences) else None


def _fraction_above(one: float, other: float, statistics: np.ndarray) -> float | None:
    """How many statistics are at least the measured difference, that itself included.

    SacreBLEU asks whether they are above it. That is the same unless some are equal to it, as where the
    models differ in few rows: then its p-values are too small (Phipson & Smyth 2010).
    """
    if not (math.isfinite(one) and math.isfinite(other)):
        return None
    least = abs(one - other) - _ROUNDING * max(abs(one), abs(other))
    return (int(np.sum(statistics >= least)) + 1) / (len(statistics) + 1)


def mcnemar_p(only_one: int, only_other: int) -> float:
    """The two-sided p-value of McNemar's test (1947) of which of two models is right more often.

    Up to 1,000 discordant rows it is exact, from the binomial distribution; of more, from the chi-squared
    distribution with Edwards' correction for continuity.

    Args:
        only_one: the number of rows that one model alone answered rightly.
        only_other: those that the other one alone did.
    """
    total, fewer = only_one + only_other, min(only_one, only_other)
    if total <= _EXACT:
        tail = sum(math.comb(total, right) for right in range(fewer + 1))
        return min(1.0, float(2 * tail / 2**total))
    squared = max(0, abs(only_one - only_other) - 1) ** 2 / total
    return math.erfc(math.sqrt(squared / 2))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Correct p-values for their number by the step-down method of Holm (1979).

    The probability that any true hypothesis is rejected is then at most the level, whatever the dependence.

    Args:
        p_values: of all comparisons; None for one that is undefined.

    Returns:
        The corrected p-values, in the same order.
    """
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, place) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        corrected[place] = largest
    return corrected
