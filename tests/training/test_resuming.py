"""Training resumes from a checkpoint, with the settings of this run."""

import csv
import os
import shutil
import signal
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from nlp_rnn import from_pretrained
from nlp_rnn.data import Corpus
from nlp_rnn.errors import Interrupted
from nlp_rnn.storage.checkpoint import read_checkpoint, write_checkpoint
from nlp_rnn.tasks.base import Task
from nlp_rnn.training import cli
from nlp_rnn.training.last_checkpoint import LastCheckpoint
from nlp_rnn.training.resuming import Start, find_resumed, find_start

CONFIG = "conf/sentiment_builtin.yaml"
TINY = [
    *("--data.corpus.max_examples", "120", "--data.batching.size", "20"),
    *("--model.embedding_dim", "8", "--model.hidden_dim", "8"),
    *("--trainer.limit_val_batches", "2", "--trainer.max_epochs", "2"),
]


def steps(run_dir):
    """(epoch, step) of each line on the training loss of a whole epoch."""
    with (run_dir / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [(int(row["epoch"]), int(row["step"])) for row in rows if row.get("train/loss_epoch")]


def one_line(error):
    assert error.startswith("nlp-rnn: error: ")
    assert error.count("\n") == 1
    return error


def test_training_goes_on_where_it_stopped(trained, tmp_path, run):
    last = str(trained / "checkpoints" / "last.ckpt")
    arguments = ["fit", "--config", CONFIG, *TINY, "--ckpt_path", last, "--runs", str(tmp_path)]
    code, _, error = run(*arguments)
    assert code == 2
    assert "trained for 2 epochs already; set trainer.max_epochs higher" in one_line(error)
    assert not list(tmp_path.iterdir())
    code, _, error = run(*arguments, "--trainer.max_epochs", "4")
    assert code == 0, error
    a_step = steps(trained)[0][1] + 1
    assert steps(tmp_path / "sentiment_builtin" / "1") == [(2, 3 * a_step - 1), (3, 4 * a_step - 1)]


def test_a_run_from_a_checkpoint_that_was_stopped_starts_from_it_or_goes_on(
    trained, tmp_path, run, monkeypatch
):
    last = str(trained / "checkpoints" / "last.ckpt")
    arguments = ["fit", "--config", CONFIG, *TINY, "--ckpt_path", last, "--runs", str(tmp_path)]
    arguments += ["--trainer.max_epochs", "3"]
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert run(*arguments)[0] == 0
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    code, _, error = run(*arguments)
    assert code == 2
    assert "sentiment_builtin/1 is finished" in one_line(error)

    run_dir = tmp_path / "sentiment_builtin" / "1"
    expected = steps(run_dir)
    assert [epoch for epoch, _ in expected] == [2]
    shutil.rmtree(run_dir / "checkpoints")  # as if it was killed before it was saved
    code, _, error = run("fit", "--resume", str(run_dir))
    assert code == 0, error
    assert steps(run_dir) == expected


def test_what_another_process_saves_before_it_ends_is_read(trained, tmp_path, run, monkeypatch):
    run_dir = tmp_path / "film" / "1"
    shutil.copytree(trained, run_dir)
    shutil.move(run_dir / "checkpoints", tmp_path / "checkpoints")

    @contextmanager
    def wait(folder, **_):
        shutil.move(tmp_path / "checkpoints", folder / "checkpoints")
        yield

    monkeypatch.setattr(cli, "locked", wait)
    code, _, error = run("fit", "--resume", str(run_dir), "--trainer.max_epochs", "3")
    assert code == 0, error
    assert [epoch for epoch, _ in steps(run_dir)] == [0, 1, 2]
    assert "resuming from " in error


def test_a_restart_by_torchrun_that_begins_anew_says_so(tmp_path, monkeypatch, caplog):
    config = SimpleNamespace(resume=None, runs=tmp_path, ckpt_path=None)
    assert find_resumed(config, "name") is None
    assert find_start(config, None, begun=False) == Start()
    assert not caplog.text
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert find_resumed(config, "name") is None
    assert "--ckpt_path last would go on" in caplog.text


def test_a_moved_run_keeps_its_best_checkpoint(trained, tmp_path, run):
    moved = tmp_path / "moved" / "1"
    shutil.copytree(trained, moved)
    best = moved / "checkpoints" / "best.ckpt"
    checkpoint = read_checkpoint(best)
    name = next(name for name in checkpoint["callbacks"] if name.startswith("ModelCheckpoint"))
    last = read_checkpoint(moved / "checkpoints" / "last.ckpt")
    last["callbacks"][name]["best_model_score"] = torch.tensor(-1.0)  # which no later epoch reaches
    last["callbacks"][name]["kth_value"] = torch.tensor(-1.0)
    paths = last["callbacks"][name]["best_k_models"]
    last["callbacks"][name]["best_k_models"] = {path: torch.tensor(-1.0) for path in paths}
    write_checkpoint(last, moved / "checkpoints" / "last.ckpt")
    before = best.read_bytes()
    code, _, error = run("fit", "--resume", str(moved), "--trainer.max_epochs", "3")
    assert code == 0, error
    assert best.read_bytes() == before
    model = from_pretrained(moved / "model").state_dict()
    assert all(torch.equal(model[key], value) for key, value in from_pretrained(best).state_dict().items())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("schedule", "rate"),
    # one_cycle: what comes after its last step; plateau: what it had come down to
    [("constant", 0.5), ("cosine", 0.0), ("one_cycle", 0.024759683), ("plateau", 0.002)],
)
def test_settings_win_over_the_checkpoint_and_that_is_said(tmp_path, run, caplog, schedule, rate):
    arguments = ["fit", "--config", CONFIG, *TINY, "--runs", str(tmp_path), "--name", "a"]
    arguments += ["--trainer.limit_train_batches", "2", "--model.optimization.schedule", schedule]
    assert run(*arguments, "--trainer.max_epochs", "1")[0] == 0
    arguments += ["--ckpt_path", str(tmp_path / "a" / "1" / "checkpoints" / "last.ckpt")]
    arguments += ["--model.optimization.weight_decay", "0.125"]
    code, _, error = run(*arguments, "--model.optimization.lr", "0.5", "--trainer.max_epochs", "5")
    assert code == 0, error
    assert "optimization.lr 0.5 (was 0.002)" in caplog.text
    assert "optimization.weight_decay 0.125 (was 0.0)" in caplog.text

    saved = torch.load(tmp_path / "a" / "2" / "checkpoints" / "last.ckpt", weights_only=True)
    group = saved["optimizer_states"][0]["param_groups"][0]
    assert group["weight_decay"] == 0.125
    assert group["lr"] == pytest.approx(rate, abs=1e-6)
    assert saved["global_step"] == 10
    if schedule == "one_cycle":  # as long as this run, not as the first
        assert (saved["lr_schedulers"][0]["total_steps"], group["max_lr"]) == (10, 0.5)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("model", "resumes from a .ckpt file"),
        ("none.ckpt", "no such checkpoint"),
        ("config.yaml", "refused"),
    ],
)
def test_training_resumes_from_checkpoints_alone(trained, tmp_path, run, path, said):
    arguments = [
        "fit",
        "--config",
        CONFIG,
        *TINY,
        "--ckpt_path",
        str(trained / path),
        "--runs",
        str(tmp_path),
    ]
    code, _, error = run(*arguments)
    assert code == 2
    assert said in one_line(error)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--model.hidden_dim", "16"), "hidden_dim 16 (was 8)"),
        (("--model.optimization.freeze", "embedding"), "optimization.freeze ['embedding'] (was [])"),
    ],
)
def test_a_resumed_model_keeps_its_size_and_what_is_trained(trained, tmp_path, run, option, said):
    checkpoint = str(trained / "checkpoints" / "last.ckpt")
    arguments = ["fit", "--config", CONFIG, *TINY, "--ckpt_path", checkpoint, "--runs", str(tmp_path)]
    code, _, error = run(*arguments, *option, "--trainer.max_epochs", "3")
    assert code == 2
    assert said in one_line(error)


