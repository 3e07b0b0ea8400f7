"""What a run shows: lines without a terminal, a bar in one, and a summary first."""

import fcntl
import math
import os
import pty
import re
import struct
import sys
import termios
from importlib.util import find_spec
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from forked import ForkedPython
from pytorch_lightning.callbacks import RichProgressBar, TQDMProgressBar

from nlp_rnn.tasks.optimization import Optimization
from nlp_rnn.training.callbacks import (
    EpochLines,
    ProgressBar,
    WarnOfDecay,
    describe_metrics,
    progress_callback,
)

SENTIMENT = [
    *("--config", "conf/sentiment_builtin.yaml", "--data.corpus.max_examples", "60"),
    *("--model.embedding_dim", "8", "--model.hidden_dim", "8", "--trainer.max_epochs", "2"),
]


def test_without_a_terminal_there_is_one_line_per_epoch(run, tmp_path):
    code, out, error = run("fit", *SENTIMENT, "--runs", str(tmp_path))
    assert (code, out.count("\n")) == (0, 1)
    lines = [line for line in error.splitlines() if line.startswith("epoch ")]
    assert len(lines) == 2
    for number, line in enumerate(lines, 1):
        metrics = r"train loss [\d.]+, val loss [\d.]+, accuracy [\d.]+, f1 [\d.]+"
        assert re.fullmatch(rf"epoch {number}/2: {metrics}, lr [\d.e-]+, [\d.]+ s", line)
    assert "it/s" not in error


def test_an_epoch_without_validation_has_the_training_loss_alone(run, tmp_path):
    arguments = ["--config", "conf/hello.yaml", "--trainer.max_epochs", "3", "--runs", str(tmp_path)]
    _, _, error = run("fit", *arguments, "--trainer.check_val_every_n_epoch", "2")
    lines = [line for line in error.splitlines() if line.startswith("epoch ")]
    assert ["val loss" in line for line in lines] == [False, True, False]
    assert all("train loss" in line for line in lines)


def test_an_epoch_that_is_resumed_counts_the_time_since_then(capsys):
    task, trainer, lines = pl.LightningModule(), pl.Trainer(logger=False, max_epochs=1), EpochLines()
    trainer.strategy.optimizers = [torch.optim.SGD([torch.zeros(1)], lr=0.5)]
    lines.on_train_start(trainer, task)  # and no `on_train_epoch_start`
    lines.on_train_epoch_end(trainer, task)
    lines.on_train_end(trainer, task)
    assert capsys.readouterr().err.endswith("epoch 1/1: lr 0.5, 0.0 s\n")


def test_the_learning_rate_is_that_of_the_last_step_rather_than_of_the_next_one(capsys):
    task, trainer, lines = pl.LightningModule(), pl.Trainer(logger=False, max_epochs=1), EpochLines()
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.5)
    trainer.strategy.optimizers = [optimizer]
    lines.on_train_start(trainer, task)
    for batch, rate in enumerate((0.25, 0.125)):
        optimizer.param_groups[0]["lr"] = rate
        lines.on_train_batch_start(trainer, task, None, batch)
    optimizer.param_groups[0]["lr"] = 1.0  # what a cycle does after its last step
    lines.on_train_epoch_end(trainer, task)
    lines.on_train_end(trainer, task)
    assert ": lr 0.125, " in capsys.readouterr().err


def test_the_summary_is_printed_once_at_the_start(run, tmp_path):
    _, _, error = run("fit", *SENTIMENT, "--runs", str(tmp_path))
    first, model, data, *_ = error.splitlines()
    assert first.startswith("run directory: ")
    assert re.fullmatch(r"model: Sentiment, [\d,]+ parameters, tokens vocabulary [\d,]+, classes 2", model)
    assert re.fullmatch(
        r"data: builtin; rows: train 60, validation 60, test 60; "
        r"classes in train: (negative|positive): \d+, (negative|positive): \d+; "
        r"unknown tokens: train 14\.2%, validation 25\.8%, test 30\.3%",
        data,
    )
    assert error.count("model: ") == error.count("data: ") == 1


def test_of_many_classes_the_most_frequent_are_named(run, tmp_path):
    arguments = ["--config", "conf/tagging_builtin.yaml", "--data.corpus.max_examples", "60"]
    _, _, error = run("fit", *arguments, "--trainer.max_epochs", "1", "--runs", str(tmp_path))
    counts = error.partition("classes in train: ")[2].partition(";")[0]
    assert counts.endswith(", ...")
    numbers = [int(number.replace(",", "")) for number in re.findall(r" ([\d,]*\d)", counts)]
    assert len(numbers) == 6
    assert numbers == sorted(numbers, reverse=True)


def test_labels_and_paths_of_any_kind_make_short_lines(run, tmp_path):
    folder = tmp_path / "data\x1b[31m"
    folder.mkdir()
    rows = [f"good film,\x1b]0;title\x07{'x' * 3000}{number % 2}" for number in range(40)]
    (folder / "train.csv").write_text("\n".join(["text,label", *rows]))
    code, out, error = run(
        *("fit", *SENTIMENT, "--data.corpus.path", str(folder), "--runs", str(tmp_path / "runs\x1b"))
    )
    assert (code, out.count("\n")) == (0, 1)
    assert not {"\x1b", "\x07"} & set(error)
    assert max(map(len, error.splitlines())) <= 1_000


