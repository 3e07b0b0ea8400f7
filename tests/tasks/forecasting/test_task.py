"""Forecasting in the data's own units, from file to answer, whatever the batch and the device count."""

import json
import math
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from nlp_rnn.data import Batching, Corpus, ForecastingData
from nlp_rnn.errors import UsageError
from nlp_rnn.evaluation.measuring import evaluate
from nlp_rnn.inference.pipelines import Pipeline, pipeline
from nlp_rnn.inference.prediction import predict
from nlp_rnn.models.layers.cells import CELLS
from nlp_rnn.models.layers.quantization import quantize
from nlp_rnn.models.regressor import Regressor
from nlp_rnn.tasks import Forecasting, Optimization
from nlp_rnn.tasks.metrics import RegressionErrors
from nlp_rnn.tasks.pretrained import from_pretrained, save_pretrained

LENGTHS = torch.tensor([4, 0, 7, 1, 7])


def model_of(data, cell="gru", **options):
    """An untrained model whose answers differ much from window to window."""
    torch.manual_seed(2)
    task = Forecasting(data.processor, hidden_dim=8, cell=cell, **options).eval()
    with torch.no_grad():
        for parameter in task.parameters():
            parameter.mul_(2)
    return task


@pytest.fixture
def weather(tmp_path):
    """Forty steps of two columns in very different units, and the file."""
    random = np.random.default_rng(1)
    steps = np.stack([random.normal(15, 8, 40), random.normal(1e5, 900, 40)], axis=1)
    path = tmp_path / "weather.csv"
    np.savetxt(path, steps, delimiter=",", header="degrees,pascal", comments="", fmt="%.9g")
    return np.loadtxt(path, delimiter=",", skiprows=1), str(path)


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_regressor_alone_equals_batched(cell, depth):
    torch.manual_seed(0)
    model = Regressor(3, 2, 5, depth, 0.5, cell).eval()
    vectors = torch.randn(7, 5, 3)
    together = model(vectors, LENGTHS)
    assert together.shape == (5, 2)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = model(vectors[:length, row : row + 1])
        torch.testing.assert_close(together[row], alone[0], atol=1e-6, rtol=0)


@pytest.mark.parametrize("unit", [1.0, 1e-20, 1e20])
@pytest.mark.parametrize("offset", [0.0, 20.0, 1e6, 1e9])
def test_errors_are_those_of_the_whole_data(offset, unit):
    """In one piece, in parts and on two devices, far from 0 too."""
    truth = (torch.randn(50, 3, dtype=torch.float64) + offset) * unit
    predicted = truth + torch.randn(50, 3, dtype=torch.float64) * unit
    one, *devices = (RegressionErrors(3) for _ in range(3))
    one.update(predicted, truth)
    for part, device in ((slice(0, 7), 0), (slice(7, 8), 1), (slice(8, 8), 0), (slice(8, 50), 1)):
        devices[device].update(predicted[part], truth[part])
    both = devices[0].clone()
    both.moments = both._reductions["moments"](torch.stack([device.moments for device in devices]))
    columns = {"multioutput": "raw_values"}
    expected = [
        mean_squared_error(truth / unit, predicted / unit, **columns) * unit**2,
        mean_absolute_error(truth / unit, predicted / unit, **columns) * unit,
        r2_score(truth / unit, predicted / unit, **columns),
    ]
    for metric in (one, both):
        for values, column in zip(metric.compute(), expected, strict=True):
            rounding = 1e-9 + 1e-15 * offset  # of the numbers themselves, in float64
            assert values.tolist() == pytest.approx(column.tolist(), rel=rounding, abs=0)


@pytest.mark.parametrize("value", [0.0, 1 / 3, 1e9 / 3])
@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_equal_numbers_and_no_numbers_have_no_r2(value):
    same = RegressionErrors(1)
    assert same.compute().isnan().all()
    for rows in (2, 7, 1000):
        same.update(torch.zeros(rows, 1), torch.full((rows, 1), value, dtype=torch.float64))
    mse, _, r2 = same.compute()
    assert mse.item() == pytest.approx(value**2)
    assert r2.isnan()


def test_errors_beyond_float32_are_logged(tmp_path, batches, make_task, trainer):
    """In units of 1e20 the squared error is about 1e40."""
    task = make_task("forecasting")
    task.deviations = [1e20] * task.outputs
    run = trainer(tmp_path)
    (logged,) = run.validate(task, batches(task), verbose=False)
    assert logged["val/mse"] == pytest.approx(logged["val/loss"] * 1e40)