def test_what_answers_depend_on_alone_can_change(trained, tmp_path, run):
    arguments = ["fit", "--resume", shutil.copytree(trained, tmp_path / "1"), "--trainer.max_epochs", "3"]
    code, _, error = run(*map(str, arguments), "--model.unsure_below", "0.75", "--model.calibrate", "false")
    assert code == 0, error
    assert from_pretrained(tmp_path / "1" / "model").settings["unsure_below"] == 0.75


def test_a_damaged_checkpoint_is_passed_over(trained, tmp_path, run, caplog):
    folder = tmp_path / "checkpoints"
    shutil.copytree(trained / "checkpoints", folder)
    (folder / "last.ckpt").write_bytes((folder / "last.ckpt").read_bytes()[:-1000])
    arguments = ["fit", "--config", CONFIG, *TINY, "--ckpt_path", str(folder / "last.ckpt")]
    code, _, error = run(*arguments, "--trainer.max_epochs", "3", "--runs", str(tmp_path / "runs"))
    assert code == 0, error
    said = [line for line in caplog.messages if line.startswith("resuming from")]
    assert len(said) == 1
    assert str(folder) in said[0]
    assert "passed over: last.ckpt: refused: damaged" in said[0]


def test_a_refused_run_is_left_as_it_was(trained, tmp_path, run):
    run_dir = tmp_path / "1"
    shutil.copytree(trained, run_dir)
    for settings in (["--data.vocabulary.min_frequency", "5"], ["--model.optimization.optimizer", "nadam"]):
        code, _, error = run("fit", "--resume", str(run_dir), "--trainer.max_epochs", "3", *settings)
        assert code == 2, error
        names = ("config.yaml", "metrics.csv", "checkpoints/last.ckpt")
        assert [(run_dir / n).read_bytes() for n in names] == [(trained / n).read_bytes() for n in names]


