"""Two processes train, and measure and answer exactly as one does."""

import csv
import json
import os
import subprocess
import sys

import pytest

from nlp_rnn.cli.main import main

DDP = ["--trainer.strategy", "ddp", "--trainer.devices", "2", "--trainer.accelerator", "cpu"]


def run(*arguments):
    """(Standard output, standard error) of a command in its own process, as `ddp` starts a second one."""
    found = subprocess.run(
        [sys.executable, "-m", "nlp_rnn", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )
    assert found.returncode == 0, found.stderr[-2000:]
    return found.stdout, found.stderr


def settings(task, folder):
    return [
        *("--config", f"conf/{task}_builtin.yaml", "--data.corpus.max_examples", "101"),
        *("--data.batching.size", "16", "--model.embedding_dim", "8", "--model.hidden_dim", "8"),
        *("--trainer.max_epochs", "2", "--trainer.enable_progress_bar", "false", "--runs", str(folder)),
    ]


def test_two_devices_train_a_translator_and_measure_as_one(tmp_path, capfd):
    arguments = settings("translation", tmp_path)
    out, error = run("fit", *arguments, *DDP)
    assert out == ""
    for line in ("model: Translation", "data: builtin", "epoch 1/2: ", "epoch 2/2: "):
        assert error.count(line) == 1  # the first process alone prints
    (run_dir,) = (path for path in (tmp_path / "translation_builtin").iterdir() if path.name.isdecimal())
    assert (run_dir / "curves.png").is_file()
    with (run_dir / "metrics.csv").open() as file:
        assert [int(row["epoch"]) for row in csv.DictReader(file) if row["train/loss_epoch"]] == [0, 1]
    assert_same_metrics([*arguments, "--ckpt_path", str(run_dir / "checkpoints" / "best.ckpt")], capfd)


def test_two_devices_measure_running_text_as_one(tmp_path, capfd):
    arguments = settings("language_modeling", tmp_path)
    arguments[1] = "conf/language_modeling_imdb.yaml"
    arguments += ["--data.corpus.path", "builtin", "--data.window", "20", "--trainer.precision", "32-true"]
    main(["fit", *arguments])
    model = tmp_path / "language_modeling_imdb" / "1" / "model"
    assert_same_metrics([*arguments, "--ckpt_path", str(model)], capfd)


def test_two_devices_measure_and_answer_a_classifier_as_one(tmp_path, capfd):
    arguments = settings("sentiment", tmp_path)
    main(["fit", *arguments])
    arguments += ["--ckpt_path", str(tmp_path / "sentiment_builtin" / "1" / "model")]
    assert_same_metrics(arguments, capfd)
    # and every row is answered once and stands in its place
    outputs = [tmp_path / name for name in ("one.jsonl", "two.jsonl")]
    main(["predict", *arguments, "--output", str(outputs[0])])
    run("predict", *arguments, *DDP, "--output", str(outputs[1]))
    one, two = ([json.loads(line) for line in path.read_text().splitlines()] for path in outputs)
    assert [answer["row"] for answer in two] == list(range(101))
    assert [answer["label"] for answer in two] == [answer["label"] for answer in one]
    assert not list(tmp_path.glob(".*"))


def assert_same_metrics(arguments, capfd):
    two = json.loads(run("test", *arguments, *DDP)[0])
    capfd.readouterr()
    main(["test", *arguments])
    one = json.loads(capfd.readouterr().out)
    assert len(one) >= 3
    assert two == pytest.approx(one, rel=1e-5)
