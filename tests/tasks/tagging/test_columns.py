"""Columns of tags: labels that train has, and values that are none."""

import pytest

from nlp_rnn.data.batching import IGNORED
from nlp_rnn.data.labels import UNSEEN
from nlp_rnn.errors import UsageError
from nlp_rnn.tasks.tagging.columns import MAX_SHOWN, check_names, column_class, learn_column

WORDS = [["a", "b"], ["c"]]


@pytest.mark.parametrize(
    ("name", "labels", "ids"),
    [
        ("upos", ["X", "Y"], [[0, IGNORED], [UNSEEN]]),
        ("xpos", ["X", "Y"], [[0, IGNORED], [UNSEEN]]),
        ("feats", ["X", "Y", "_"], [[0, 2], [UNSEEN]]),
        ("FEATS", ["X", "Y", "_"], [[0, 2], [UNSEEN]]),
    ],
)
def test_no_value_is_a_value_of_features_alone(name, labels, ids, caplog):
    column = column_class(name).learn(name, WORDS, [["Y", "_"], ["X"]])
    assert column.labels == labels
    assert column.encode(WORDS, [["X", "_"], ["Z"]]) == ids
    assert column.decode([], [1, 0]) == ["Y", "X"]
    assert "1 label(s) that the model does not know count as errors: 'Z'" in caplog.text


def test_the_most_frequent_of_many_labels_come_first():
    few = [str(number) for number in range(10, 10 + MAX_SHOWN)]
    assert column_class("xpos").learn("xpos", [], [few[::-1], ["15"]]).labels == few
    many = [*few, "0", "30"]
    labels = column_class("xpos").learn("xpos", [], [many, ["15", "30", "15"]]).labels
    assert labels == ["15", "30", "0", *(label for label in few if label != "15")]


@pytest.mark.parametrize(("name", "only"), [("xpos", "_"), ("feats", "_"), ("chunk", "X")])
def test_a_column_with_one_value_is_refused(name, only):
    with pytest.raises(UsageError, match=f"every {name} in train is '?{only}'?; give two or more"):
        column_class(name).learn(name, WORDS, [[only, only], [only]])


@pytest.mark.parametrize("names", [[], [""], ["upos", "UPOS"]])
def test_names_are_of_different_columns(names):
    with pytest.raises(UsageError, match="tags: give the names of different columns"):
        check_names(names)


def test_what_is_no_tag_of_a_span_is_unknown(caplog):
    column = learn_column("ner", WORDS, [["B-PER", "O"], ["B-LOC"]], "auto")
    (ids,) = column.encode([list("abcde")], [["PER", "O", "I-LOC", "b-PER", "_"]])
    assert ids == [UNSEEN, column.labels.index("O"), column.labels.index("B-LOC"), UNSEEN, IGNORED]
    assert "2 label(s) that the model does not know count as errors: 'PER', 'b-PER'" in caplog.text