@pytest.mark.parametrize("resumes", [False, True])
def test_a_signal_while_data_is_prepared_says_what_there_is(trained, tmp_path, run, monkeypatch, resumes):
    def interrupt(*_):
        raise Interrupted(signal.SIGTERM)

    shutil.copytree(trained, tmp_path / "1")
    monkeypatch.setattr(Corpus, "cache_key", interrupt)
    resume = ["--resume", str(tmp_path / "1"), "--trainer.max_epochs", "3"]
    code, _, error = run("fit", *(resume if resumes else ["--config", CONFIG, "--runs", str(tmp_path)]))
    assert code == 143
    go_on = f"saved; go on with: nlp-rnn fit --resume {tmp_path / '1'}"
    nothing = "training had not begun, so there is nothing to save"
    assert error.splitlines()[-1] == f"nlp-rnn: stopped by SIGTERM; {go_on if resumes else nothing}"


class _StopOnce:
    """A step of a task that sends SIGTERM to this process, the given time that it is called in a fit."""

    def __init__(self, step, call):
        self.step, self.call, self.calls = step, call, 0

    def __get__(self, task, owner):
        def step(*arguments):
            searching = not any(isinstance(c, LastCheckpoint) for c in task.trainer.callbacks)
            if task.trainer.state.fn == "fit" and not task.trainer.sanity_checking and not searching:
                self.calls += 1
                if self.calls == self.call:
                    os.kill(os.getpid(), signal.SIGTERM)
            return self.step(task, *arguments)

        return step


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "call", "second", "made", "planned"),
    # An epoch has 8 batches of 20 rows, or 3 of 40, or 3 times two of 20.
    [
        (["--data.batching.size=40"], 0, ["--data.batching.size=20"], 3 + 3 + 8, 8 + 8 + 8),
        ([], 0, ["--data.batching.size=40"], 8 + 8 + 3, 8 + 8 + 3),
        ([], 0, ["--trainer.accumulate_grad_batches=2"], 8 + 8 + 3, 8 + 8 + 3),
        ([], 10, ["--data.batching.size=40"], 8 + 2 + 1 + 3, 8 + 2 + 1 + 3),
        ([], 13, ["--data.batching.size=40"], 8 + 5 + 3, 8 + 5 + 3),
    ],
)
def test_a_schedule_ends_with_a_resumed_run_whose_batches_have_changed(
    tmp_path, run, monkeypatch, caplog, first, call, second, made, planned
):
    with monkeypatch.context() as patch:
        patch.setattr(Task, "training_step", _StopOnce(Task.training_step, call))
        code = run("fit", "--config", CONFIG, *TINY, "--runs", str(tmp_path), *first)[0]
    assert code == (143 if call else 0)
    run_dir = tmp_path / "sentiment_builtin" / "1"
    code, _, error = run("fit", "--resume", str(run_dir), "--trainer.max_epochs", "3", *second)
    assert code == 0, error
    saved = read_checkpoint(run_dir / "checkpoints" / "last.ckpt")
    assert saved["global_step"] == made
    assert saved["lr_schedulers"][0]["total_steps"] == planned
    assert ("had 8 batches before and has 3 now" in caplog.text) == bool(call)


