"""Pairs of texts: from files, from a program, and from lines."""

import pytest

from nlp_rnn import pipeline
from nlp_rnn.data import TextPairsData, VocabularySettings
from nlp_rnn.errors import UsageError
from nlp_rnn.tasks import TextPairs

ROWS = {
    "premise": ["a man plays", "a dog sleeps in the sun", "a man"],
    "hypothesis": ["a man makes music", "the dog runs", "a man"],
    "label": ["yes", "no", "yes"],
}


@pytest.fixture
def data():
    return TextPairsData({"train": ROWS, "validation": ROWS}, vocabulary=VocabularySettings(min_frequency=1))


def test_both_texts_are_padded_by_themselves(data):
    batch = data.processor.collate(data.splits["train"][[0, 1, 2]])
    assert batch.first.shape == (6, 3)
    assert batch.second.shape == (4, 3)
    assert (batch.lengths.tolist(), batch.second_lengths.tolist()) == ([3, 6, 2], [4, 3, 2])
    assert batch.first[:2, 2].tolist() == batch.second[:2, 2].tolist()  # the same text, by one vocabulary
    assert [data.processor.labels[label] for label in batch.labels] == ROWS["label"]


def test_usual_names_of_columns_are_found():
    for first, second in (("sentence1", "sentence2"), ("question1", "question2"), ("text1", "text2")):
        rows = {first: ROWS["premise"], second: ROWS["hypothesis"], "label": ROWS["label"]}
        assert len(TextPairsData({"train": rows, "validation": rows}).splits["train"]) == 3


def test_a_pipeline_takes_a_pair_or_several(data):
    ask = pipeline("text-pairs", TextPairs(data.processor, 4, 4))
    pair = ("a man plays", "a man makes music")
    assert ask(pair)["label"] in ("yes", "no")
    assert ask([pair, list(pair)]) == [ask(pair)] * 2
    for wrong in ("a text", ("a", "b", "c"), ("a", 3)):
        with pytest.raises(UsageError, match="pair of texts"):
            ask([wrong])


def test_a_pair_of_empty_texts_has_no_answer(data):
    ask = pipeline("text-pairs", TextPairs(data.processor, 4, 4))
    none, left, right = ask([("", " "), ("a man", ""), ("", "a man")])
    assert (none["label"], none["score"]) == (None, None)
    assert left["label"] is not None
    assert right["label"] is not None


def test_unknown_words_of_both_texts_are_counted(data):
    ask = pipeline("text-pairs", TextPairs(data.processor, 4, 4))
    assert ask(("a zebra", "xylophones play a man"))["unknown"] == 3


def test_lines_have_a_tab(data):
    assert data.processor.parse("one\ttwo words") == ["one", "two words"]
    assert data.processor.parse(" ") == ["", ""]
    for line in ("one", "a\tb\tc"):
        with pytest.raises(UsageError, match="not two with a tab between them"):
            data.processor.parse(line)
