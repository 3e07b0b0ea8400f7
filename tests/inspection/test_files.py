"""The files of an inspection hold its numbers."""

import csv
import logging
import runpy
import sys
from pathlib import Path

import pyarrow.parquet
import pytest
import torch

from nlp_rnn.inspection.files import write
from nlp_rnn.inspection.inspector import inspect
from nlp_rnn.tasks.pretrained import save_pretrained

TEXT = "the work is not good , but the film is"
SCRIPT = Path(__file__).parents[2] / "scripts" / "inspect_model.py"


def close(found, expected):
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("name", "cell", "format"),
    [("sentiment", "rnn", "csv"), ("tagging", "lstm", "parquet"), ("translation", "gru", "csv")],
)
def test_files_hold_the_numbers(tmp_path, name, cell, format, tiny):
    found = inspect(tiny(name, cell, num_layers=1), TEXT)
    folder = tmp_path / "a" / "b"
    paths = write(found, folder, format)
    assert sorted(folder.iterdir()) == sorted(paths)
    tables = {f"hidden.{format}", f"gradients.{format}"}
    tables |= {f"gates.{format}"} if found.gates else set()
    tables |= {f"probabilities.{format}"} if found.probabilities is not None else set()
    pictures = {"hidden.png", "gradients.png", "gradients_compared.png"} | {
        f"gates_layer{layer}_{way}.png" for layer, way in (found.places() if found.gates else [])
    }
    pictures |= {"probabilities.png"} if found.probabilities is not None else set()
    assert {path.name for path in paths} == tables | pictures
    for picture in pictures:
        assert (folder / picture).read_bytes()[:4] == b"\x89PNG"

    def read(table):
        if format == "csv":
            with open(folder / f"{table}.csv", newline="", encoding="utf-8") as file:
                return list(csv.DictReader(file))
        return pyarrow.parquet.read_table(folder / f"{table}.parquet").to_pylist()

    places = found.places()
    rows = read("hidden")
    assert len(rows) == found.hidden.numel()
    for row in rows:
        step, k, unit = (
            int(row["step"]),
            places.index((int(row["layer"]), row["direction"])),
            int(row["unit"]),
        )
        assert row["token"] == found.tokens[step]
        assert float(row["value"]) == pytest.approx(float(found.hidden[step, k, unit]), rel=1e-5)
    for row in read("gates") if found.gates else []:
        step, k, unit = (
            int(row["step"]),
            places.index((int(row["layer"]), row["direction"])),
            int(row["unit"]),
        )
        value = float(found.gates[row["gate"]][step, k, unit])
        assert float(row["value"]) == pytest.approx(value, rel=1e-5)
    norms = {each.model: each.norms for each in found.gradients}
    rows = read("gradients")
    assert len(rows) == len(norms) * len(found.tokens) * len(places)
    for row in rows:
        value = float(
            norms[row["model"]][int(row["step"]), places.index((int(row["layer"]), row["direction"]))]
        )
        assert float(row["norm"]) == pytest.approx(value, rel=1e-9, abs=0)
    for row in read("probabilities") if found.probabilities is not None else []:
        value = float(found.probabilities[int(row["step"]), found.labels.index(row["label"])])
        assert float(row["probability"]) == pytest.approx(value, rel=1e-5)


def test_one_word_and_many_units(tmp_path, monkeypatch, tiny):
    found = inspect(tiny("sentiment", hidden_dim=70, num_layers=1, bidirectional=False), "film")
    drawn = []
    monkeypatch.setattr("nlp_rnn.inspection.figures.heat_maps_figure", lambda *of: drawn.append(of))
    monkeypatch.setattr("nlp_rnn.inspection.files.save", lambda *_: None)
    found.hidden[0, 0, :] = torch.randn(70)
    write(found, tmp_path)
    ((hidden,), tokens, about, _), (gates, *_) = drawn
    assert (tokens, about[0], about[2]) == (["film"], "“film”", "24 of 70 units: those that vary most")
    assert hidden.title == "Hidden state"
    assert hidden.values.shape == (24, 1)
    assert [panel.rows for panel in gates] == [hidden.rows] * 4  # the same units in every panel
    close(hidden.values[:, 0], found.hidden[0, 0, [int(row) for row in hidden.rows]])


@pytest.mark.slow
def test_the_script(tmp_path, monkeypatch, capsys, tiny):
    model = save_pretrained(tiny("sentiment", "gru"), tmp_path / "model")

    def run(*arguments):
        command = [str(SCRIPT), str(model), *arguments, "--output", str(tmp_path / "out")]
        monkeypatch.setattr(sys, "argv", command)
        monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
        runpy.run_path(str(SCRIPT), run_name="__main__")

    run(TEXT, "--format", "parquet")
    assert sorted(capsys.readouterr().out.splitlines()) == sorted(map(str, (tmp_path / "out").iterdir()))
    with pytest.raises(SystemExit, match="2"):
        run(" ")
    out, err = capsys.readouterr()
    assert (out, err) == ("", "nlp-rnn: error: the text has no words: give a sentence\n")
