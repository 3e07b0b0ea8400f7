"""Series as input: lines and lists of numbers, one or several, and refused in one line."""

import numpy as np
import pytest

from nlp_rnn.errors import UsageError
from nlp_rnn.tasks.forecasting.data import ForecastingProcessor


def processor(columns=("x",)):
    ones = [1.0] * len(columns)
    return ForecastingProcessor(
        inputs=list(columns), means=ones, deviations=ones, length=3, horizon=1, target_means=ones,
        target_deviations=ones,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "line", "steps"),
    [
        (("x",), "1 2,3 , -4e1", [1, 2, 3, -40]),
        (("x",), "[1, 2.5]", [1, 2.5]),
        (("x", "y"), "1 2 3 4", [1, 2, 3, 4]),
        (("x", "y"), "[[1, 2], [3, 4]]", [1, 2, 3, 4]),
    ],
)
def test_lines(columns, line, steps):
    reader = processor(columns)
    assert reader.rows([reader.parse(line)])["steps"] == [steps]


@pytest.mark.parametrize(
    ("columns", "line", "message"),
    [
        (("x",), "", "there is no step; give 1 number(s) per step: x"),
        (("x",), "[]", "there is no step"),
        (("x",), "1 two", "not a number: 'two'"),
        (("x",), "[1, ", "not a JSON list of numbers"),
        (("x",), '["1"]', "not a number: '\"1\"'"),
        (("x",), "[true]", "not a number: 'true'"),
        (("x",), "[1, [2]]", "the steps have unequal sizes"),
        (("x",), "1 nan", "not a number: 'nan'"),
        (("x",), "1 1e99", "step 2: 1e+99 is beyond float32 when scaled as in the train split (mean 1,"),
        (("x",), "1" * 400, "a number that is not finite"),
        (("x",), f"[{'1' * 400}]", "a number that is not finite"),
        (("x", "y"), "1 2 3", "the shape is 3; give 2 number(s) per step: x, y"),
        (("x", "y"), "[[1, 2, 3]]", "the shape is 1 x 3"),
    ],
)
def test_lines_that_are_none(columns, line, message):
    with pytest.raises(UsageError) as caught:
        processor(columns).parse(line)
    assert message in str(caught.value)


def test_an_input_is_a_list_or_an_array():
    assert all(map(processor().is_input, [[1, 2], (1,), [], np.ones(3)]))
    assert not any(map(processor().is_input, [1, "1 2", None, {1: 2}]))


def test_one_or_several():
    one, two = processor(), processor(("x", "y"))
    assert one.is_single([1.0, 2])
    assert one.is_single(np.ones(3))
    assert one.is_single((1,))
    assert not one.is_single([[1.0, 2]])
    assert not one.is_single(np.ones((2, 3)))
    assert one.is_single(np.ones((3, 1)))
    assert not one.is_single(np.ones((0, 1)))
    assert not one.is_single([[1.0], [2.0]])
    assert not one.is_single(np.ones((2, 3, 1)))
    assert not one.is_single([])
    assert two.is_single([[1.0, 2]])
    assert two.is_single([1, 2])
    assert two.is_single(np.ones((3, 2)))
    assert not two.is_single([[[1.0, 2]]])
    assert not two.is_single(np.ones((4, 3, 2)))
