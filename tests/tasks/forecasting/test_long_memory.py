"""Drawn sequences: what is marked is what is asked for, and the same settings give the same numbers."""

import numpy as np
import pytest

from nlp_rnn.data import Batching, ForecastingData, LongMemoryData
from nlp_rnn.errors import UsageError
from nlp_rnn.tasks.forecasting.long_memory import MEAN_PREDICTORS_ERROR, draw_sequences

SMALL = {"length": 9, "train": 20, "validation": 6, "test": 5}


@pytest.mark.parametrize("problem", MEAN_PREDICTORS_ERROR)
@pytest.mark.parametrize("length", [2, 3, 10, 101])
def test_two_marked_numbers_and_their_target(problem, length):
    steps, asked = draw_sequences(problem, length, 400, np.random.default_rng(0))
    numbers, marks = steps[..., 0], steps[..., 1].astype(bool)
    assert (marks.sum(1) == 2).all()
    if problem == "adding":
        assert (marks[:, : length // 2].sum(1) == 1).all()
    both = numbers[marks].reshape(400, 2)
    np.testing.assert_allclose(asked, both.sum(1) if problem == "adding" else both.prod(1), rtol=1e-6)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert marks.any(0).all()  # at every place


@pytest.mark.parametrize("problem", MEAN_PREDICTORS_ERROR)
def test_the_mean_predictors_error_is_the_variance(problem):
    _, asked = draw_sequences(problem, 10, 200_000, np.random.default_rng(1))
    assert asked.var() == pytest.approx(MEAN_PREDICTORS_ERROR[problem], rel=0.02)


def test_splits_differ_and_are_drawn_again_alike():
    one, other = (LongMemoryData(**SMALL, batching=Batching(size=100)) for _ in range(2))
    assert {name: len(rows) for name, rows in one.splits.items()} == {
        "train": 20, "validation": 6, "test": 5,
    }  # fmt: skip
    (train,), (again,), (test,) = one.train_dataloader(), other.train_dataloader(), one.test_dataloader()
    assert train.vectors.equal(again.vectors)
    assert train.vectors.shape == (9, 20, 2)
    assert test.targets.shape == (5, 1)
    assert not set(test.targets.flatten().tolist()) & set(train.targets.flatten().tolist())
    assert one.cache_key() == other.cache_key()
    changed = [{"seed": 1}, {"length": 8}, {"train": 21}, {"problem": "adding"}]
    assert len({LongMemoryData(**{**SMALL, **change}).cache_key() for change in [*changed, {}]}) == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"length": 1}, "length must be between 2 and"),
        ({"train": 0}, "^train must be between 1"),
        ({"problem": "division"}, "problem must be one of multiplication, adding, not 'division'"),
    ],
)
def test_meaningless_settings(arguments, message):
    with pytest.raises(UsageError, match=message):
        LongMemoryData(**arguments)


def test_model_of_another_library_is_refused():
    data = LongMemoryData(**SMALL)
    data.attach_processor(
        LongMemoryData(**{**SMALL, "length": 20}).processor
    )  # a recurrent network reads any length
    with pytest.raises(UsageError, match=r"trained with targets \['multiplication'\], the data has"):
        LongMemoryData("adding", **SMALL).attach_processor(data.processor)
    with pytest.raises(UsageError, match=r"trained with inputs \['value'\], the data has"):
        data.attach_processor(ForecastingData().processor)
