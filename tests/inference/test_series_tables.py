"""Tables whose rows are steps of series: labels beside the rows, and forecasts as the rows that follow."""

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from nlp_rnn import pipeline
from nlp_rnn.errors import UsageError
from nlp_rnn.inference import series_tables
from nlp_rnn.inference.prediction import predict
from nlp_rnn.tasks import Forecasting, SeriesTagging
from nlp_rnn.tasks.forecasting.data import ForecastingProcessor
from nlp_rnn.tasks.pretrained import save_pretrained
from nlp_rnn.tasks.series_tagging.data import SeriesTaggingProcessor

LENGTHS = [4, 1, 7, 3]
STEPS = np.random.default_rng(0).normal(2, 1, (sum(LENGTHS), 2)).round(3)
GROUPS = [f"00{number}" for number, length in enumerate(LENGTHS) for _ in range(length)]
SCALES = {"inputs": ["x", "y"], "means": [2.0, 2.0], "deviations": [1.0, 1.0]}


def save(task, folder):
    task.data_columns = {"inputs": ["x", "y"], "group": task.processor.group}
    return str(save_pretrained(task, folder))


@pytest.fixture(scope="module")
def tagger(tmp_path_factory):
    torch.manual_seed(0)
    processor = SeriesTaggingProcessor(**SCALES, group="part", label="state", labels=["up", "down"])
    task = SeriesTagging(processor, 8, bidirectional=True)
    task.model.fc_out.bias.data.zero_()
    task.model.fc_out.weight.data[1] = -task.model.fc_out.weight.data[0]
    return save(task, tmp_path_factory.mktemp("tagger") / "model")


@pytest.fixture(scope="module")
def forecaster(tmp_path_factory):
    torch.manual_seed(0)
    targets = {"targets": ["y", "z"], "target_means": [2.0, 5.0], "target_deviations": [1.0, 3.0]}
    processor = ForecastingProcessor(**SCALES, **targets, group="part", length=3, horizon=2)
    return save(Forecasting(processor, 8), tmp_path_factory.mktemp("forecaster") / "model")


def rows(**more):
    columns = {"id": [f"{at:03}" for at in range(len(STEPS))], "part": GROUPS}
    columns |= {"x": STEPS[:, 0].tolist(), "y": STEPS[:, 1].tolist(), **more}
    return columns


def write(path, columns):
    if path.suffix == ".parquet":
        pq.write_table(pa.table(columns), path)
    elif path.suffix == ".jsonl":
        cells = zip(*columns.values(), strict=True)
        path.write_text("".join(json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in cells))
    else:
        lines = [columns, *zip(*columns.values(), strict=True)]
        path.write_text("".join(",".join(map(str, row)) + "\n" for row in lines))
    return str(path)


def read(path):
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open() as file:
        return list(csv.DictReader(file))


def series(lengths=LENGTHS):
    return np.split(STEPS, np.cumsum(lengths)[:-1])


