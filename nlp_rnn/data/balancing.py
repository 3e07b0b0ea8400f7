"""Rare labels: weights in the loss, or rows that are repeated in each epoch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from typing_extensions import TypeVar, override

from nlp_rnn.data.batching import Batching
from nlp_rnn.data.column_values import ColumnValues
from nlp_rnn.data.corpus.corpus import Corpus
from nlp_rnn.data.corpus.extra import ExtraCorpus
from nlp_rnn.data.corpus_data import CorpusData
from nlp_rnn.data.processor import Processor
from nlp_rnn.data.rows import Rows
from nlp_rnn.data.types import Dataset
from nlp_rnn.data.vocabulary import VocabularySettings
from nlp_rnn.errors import UsageError
from nlp_rnn.settings import MaxLength

P = TypeVar("P", bound=Processor)

Balance = Literal["none", "weights", "sampling"]
"""How rare labels get as much weight as frequent ones."""


class BalancedData(CorpusData[P]):
    """Rows of one label each, among which rare labels may get as much weight as frequent ones.

    A subclass has a column `label`, and its processor the feature `label_id`.

    Args:
        corpus: where rows come from.
        vocabulary: how the vocabulary is made.
        batching: how rows are batched.
        max_length: maximum number of tokens per text.
        balance: how rare labels get as much weight as frequent ones.
        extra: further corpora to train on.

    Raises:
        UsageError: both `balance` and the weights of extra corpora would repeat rows.
    """

    labels = "label"

    def __init__(
        self,
        corpus: Corpus,
        vocabulary: VocabularySettings,
        batching: Batching,
        max_length: MaxLength,
        balance: Balance,
        extra: Sequence[ExtraCorpus] = (),
    ) -> None:
        super().__init__(corpus, batching, extra)
        if balance == "sampling" and any(corpus.weight != 1 for corpus in extra):
            raise UsageError(
                "balance sampling and weights of extra corpora both say how often a row is seen: set balance "
                "to weights, or each weight to 1"
            )
        self.vocabulary = vocabulary
        self.max_length = max_length
        self.balance = balance

    def label_weights(self, train: Dataset, classes: Sequence[str]) -> list[float] | None:
        """The weights of labels in the loss, or None where they have none.

        Args:
            train: the train split.
            classes: [C] its labels.
        """
        if self.balance != "weights":
            return None
        return balanced_weights(ColumnValues(train, "label"), classes)

    @override
    def repeats(self, rows: Rows) -> np.ndarray | None:
        return balanced_repeats(rows.column("label_id")) if self.balance == "sampling" else None


def balanced_weights(labels: Iterable[str], classes: Sequence[str]) -> list[float]:
    """The weight of each class with which all classes have the same sum of weights over the rows.

    Args:
        labels: the label of each row.
        classes: [C] the classes, each of which occurs.

    Returns:
        [C] weights; their mean over the rows is 1.
    """
    counts = Counter(labels)
    return [counts.total() / (len(classes) * counts[name]) for name in classes]


def balanced_repeats(label_ids: np.ndarray) -> np.ndarray:
    """How often each row is in an epoch so that all labels are about equally frequent.

    Args:
        label_ids: [N] int, the label of each row.

    Returns:
        [N] int64: the number of rows of the most frequent label, divided by that of the row's own label, and
        rounded; at least 1.
    """
    _, labels, counts = np.unique(label_ids, return_inverse=True, return_counts=True)
    repeats: np.ndarray = np.rint(counts.max() / counts).astype(np.int64)[labels]
    return repeats
