"""The file of answers that `predict --config` writes."""

import json
import os
import resource
import signal
import time

import pytest
from pytorch_lightning import Trainer

from nlp_rnn.tasks import Sentiment
from nlp_rnn.training.prediction_writer import PredictionWriter

CONFIG = "conf/sentiment_builtin.yaml"
TINY = [
    *("--data.corpus.max_examples", "120", "--data.batching.size", "20"),
    *("--model.embedding_dim", "8", "--model.hidden_dim", "8"),
    *("--trainer.limit_val_batches", "2", "--trainer.max_epochs", "2"),
]


def one_line(error):
    assert error.startswith("nlp-rnn: error: ")
    assert error.count("\n") == 1
    return error


def test_predict_writes_every_row_in_order(trained, tmp_path, run):
    output = tmp_path / "new" / "answers.jsonl"
    arguments = ["--config", CONFIG, *TINY, "--ckpt_path", str(trained / "model"), "--output", str(output)]
    code, out, error = run("predict", *arguments)
    assert (code, out) == (0, ""), error
    answers = [json.loads(line) for line in output.read_text().splitlines()]
    assert [answer["row"] for answer in answers] == list(range(120))
    assert {answer["label"] for answer in answers} <= {"negative", "positive"}
    assert [path.name for path in output.parent.iterdir()] == ["answers.jsonl"]


def test_two_processes_with_one_output_do_not_mix(trained, tmp_path, run):
    """The second one begins, and ends, while the first one is answering."""
    first, second = PredictionWriter(tmp_path / "out"), PredictionWriter(tmp_path / "out")
    trainer = Trainer(logger=False)

    def write(writer, row):
        writer.write_on_batch_end(trainer, None, [{"row": row, "of": id(writer)}], None, None, 0, 0)

    first.on_predict_start(trainer, None)
    write(first, 1)
    second.on_predict_start(trainer, None)
    write(second, 0)
    write(first, 0)
    for writer, rows in ((second, [0]), (first, [0, 1])):
        writer.on_predict_end(trainer, None)
        answers = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
        assert answers == [{"row": row, "of": id(writer)} for row in rows]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_full_disk_is_named_with_the_output(trained, tmp_path, run):
    """A limit on the size of files stands for the end of the disk."""
    output = tmp_path / "answers.jsonl"
    output.write_text("earlier")
    arguments = ["--config", CONFIG, *TINY, "--ckpt_path", str(trained / "model"), "--output", str(output)]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        code, _, error = run("predict", *arguments)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == 2
    assert error.endswith(f"nlp-rnn: error: {output}: cannot be written (File too large)\n")
    assert output.read_text() == "earlier"
    assert [path.name for path in tmp_path.iterdir()] == ["answers.jsonl"]


def test_an_output_that_cannot_be_written_is_found_first(trained, tmp_path, run):
    (tmp_path / "file").touch()
    arguments = [
        "--config",
        CONFIG,
        "--ckpt_path",
        str(trained / "model"),
        "--output",
        str(tmp_path / "file" / "x"),
    ]
    code, _, error = run("predict", *arguments)
    assert code == 2
    assert "--output" in one_line(error)


def test_a_prediction_that_fails_leaves_nothing(trained, tmp_path, run, monkeypatch):
    def break_down(*_):
        raise RuntimeError("it broke")

    monkeypatch.setattr(Sentiment, "answer", break_down)
    arguments = ["--config", CONFIG, *TINY, "--ckpt_path", str(trained / "model")]
    code, out, error = run("predict", *arguments, "--output", str(tmp_path / "answers.jsonl"))
    assert (code, out) == (1, "")
    assert error.endswith("nlp-rnn: error: RuntimeError: it broke\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("form", ["configuration", "file"])
def test_a_prediction_that_is_stopped_by_a_signal_leaves_nothing(
    trained, tmp_path, run, monkeypatch, form, number
):
    monkeypatch.setattr(Sentiment, "answer", lambda *_: os.kill(os.getpid(), number) or time.sleep(10))
    (tmp_path / "in").write_text("good\n")
    arguments = [str(trained / "model"), str(tmp_path / "in")]
    if form == "configuration":
        arguments = ["--config", CONFIG, *TINY, "--ckpt_path", str(trained / "model")]
    code, out, error = run("predict", *arguments, "--output", str(tmp_path / "answers"))
    assert (code, out) == (128 + number, "")
    assert error.endswith(f"nlp-rnn: stopped by {number.name}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_the_data_is_never_replaced(trained, tmp_path, run):
    path = tmp_path / "data.csv"
    path.write_text("text,label\ngood,1\n")
    arguments = ["--config", CONFIG, "--ckpt_path", str(trained / "model"), "--data.corpus.path", str(path)]
    code, _, error = run("predict", *arguments, "--output", str(path))
    assert (code, error.count("\n")) == (2, 1)
    assert f"--output {path}: would replace {path}, which is read; choose another place" in error
    assert path.read_text() == "text,label\ngood,1\n"