def test_metrics_are_in_the_units_of_the_data(weather):
    steps, path = weather
    arguments = {"inputs": ("degrees", "pascal"), "length": 5, "horizon": 2, "batching": Batching(size=7)}
    task = model_of(ForecastingData(Corpus(path, validation_fraction=0.3), **arguments))
    report = evaluate(task, Corpus(path))  # which columns, length and horizon the processor knows
    assert report.results["rows"] == 40 - 6
    ask = pipeline("forecasting", task)
    answers = np.array([answer["values"] for answer in ask([steps[at : at + 5] for at in range(34)])])
    errors = answers - np.stack([steps[at + 5 : at + 7] for at in range(34)])  # [34, 2, 2]
    for row in report.results["steps"]:
        own = errors[:, row["step"] - 1, ("degrees", "pascal").index(row["column"])]
        assert row["mse"] == pytest.approx((own**2).mean(), rel=1e-4)
        assert row["mae"] == pytest.approx(np.abs(own).mean(), rel=1e-4)
    assert report.results["mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-4)
    assert report.results["mse"] == pytest.approx((errors**2).mean(), rel=1e-4)
    scaled = errors / task.processor.target_deviations
    assert report.results["loss"] == pytest.approx((scaled**2).mean(), rel=1e-4)
    renamed = Path(path).with_name("other.csv")
    renamed.write_text(Path(path).read_text().replace("degrees,pascal", "t,p"))
    again = evaluate(task, Corpus(str(renamed)), columns={"inputs": "t,p"}, batch_size=3)
    assert again.results["mae"] == pytest.approx(report.results["mae"])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"inputs": "a"}, r"the model has 2 inputs \(a, b\), the data 1 \(a\); name the same number"),
        ({"inputs": "a,b,c,d"}, r"the model has 2 inputs \(a, b\), the data 4"),
        ({"targets": "a,b"}, r"the model has 1 targets \(c\), the data 2 \(a, b\)"),
        ({"targets": ""}, r"the model has 1 targets \(c\), the data 2 \(a, b\)"),
    ],
)
def test_an_evaluation_needs_as_many_columns(columns, message, tmp_path):
    path = tmp_path / "a.csv"
    steps = np.random.default_rng(0).normal(size=(40, 4))
    np.savetxt(path, steps, delimiter=",", header="a,b,c,d", comments="")
    task = model_of(ForecastingData(Corpus(str(path), validation_fraction=0.3), "a,b", "c"))
    with pytest.raises(UsageError, match=message):
        evaluate(task, Corpus(str(path)), columns=columns)


def test_the_loss_is_the_mean_over_all_predicted_numbers():
    task = model_of(ForecastingData())
    rows = {"vectors": [[0.1, 0.2, 0.3], [0.4]], "targets": [[0.5], [1.5]]}
    rows = {name: [np.float32(row) for row in column] for name, column in rows.items()}
    squares = []
    for chosen in ([0], [1], [0, 1]):
        batch = task.processor.collate({"row": chosen} | {k: [v[i] for i in chosen] for k, v in rows.items()})
        (predicted,) = task.model(batch.vectors, batch.lengths).T
        squares.append((predicted - batch.targets[:, 0]).square().mean().item())
        assert task.loss(batch).item() == pytest.approx(squares[-1])
        assert task.num_targets(batch) == len(chosen)
    assert squares[2] == pytest.approx((squares[0] + squares[1]) / 2)


@pytest.mark.parametrize("cell", CELLS)
def test_batch_order_and_company_change_no_answer(cell):
    task = model_of(ForecastingData(), cell)
    windows = [[0.1 * at for at in range(start, start + 1 + start % 5)] for start in range(12)]
    alone = [pipeline("forecasting", task)(window)["values"] for window in windows]
    assert len({str(values) for values in alone}) == 12
    for size in (1, 5, 64):
        together = [answer["values"] for answer in Pipeline(task, size)(windows)]
        assert np.allclose(together, alone, atol=1e-5)
    assert np.allclose([a["values"] for a in Pipeline(task, 5)(windows[::-1])], alone[::-1], atol=1e-5)


def test_lists_tuples_and_arrays_are_the_same():
    ask = pipeline("forecasting", model_of(ForecastingData()))
    one = ask([0.1, 0.2, 0.3, 0.4])
    assert one == ask((0.1, 0.2, 0.3, 0.4)) == ask(np.array([0.1, 0.2, 0.3, 0.4]))
    assert isinstance(one["values"], list)
    assert len(one["values"]) == 1
    several = ask(np.array([[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]]))
    assert several[0]["values"] == pytest.approx(one["values"])
    assert ask([]) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([[0.1], []], "input 2: there is no step"),
        ([[0.1, math.nan]], "input 1: step 2 is not finite"),
        ([[0.1], [[0.1, 0.2]]], "input 2: the shape is 1 x 2; give 1 number"),
        (["0.1"], "input 1: not all items are numbers"),
        ("0.1", "input 1 is no list of numbers"),
        ([0.1, None], "input 1: not all items are numbers"),
    ],
)
def test_inputs_other_than_windows_are_refused(given, message):
    with pytest.raises(UsageError) as caught:
        pipeline("forecasting", model_of(ForecastingData()))(given)
    assert message in str(caught.value)


