"""Numbers from a line: what people write comes back, and anything else is refused in one line."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_rnn.errors import UsageError
from nlp_rnn.lite.text.numbers import parse_numbers

FINITE = st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=6)


@given(
    values=FINITE,
    separator=st.sampled_from([" ", ",", ", ", "\t", " , ", "  "]),
    end=st.sampled_from(["", " "]),
)
def test_numbers_with_something_between_them(values, separator, end):
    assert parse_numbers(end + separator.join(map(repr, values)) + end) == values


@given(values=FINITE | st.lists(FINITE, max_size=3))
def test_json_lists(values):
    assert parse_numbers(json.dumps(values)) == values


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 two 3", "not a number: 'two'"),
        ("1;2", "not a number: '1;2'"),
        ("1,,2", "not a number: ''"),
        ("1_000", "not a number: '1_000'"),
        ("nan", "not a number: 'nan'"),
        ("1 -inf", "not a number: '-inf'"),
        ("1e999", "not finite in '1e999'"),
        ("[1, 2", "not a JSON list of numbers"),
        ("[1, [2, NaN]]", "not finite"),
        ("[1e999]", "not finite"),
        ("[1" + "0" * 400 + "]", "not finite"),
        ('[1, "2"]', "not a number: '\"2\"'"),
        ("[null]", "not a number: 'null'"),
        ("[true]", "not a number: 'true'"),
        ("[" * 100_000, "not a JSON list of numbers"),
        ('{"a": 1}', "not a number: '{\"a\":'"),
    ],
)
def test_other_inputs_are_refused(line, message):
    with pytest.raises(UsageError) as caught:
        parse_numbers(line)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)
