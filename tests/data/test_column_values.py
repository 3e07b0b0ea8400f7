"""Columns that are read part by part, several times, and as a sample."""

import datasets
import pytest

from nlp_rnn.data import column_values
from nlp_rnn.data.column_values import ColumnValues


@pytest.mark.parametrize("sample", [None, 7, 100])
def test_values_of_columns_can_be_read_again_and_sampled(sample, monkeypatch):
    monkeypatch.setattr(column_values, "_ROWS_AT_ONCE", 3)
    rows = datasets.Dataset.from_dict({"a": list(range(20)), "b": [f"b{n}" for n in range(20)]})
    values = ColumnValues(rows, "a", "b", sample=sample)
    count = min(sample or 20, 20)
    numbers = list(values)[:count]
    assert list(values) == [*numbers, *(f"b{n}" for n in numbers)]
    assert numbers == sorted(set(numbers))
    assert numbers == list(range(20)) if count == 20 else len(numbers) == count
