"""A sweep, with programs in place of fits that write what a fit leaves behind."""

import csv
import json
import os
import signal
import sys
from types import SimpleNamespace

import optuna
import pytest
import yaml

from nlp_rnn.errors import Interrupted, RunError, UsageError
from nlp_rnn.training import processes
from nlp_rnn.training.sweep import search
from nlp_rnn.training.sweep.limits import Limits
from nlp_rnn.training.sweep.search import Sweep, SweepSettings
from nlp_rnn.training.sweep.space import Setting
from nlp_rnn.training.sweep.study import PRUNED, open_study

SPACE = [
    Setting("model.lr", "float", (1e-3, 1.0), log=True),
    Setting("model.cell", "choices", ("gru", "rnn")),
]
FIT = """
import json, os, pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1])
number = int(folder.name.removeprefix("trial-"))
settings = json.loads((folder / "config.yaml").read_text().splitlines()[-1])
(folder / "times").open("a").write("x")
{}
loss = abs(float(settings["model.lr"]) - 0.1) + (settings["model.cell"] == "rnn")
(folder / "metrics.json").write_text(json.dumps({{"metrics": {{"val/loss": loss}}, "epoch": 2}}))
(folder / "model").mkdir(exist_ok=True)
"""


class FakeResolved(SimpleNamespace):
    """The settings of a trial, from its flags."""

    monitor, mode = "val/loss", "min"
    settings = {"seed_everything": 0, "trainer": {"max_epochs": 9}}

    def __init__(self, arguments, trusted):
        self.flags = dict(argument[2:].split("=") for argument in arguments[1:])
        if self.flags.get("model.cell") == "bad":
            raise UsageError("model.cell must be one of gru, rnn, not 'bad'")

    def yaml(self):
        return json.dumps(self.flags)


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """Runs a sweep, with lines of Python in place of the training."""
    monkeypatch.setattr(search, "Resolved", FakeResolved)
    folder = tmp_path / "film" / "1"
    folder.mkdir(parents=True)

    def call(line="", space=SPACE, workers=1, measure=lambda model: (1000, 0.5), **limits):
        command = [sys.executable, "-c", FIT.format(line)]
        monkeypatch.setattr(processes, "fit_command", lambda run_dir, _: [*command, str(run_dir)])
        settings = SweepSettings(["fit"], [], space, Limits(**limits), workers, "nlp-rnn sweep")
        return folder, Sweep(folder, settings, FakeResolved(["fit"], []), measure).run

    return call


