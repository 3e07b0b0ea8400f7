"""Baselines learn what they can, and no more."""

import math
import random

import numpy as np
import pytest
import torch

from nlp_rnn.tasks.baselines import (
    BagOfWords,
    TokenCounts,
    find_period,
    most_frequent,
    naive_forecasts,
    tag_by_word,
)


def test_a_bag_of_words_learns_words_but_not_their_order():
    texts = [("good film",), ("bad film",), ("a good one",), ("a bad one",)] * 10
    labels = torch.tensor([1, 0, 1, 0] * 10)
    bag = BagOfWords(texts, torch.nn.functional.one_hot(labels, 2).float())
    logits = bag.logits([("GOOD",), ("so bad",), ("never seen",), ("",)])
    assert logits.argmax(1).tolist()[:2] == [1, 0]
    assert torch.allclose(logits[2], logits[3])
    assert torch.equal(bag.logits([("bad good film",)]), bag.logits([("film good bad",)]))
    again = BagOfWords(texts, torch.nn.functional.one_hot(labels, 2).float())
    assert torch.equal(again.logits([("good",)]), bag.logits([("good",)]))


@pytest.mark.parametrize(
    ("good", "bad", "fillers"),
    [
        ("好看", "难看", "这部电影我们今天觉得"),
        ("좋았", "나빴", "영화배우음악이야기를"),
        ("ดีมาก", "แย่มาก", "กขคงจฉชซญฐ"),
    ],
)
def test_words_without_spaces_between_them_are_found(good, bad, fillers):
    """A text is one word as white space has it, and no such word comes twice."""
    draw = random.Random(0)

    def text(word):
        characters = [*draw.choices(fillers, k=8)]
        return ("".join([*characters[:4], word, *characters[4:]]),)

    labels = torch.tensor([0, 1] * 300)
    texts = [text((bad, good)[label]) for label in labels]
    bag = BagOfWords(texts, torch.nn.functional.one_hot(labels, 2).float())
    others = [text((bad, good)[label]) for label in labels]
    assert (bag.logits(others).argmax(1) == labels).float().mean() > 0.95


def test_the_words_of_two_texts_are_told_apart():
    texts = [("yes", "no"), ("no", "yes")] * 20
    targets = torch.nn.functional.one_hot(torch.tensor([0, 1] * 20), 2).float()
    assert BagOfWords(texts, targets).logits(texts[:2]).argmax(1).tolist() == [0, 1]


def test_labels_that_are_decided_by_themselves():
    texts = [("a",), ("b",), ("a b",), ("c",)] * 20
    targets = torch.tensor([[1.0, 0], [0, 1], [1, 1], [0, 0]]).repeat(20, 1)
    predicted = BagOfWords(texts, targets, independent=True).logits(texts[:4]) > 0
    assert predicted.float().tolist() == targets[:4].tolist()


def test_the_most_frequent_tag_of_each_word():
    sentences, tags = (
        [["the", "run", "x"], ["run", "the", "y"], ["run", "z"]],
        [[0, 1, 2], [2, 0, 2], [1, -100]],
    )
    best, other = tag_by_word(sentences, tags)
    assert best == {"the": 0, "run": 1, "x": 2, "y": 2}
    assert other == 2
    assert most_frequent("abbc") == "b"


def test_forecasts_from_the_window_alone():
    steps = np.tile([1.0, 5.0, 3.0], 4)[:11]
    windows = steps.reshape(1, 11, 1)
    assert find_period(windows) == 3
    forecasts = naive_forecasts(windows, 4)
    assert list(forecasts) == ["naive", "drift", "seasonal, 3 steps"]
    assert forecasts["naive"].ravel().tolist() == [5, 5, 5, 5]
    assert forecasts["seasonal, 3 steps"].ravel().tolist() == [3, 1, 5, 3]
    ramp = np.arange(4.0).reshape(1, 4, 1)
    assert naive_forecasts(ramp, 2)["drift"].ravel().tolist() == [4, 5]
    assert find_period(ramp[:, :2]) == 1
    assert naive_forecasts(ramp[:, :1], 2)["seasonal, 1 steps"].ravel().tolist() == [0, 0]


def test_counted_language_models_are_distributions():
    texts = [np.array([1, 3, 4, 2]), np.array([1, 3, 3, 2]), np.array([1, 2])]
    counts = TokenCounts(texts, 6)
    for before in range(6):
        sums = dict.fromkeys(("unigram", "bigram"), 0.0)
        for after in range(6):
            for name, loss in counts.losses([np.array([before, after])]).items():
                sums[name] += math.exp(-loss)
        assert sums == pytest.approx({"unigram": 1, "bigram": 1})
    losses = counts.losses(texts)
    assert losses["bigram"] < losses["unigram"]
