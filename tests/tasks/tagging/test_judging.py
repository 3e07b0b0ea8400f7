"""Tags beside those of the data, and the baseline that looks up each word."""

import pyarrow as pa
import pytest
from datasets import Dataset

from nlp_rnn.data.labels import IGNORED, UNSEEN
from nlp_rnn.data.rows import Rows
from nlp_rnn.data.vocabulary import UNK
from nlp_rnn.tasks.interface import Decision, EncodedSplit
from nlp_rnn.tasks.tagging.columns import LemmaColumn, TagColumn
from nlp_rnn.tasks.tagging.judging import judge_tags, word_baseline
from nlp_rnn.tasks.tagging.scoring import ClassScorer

COLUMN = TagColumn("upos", ["A", "B"])


def split(sentences, tags, word_ids):
    ids = pa.list_(pa.int32())
    rows = pa.table({"label_ids": pa.array(tags, ids), "word_ids": pa.array(word_ids, ids)})
    return EncodedSplit(Dataset.from_dict({"tokens": sentences}), Rows(rows))


def test_untagged_words_are_not_scored_and_unseen_tags_are_wrong():
    row = {"label_ids": [0, IGNORED, UNSEEN], "upos": ["A", "_", "Z"], "tokens": ["a", "b", "c", "cut off"]}
    judged = judge_tags(COLUMN, {"tags": ["A", "B", "A"], "scores": [0.9, 0.8, 0.7]}, row)
    assert judged.decisions == [Decision("A", "A", 0.9, "a"), Decision("Z", "A", 0.7, "c")]
    assert (judged.reference, judged.score) == ("A _ Z", 0.5)


def test_text_is_compared_whatever_rule_made_it():
    column = LemmaColumn.learn("lemma", [["dogs", "go"]], [["dog", "go"]])
    row = {"label_ids": [UNSEEN, 0], "lemma": ["dog", "go"], "tokens": ["dogs", "go"]}
    assert judge_tags(column, {"tags": ["dog", "went"], "scores": [1.0, 1.0]}, row).score == 0.5


def test_each_word_gets_its_most_frequent_tag():
    train = split([["x", "y", "x"], ["x", "z"]], [[0, 1, 0], [1, IGNORED]], [[4, 5, 4], [4, 6]])
    measured = split([["x", "new"], ["y"]], [[0, 1], [0]], [[4, UNK], [5]])
    name, results = word_baseline(ClassScorer(COLUMN), measured, train)
    assert name == "most frequent tag of each word"
    assert results["accuracy"] == pytest.approx(2 / 3)
    assert (results["known_accuracy"], results["unknown_accuracy"]) == (0.5, 1)
