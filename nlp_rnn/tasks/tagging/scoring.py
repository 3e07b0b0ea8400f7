"""How the tags of a column are scored."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from typing_extensions import override

from nlp_rnn.data.batching import IGNORED
from nlp_rnn.data.labels import UNSEEN
from nlp_rnn.errors import printable
from nlp_rnn.lite.text.lemmas import normalized
from nlp_rnn.lite.text.spans import OUTSIDE, read_spans
from nlp_rnn.tasks.classification import class_metrics, class_rows
from nlp_rnn.tasks.metrics import AnswerCounts, ClassCounts, counts_report
from nlp_rnn.tasks.tagging.columns import MAX_SHOWN, SpanColumn, TagColumn

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

    def update(
        self,
        metrics: Mapping[str, Any],
        predicted: Tensor,
        labels: Tensor,
        known: Tensor,
        texts: Mapping[str, list[list[str]]] = MappingProxyType({}),
    ) -> None:
        """Add a batch.

        Args:
            metrics: what `make_metrics` returned.
            predicted: [T, B] int64.
            labels: [T, B] int64; `IGNORED` where nothing is scored.
            known: [T, B] bool, whether the vocabulary has the word.
            texts: the words and the values of a column of text.
        """
        truth = labels.masked_fill(labels == UNSEEN, len(self.labels))
        for name, words in (("known", known), ("unknown", ~known)):
            scored = words & (labels != IGNORED)
            metrics[name].update(predicted[scored], truth[scored])

    def compute(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        """The results by name."""
        (known, _), (unknown, _) = metrics["known"].compute(), metrics["unknown"].compute()
        named = self.labels if len(self.labels) <= _MAX_LOGGED else []
        right, total = (torch.stack([known[part].sum(), unknown[part].sum()]) for part in (0, 1))
        return class_metrics(counts_report(known + unknown), named) | _accuracies(right, total)

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
            **_word_counts(known[1].sum(), unknown[1].sum()),
            "classes": class_rows(counts_report(counts), rows),
            "labels": labels,
            "confusion": matrix.tolist(),
        }


class SpanScorer(ClassScorer):
    """Scores spans too: precision, recall and F1 of all spans and of each type, as conlleval defines them.

    A span is right if the model predicts one with the same first and last word and the same type.

    Args:
        column: the column of tags.
    """

    def __init__(self, column: SpanColumn) -> None:
        super().__init__(column)
        # Successive tags that the model does not know count as one span, of a type that it does not know.
        self.types = [*column.types, UNKNOWN_TAG]
        self.tags = [*column.labels, f"I-{UNKNOWN_TAG}"]

    @override
    def make_metrics(self) -> dict[str, Metric]:
        return {**super().make_metrics(), "spans": AnswerCounts(len(self.types))}

    @override
    def update(
        self,
        metrics: Mapping[str, Any],
        predicted: Tensor,
        labels: Tensor,
        known: Tensor,
        texts: Mapping[str, list[list[str]]] = MappingProxyType({}),
    ) -> None:
        super().update(metrics, predicted, labels, known)
        truth = labels.masked_fill(labels == UNSEEN, len(self.labels))
        predicted = predicted.masked_fill(labels == IGNORED, IGNORED)
        counts = torch.zeros(3, len(self.types), dtype=torch.int64)
        for row in zip(predicted.t().tolist(), truth.t().tolist(), strict=True):
            found, right = (
                set(read_spans([self.tags[id] if id >= 0 else OUTSIDE for id in ids])) for ids in row
            )
            for number, spans in enumerate((found & right, right, found)):
                for span in spans:
                    counts[number, self.types.index(span.type)] += 1
        metrics["spans"].update(counts)

    @override
    def compute(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        counts = metrics["spans"].compute()
        overall, by_type = counts_report(counts.sum(1, keepdim=True)), counts_report(counts)
        words = {name: value for name, value in super().compute(metrics).items() if name.endswith("accuracy")}
        scores = {
            "precision": overall.precision.item(),
            "recall": overall.recall.item(),
            "f1": overall.f1.item(),
        }
        named = zip(self.types[:-1], by_type.f1.tolist(), strict=False)
        return {**words, **scores, **{f"f1_{printable(name)}": value for name, value in named}}

    @override
    def tables(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        counts = metrics["spans"].compute()
        rows = class_rows(counts_report(counts), self.types if counts[:, -1].any() else self.types[:-1])
        return super().tables(metrics) | {"classes": rows}


class TextScorer(ClassScorer):
    """Scores text that labels make of words: its accuracy, whatever the label.

    Args:
        column: the column of text.
    """

    def __init__(self, column: TagColumn) -> None:
        super().__init__(column)
        self.column = column

    @override
    def make_metrics(self) -> dict[str, Metric]:
        return {"words": AnswerCounts(2)}

    @override
    def update(
        self,
        metrics: Mapping[str, Any],
        predicted: Tensor,
        labels: Tensor,
        known: Tensor,
        texts: Mapping[str, list[list[str]]] = MappingProxyType({}),
    ) -> None:
        right, total = [0, 0], [0, 0]  # of the words that the vocabulary has, and lacks
        ids, is_scored, is_known = (part.t().tolist() for part in (predicted, labels != IGNORED, known))
        rows = zip(texts["tokens"], texts[self.column.name], ids, is_scored, is_known, strict=True)
        for words, values, tags, scored, in_vocabulary in rows:
            made = self.column.decode(words, tags)
            for found, value, counted, has in zip(made, values, scored, in_vocabulary, strict=False):
                if counted:
                    right[1 - has] += found == normalized(value)
                    total[1 - has] += 1
        metrics["words"].update(torch.tensor([right, total, total]))

    @override
    def compute(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        right, total, _ = metrics["words"].compute()
        return {"accuracy": float(right.sum() / total.sum().clamp(1))} | _accuracies(right, total)

    @override
    def tables(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        return _word_counts(*metrics["words"].compute()[1])


def _accuracies(right: Tensor, total: Tensor) -> dict[str, float]:
    """The accuracy of known and of unknown words, from [2] counts; NaN, which is undefined, of none."""
    known, unknown = (right.double() / total).tolist()
    return {"known_accuracy": known, "unknown_accuracy": unknown}


def _word_counts(known: Tensor, unknown: Tensor) -> dict[str, int]:
    return {"known_words": int(known), "unknown_words": int(unknown)}


def make_scorer(column: TagColumn) -> ClassScorer:
    """The scorer of a column."""
    if isinstance(column, SpanColumn):
        return SpanScorer(column)
    return TextScorer(column) if column.is_text else ClassScorer(column)
