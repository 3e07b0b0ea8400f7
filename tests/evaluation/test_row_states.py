"""The metrics of selected rows are those that an evaluation of these rows alone measures."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from torchmetrics.utilities import dim_zero_sum

from nlp_rnn.data import Batching, Corpus
from nlp_rnn.data.rows import Rows
from nlp_rnn.evaluation.measuring import evaluate, read_split
from nlp_rnn.evaluation.row_states import measure_rows
from nlp_rnn.tasks.forecasting.data import ForecastingProcessor
from nlp_rnn.tasks.forecasting.task import Forecasting
from nlp_rnn.tasks.metrics import MeanLoss, RegressionErrors

TASKS = ("sentiment", "multi_label", "tagging", "language_modeling", "translation")


def moved(task, seed):
    """The task with other weights."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in task.parameters():
            parameter.add_(torch.randn_like(parameter))
    return task


def measured(task, rows):
    """The metrics of rows, measured batch by batch."""
    metrics = task.metrics("test")
    for metric in metrics.values():
        metric.reset()
    with torch.no_grad():
        for batch in task.processor.loader(rows, Batching(size=16)):
            task.update_metrics(batch, metrics)
    return task.compute_metrics(metrics)


def close(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert one[name] == pytest.approx(other[name], rel=1e-5, abs=1e-9, nan_ok=True), name


@pytest.mark.parametrize("name", TASKS)
def test_metrics_of_rows(name, tiny, corpora):
    task = tiny(name).by_row()
    _, rows, _ = read_split(task, Corpus(corpora[name]), "test", {})
    seen = []
    states = measure_rows(task, rows, lambda batch, answers: seen.extend(batch.rows))
    assert sorted(seen) == list(range(60))
    overall = states.overall()
    close(overall, measured(task, rows))
    if name != "language_modeling":  # which is running text else
        reported = evaluate(tiny(name), Corpus(corpora[name])).results
        close(
            {key: value for key, value in overall.items() if key in reported},
            {key: reported[key] for key in overall if key in reported},
        )
    chosen = np.array([3, 3, 17, 40, 8])
    resampled = states.resampled([np.stack([chosen, np.arange(5)])])
    close({key: values[0] for key, values in resampled.items()}, measured(task, rows.select(chosen)))
    each = states.of_each_row()
    close({key: values[17] for key, values in each.items()}, measured(task, rows.select(chosen[2:3])))


@pytest.mark.parametrize("name", TASKS)
def test_exchanged_answers(name, tiny, corpora):
    tasks = [tiny(name).by_row(), moved(tiny(name), 1).by_row()]
    _, rows, _ = read_split(tasks[0], Corpus(corpora[name]), "test", {})
    one, other = (measure_rows(task, rows) for task in tasks)
    stays = np.stack([np.full(60, True), np.full(60, False), np.arange(60) < 30])
    firsts, seconds = one.exchanged(other, [stays])
    assert any(one.overall()[key] != other.overall()[key] for key in firsts)
    for place, expected in ((0, (one, other)), (1, (other, one))):
        for mixture, states in zip((firsts, seconds), expected, strict=True):
            close({key: values[place] for key, values in mixture.items()}, states.overall())
    again, opposite = other.exchanged(one, [~stays])  # the models in the other order
    for mixture, same in ((firsts, again), (seconds, opposite)):
        close({key: values[2] for key, values in mixture.items()}, {k: v[2] for k, v in same.items()})


def test_states_that_are_no_sums():
    """The errors of forecasts are kept around the mean of the true numbers."""
    scale = {"means": [5.0], "deviations": [2.0], "target_means": [5.0], "target_deviations": [2.0]}
    processor = ForecastingProcessor(inputs=["x"], targets=[], length=4, horizon=2, group="", **scale)
    tasks = [Forecasting(processor, hidden_dim=4).eval() for _ in range(2)]
    draw = np.random.default_rng(0)
    flat = {"steps": draw.normal(5, 2, (20, 4)).tolist(), "following": draw.normal(5, 2, (20, 2)).tolist()}
    encoded = processor.encode(flat)
    rows = Rows(
        pa.table({name: pa.array(values, processor.features[name]) for name, values in encoded.items()})
    )
    one, other = (measure_rows(task, rows) for task in tasks)
    assert one.merged
    close(one.overall(), measured(tasks[0], rows))
    chosen = np.array([3, 3, 17, 8])
    (values,) = zip(*one.resampled([chosen[None]]).values(), strict=True)
    assert values == pytest.approx(tuple(measured(tasks[0], rows.select(chosen)).values()))
    firsts, _ = one.exchanged(other, [np.full((1, 20), False)])
    close({key: values[0] for key, values in firsts.items()}, other.overall())


def test_how_torchmetrics_reduces_states():
    assert MeanLoss()._reductions == {"total": dim_zero_sum, "count": dim_zero_sum}
    (merge,) = RegressionErrors(1)._reductions.values()
    assert merge is not dim_zero_sum
