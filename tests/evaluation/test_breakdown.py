"""Answers grouped by length, unknown words and confusions, on records whose groups are known."""

import pytest

from nlp_rnn.evaluation.answers import AnswerRecord
from nlp_rnn.evaluation.breakdown import (
    by_length,
    by_unknown,
    confidently_wrong,
    confusions,
    reliability,
    worst,
)
from nlp_rnn.tasks.interface import Decision, RowScore

SCORE = RowScore("probability of the true label")


def record(row, true, predicted, probability, length=1, unknown=(), part=""):
    score = probability if true == predicted else 1 - probability
    decisions = [Decision(true, predicted, probability, part)]
    return AnswerRecord(row, f"text {row}", {}, predicted, true, score, decisions, unknown, length)


RECORDS = [
    record(0, "a", "a", 0.9, 1),
    record(1, "a", "b", 0.6, 2, ("x",)),
    record(2, "a", "b", 0.8, 3, ("x", "y")),
    record(3, "b", "a", 0.95, 4),
    record(4, "b", "b", 0.7, 5),
    record(5, "c", "c", 0.5, 6, ("x", "y", "z", "x")),
]


def test_groups_of_lengths_hold_each_row_once():
    groups = by_length(RECORDS, SCORE)
    assert sum(group["rows"] for group in groups) == len(RECORDS)
    assert [group["length"] for group in groups] == ["1 to 2", "3", "4", "5", "6"]
    assert groups[0] == {
        "length": "1 to 2",
        "rows": 2,
        "right": 0.5,
        f"mean {SCORE.name}": pytest.approx(0.65),
    }
    assert by_length(RECORDS[:1], SCORE) == []


def test_groups_of_unknown_words():
    groups = {group["unknown words"]: (group["rows"], group["right"]) for group in by_unknown(RECORDS, SCORE)}
    assert groups == {"none": (3, pytest.approx(2 / 3)), "1": (1, 0), "2": (1, 0), "3 to 5": (1, 1)}


def test_the_most_frequent_confusions_come_first_with_examples():
    first, second = confusions(RECORDS)
    assert first == {
        "true": "a",
        "predicted": "b",
        "times": 2,
        "of the true": pytest.approx(2 / 3),
        "examples": "1: text 1\n2: text 2",
    }
    assert (second["true"], second["predicted"], second["times"]) == ("b", "a", 1)


def test_the_examples_of_a_confusion_are_of_different_rows():
    steps = [Decision("a", "b", 0.6, f"step {step}") for step in range(5)]
    long = AnswerRecord(0, "long", {}, "", "", 0.0, steps, (), 5)
    (confusion,) = confusions([long, record(1, "a", "b", 0.6)])
    assert confusion["times"] == 6
    assert confusion["examples"] == "0: long [step 0]\n1: text 1"


def test_worst_inputs_are_wrong_and_in_the_order_of_their_scores():
    assert [row["row"] for row in worst(RECORDS, SCORE)] == [3, 2, 1]
    assert list(worst(RECORDS[:4], SCORE)[0]) == [
        "row", "input", "answer", "reference", "unknown words", SCORE.name,
    ]  # fmt: skip
    errors = RowScore("error", lower_is_better=True)
    assert [row["row"] for row in worst(RECORDS, errors)] == [1, 2, 3]


def test_confidently_wrong_inputs():
    rows = confidently_wrong(RECORDS)
    assert [(row["row"], row["probability"]) for row in rows] == [(3, 0.95), (2, 0.8), (1, 0.6)]
    assert "at" not in rows[0]
    (row,) = confidently_wrong([record(0, "a", "b", 0.9, part="word")])
    assert row["at"] == "word"


def test_calibration_counts_each_decision():
    assert sum(bin["predictions"] for bin in reliability(RECORDS).bins()) == len(RECORDS)
    without = [AnswerRecord(0, "", {}, "", "", None, None, (), 1)]
    assert reliability(without) is None