def test_saved_equals_loaded_and_answers_lines(tmp_path, weather):
    steps, path = weather
    corpus = Corpus(path, validation_fraction=0.3)
    data = ForecastingData(corpus, ("degrees", "pascal"), ("pascal",), length=3, horizon=2)
    task = model_of(data)
    loaded = from_pretrained(save_pretrained(task, tmp_path / "model", task.card()))
    assert loaded.processor.state() == task.processor.state()
    expected = [pipeline("forecasting", task)(steps[at : at + 3])["values"] for at in (0, 9)]
    lines = [" ".join(map(repr, steps[0:3].ravel().tolist())), json.dumps(steps[9:12].tolist())]
    (tmp_path / "in").write_text("\n".join(lines) + "\n")
    predict(tmp_path / "model", str(tmp_path / "in"), str(tmp_path / "out"))
    for line, values in zip((tmp_path / "out").read_text().splitlines(), expected, strict=True):
        assert [float(part) for part in line.split(" ")] == pytest.approx(values, rel=1e-5)
    (tmp_path / "in").write_text(f"{lines[0]}\n1 2 3\n")
    with pytest.raises(UsageError, match=r"in, line 2: the shape is 3; give 2 number"):
        predict(tmp_path / "model", str(tmp_path / "in"), str(tmp_path / "out2"))
    assert not (tmp_path / "out2").exists()
    card = (tmp_path / "model" / "README.md").read_text()
    asked = card[card.index('model="path/to/this/folder")(') :].splitlines()[0]
    assert len(json.loads(asked[asked.index("([") + 1 : -2])) == 3


def test_bfloat16_and_int8_are_near():
    task = model_of(ForecastingData(), "lstm")
    windows = [[0.1, 0.2, 0.3, 0.4], [0.9, 0.8]]
    exact = [answer["values"] for answer in pipeline("forecasting", task)(windows)]
    rounded = [answer["values"] for answer in pipeline("forecasting", task, precision="bf16")(windows)]
    assert np.allclose(rounded, exact, atol=0.03)
    quantize(task.model)
    assert np.allclose([a["values"] for a in pipeline("forecasting", task)(windows)], exact, atol=0.03)


def test_it_learns_the_ramp_and_goes_on_with_it():
    pl.seed_everything(0, verbose=False)
    data = ForecastingData()
    task = Forecasting(data.processor, 10, cell="rnn", optimization=Optimization(lr=0.02, init="uniform"))
    (batch,) = data.train_dataloader()
    optimizer = torch.optim.Adam(task.parameters(), 0.02)
    for _ in range(800):
        optimizer.zero_grad()
        task.loss(batch).backward()
        optimizer.step()
    ask = pipeline("forecasting", task)
    assert ask([0.6, 0.7, 0.8, 0.9])["values"] == pytest.approx([1.0], abs=0.04)
    assert ask([-0.1, 0.0, 0.1, 0.2])["values"] == pytest.approx([0.3], abs=0.04)


@pytest.mark.parametrize(("cell", "memory"), [("rnn", 9), ("lstm", 1)])
def test_memory_is_for_gates(cell, memory):
    with pytest.raises(UsageError, match=f"memory {memory}: .*; leave it at 0"):
        Forecasting(ForecastingData().processor, cell=cell, optimization=Optimization(memory=memory))


@pytest.mark.parametrize("problem", ["multiplication", "adding"])
def test_the_script_trains_side_by_side(problem, tmp_path, monkeypatch, capsys):
    script = Path(__file__).parents[3] / "scripts" / "long_memory.py"
    sizes = ["--length", "6", "--train", "200", "--validation", "40", "--test", "30", "--steps", "6"]
    asked = ["--problem", problem, *sizes, "--cells", "rnn", "gru", "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", [str(script), *asked])
    runpy.run_path(str(script), run_name="__main__")
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:]] == ["rnn", "gru"]
    assert (tmp_path / f"{problem}_6.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "0"], "steps must be between 1 and 1e+12, not 0"),
        (["--output", __file__], f"--output {__file__}: {__file__} is not a folder; choose another place"),
        (["--cells", "rnn", "tree"], "cell must be one of "),
        (["--layers", "0"], "layers must be between 1 and 64, not 0"),
        (["--length", "1"], "length must be between 2 and 1e+07, not 1"),
    ],
)
def test_the_script_finds_faults_first(arguments, message, tmp_path, monkeypatch, capsys):
    script = Path(__file__).parents[3] / "scripts" / "long_memory.py"
    few = ["--length", "6", "--train", "9", "--validation", "9", "--test", "9", "--steps", "1"]
    monkeypatch.setattr(sys, "argv", [str(script), *few, "--output", str(tmp_path / "new"), *arguments])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(script), run_name="__main__")
    out, err = capsys.readouterr()
    assert stopped.value.code == 2
    assert out == ""
    assert err.startswith(f"nlp-rnn: error: {message}")
    assert err.count("\n") == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("given", [np.array(5.0), 5, None])
def test_single_number_is_refused_as_a_series(given):
    with pytest.raises(UsageError, match="the input is no list of numbers: "):
        pipeline("forecasting", model_of(ForecastingData()))(given)


def test_numbers_are_a_series_each_by_itself():
    answerer = pipeline("forecasting", model_of(ForecastingData()))
    assert answerer([np.array(0.1), np.array(0.2)]) == answerer([0.1, 0.2])
