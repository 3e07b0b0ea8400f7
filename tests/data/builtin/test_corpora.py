"""The small bundled corpora; the large one is tested in `test_sentences.py`."""

import sys

import numpy as np
import pytest

from nlp_rnn.data import Corpus, ForecastingData, LanguageModelingData
from nlp_rnn.data.builtin import sentences
from nlp_rnn.data.builtin.corpora import EXAMPLES
from nlp_rnn.data.corpus.columns import Numbers
from nlp_rnn.errors import UsageError

DIGITS = {"features": Numbers(("features",)), "caption": "caption"}


def test_the_sentences_are_columns_of_text_and_of_words():
    for name, rows in sentences.builtin_splits(0).items():
        table = EXAMPLES["builtin"]()[name].to_pydict()
        assert table.keys() == {"de", "en", "text", "tokens", "upos", "label"}
        assert table["de"] == [" ".join(row.german) for row in rows]
        assert table["en"] == table["text"] == [" ".join(row.english) for row in rows]
        assert table["tokens"] == [list(row.english) for row in rows]
        assert table["upos"] == [list(row.upos) for row in rows]
        assert table["label"] == [row.sentiment for row in rows]


def test_pairs_are_translations_or_begin_alike():
    for name, rows in sentences.builtin_splits(0).items():
        translations = {" ".join(row.english): " ".join(row.german) for row in rows}
        table = EXAMPLES["pairs"]()[name].to_pydict()
        columns = zip(table["first"], table["second"], table["label"], strict=True)
        for number, (first, second, label) in enumerate(columns):
            assert label == ("translation", "other")[number % 2]
            assert (translations[first] == second) == (label == "translation")


def test_topics_are_the_scenes_of_nouns():
    rows = EXAMPLES["topics"]()["validation"].to_pydict()
    sentiments = EXAMPLES["builtin"]()["validation"].to_pydict()["label"]
    known = {"restaurant", "theatre", "office", "journey", "home", "negative"}
    assert {label for labels in rows["labels"] for label in labels} == known
    for text, labels, sentiment in zip(rows["text"], rows["labels"], sentiments, strict=True):
        assert ("negative" in labels) == (sentiment == "negative")
        if "soup" in text.split():
            assert "restaurant" in labels


def test_hello_is_one_word():
    splits = Corpus("hello").load({"text": "text"})
    assert {name: split["text"][:] for name, split in splits.items()} == {
        "train": ["hello"],
        "validation": ["hello"],
    }


@pytest.mark.parametrize("name", ["train_split", "validation_split", "test_split"])
def test_their_splits_have_no_other_names(name):
    with pytest.raises(UsageError, match="corpus hello has fixed splits: leave out train_split"):
        Corpus("hello", **{name: "validation"}).load({"text": "text"})


@pytest.mark.parametrize("data", [LanguageModelingData(Corpus("hello")), ForecastingData(Corpus("ramp"))])
def test_a_split_that_a_corpus_lacks_cannot_be_measured(data):
    with pytest.raises(UsageError, match=r"corpus \w+ has no test split; it has train, validation$"):
        data.load_split("test")
    assert len(data.load_split("validation")) > 0


def test_the_ramp_has_ten_numbers():
    assert Corpus("ramp").load({"x": Numbers(("value",))})["train"]["x"][:] == pytest.approx(
        np.linspace(0, 0.9, 10)
    )


def test_the_digits_are_all_there_once():
    digits = pytest.importorskip("sklearn.datasets").load_digits()
    splits = Corpus("digits").load(DIGITS)
    assert {name: len(split) for name, split in splits.items()} == {
        "train": 1257,
        "validation": 180,
        "test": 360,
    }
    pixels = np.concatenate([np.array(split["features"][:]) for split in splits.values()])
    assert sorted(map(tuple, pixels * 16)) == sorted(map(tuple, digits.data))
    assert {name for split in splits.values() for name in split["caption"]} == {
        *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    }


@pytest.mark.slow
def test_a_frame_of_motion_is_labeled_by_where_the_dot_came_from():
    pixels = {f"p{pixel}": Numbers((f"p{pixel}",)) for pixel in range(16)}
    splits = Corpus("motion").load({"clip": "clip", "label": "label", **pixels}, "label")
    assert set(splits["train"]["label"]) == {"still", "left", "right", "up", "down"}
    for split in splits.values():
        ink = np.array([split[name][:] for name in pixels]).T  # [frames, 16]
        assert np.sort(ink, 1)[:, -2].max() < 0.7 < ink.max(1).min()  # one dot, whatever the noise
        rows, columns = np.divmod(ink.argmax(1), 4)
        names = {(0, 0): "still", (0, -1): "left", (0, 1): "right", (-1, 0): "up", (1, 0): "down"}
        clips, labels = split["clip"][:], split["label"][:]
        for at in range(1, len(ink)):
            if clips[at] == clips[at - 1]:
                assert labels[at] == names[rows[at] - rows[at - 1], columns[at] - columns[at - 1]]
            else:
                assert labels[at] == "still"


def test_the_digits_need_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    EXAMPLES["digits"].cache_clear()
    with pytest.raises(UsageError, match="pip install scikit-learn"):
        Corpus("digits").load(DIGITS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_is_an_entry_of_its_own_in_the_cache(name):
    keys = {Corpus(other).cache_key({"text": "text"}) for other in EXAMPLES}
    assert len(keys) == len(EXAMPLES)
    assert Corpus(name).cache_key({"text": "text"}) == Corpus(name).cache_key({"text": "text"})


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_is_the_same_in_every_process(name):
    pytest.importorskip("sklearn")
    once = EXAMPLES[name]()
    for make in EXAMPLES.values():
        make.cache_clear()
    assert EXAMPLES[name]() == once


def test_columns_that_an_example_lacks_are_named():
    with pytest.raises(
        UsageError, match="corpus hello, split train: no column 'label'; the columns are text"
    ):
        Corpus("hello").load({"text": "text", "label": "label"})