CALLBACKS = ["--trainer.callbacks"]
AVERAGED = [*CALLBACKS, "EMAWeightAveraging", "--trainer.callbacks.decay", "0.5"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "call", "settings"),
    [
        ("validation_step", 1, AVERAGED),
        ("training_step", 5, [*AVERAGED, "--trainer.val_check_interval", "2"]),
        (
            "training_step",
            3,
            [*CALLBACKS, "LearningRateFinder", "--trainer.callbacks.num_training_steps", "20"],
        ),
        ("validation_step", 1, [*CALLBACKS, "BatchSizeFinder", "--trainer.callbacks.max_trials", "3"]),
        (
            "training_step",
            11,
            [
                *(*CALLBACKS, "GradientAccumulationScheduler", "--trainer.callbacks.scheduling={1: 2}"),
                *("--data.batching.size", "10"),
            ],
        ),
        ("training_step", 3, ["--trainer.precision", "64-true"]),
        ("training_step", 6, ["--checkpoint.filename", "{epoch}-{val/loss:.3f}"]),
        ("training_step", 6, ["--checkpoint.save_last", "link"]),
        ("training_step", 3, ["--trainer.val_check_interval", "2", "--trainer.limit_train_batches", "3"]),
        ("training_step", 3, ["--trainer.overfit_batches", "2"]),
        ("training_step", 5, ["--trainer.logger", "CSVLogger", "--trainer.logger.save_dir", "logs"]),
    ],
)
def test_a_run_that_is_stopped_ends_as_it_would_have(tmp_path, run, monkeypatch, step, call, settings):
    monkeypatch.chdir(tmp_path)
    arguments = ["fit", "--config", CONFIG, *TINY, "--data.corpus.max_examples", "60", *settings]
    arguments += ["--model.dropout", "0.3"]
    assert run(*arguments, "--name", "whole")[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr(Task, step, _StopOnce(getattr(Task, step), call))
        code, _, error = run(*arguments, "--name", "stopped")
    assert code == 143, error
    assert run("fit", "--resume", "runs/stopped/1")[0] == 0
    whole, stopped = Path("runs/whole/1"), Path("runs/stopped/1")
    assert (whole / "metrics.csv").read_text() == (stopped / "metrics.csv").read_text()
    files = [
        {str(p.relative_to(r)) for p in r.rglob("*") if "tfevents" not in p.name} for r in (whole, stopped)
    ]
    assert files[0] == files[1]
    for path in ("checkpoints/last.ckpt", "model"):
        weights = [from_pretrained(folder / path).model.state_dict() for folder in (whole, stopped)]
        assert [name for name, value in weights[0].items() if not value.equal(weights[1][name])] == []


@pytest.mark.parametrize(
    ("options", "limits"),
    [
        (["--trainer.max_epochs", "2"], "trainer.max_epochs"),
        (["--trainer.max_epochs", "9", "--trainer.max_steps", "16"], "trainer.max_steps"),
        (["--trainer.max_epochs", "9", "--trainer.max_time", "00:00:00:07"], "trainer.max_time"),
        (["--trainer.max_epochs", "9", "--early_stopping.patience", "1"], "early_stopping.patience"),
        (
            ["--trainer.max_epochs", "2", "--early_stopping.patience", "1"],
            "trainer.max_epochs and early_stopping.patience",
        ),
    ],
)
def test_a_finished_run_names_the_settings_that_ended_it(trained, tmp_path, run, options, limits):
    shutil.copytree(trained, tmp_path / "1")
    last = tmp_path / "1" / "checkpoints" / "last.ckpt"
    checkpoint = read_checkpoint(last)
    checkpoint["callbacks"]["Timer"] = {"time_elapsed": {"train": 7.0}}
    if "--early_stopping.patience" in options:
        checkpoint["resume_state"]["should_stop"] = True
        name = next(name for name in checkpoint["callbacks"] if name.startswith("EarlyStopping"))
        checkpoint["callbacks"][name]["wait_count"] = 1
    write_checkpoint(checkpoint, last)
    code, _, error = run("fit", "--resume", str(tmp_path / "1"), *options)
    assert code == 2
    assert one_line(error).endswith(f"to train on, set {limits} higher\n")


def test_a_run_that_the_users_own_early_stopping_ended_is_finished(tmp_path, run):
    stopping = ["EarlyStopping", "--trainer.callbacks.monitor", "train/loss_epoch"]
    stopping += ["--trainer.callbacks.patience", "0", "--trainer.callbacks.min_delta", "9"]
    arguments = ["fit", "--config", CONFIG, *TINY, "--trainer.callbacks", *stopping, "--runs", str(tmp_path)]
    code, _, error = run(*arguments, "--trainer.max_epochs", "5")
    assert code == 0, error
    assert "epoch 3/5" not in error
    code, _, error = run("fit", "--resume", str(tmp_path / "sentiment_builtin" / "1"))
    assert code == 2
    assert "is finished: trained for 2 epochs" in one_line(error)
    assert error.endswith("set the patience of your own EarlyStopping higher\n")
