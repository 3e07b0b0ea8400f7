"""Skip-grams: which texts gensim gets, and what its vectors know."""

import random
import sys

import numpy as np
import pytest

from nlp_rnn.data.vocabulary import Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError
from nlp_rnn.training.word2vec import SkipGrams, _Passes

WORDS = Vocabulary.train(["a b"], VocabularySettings(min_frequency=1))
SMALL = SkipGrams(size=8, window=2, min_frequency=1, epochs=2)


@pytest.fixture
def gensim():
    return pytest.importorskip("gensim")


@pytest.fixture
def texts():
    draw = random.Random(0)
    animals = [f"the {draw.choice(['cat', 'dog'])} sleeps and eats" for _ in range(400)]
    cars = [f"a {draw.choice(['car', 'bus'])} stops or drives" for _ in range(400)]
    return [text.split() for text in animals + cars]


def test_words_with_the_same_neighbors_have_similar_vectors(texts, gensim):
    words, vectors = SkipGrams(size=16, window=2, epochs=200).train(texts, WORDS)
    unit = dict(zip(words, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), strict=True))
    assert set(words) == {word for text in texts for word in text}
    assert vectors.shape == (len(words), 16)
    for word, same, other in [("cat", "dog", "bus"), ("bus", "car", "dog")]:
        assert unit[word] @ unit[same] > unit[word] @ unit[other] + 0.1


def test_equal_seeds_give_equal_vectors(texts, gensim):
    (_, first), (_, second), (_, other) = (
        SkipGrams(size=4, epochs=1, seed=seed).train(texts[:50], WORDS) for seed in (1, 1, 2)
    )
    assert first.tolist() == second.tolist() != other.tolist()


def test_the_most_frequent_come_first_and_rare_ones_are_left_out(gensim):
    texts = [["rare", "often", "twice"], ["often", "twice", "often"], []]
    words, _ = SkipGrams(size=4, min_frequency=2, epochs=1).train(texts, WORDS)
    assert words == ["often", "twice"]


def test_long_texts_are_read_whole(gensim):
    texts = [["a"] * 20_000 + ["end"] * 3]
    words, _ = SMALL.train(texts, WORDS)
    assert words == ["a", "end"]


def test_progress(texts, gensim):
    lines = []
    SMALL.train([[], *texts[:5]], WORDS, lines.append)
    assert lines == ["5 texts, 25 tokens", "epoch 1/2", "epoch 2/2"]


def test_subwords_are_drawn_anew_in_each_epoch(gensim):
    sentences = ["lower newer wider lowest newest widest"] * 3
    vocabulary = Vocabulary.train(sentences, VocabularySettings("bpe", max_size=60))
    texts = [vocabulary.token_strings(text) for text in sentences]

    def passes(seed):
        made = _Passes(texts)
        made.resegment(vocabulary, 0.5, seed)
        return made

    made = passes(1)
    first, second = list(made), list(made)
    assert first == list(passes(1)) != list(passes(2))
    assert first != second
    whole = ["".join(tokens) for tokens in texts]
    assert ["".join(tokens) for tokens in first] == ["".join(tokens) for tokens in second] == whole
    assert len({tuple(tokens) for tokens in first}) == 3  # of equal texts
    words, _ = SkipGrams(size=4, min_frequency=1, epochs=1, subword_dropout=0.5).train(texts, vocabulary)
    assert set(words) == {token for tokens in first for token in tokens}


@pytest.mark.parametrize(
    ("settings", "texts", "message"),
    [
        (SkipGrams(), [["a", "b"]], "no token occurs 3 times: give more text, or lower min_frequency"),
        (SMALL, [[]], "there is no text to train on"),
        (
            SkipGrams(subword_dropout=0.1),
            [["a"] * 3],
            "subword_dropout is for vocabulary.level bpe, not word",
        ),
    ],
)
def test_errors(settings, texts, message, gensim):
    with pytest.raises(UsageError, match=message):
        settings.train(texts, WORDS)


def test_errors_while_training_end_it(gensim, monkeypatch):
    def fail(line):
        if line.startswith("epoch"):
            raise OSError("standard error is closed")

    with pytest.raises(OSError, match="is closed"):
        SMALL.train([["a", "b"]] * 3, WORDS, fail)

    def draw(self, rows, keys):
        if self.drawn:
            raise MemoryError("too much")
        self.drawn = True
        return rows

    subwords = Vocabulary.train(["a b"] * 3, VocabularySettings("bpe", max_size=20))
    monkeypatch.setattr("nlp_rnn.data.subword_dropout.SubwordDropout.drawn", False, raising=False)
    monkeypatch.setattr("nlp_rnn.data.subword_dropout.SubwordDropout.draw", draw)
    settings = SkipGrams(size=4, min_frequency=1, epochs=2, subword_dropout=0.1)
    with pytest.raises(MemoryError, match="too much"):
        settings.train([subwords.token_strings("a b")] * 3, subwords)


def test_gensim_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "gensim.models", None)
    with pytest.raises(UsageError, match=r"word2vec needs gensim: pip install 'nlp-rnn\[fasttext\]'"):
        SMALL.train([["a"]], WORDS)
