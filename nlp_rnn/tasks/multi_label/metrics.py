"""Metrics of sets of labels, and the thresholds from which a label is one of the set."""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import override

from nlp_rnn.tasks.metrics import ExactMetric


class LabelSetCounts(ExactMetric):
    """Counts of labels that were predicted rightly, wrongly, and not at all; and of rows that are all right.

    Args:
        num_labels: C, the number of labels.
    """

    true_positives: Tensor  # [C] int64
    false_positives: Tensor  # [C] int64
    false_negatives: Tensor  # [C] int64
    exact: Tensor  # int64 scalar
    rows: Tensor  # int64 scalar

    def __init__(self, num_labels: int) -> None:
        super().__init__()
        for name in ("true_positives", "false_positives", "false_negatives"):
            self.add_state(name, torch.zeros(num_labels, dtype=torch.int64), dist_reduce_fx="sum")
        for name in ("exact", "rows"):
            self.add_state(name, torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predicted: Tensor, labels: Tensor) -> None:
        """Add rows.

        Args:
            predicted: [B, C] bool.
            labels: [B, C] bool.
        """
        predicted, labels = (sets.to(self.rows.device) for sets in (predicted, labels))
        self.true_positives += (predicted & labels).sum(0)
        self.false_positives += (predicted & ~labels).sum(0)
        self.false_negatives += (~predicted & labels).sum(0)
        self.exact += (predicted == labels).all(1).sum()
        self.rows += len(labels)

    @override
    def compute(self) -> dict[str, Tensor]:
        """Scores over all labels (micro), per label [C], and the fraction of rows that are all right."""
        counts = self.true_positives, self.false_positives, self.false_negatives
        micro, by_label = _scores(*(count.sum() for count in counts)), _scores(*counts)
        support = self.true_positives + self.false_negatives
        occurs = support > 0
        macro = by_label[2][occurs].mean() if occurs.any() else by_label[2].sum()
        return {
            **dict(zip(("precision", "recall", "f1"), micro, strict=True)),
            "macro_f1": macro,
            "exact_match": self.exact / self.rows.clamp(min=1),
            "label_precision": by_label[0],
            "label_recall": by_label[1],
            "label_f1": by_label[2],
            "support": support,
        }


def _scores(hits: Tensor, wrong: Tensor, missed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Precision, recall and F1; 0 where they are undefined."""
    hits = hits.double()
    precision, recall = hits / (hits + wrong).clamp(min=1), hits / (hits + missed).clamp(min=1)
    return precision, recall, 2 * hits / (2 * hits + wrong + missed).clamp(min=1)


def best_thresholds(probabilities: Tensor, labels: Tensor, default: float = 0.5) -> list[float]:
    """For each label the threshold with the highest F1.

    Args:
        probabilities: [N, C] float.
        labels: [N, C] bool.
        default: the threshold of a label that no row has.

    Returns:
        [C], each about in the middle between two probabilities, on the same side of every one of them in
        float32 too; of equally good ones that nearest to the default.
    """
    thresholds = []
    for scores, present in zip(probabilities.double().t(), labels.t(), strict=True):
        if not present.any():
            thresholds.append(default)
            continue
        values, order = scores.sort(descending=True)
        hits = present[order].double().cumsum(0)
        f1 = 2 * hits / (torch.arange(1, len(values) + 1) + present.sum())
        ends = torch.cat(
            [values[:-1] > values[1:], torch.ones(1, dtype=torch.bool)]
        )  # between equal ones is none
        lower = torch.cat([values[1:], torch.zeros(1, dtype=torch.float64)])
        middles = (values + lower) / 2
        best = (ends & (f1 >= f1[ends].max() - 1e-12)).nonzero()[:, 0]
        nearest = best[(middles[best] - default).abs().argmin()]
        thresholds.append(_short(lower[nearest].item(), values[nearest].item()))
    return thresholds


def _short(low: float, high: float) -> float:
    """A number of few digits that is above `low` and not above `high`, about in their middle."""
    rounded = (round((low + high) / 2, digits) for digits in range(4, 10))
    return next((value for value in rounded if low < torch.tensor(value).item() <= high), high)
