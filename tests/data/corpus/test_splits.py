"""What is sampled from train. Which split is which is tested with the folders of `test_local.py`."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_rnn.data.corpus.splits import draw_validation, subsample
from nlp_rnn.data.corpus.validation import encode_labels


@settings(max_examples=50, deadline=None)
@given(
    labels=st.lists(st.sampled_from("abcde"), min_size=3, max_size=60).filter(
        lambda x: 1 < len(set(x)) < len(x)
    ),
    limit=st.none() | st.integers(5, 30),
    fraction=st.floats(0.01, 0.9),
    seed=st.integers(0, 99),
    listed=st.booleans(),
)
def test_the_draws_leave_every_label_in_train(labels, limit, fraction, seed, listed):
    """One label per row, or lists of two per row (the label of the first row and of the row itself)."""
    column = [[labels[0], label] for label in labels] if listed else labels
    table = pa.table({"label": column, "row": list(range(len(labels)))})
    train, validation = draw_validation(table, "label", fraction, seed, "here")
    rows = train["row"].to_pylist() + validation["row"].to_pylist()
    assert sorted(rows) == list(range(len(labels)))
    assert validation.num_rows >= 1
    kept = subsample("train", train, "label", limit, seed)
    assert kept.num_rows == min(train.num_rows, limit or train.num_rows)
    assert set(encode_labels(kept, "label")[1]) == set(labels)


@pytest.mark.parametrize(
    ("fraction", "drawn"),
    [(0.1, [4, 6]), (0.25, [10, 15]), (0.128, [5, 8]), (0.5, [20, 30]), (0.001, [0, 1])],
)
def test_the_fraction_is_of_all_rows_and_of_each_label(fraction, drawn):
    table = pa.table({"label": ["a"] * 40 + ["b"] * 60, "row": list(range(100))})
    train, validation = draw_validation(table, "label", fraction, 0, "here")
    assert train.num_rows + validation.num_rows == 100
    assert validation.num_rows == draw_validation(table, None, fraction, 0, "here")[1].num_rows == sum(drawn)
    labels = validation["label"].to_pylist()
    for label, number in zip("ab", drawn, strict=True):
        assert abs(labels.count(label) - number) <= 1
