"""`nlp-rnn export`."""

import errno
import json

import pytest

from nlp_rnn.cli import export as verb
from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.export.formats import FORMATS, Format
from nlp_rnn.export.onnx import checking, writing
from nlp_rnn.models.layers.quantization import quantize
from nlp_rnn.tasks import Sentiment
from nlp_rnn.tasks.pretrained import save_pretrained
from nlp_rnn.tasks.sentiment.data import SentimentProcessor


@pytest.fixture
def task():
    words = Vocabulary.train(["a good film"], VocabularySettings(min_frequency=1))
    return Sentiment(SentimentProcessor(words, ["0", "1"], ["bad", "good"]), 4, 4, cell="gru")


@pytest.fixture
def folder(task, tmp_path):
    return save_pretrained(task, tmp_path / "model")


def test_writes_a_folder_and_prints_the_difference_and_the_place(folder, run, tmp_path):
    out = tmp_path / "out"
    (folder / "decoder_step.onnx").write_text("the graph of another model")
    (folder / "notes.txt").symlink_to(__file__)
    code, printed, errors = run("export", str(folder), "--format", "onnx", "--output", str(out))
    assert (code, errors) == (0, "")
    first, last = printed.splitlines()
    assert first.startswith("model.onnx: largest difference from torch ")
    assert last == str(out)
    names = sorted(path.name for path in out.iterdir())
    assert names == ["README.md", "config.json", "model.onnx", "tokenizer.json"]
    for name in set(names) - {"model.onnx", "config.json"}:
        assert (out / name).read_bytes() == (folder / name).read_bytes()
    written, original = (json.loads((path / "config.json").read_text()) for path in (out, folder))
    assert [*written.pop("graphs")] == ["model.onnx"]
    assert written == original


def test_the_default_output_is_in_the_working_directory(folder, run, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert run("export", str(folder), "--format", "onnx")[0] == 0
    assert (tmp_path / "here" / "model_onnx" / "model.onnx").exists()


def test_int8_says_how_near_it_is_and_what_stays_float(folder, run, tmp_path):
    code, printed, _ = run(
        "export", str(folder), "--format", "onnx", "--int8", "--output", str(tmp_path / "o")
    )
    assert code == 0
    assert "model.onnx in int8: largest difference from torch" in printed
    assert "the same highest logit in" in printed
    assert "the weights of GRU stay float32, as onnxruntime has no int8 GRU" in printed


def test_errors_leave_nothing_behind(folder, task, run, tmp_path):
    out = tmp_path / "out"
    occupied = tmp_path / "occupied"
    occupied.mkdir()
    int8 = save_pretrained(type(task).from_settings(task.processor, task.settings), tmp_path / "int8")
    quantize(task.model)
    int8 = save_pretrained(task, tmp_path / "int8")
    for model, output, message in (
        (tmp_path / "none", out, "none: no such folder; export takes the model folder of a run"),
        (folder, occupied, "occupied exists: name another output, or remove it first"),
        (folder, folder / "config.json" / "x", "config.json is not a folder"),
        (int8, out, "the weights are int8: export the model that was quantized"),
    ):
        code, printed, error = run("export", str(model), "--format", "onnx", "--output", str(output))
        assert (code, printed) == (2, "")
        assert message in error
        assert len(error.splitlines()) == 1
    assert not out.exists()
    assert not any(occupied.iterdir())


def test_a_graph_that_differs_is_not_written(folder, run, tmp_path, monkeypatch):
    monkeypatch.setattr(checking, "TOLERANCE", 0.0)
    out = tmp_path / "out"
    code, printed, error = run("export", str(folder), "--format", "onnx", "--output", str(out))
    assert (code, printed) == (1, "")
    assert "model.onnx would differ from torch by" in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


def test_a_full_disk_leaves_nothing_behind(folder, run, tmp_path, monkeypatch):
    def full(source, target):
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr(writing.shutil, "copyfile", full)
    out = tmp_path / "out"
    code, printed, error = run("export", str(folder), "--format", "onnx", "--output", str(out))
    assert (code, printed) == (1, "")
    assert error == f"nlp-rnn: error: {out}: cannot be written (No space left on device)\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


def test_an_option_of_another_format_is_refused(folder, run, tmp_path, monkeypatch):
    monkeypatch.setitem(FORMATS, "other", Format("another form", "nlp_rnn.none", "", "_other"))
    code, _, error = run(
        "export", str(folder), "--format", "other", "--int8", "--output", str(tmp_path / "o")
    )
    assert code == 2
    assert "--int8 is for --format onnx, --format c; leave it out" in error


def test_every_special_option_is_one_of_the_verb():
    options = {option for row in FORMATS.values() for option in row.options}
    parser = verb.argparse.ArgumentParser()
    verb.add_arguments(parser)
    assert options <= {action.dest for action in parser._actions}
