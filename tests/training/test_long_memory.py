"""Cells trained on problems that need long memory."""

import csv

import pytest

from nlp_rnn.errors import UsageError
from nlp_rnn.training.long_memory import Experiment, train_cell

SMALL = {"length": 6, "train": 64, "validation": 32, "test": 32, "hidden_dim": 8, "batch_size": 16}


@pytest.mark.parametrize("cell", ["rnn", "gru"])
def test_the_outcome_of_a_cell(cell, tmp_path):
    outcome = train_cell(cell, Experiment(steps=12, **SMALL), tmp_path)
    assert outcome.mse > 0
    assert 0 <= outcome.right <= 1
    assert repr(outcome) == f"Outcome(mse={outcome.mse}, right={outcome.right}, seconds={outcome.seconds})"
    assert [step for step, _ in outcome.curves["train"]] == sorted(s for s, _ in outcome.curves["train"])
    assert len(outcome.curves["val"]) == 12
    with (tmp_path / cell / "metrics.csv").open() as file:
        assert "val/mse" in next(csv.reader(file))


def test_the_seed_fixes_the_outcome(tmp_path):
    first, second = (train_cell("gru", Experiment(steps=4, **SMALL), tmp_path / str(i)) for i in range(2))
    assert first.mse == second.mse
    assert train_cell("gru", Experiment(steps=4, seed=1, **SMALL), tmp_path / "other").mse != first.mse


@pytest.mark.parametrize(("name", "value"), [("length", 1), ("steps", 0), ("lr", 0.0), ("problem", "sum")])
def test_settings_out_of_range_are_refused(name, value):
    with pytest.raises(UsageError, match=name):
        Experiment(**{name: value})