def trials(folder):
    with (folder / "trials.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_best_trial_is_told_drawn_and_can_be_run_again(sweep, capsys):
    folder, run = sweep(trials=12, workers=2)
    content = run()
    rows = trials(folder)
    assert len(rows) == 12
    assert {row["state"] for row in rows} == {"complete"}
    losses = {row["trial"]: float(row["val/loss"]) for row in rows}
    assert (
        losses[str(content["best"])] == min(losses.values()) == pytest.approx(content["val/loss"], rel=1e-5)
    )
    assert content == json.loads((folder / "sweep.json").read_text())
    best = yaml.safe_load((folder / "best.yaml").read_text())
    assert float(best["model.lr"]) == content["settings"]["model.lr"]
    assert best["model.cell"] == content["settings"]["model.cell"] == "gru"
    trial = folder / f"trial-{content['best']}"
    assert (folder / "best").resolve() == (folder.parent / "latest").resolve() == trial
    for picture in ("sweep.png", "pareto.png"):
        assert (folder / picture).read_bytes().startswith(b"\x89PNG")
    error = capsys.readouterr().err
    assert error.count("\ntrial ") + error.startswith("trial ") >= 12
    assert error.splitlines()[-1] == f"best: {trial}; again: nlp-rnn fit --config {folder / 'best.yaml'}"


def test_failures_of_all_kinds_are_trials_with_one_line_each(sweep):
    failing = """
if number == 0: sys.exit("Traceback\\nnlp-rnn: error: step 3: the loss is nan")
if number == 1: os.kill(os.getpid(), signal.SIGKILL)
if number == 2: sys.exit("nlp-rnn: error: MisconfigurationException: no such device")
if number == 3: settings["model.lr"] = "nan"
"""
    space = [SPACE[0], Setting("model.cell", "choices", ("gru", "bad"))]
    folder, run = sweep(failing, space, trials=14)
    content = run()
    errors = {int(row["trial"]): row["error"] for row in trials(folder) if row["error"]}
    refused = {
        number for number, line in errors.items() if line == "model.cell must be one of gru, rnn, not 'bad'"
    }
    known = {
        0: "step 3: the loss is nan",
        1: "killed by SIGKILL; memory may have run out",
        2: "MisconfigurationException: no such device",
        3: "val/loss is not a number, or was not measured",
    }
    assert refused
    assert {number: line for number, line in errors.items() if number not in refused} == {
        number: line for number, line in known.items() if number not in refused
    }
    assert content["trials"]["failed"] == len(errors)
    assert {row["within_limits"] for row in trials(folder) if row["error"]} == {""}  # they were not measured
    assert content["trials"]["complete"] == 14 - len(errors)


def test_where_all_trials_fail_the_sweep_ends(sweep):
    _, run = sweep("sys.exit('nlp-rnn: error: no data')", seconds=1000.0, trials=None)
    with pytest.raises(RunError, match="all of the first 10 trials failed; the last one: no data"):
        run()
    _, run = sweep("sys.exit('nlp-rnn: error: no data')", trials=11)
    with pytest.raises(RunError, match="all of the first 10 trials failed"):
        run()


def test_the_best_is_within_the_limits(sweep):
    sizes = {}

    def measure(model):
        settings = json.loads((model.parent / "config.yaml").read_text().splitlines()[-1])
        sizes[model.parent.name] = 3000 if settings["model.cell"] == "gru" else 1000
        return sizes[model.parent.name], 1.0

    folder, run = sweep(trials=8, measure=measure, max_size=2000.0)
    content = run()
    assert set(sizes.values()) == {1000, 3000}
    assert content["settings"]["model.cell"] == "rnn"  # though gru is better
    assert {(row["size"], row["within_limits"]) for row in trials(folder)} == {
        ("1000", "true"),
        ("3000", "false"),
    }
    folder, run = sweep(trials=8, measure=measure, max_latency=0.5)
    with pytest.raises(
        RunError, match=r"no trial is within the limits: .* 0\.001 MB, the fastest takes 1 ms"
    ):
        run()


def test_a_signal_leaves_a_trial_that_goes_on_under_its_number(sweep):
    waiting = "if number == 1: os.kill(os.getppid(), 15); time.sleep(60)"
    folder, run = sweep(waiting, trials=3)
    with pytest.raises(Interrupted) as stop:
        run()
    assert stop.value.number == signal.SIGTERM
    assert stop.value.message == f"saved; go on with: nlp-rnn sweep --resume {folder}"
    drawn = (folder / "trial-1" / "config.yaml").read_text()
    _, run = sweep(trials=3)
    assert run()["trials"]["complete"] == 3
    assert [row["trial"] for row in trials(folder)] == ["0", "1", "2"]
    assert [(folder / f"trial-{number}" / "times").read_text() for number in range(3)] == ["x", "xx", "x"]
    assert (folder / "trial-1" / "config.yaml").read_text() == drawn


def test_a_sweep_that_was_killed_does_not_train_again_what_is_trained(sweep):
    class Killed(BaseException):
        pass

    def kill(model):
        raise Killed

    folder, run = sweep(trials=2, measure=kill)
    with pytest.raises(Killed):
        run()
    study = open_study(folder, "min", 9, 0)
    study.ask()  # and it was killed again before the settings of another trial were drawn
    study.ask().set_user_attr(PRUNED, 3)  # a process that was left alone has stopped early
    _, run = sweep(trials=4)
    assert run()["trials"] == {"complete": 3, "pruned": 1, "failed": 0}
    assert [(folder / f"trial-{number}" / "times").read_text() for number in (0, 1, 3)] == ["x", "x", "x"]
    assert not (folder / "trial-2").exists()


def test_a_trial_that_another_process_has_finished_meanwhile_is_complete(sweep):
    late = """
(folder / "metrics.json").write_text(json.dumps({"metrics": {"val/loss": 7.0}, "epoch": 2}))
sys.exit("nlp-rnn: error: the run is finished")
"""
    _, run = sweep(late, trials=1)
    assert run()["val/loss"] == 7.0


def test_time_is_a_budget_that_counts_over_interruptions(sweep):
    folder, run = sweep(trials=2)
    run()
    study = open_study(folder, "min", 9, 0)
    assert 0 < study.user_attrs["seconds"] < 300
    study.set_user_attr("seconds", 999.0)
    _, run = sweep(trials=None, seconds=1000.0, line="time.sleep(1.5)")
    assert len(run()["settings"]) == 2
    assert len(trials(folder)) == 3


def test_two_sweeps_do_not_share_a_folder(sweep, monkeypatch):
    monkeypatch.setattr("nlp_rnn.training.run_directory._LOCK_SECONDS", 0.1)
    folder, run = sweep(trials=1)
    with search.locked(folder), pytest.raises(UsageError, match="another process"):
        run()
    assert os.listdir(folder)
    assert optuna.load_study(study_name="sweep", storage=f"sqlite:///{folder / 'study.db'}").trials == []
