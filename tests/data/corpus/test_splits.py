"""Large splits are sampled. Which split is which is tested with the folders of `test_local.py`."""

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_rnn.data.corpus.splits import sample_rows, take_rows
from nlp_rnn.data.corpus.validation import label_names


@settings(max_examples=50, deadline=None)
@given(
    labels=st.lists(st.sampled_from("abcde"), min_size=2, max_size=60),
    limit=st.none() | st.integers(5, 30),
    seed=st.integers(0, 99),
    listed=st.booleans(),
)
def test_a_sample_of_train_has_every_label(labels, limit, seed, listed):
    """One label per row, or lists of two per row (the label of the first row and of the row itself)."""
    column = [[labels[0], label] for label in labels] if listed else labels
    table = pa.table({"label": column, "row": list(range(len(labels)))})
    rows = sample_rows("train", table, "label", limit, seed)
    assert len(set(rows)) == len(rows) == min(len(labels), limit or len(labels))
    assert sorted(rows) == list(rows)
    kept = take_rows(table, rows)
    assert kept["row"].to_pylist() == list(rows)
    assert set(label_names(kept, "label")) == set(labels)
