"""Scaling: mean 0 and standard deviation 1 in the train split, and numbers that cannot be scaled."""

import numpy as np
import pytest

from nlp_rnn.data import Corpus, ForecastingData
from nlp_rnn.data.scaling import mean_std
from nlp_rnn.errors import UsageError
from nlp_rnn.lite.text.numbers import standardize


def write(path, columns):
    """Write a CSV file of columns; return its path."""
    rows = [columns, *zip(*columns.values(), strict=True)]
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    return str(path)


def test_each_column_gets_mean_0_and_standard_deviation_1():
    columns = np.random.default_rng(0).normal(20, 5, (40, 2))
    means, deviations = mean_std(columns, ["x", "y"], "here")
    np.testing.assert_allclose(means, columns.mean(0))
    np.testing.assert_allclose(deviations, columns.std(0))
    scaled = standardize(columns.ravel().tolist(), means, deviations, 40)
    assert scaled.dtype == np.float32
    assert scaled.shape == (80,)
    np.testing.assert_allclose(scaled.reshape(40, 2).mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.reshape(40, 2).std(0), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("values", "message"),
    [([7, 7], "here: column 'x' is constant in train"), ([1e300, -1e300], "too large or too small to scale")],
)
def test_columns_that_cannot_be_scaled(values, message):
    with pytest.raises(UsageError, match=message):
        mean_std(np.array(values, np.float64)[:, None], ["x"], "here")


def test_numbers_must_fill_whole_steps():
    with pytest.raises(ValueError, match="reshape"):
        standardize([1.0, 2, 3], [0, 0], [1, 1])
    with pytest.raises(ValueError, match="reshape"):
        standardize([1.0, 2], [0, 0], [1, 1], steps=2)


def test_numbers_of_any_size_are_answered_if_they_are_like_those_in_train(tmp_path):
    path = write(tmp_path / "a.csv", {"value": [step * 1e44 for step in range(60)]})
    data = ForecastingData(Corpus(path))
    (steps,) = data.processor.rows([[2e44, 3e44, 4e44, 5e44]])["steps"]
    assert steps == [2e44, 3e44, 4e44, 5e44]
    assert np.isfinite(data.processor.encode({"steps": [steps]})["vectors"]).all()


def test_numbers_far_from_those_in_train_are_refused(tmp_path):
    write(tmp_path / "train.csv", {"value": range(60)})
    write(tmp_path / "test.csv", {"value": [*range(29), 1e300]})
    with pytest.raises(UsageError, match=r"step 1: 1e\+300 is beyond float32 when scaled as in"):
        _ = ForecastingData(Corpus(str(tmp_path))).splits
