"""The tests of a comparison: intervals and p-values of all metrics of several models on the same rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from nlp_rnn.evaluation.row_states import RowStates
from nlp_rnn.evaluation.significance import (
    SEED,
    bootstrap_p,
    bootstrap_rows,
    holm,
    mcnemar_p,
    percentile_interval,
    randomization_p,
    swapped_rows,
)
from nlp_rnn.settings import Range, Seed, Settings

Repeats = Annotated[int, Range(10, 1_000_000)]
Entry = dict[str, Any]
"""One line of a table: a value, a p-value and so on, by name."""


@dataclass(frozen=True)
class Resampling(Settings):
    """How the tests of a comparison draw random numbers.

    Args:
        resamples: number of bootstrap resamples.
        trials: number of trials of approximate randomization.
        level: the fraction of bootstrapped scores in an interval.
        seed: of the random numbers; that of sacreBLEU gives its p-values.
        block: the number of consecutive rows that are drawn together; if left out, one, and of windows of
            series as many as have forecasts that overlap.

    Raises:
        UsageError: a value is out of range.
    """

    resamples: Repeats = 1_000
    trials: Repeats = 10_000
    level: Annotated[float, Range(0.5, 0.9999)] = 0.95
    seed: Seed = SEED
    block: Annotated[int, Range(1, 1_000_000)] | None = None


class PairedTests:
    """The metrics of all models, resampled with the same draws.

    Args:
        models: what each row adds to the metrics of each model; the first is the one that all others are
            compared with.
        resampling: how rows are drawn.
        left_out: metrics by which these models do not compare.
    """

    def __init__(
        self, models: Sequence[RowStates], resampling: Resampling, left_out: Collection[str] = ()
    ) -> None:
        self._models, self._resampling, self._left_out = models, resampling, left_out
        self._drawing = resampling.seed, resampling.block or 1
        self._values = [self._kept(states.overall()) for states in models]
        self._resampled = [
            self._kept(states.resampled(bootstrap_rows(len(states), resampling.resamples, *self._drawing)))
            for states in models
        ]

    def _kept(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in metrics.items() if name not in self._left_out}

    def intervals(self, place: int) -> dict[str, Entry]:
        """Of each metric of a model its `value`, and the ends of its interval, `low` and `high`."""
        return {
            name: {"value": value, **self._interval(self._resampled[place][name])}
            for name, value in self._values[place].items()
        }

    def differences(self, place: int, exchange: bool = True) -> dict[str, Entry]:
        """How the metrics of a model differ from those of the first.

        Args:
            place: of the model.
            exchange: whether answers of both can be exchanged, as those of models with the same labels can.

        Returns:
            Of each metric that both have the `difference`, the ends of its interval, `low` and `high`,
            `bootstrap_p`, and `randomization_p`, which is None if answers are not exchanged.
        """
        firsts, others = self._values[0], self._values[place]
        exchanged = self._exchanged(place) if exchange else None
        differences = {}
        for name in (name for name in firsts if name in others):
            values = firsts[name], others[name]
            samples = self._resampled[0][name], self._resampled[place][name]
            differences[name] = {
                "difference": values[1] - values[0],
                **self._interval(samples[1] - samples[0]),
                "bootstrap_p": bootstrap_p(*values, *samples),
                "randomization_p": None
                if exchanged is None
                else randomization_p(*values, exchanged[0][name], exchanged[1][name]),
            }
        return differences

    def _exchanged(self, place: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        first, other = self._models[0], self._models[place]
        return first.exchanged(other, swapped_rows(len(first), self._resampling.trials, *self._drawing))

    def _interval(self, scores: np.ndarray) -> Entry:
        low, high = percentile_interval(scores, self._resampling.level) or (None, None)
        return {"low": low, "high": high}


def mcnemar(first: Sequence[bool | None], other: Sequence[bool | None]) -> Entry | None:
    """McNemar's test of which of two models answers more rows rightly.

    Args:
        first: [N], whether a model's answer is right; None where answers are not simply right or wrong.
        other: [N], the same of another model.

    Returns:
        How many rows both, one or none of them answered rightly, and the p-value `p`; None without such rows.
    """
    pairs = [(one, two) for one, two in zip(first, other, strict=True) if one is not None and two is not None]
    if not pairs:
        return None
    only_first, only_other = pairs.count((True, False)), pairs.count((False, True))
    return {
        "both_right": pairs.count((True, True)),
        "only_first_right": only_first,
        "only_other_right": only_other,
        "both_wrong": pairs.count((False, False)),
        "p": mcnemar_p(only_first, only_other),
    }


def correct(entries: Sequence[Entry], tests: Collection[str]) -> None:
    """Add p-values that are corrected for the number of models, under names that end in `_holm`.

    Args:
        entries: of one metric, of each model that is compared with the first.
        tests: the names of their p-values.
    """
    for test in tests:
        for entry, p in zip(entries, holm([entry[test] for entry in entries]), strict=True):
            entry[f"{test}_holm"] = p
