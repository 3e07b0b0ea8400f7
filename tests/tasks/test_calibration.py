"""Calibration: the temperature, and how far probabilities are from accuracies."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from torchmetrics.functional.classification import multiclass_calibration_error

from nlp_rnn.tasks.calibration import Reliability, fit_temperature, tables


def draw(rows, classes, temperature, seed=0):
    """Logits, and labels drawn from the probabilities that they give when divided by a temperature."""
    random = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(rows, classes, generator=random)
    probabilities = (logits / temperature).softmax(-1)
    return logits, torch.multinomial(probabilities, 1, generator=random)[:, 0]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
@pytest.mark.parametrize("classes", [2, 5])
def test_the_temperature_is_found(temperature, classes):
    assert fit_temperature(*draw(20_000, classes, temperature)) == pytest.approx(temperature, rel=0.05)


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.integers(2, 4))
def test_no_other_temperature_is_better(seed, classes):
    logits, labels = draw(50, classes, 1.5, seed)

    def loss(temperature):
        return float(F.cross_entropy(logits.double() / temperature, labels, label_smoothing=1 / 52))

    best = fit_temperature(logits, labels)
    assert loss(best) <= min(loss(other) for other in np.geomspace(0.05, 20, 200)) + 1e-6


def test_a_model_that_is_always_right_is_as_sure_as_the_rows_are_many():
    logits = torch.tensor([[1.0, 0.0]])
    for rows in (98, 998):
        temperature = fit_temperature(logits.repeat(rows, 1), torch.zeros(rows, dtype=torch.int64))
        wrong = (logits / temperature).softmax(-1)[0, 1].item()
        assert wrong == pytest.approx(0.5 / (rows + 2), rel=1e-3)
    always_wrong = torch.ones(9, dtype=torch.int64)
    assert fit_temperature(logits.repeat(9, 1), always_wrong) == pytest.approx(20, rel=1e-3)


def test_the_error_is_that_of_torchmetrics():
    logits, labels = draw(3000, 4, 2.0)
    probability, predicted = logits.softmax(-1).max(-1)
    metric = Reliability()
    for start in range(0, 3000, 700):
        part = slice(start, start + 700)
        metric.update(probability[part], (predicted == labels)[part])
    expected = multiclass_calibration_error(logits.softmax(-1), labels, num_classes=4, n_bins=10)
    assert float(metric.compute()) == pytest.approx(float(expected), abs=1e-5)
    bins = metric.bins()
    assert sum(entry["predictions"] for entry in bins) == 3000
    weighted = sum(entry["predictions"] * abs(entry["accuracy"] - entry["probability"]) for entry in bins)
    assert weighted / 3000 == pytest.approx(float(expected), abs=1e-5)


def test_coverage_counts_what_is_probable_enough():
    metric = Reliability()
    metric.update(torch.tensor([0.55, 0.75, 0.85, 1.0]), torch.tensor([False, True, False, True]))
    rows = {row["threshold"]: (row["coverage"], row["accuracy"]) for row in metric.coverage()}
    assert rows[0.5] == (1.0, 0.5)
    assert rows[0.7] == (0.75, pytest.approx(2 / 3))
    assert rows[0.9] == rows[0.99] == (0.25, 1.0)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_no_predictions_have_no_error():
    assert tables(Reliability()) == {"calibration_error": 0.0, "reliability": [], "coverage": []}
