"""Labels to ids: by position, by alias, not scored, or refused in one line."""

import datasets
import pytest

from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.data.encoding import encode
from nlp_rnn.data.labels import IGNORED, LabelEncoder, UnknownLabelError, sort_labels
from nlp_rnn.errors import UsageError
from nlp_rnn.tasks.sentiment.data import SentimentProcessor


def test_the_id_of_a_label_is_its_position():
    encoder = LabelEncoder(["a", "b", "c"])
    assert encoder.encode(["c", "a", "c"]) == [2, 0, 2]
    assert encoder.encode_lists([["b"], [], ["a", "c"]]) == [[1], [], [0, 2]]
    assert encoder.encode([]) == []


def test_aliases_are_second_names():
    encoder = LabelEncoder(["0", "1"], aliases=["negative", "positive"])
    assert encoder.encode(["1", "negative", "0", "positive"]) == [1, 0, 0, 1]
    assert LabelEncoder(["0", "1"], aliases=["1", "0"]).encode(["0", "1"]) == [0, 1]  # labels come first


def test_an_ignored_label_is_not_scored():
    assert LabelEncoder(["NOUN", "VERB"], ignored="_").encode_lists([["VERB", "_"]]) == [[1, IGNORED]]


def test_an_unknown_label_is_named_with_its_row_and_the_known_ones():
    encoder = LabelEncoder(["NOUN", "VERB"], aliases=["noun", "verb"], ignored="_")
    message = r"^row 2 of the rows kept: unknown label 'X'; known: NOUN, VERB; rename it in the data"
    with pytest.raises(UsageError, match=message):
        encoder.encode_lists([["NOUN"], ["VERB", "X", "Y"]])
    with pytest.raises(UnknownLabelError) as caught:
        encoder.encode(["X"])
    assert caught.value.after(1000).row == 1000
    assert str(caught.value.after(1000)).startswith("row 1001 of the rows kept: ")


def test_the_row_is_counted_from_the_start_of_the_split():
    tokens = Vocabulary.train(["a film"], VocabularySettings(min_frequency=1))
    processor = SentimentProcessor(tokens, ["0", "1"], ["negative", "positive"])
    rows = {"text": ["a film"] * 1500, "label": [*["0"] * 1234, "mixed", *["1"] * 265]}
    with pytest.raises(UsageError, match="row 1235 of the rows kept: unknown label 'mixed'"):
        encode(datasets.Dataset.from_dict(rows), processor)


def test_labels_are_sorted_as_numbers_before_text():
    assert sort_labels(["10", "b", "-1", "2", "a", "2", "0.5", "nan"]) == [
        "-1",
        "0.5",
        "2",
        "10",
        "a",
        "b",
        "nan",
    ]


@pytest.mark.parametrize(
    ("labels", "given", "ids"),
    [
        (["0", "1"], ["true", "false", "1"], [1, 0, 1]),
        (["false", "true"], ["1", "0", "true"], [1, 0, 1]),
        (["0", "false"], ["0", "false"], [0, 1]),
    ],
)
def test_booleans_and_the_numbers_0_and_1_mean_each_other(labels, given, ids):
    assert LabelEncoder(labels).encode(given) == ids
