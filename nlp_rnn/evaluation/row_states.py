"""The metrics of any selection of rows, from what each row alone adds to them.

The metrics of this package keep sums, which add up over devices and so over rows too. A resampled corpus
needs no model: its metrics follow from the sums of the rows that were drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_sum

from nlp_rnn.cpu import fast_matmul
from nlp_rnn.data.batching import Batch, Batching
from nlp_rnn.data.rows import Rows
from nlp_rnn.tasks.base import Task
from nlp_rnn.tasks.interface import Answers

_State = tuple[str, str]  # the name of a metric, and of one of its states


class RowStates:
    """What each row alone adds to the metrics of a task.

    Args:
        task: computes metrics from their states.
        metrics: those of the task, on the CPU; they are overwritten.
        sums: [N, U] float64, the states that are sums, of each row: those numbers that are not always 0.
        places: [U] int64, where these stand among all numbers of those states.
        merged: state -> [N, ...], of each row, of the states that are combined in another way.
    """

    def __init__(
        self,
        task: Task,
        metrics: Mapping[str, Any],
        sums: np.ndarray,
        places: np.ndarray,
        merged: Mapping[_State, Tensor],
    ) -> None:
        self.sums, self.places, self.merged = sums, places, merged
        self._task, self._metrics = task, metrics
        self._states = [
            value
            for name, metric in metrics.items()
            for state, value in metric.metric_state.items()
            if (name, state) not in merged
        ]
        self._size = sum(value.numel() for value in self._states)

    def __len__(self) -> int:
        return len(self.sums)

    def overall(self) -> dict[str, float]:
        """The metrics of all rows."""
        return self._compute(self.places, self.sums.sum(0), self._merge(dict(self.merged)))

    def of_each_row(self) -> dict[str, np.ndarray]:
        """The metrics of each row by itself, [N] each."""
        return _stacked(
            self._compute(self.places, sums, {key: rows[number] for key, rows in self.merged.items()})
            for number, sums in enumerate(self.sums)
        )

    def resampled(self, draws: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
        """The metrics of rows that were drawn.

        Args:
            draws: [R, M] row numbers of R of the resamples at a time, see `bootstrap_rows`.

        Returns:
            [all resamples] by name.
        """
        return _stacked(
            self._compute(self.places, total, self._merge({key: rows[row] for key, rows in parts.items()}))
            for drawn in draws
            for parts in [self.merged]
            for row, total in zip(drawn, _counts(drawn, len(self)) @ self.sums, strict=True)
        )

    def exchanged(
        self, other: RowStates, stays: Iterable[np.ndarray]
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """The metrics of two mixtures of the answers of two models.

        Args:
            other: of another model of the same task, with the same labels, on the same rows.
            stays: [R, N] bool of R of the trials at a time: where False, the answers change places.

        Returns:
            Of the mixture that has this model's answers where they stay, and of the one that has the other's:
            [all trials] by name.
        """
        places = np.union1d(self.places, other.places)
        ours, theirs = (_spread(states, places) for states in (self, other))

        def mixtures() -> Iterator[tuple[dict[str, float], dict[str, float]]]:
            for chosen in stays:
                exchanged = chosen.astype(np.float64) @ (ours - theirs)
                firsts, seconds = theirs.sum(0) + exchanged, ours.sum(0) - exchanged
                for row, first, second in zip(chosen, firsts, seconds, strict=True):
                    yield (
                        self._compute(places, first, self._mixed(other, row)),
                        self._compute(places, second, self._mixed(other, ~row)),
                    )

        pairs = list(mixtures())
        return _stacked(pair[0] for pair in pairs), _stacked(pair[1] for pair in pairs)

    def _mixed(self, other: RowStates, chosen: np.ndarray) -> dict[_State, Tensor]:
        mask = torch.from_numpy(chosen)
        return self._merge(
            {
                key: torch.where(mask.view(-1, *[1] * (rows.dim() - 1)), rows, other.merged[key])
                for key, rows in self.merged.items()
            }
        )

    def _merge(self, parts: Mapping[_State, Tensor]) -> dict[_State, Tensor]:
        return {
            (name, state): _reduction(self._metrics[name], state)(rows)
            for (name, state), rows in parts.items()
        }

    def _compute(
        self, places: np.ndarray, total: np.ndarray, merged: Mapping[_State, Tensor]
    ) -> dict[str, float]:
        """The metrics from the sums [U] of numbers at `places`, and from the merged states."""
        numbers = np.zeros(self._size)
        numbers[places] = total
        start = 0
        for value in self._states:
            value.copy_(torch.from_numpy(numbers[start : start + value.numel()]).view_as(value))
            start += value.numel()
        for (name, state), value in merged.items():
            setattr(self._metrics[name], state, value)
        return self._task.compute_metrics(self._metrics)


@torch.no_grad()
@fast_matmul()
def measure_rows(
    task: Task,
    rows: Rows,
    observe: Callable[[Batch, Answers | None], object] = lambda batch, answers: None,
) -> RowStates:
    """Measure a model on each row alone.

    Args:
        task: in evaluation mode, on its device; it reads each row by itself, see `Capabilities.by_row`.
        rows: encoded, at least one.
        observe: called with the batch of each row, in any order of the rows, and what
            `Task.update_metrics` returned for it.
    """
    metrics = task.metrics("test")
    summed = [
        (name, state)
        for name, metric in metrics.items()
        for state in metric.metric_state
        if _reduction(metric, state) is dim_zero_sum
    ]
    merged: dict[_State, list[Tensor]] = {
        (name, state): [torch.empty(0)] * len(rows)
        for name, metric in metrics.items()
        for state in metric.metric_state
        if (name, state) not in summed
    }
    nonzero: list[tuple[np.ndarray, np.ndarray]] = [(np.empty(0, np.int64), np.empty(0))] * len(rows)
    for batch in task.processor.loader(rows, Batching(size=1)):
        for metric in metrics.values():
            metric.reset()
        batch = batch.to(task.device)
        answers = task.update_metrics(batch, metrics)
        (row,) = batch.rows
        parts = [getattr(metrics[name], state).double().flatten().cpu() for name, state in summed]
        numbers = torch.cat([torch.zeros(0, dtype=torch.float64), *parts]).numpy()
        (places,) = numbers.nonzero()
        nonzero[row] = places, numbers[places]
        for (name, state), states in merged.items():
            states[row] = getattr(metrics[name], state).cpu().clone()
        observe(batch, answers)
    used = np.unique(np.concatenate([places for places, _ in nonzero]))
    sums = np.zeros((len(rows), len(used)))
    for line, (places, values) in zip(sums, nonzero, strict=True):
        line[np.searchsorted(used, places)] = values
    copies = {name: deepcopy(metric).cpu() for name, metric in metrics.items()}
    for metric in metrics.values():
        metric.reset()
    for metric in copies.values():
        metric.compute_with_cache = False  # its states are set again and again
    return RowStates(task, copies, sums, used, {key: torch.stack(states) for key, states in merged.items()})


def _reduction(metric: Metric, state: str) -> Callable[[Tensor], Tensor]:
    """How the states of several devices, or rows, become one: [N, ...] -> [...].

    It is private in torchmetrics; tests/evaluation/test_row_states.py states what is assumed of it.
    """
    reduction: Callable[[Tensor], Tensor] = metric._reductions[state]  # type: ignore[assignment]
    return reduction


def _counts(drawn: np.ndarray, rows: int) -> np.ndarray:
    """[R, N] float64: how often each row is in each resample."""
    return np.stack([np.bincount(row, minlength=rows) for row in drawn]).astype(np.float64)


def _spread(states: RowStates, places: np.ndarray) -> np.ndarray:
    """The sums of each row at these places, [N, len(places)]."""
    spread = np.zeros((len(states), len(places)))
    spread[:, np.searchsorted(places, states.places)] = states.sums
    return spread


def _stacked(results: Iterable[Mapping[str, float]]) -> dict[str, np.ndarray]:
    """One array per metric, from the metrics of several corpora."""
    every = list(results)
    return {name: np.array([result[name] for result in every]) for name in every[0]}
