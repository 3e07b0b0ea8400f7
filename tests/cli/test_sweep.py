"""The verb sweep: what it refuses, and a whole one."""

import json
import re
import sys

import pytest
import yaml
from forked import fork_fits

from nlp_rnn.training.run_directory import locked

CONFIG = "conf/hello.yaml"
SPACE = "model.cell: {choices: [gru]}\nmodel.optimization.lr: {float: [0.01, 0.05], log: true}\n"
OTHER_SPACES = {
    "other": "model.hiden_dim: {int: [4, 8]}",
    "shared": "runs: {choices: [a, b]}",
    "metric": "checkpoint.monitor: {choices: [val/loss, val/perplexity]}",
    "endless": "trainer.max_epochs: {choices: [null, 3]}",
    "parts": "trainer.max_epochs: {float: [1.5, 2.5]}",
}


@pytest.fixture
def space(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.yaml").write_text(SPACE)
    for name, text in OTHER_SPACES.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return ("--space", "space.yaml")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a configuration and --space FILE, or --resume with the folder of a sweep"),
        ([CONFIG], "give a configuration and --space FILE, or --resume with the folder of a sweep"),
        ([CONFIG, "--space", "none.yaml"], "--space none.yaml: cannot be read"),
        ([CONFIG, "--space", "other.yaml"], "--space: unknown setting 'model.hiden_dim'. Did you mean"),
        ([CONFIG, "--space", "shared.yaml"], "--space: runs is the same in all trials: leave it out"),
        ([CONFIG, "--space", "metric.yaml"], "--space: checkpoint.monitor is the same in all trials"),
        ([CONFIG, "--space", "endless.yaml"], "--space: trainer.max_epochs: give whole numbers from 1"),
        ([CONFIG, "--space", "parts.yaml"], "--space: trainer.max_epochs: give whole numbers from 1"),
        ([CONFIG, "--space", "space.yaml", "--budget", "soon"], "--budget 'soon': give trials"),
        ([CONFIG, "--space", "space.yaml", "--workers", "0"], "--workers 0: give 1 to 256"),
        ([CONFIG, "--space", "space.yaml", "--max_size", "2"], "--max-size '2': give a size with its unit"),
        ([CONFIG, "--space", "space.yaml", "--max-latency", "fast"], "--max-latency 'fast': give a time"),
        ([CONFIG, "--space", "space.yaml", "--model.hiden_dim", "3"], "unknown setting 'model.hiden_dim'."),
        ([CONFIG, "--space", "space.yaml", "--ckpt_path", "last"], "--ckpt_path: no setting of a sweep"),
        (
            [CONFIG, "--space", "space.yaml", "--trainer.max_epochs", "-1"],
            "trainer.max_epochs: give the most",
        ),
        (["--resume", "none"], "--resume none: not the folder of a sweep (settings.json: "),
        (["--resume", "none", "--trainer.max_epochs", "3"], "--resume: a sweep keeps its own"),
    ],
)
def test_what_it_refuses(run, space, tmp_path, arguments, message):
    code, out, error = run("sweep", *arguments)
    assert (code, out) == (2, "")
    assert error.startswith(f"nlp-rnn: error: {message}")
    assert error.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {
        "space.yaml",
        *(f"{name}.yaml" for name in OTHER_SPACES),
    }


def test_without_the_extra_the_message_names_it(run, space, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    code, _, error = run("sweep", CONFIG, *space)
    assert (code, error) == (
        2,
        "nlp-rnn: error: sweep needs Optuna; install it with: pip install 'nlp-rnn[sweep]'\n",
    )


@pytest.mark.slow
def test_a_whole_sweep_and_its_best_configuration(run, space, tmp_path, monkeypatch):
    fork_fits(monkeypatch)
    tiny = ("--trainer.max_epochs", "2", "--trainer.check_val_every_n_epoch", "1", "--model.hidden_dim", "4")
    code, out, error = run("sweep", CONFIG, *space, *tiny, "--budget", "1", "--max-size", "1MB")
    assert code == 0, error
    content = json.loads(out)
    assert 0 < content["size"] < 1e6
    assert content["latency"] > 0
    best = yaml.safe_load((tmp_path / content["config"]).read_text())
    settings = best["model"]["init_args"]
    assert settings["optimization"]["lr"] == content["settings"]["model.optimization.lr"]
    assert (settings["cell"], settings["hidden_dim"]) == ("gru", 4)
    code, again, error = run("fit", "--config", content["config"])
    assert code == 0, error
    assert json.loads(again)["metrics"]["val/loss"] == content["val/loss"]
    folder = tmp_path / "runs" / "hello" / "1"
    settings = (folder / "settings.json").read_bytes()
    monkeypatch.setattr("nlp_rnn.training.run_directory._LOCK_SECONDS", 0.1)
    with locked(folder):
        code, _, error = run("sweep", "--resume", "runs/hello/1", "--budget", "9")
    assert (code, "another process is training" in error) == (2, True)
    assert (folder / "settings.json").read_bytes() == settings
    code, _, error = run("sweep", "--resume", "runs/hello/1", "--max-size", "1kB")
    assert code == 1
    assert "no trial is within the limits: the smallest model has " in error


@pytest.mark.slow
def test_a_real_nan_is_a_failed_trial_with_one_line(run, tmp_path, monkeypatch):
    fork_fits(monkeypatch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.yaml").write_text("model.optimization.lr: {choices: [100.0]}\n")
    diverging = (
        *("--model.optimization.optimizer", "sgd", "--model.optimization.schedule", "constant"),
        *("--trainer.gradient_clip_val", "null", "--trainer.max_epochs", "200"),
    )
    config = "conf/forecasting_ramp.yaml"
    code, _, error = run("sweep", config, "--space", "space.yaml", *diverging, "--budget", "1")
    assert code == 1
    first, last = error.splitlines()
    assert re.fullmatch(r"trial 0 \(lr 100\): failed: step \d+.* (nan|inf|NaN or inf).*", first)
    assert "no trial has succeeded: step " in last
