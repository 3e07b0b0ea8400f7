"""Rare labels get as much weight as frequent ones, in the way that is asked for."""

from collections import Counter

import numpy as np
import pytest

from nlp_rnn.data import VocabularySettings
from nlp_rnn.data.balancing import balanced_repeats, balanced_weights
from nlp_rnn.tasks import SentimentData, TextPairsData


def test_classes_have_the_same_sum_of_weights():
    labels = ["a"] * 6 + ["b"] * 3 + ["c"]
    weights = dict(zip("abc", balanced_weights(labels, "abc"), strict=True))
    sums = [weights[name] * count for name, count in Counter(labels).items()]
    assert sums == pytest.approx([len(labels) / 3] * 3)


def test_rows_of_rare_labels_are_repeated():
    labels = np.array([0] * 6 + [1] * 3 + [2])
    repeats = balanced_repeats(labels)
    assert [repeats[labels == label].sum() for label in range(3)] == [6, 6, 6]


@pytest.mark.parametrize(("balance", "has_weights", "repeats"), [
    ("none", False, None), ("weights", True, None), ("sampling", False, {0: 1, 1: 3}),
])  # fmt: skip
@pytest.mark.parametrize("data_class", [SentimentData, TextPairsData])
def test_data_balances_in_one_way_alone(data_class, balance, has_weights, repeats):
    rows = [
        {"text": f"a {n}", "first": f"a {n}", "second": "b", "label": "yes" if n % 4 else "no"}
        for n in range(40)
    ]
    data = data_class(
        {"train": rows, "validation": rows[:9]},
        balance=balance,
        vocabulary=VocabularySettings(min_frequency=1),
    )
    assert (data.processor.label_weights is not None) == has_weights
    train = data.splits["train"]
    found = data.repeats(train)
    if repeats is None:
        assert found is None
    else:
        rare = train.column("label_id") == data.processor.labels.index("no")
        assert dict(zip(rare.astype(int).tolist(), found.tolist(), strict=True)) == repeats