def test_data_without_labels_is_summarized_by_its_rows(run, tmp_path):
    arguments = ["--config", "conf/hello.yaml", "--trainer.max_epochs", "1", "--runs", str(tmp_path)]
    _, _, error = run("fit", *arguments)
    assert re.search(r"^model: LanguageModeling, [\d,]+ parameters, tokens vocabulary \d+$", error, re.M)
    assert re.search(r"^data: hello; rows: train \d+, validation \d+(, test \d+)?$", error, re.M)


@pytest.mark.parametrize(
    ("enabled", "terminal", "expected"),
    [
        (None, True, ProgressBar),
        (None, False, EpochLines),
        (True, False, ProgressBar),
        (False, True, EpochLines),
    ],
)
def test_the_users_choice_wins_over_the_terminal(monkeypatch, enabled, terminal, expected):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    assert type(progress_callback(enabled, None)) is expected


NO_RICH = pytest.mark.skipif(find_spec("rich") is None, reason="rich is not installed")


@pytest.mark.parametrize("bar", [pytest.param(RichProgressBar, marks=NO_RICH), TQDMProgressBar])
def test_a_progress_bar_of_the_user_is_the_only_one(bar):
    assert progress_callback(None, bar()) is None
    assert progress_callback(True, [bar()]) is None


def test_metrics_of_single_classes_are_left_out():
    metrics = {"val/loss": 0.5, "val/f1": 0.25, "val/f1_positive": 1.0, "train/loss_epoch": 0.75}
    assert describe_metrics(metrics) == ["train loss 0.7500", "val loss 0.5000", "f1 0.2500"]
    assert describe_metrics(metrics, validated=False) == ["train loss 0.7500"]


def test_metrics_that_are_undefined_are_left_out_but_not_a_loss():
    metrics = {"val/loss": math.nan, "val/accuracy": 0.5, "val/unknown_accuracy": math.nan}
    assert describe_metrics(metrics) == ["val loss nan", "accuracy 0.5000"]


def on_terminal(*arguments):
    """All that a command writes to a terminal of 100 columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    process = ForkedPython(
        [sys.executable, "-m", "nlp_rnn", *arguments], stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        written += chunk
    assert process.wait() == 0, written
    os.close(ours)
    return written.decode()


def screen(text):
    """The lines that a terminal shows at the end."""
    lines, row, column = [""], 0, 0
    for piece in re.findall(r"\x1b\[\d*[A-Za-z]|.", text, re.S):
        if piece == "\x1b[A":
            row -= 1
        elif piece == "\r":
            column = 0
        elif piece == "\n":
            row, column = row + 1, 0
            lines += [""] * (row == len(lines))
        elif not piece.startswith("\x1b"):
            line = lines[row].ljust(column)
            lines[row] = line[:column] + piece + line[column + 1 :]
            column += 1
    return [line.rstrip() for line in lines]


@pytest.mark.slow
def test_on_a_terminal_nothing_is_left_of_the_bar(tmp_path):
    characters = ("--data.vocabulary.level", "char")  # of which none is unknown
    written = on_terminal("fit", *SENTIMENT, *characters, "--runs", str(tmp_path))
    assert "it/s" in written
    shown = screen(written)
    assert [line.partition(":")[0] for line in shown if line] == [
        "run directory",
        "model",
        "data",
        "best checkpoint on validation",
        "model folder",
        '{"metrics"',
    ]


@pytest.mark.parametrize(("options", "left"), [
    ({"weight_decay": 1.0, "lr": 0.1}, 30),
    ({"weight_decay": 1.0, "lr": 0.1, "schedule": "cosine"}, 55),
    ({"weight_decay": 1.0, "lr": 0.2, "layer_decay": 0.5}, 30),
    ({"weight_decay": 0.01, "lr": 0.1}, None),
    ({"weight_decay": 0.0, "lr": 100.0}, None),
    ({"weight_decay": 1.0, "lr": 0.1, "optimizer": "adam"}, None),
])  # fmt: skip
def test_a_decay_that_undoes_trained_weights_is_warned_of(options, left, monkeypatch, caplog):
    monkeypatch.setattr("nlp_rnn.training.callbacks.total_steps", lambda _: 12)
    module = SimpleNamespace(optimization=Optimization(**options))
    WarnOfDecay().on_train_start(SimpleNamespace(is_global_zero=True), module)
    assert len(caplog.messages) == (left is not None)
    if left is not None:
        assert f"without gradients, {left} % of them would be left after 12 step(s)" in caplog.text


def test_it_is_warned_of_where_training_begins_with_trained_weights(run, tmp_path, caplog):
    small = ["--data.corpus.max_examples", "60", "--model.hidden_dim", "4", "--trainer.max_epochs", "1"]
    small += ["--runs", str(tmp_path), "--model.optimization.weight_decay", "99"]
    small += ["--model.optimization.lr", "0.1", "--model.optimization.schedule", "constant"]
    code, _, error = run("fit", "--config", "conf/sentiment_builtin.yaml", *small)
    assert code == 0, error
    assert "trained weights towards zero" not in caplog.text
    model = tmp_path / "sentiment_builtin" / "latest" / "model"
    assert run("fit", "--init_from", str(model), *small)[0] == 0
    assert "trained weights towards zero" in caplog.text
