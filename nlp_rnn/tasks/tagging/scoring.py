"""How the tags of a column are scored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torchmetrics import Metric

from nlp_rnn.data.batching import IGNORED
from nlp_rnn.data.labels import UNSEEN
from nlp_rnn.tasks.classification import class_metrics, class_rows
from nlp_rnn.tasks.metrics import ClassCounts, counts_report
from nlp_rnn.tasks.tagging.columns import MAX_SHOWN, TagColumn

UNKNOWN_TAG = "(unknown tag)"
"""What tables call all tags of the data that the model does not know."""
OTHER_TAGS = "(other tags)"
"""What tables call the tags that they do not show, which are rarer in train than those that they do."""

_MAX_LOGGED = 100  # tags whose F1 is a metric by itself


class ClassScorer:
    """Scores each word by itself: accuracy, of words that the vocabulary has and lacks too, and F1.

    Args:
        column: the column of tags.
    """

    def __init__(self, column: TagColumn) -> None:
        self.labels = column.labels
        self.shown = column.labels[:MAX_SHOWN]

    def make_metrics(self) -> dict[str, Metric]:
        """New metrics of one stage, by name."""
        # One more class: the tags that the model does not know.
        size = len(self.labels) + 1
        return {name: ClassCounts(size, len(self.shown)) for name in ("known", "unknown")}

    def update(self, metrics: Mapping[str, Any], predicted: Tensor, labels: Tensor, known: Tensor) -> None:
        """Add a batch.

        Args:
            metrics: what `make_metrics` returned.
            predicted: [T, B] int64.
            labels: [T, B] int64; `IGNORED` where nothing is scored.
            known: [T, B] bool, whether the vocabulary has the word.
        """
        truth = labels.masked_fill(labels == UNSEEN, len(self.labels))
        for name, words in (("known", known), ("unknown", ~known)):
            scored = words & (labels != IGNORED)
            metrics[name].update(predicted[scored], truth[scored])

    def compute(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        """The results by name."""
        (known, _), (unknown, _) = metrics["known"].compute(), metrics["unknown"].compute()
        named = self.labels if len(self.labels) <= _MAX_LOGGED else []
        return {
            **class_metrics(counts_report(known + unknown), named),
            "known_accuracy": counts_report(known).accuracy,
            "unknown_accuracy": counts_report(unknown).accuracy,
        }

    def tables(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        """What a report holds beside the results."""
        (known, pairs), (unknown, more_pairs) = metrics["known"].compute(), metrics["unknown"].compute()
        counts, matrix = known + unknown, pairs + more_pairs
        if len(self.labels) > MAX_SHOWN:
            labels, rows = [*self.shown, OTHER_TAGS], self.shown
        elif matrix[-1].any():
            labels = rows = [*self.shown, UNKNOWN_TAG]
        else:
            labels = rows = self.shown
            matrix = matrix[:-1, :-1]
        return {
            "known_words": int(known[1].sum()),
            "unknown_words": int(unknown[1].sum()),
            "classes": class_rows(counts_report(counts), rows),
            "labels": labels,
            "confusion": matrix.tolist(),
        }
