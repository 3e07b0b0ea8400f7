"""Calibration: whether labels that are predicted with probability p are right in a fraction p of cases."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import override

from nlp_rnn.tasks.metrics import ExactMetric

_FINE = 100
"""The bins in which probabilities are counted."""
_COARSE = 10
"""The bins of the expected calibration error and of the plot."""
_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
_MAX_TEMPERATURE = 20.0
_SEARCH_STEPS = 60  # of a golden-section search: each divides the interval by 1.6


class Reliability(ExactMetric):
    """How often predictions are right, by the probability that the model gives them."""

    counts: Tensor  # [bins] int64: predictions with a probability in each bin
    correct: Tensor  # [bins] int64: those of them that are right
    confidence: Tensor  # [bins] float64: the sum of their probabilities

    def __init__(self) -> None:
        super().__init__()
        for name, dtype in (("counts", torch.int64), ("correct", torch.int64), ("confidence", torch.float64)):
            self.add_state(name, torch.zeros(_FINE, dtype=dtype), dist_reduce_fx="sum")

    def update(self, probabilities: Tensor, correct: Tensor) -> None:
        """Add predictions.

        Args:
            probabilities: [N] float, of the predicted labels.
            correct: [N] bool.
        """
        probabilities = probabilities.to(self.confidence)
        bins = (probabilities * _FINE).long().clamp(0, _FINE - 1)
        self.counts += torch.bincount(bins, minlength=_FINE)
        self.correct += torch.bincount(bins[correct.to(bins.device)], minlength=_FINE)
        self.confidence.index_add_(0, bins, probabilities)  # `bincount` of weights is not deterministic

    @override
    def compute(self) -> Tensor:
        """The expected calibration error (Guo et al. 2017): the mean distance of probability and accuracy.

        It is over ten bins of equal width, each weighted by its number of predictions.
        """
        counts, correct, confidence = (
            state.reshape(_COARSE, -1).sum(1).double()
            for state in (self.counts, self.correct, self.confidence)
        )
        return (correct - confidence).abs().sum() / counts.sum().clamp(min=1)

    def bins(self) -> list[dict[str, float]]:
        """The bins that have predictions: their number, mean probability and accuracy."""
        counts, correct, confidence = (
            state.reshape(_COARSE, -1).sum(1).tolist()
            for state in (self.counts, self.correct, self.confidence)
        )
        return [
            {"predictions": count, "probability": total / count, "accuracy": right / count}
            for count, right, total in zip(counts, correct, confidence, strict=True)
            if count
        ]

    def coverage(self) -> list[dict[str, float]]:
        """What remains, and how much of it is right, where less probable predictions count as unsure."""
        total = max(1, int(self.counts.sum()))
        rows = []
        for threshold in _THRESHOLDS:
            first = round(threshold * _FINE)
            kept, right = int(self.counts[first:].sum()), int(self.correct[first:].sum())
            if kept:
                rows.append({"threshold": threshold, "coverage": kept / total, "accuracy": right / kept})
        return rows


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature by which logits are divided so that their probabilities fit labels best.

    Temperature scaling (Guo et al. 2017): it minimizes the cross-entropy, which is convex in the inverse of
    the temperature, by a golden-section search. Labels are smoothed by one row in N + 2, as in Platt scaling:
    else a model that is right in all N rows would be sure of everything.

    Args:
        logits: [N, C] float.
        labels: [N] int64.

    Returns:
        The temperature, between 1/20 and 20.
    """
    logits, smoothing = logits.double(), 1 / (len(labels) + 2)

    def loss(inverse: float) -> float:
        return float(F.cross_entropy(logits * inverse, labels, label_smoothing=smoothing))

    ratio = (5**0.5 - 1) / 2
    low, high = 1 / _MAX_TEMPERATURE, _MAX_TEMPERATURE
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    losses = loss(left), loss(right)
    for _ in range(_SEARCH_STEPS):
        if losses[0] <= losses[1]:
            high, right = right, left
            left = high - ratio * (high - low)
            losses = loss(left), losses[0]
        else:
            low, left = left, right
            right = low + ratio * (high - low)
            losses = losses[1], loss(right)
    return 2 / (low + high)


def tables(reliability: Reliability) -> dict[str, Any]:
    """The tables of a report."""
    return {
        "calibration_error": float(reliability.compute()),
        "reliability": reliability.bins(),
        "coverage": reliability.coverage(),
    }