@pytest.mark.parametrize("chunk", [2, 10_000])
@pytest.mark.parametrize("source", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("output", ["csv", "jsonl", "parquet"])
def test_each_step_gets_the_label_that_its_whole_series_gives(
    tagger, source, output, chunk, tmp_path, monkeypatch
):
    monkeypatch.setattr(series_tables, "_ROWS", chunk)
    path = write(tmp_path / f"in.{source}", rows())
    predict(tagger, path, str(tmp_path / f"out.{output}"), batch_size=2)
    found = read(tmp_path / f"out.{output}")
    answers = pipeline("series_tagging", tagger)([part.tolist() for part in series()])
    labels = [label for answer in answers for label in answer["labels"]]
    scores = [score for answer in answers for score in answer["scores"]]
    assert [row["prediction"] for row in found] == labels
    assert len(set(labels)) == 2
    np.testing.assert_allclose([float(row["probability"]) for row in found], scores, rtol=1e-4)
    assert [(row["id"], row["part"]) for row in found] == list(zip(rows()["id"], GROUPS, strict=True))


@pytest.mark.parametrize("source", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("output", ["csv", "jsonl", "parquet"])
def test_forecasts_are_the_rows_that_follow_each_series(forecaster, source, output, tmp_path, caplog):
    path = write(tmp_path / f"in.{source}", rows())
    predict(forecaster, path, str(tmp_path / f"out.{output}"), batch_size=2)
    found = read(tmp_path / f"out.{output}")
    assert list(found[0]) == ["id", "part", "x", "y", "z"]
    assert [row["part"] for row in found] == ["000", "000", "001", "001", "002", "002", "003", "003"]
    answers = pipeline("forecasting", forecaster)([part[-3:].tolist() for part in series()])
    expected = [step for answer in answers for step in answer["values"]]
    np.testing.assert_allclose([[float(row["y"]), float(row["z"])] for row in found], expected, rtol=1e-5)
    assert {row["id"] for row in found} | {row["x"] for row in found} <= {"", None}
    assert "in." in caplog.text
    assert "1 series shorter than the 3 steps that the model was trained on" in caplog.text


def test_other_names_and_a_single_series(tagger, forecaster, tmp_path):
    path = write(tmp_path / "in.csv", {"A": STEPS[:, 0], "b": STEPS[:, 1]})
    columns = {"inputs": "A,b", "group": ""}
    predict(tagger, path, str(tmp_path / "out.csv"), columns=columns)
    (answer,) = pipeline("series_tagging", tagger)([STEPS.tolist()])
    assert [row["prediction"] for row in read(tmp_path / "out.csv")] == answer["labels"]
    predict(forecaster, path, str(tmp_path / "out.csv"), columns={**columns, "targets": "B,c"})
    found = read(tmp_path / "out.csv")
    assert [list(row) for row in found] == [["A", "b", "c"]] * 2
    (answer,) = pipeline("forecasting", forecaster)([STEPS[-3:].tolist()])
    np.testing.assert_allclose([[float(row["b"]), float(row["c"])] for row in found], answer["values"])


def test_without_rows_there_are_only_names(tagger, forecaster, tmp_path):
    (tmp_path / "in.csv").write_text("x,y,part\n")
    for model, header in ((tagger, "x,y,part,prediction,probability\n"), (forecaster, "x,y,part,z\n")):
        predict(model, str(tmp_path / "in.csv"), str(tmp_path / "out.csv"))
        assert (tmp_path / "out.csv").read_text() == header


def test_lines_of_lists_stay_lines(tagger, tmp_path):
    (tmp_path / "in.jsonl").write_text("\n".join(json.dumps(part.tolist()) for part in series()) + "\n")
    predict(tagger, str(tmp_path / "in.jsonl"), str(tmp_path / "out.txt"))
    lines = (tmp_path / "out.txt").read_text().splitlines()
    assert [len(line.split()) for line in lines] == LENGTHS


@pytest.mark.parametrize(
    ("columns", "arguments", "message"),
    [
        (
            {"x": [1], "y": [2]},
            {},
            "no column 'part' for the model to read; .*--columns inputs=COLUMN,COLUMN",
        ),
        ({"x": [1, ""], "y": [2, 3], "part": [1, 1]}, {}, r"in\.csv, row 2: column 'x' holds no value"),
        ({"x": [1, "a"], "y": [2, 3], "part": [1, 1]}, {}, r"in\.csv, row 2.*'a'"),
        ({"x": [1, "inf"], "y": [2, 3], "part": [1, 1]}, {}, r"in\.csv, row 2"),
        (rows(), {"scores": True}, "scores are probabilities of one label"),
        (rows(), {"output": "answers/"}, "is a directory; for a model that reads series, give a file"),
        (rows(), {"columns": {"inputs": "x"}}, "the model has 2 inputs"),
    ],
)
def test_what_cannot_be_answered_is_refused(tagger, forecaster, columns, arguments, message, tmp_path):
    path = write(tmp_path / "in.csv", columns)
    for model in (tagger, forecaster):
        with pytest.raises(UsageError, match=message):
            predict(model, path, **{"output": str(tmp_path / "out.csv"), **arguments})
    assert not (tmp_path / "out.csv").exists()
