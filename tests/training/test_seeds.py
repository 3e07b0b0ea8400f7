"""Several seeds: tables, links, failures, and what is left to train after an interruption."""

import csv
import json
import os
import signal
import sys
from types import SimpleNamespace

import pytest
from forked import fork_fits

from nlp_rnn.errors import Interrupted, RunError
from nlp_rnn.training import processes
from nlp_rnn.training.seeds import SeedResults, add_seeds, seed_runs, train_seeds

# In place of a fit: the metrics of seed N are made from N.
FIT = """
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
seed = int(folder.name.removeprefix("seed-"))
print("trains", seed, file=sys.stderr)
{}
(folder / "metrics.csv").write_text(f"epoch,step,val/loss\\n0,1,{{seed + 1.0}}\\n1,3,{{seed}}\\n")
metrics = {{"val/loss": float(seed), "val/accuracy": 1 / (1 + seed), "val/f1_good": 0.5}}
(folder / "metrics.json").write_text(json.dumps({{"metrics": metrics, "epoch": 2, "seed": seed}}))
"""


class Settings(SimpleNamespace):
    def yaml(self, **changed):
        return json.dumps(changed)


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Trains a group of seeds, with lines of Python in place of the training."""
    settings = Settings(runs=str(tmp_path), name="film", monitor="val/loss", mode="min")

    def call(seeds, line="", group=None):
        command = [sys.executable, "-c", FIT.format(line)]
        monkeypatch.setattr(processes, "fit_command", lambda run_dir, _: [*command, str(run_dir)])
        group = add_seeds(group, settings, seeds, "nlp-rnn fit --seeds")
        return group, lambda: train_seeds(group, settings, ())

    return call


def test_each_seed_the_mean_and_the_deviation_are_in_one_table(train, capsys):
    group, run = train([3, 1, 2])
    content = run()
    assert content["best"] == 1
    assert content["mean"] == pytest.approx({"val/loss": 2, "val/accuracy": 13 / 36, "val/f1_good": 0.5})
    assert content["std"]["val/loss"] == pytest.approx(1)
    assert json.loads((group / "seeds.json").read_text()) == content
    with (group / "seeds.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["seed"], row["val/loss"], row["epoch"]) for row in rows] == [
        *(("1", "1", "2"), ("2", "2", "2"), ("3", "3", "2"), ("mean", "2", ""), ("std", "1", "")),
    ]
    assert (group / "seeds.png").read_bytes().startswith(b"\x89PNG")
    assert (group / "best").resolve() == (group.parent / "latest").resolve() == group / "seed-1"
    printed = capsys.readouterr().err.splitlines()
    assert printed[:4] == ["seed 1, 1 of 3", "trains 1", "seed 2, 2 of 3", "trains 2"]
    assert printed[-7].split() == ["seed", "val/loss", "val/accuracy", "epoch"]
    assert printed[-1] == f"best: {group / 'best'}, by val/loss"


def test_finished_seeds_are_not_trained_again_and_seeds_can_be_added(train, capsys):
    group, run = train([0, 1])
    run()
    before = (group / "seed-0" / "config.yaml").read_text()
    capsys.readouterr()
    _, run = train([0, 5], group=group)
    assert run()["mean"]["val/loss"] == 2
    error = capsys.readouterr().err
    assert "seed 0, 1 of 3: finished\nseed 1, 2 of 3: finished\nseed 5, 3 of 3\ntrains 5\n" in error
    assert (group / "seed-0" / "config.yaml").read_text() == before
    assert json.loads((group / "seed-5" / "config.yaml").read_text().splitlines()[-1]) == {
        "seed_everything": 5
    }


def test_a_failed_seed_leaves_the_others_and_is_named(train):
    group, run = train([0, 1, 2], "if seed == 1: sys.exit('nlp-rnn: error: the loss is nan')")
    with pytest.raises(RunError, match=r"1 of 3 seeds failed \(1\): the loss is nan$"):
        run()
    content = json.loads((group / "seeds.json").read_text())
    assert content["failed"] == {"1": "the loss is nan"}
    assert [row["seed"] for row in content["seeds"]] == [0, 2]
    _, run = train([], group=group)  # and now it does not fail
    assert [row["seed"] for row in run()["seeds"]] == [0, 1, 2]


def test_a_seed_that_another_process_has_finished_meanwhile_is_no_failure(train):
    late = """
metrics = {"metrics": {"val/loss": 7.0}, "epoch": 2, "seed": seed}
(folder / "metrics.json").write_text(json.dumps(metrics))
sys.exit("nlp-rnn: error: the run is finished")
"""
    _, run = train([4], late)
    content = run()
    assert (content["failed"], content["mean"]) == ({}, {"val/loss": 7.0})


def test_a_signal_stops_the_seed_that_trains_and_the_rest_is_trained_later(train, capsys):
    waiting = "import os, time\nif seed == 1: os.kill(os.getppid(), 15); time.sleep(60)"
    group, run = train([0, 1, 2], waiting)
    with pytest.raises(Interrupted) as stop:
        run()
    assert stop.value.number == signal.SIGTERM
    assert stop.value.message.endswith(f"go on with: nlp-rnn fit --resume {group}")
    assert [path.parent.name for path in group.glob("seed-*/metrics.json")] == ["seed-0"]
    capsys.readouterr()
    _, run = train([], group=group)
    assert run()["best"] == 0
    assert "trains 0" not in capsys.readouterr().err


@pytest.mark.parametrize(("mode", "best"), [("min", 0), ("max", 2)])
def test_the_metric_says_which_seed_is_best_and_nan_is_never(tmp_path, mode, best):
    for seed, loss in enumerate([1.0, None, 3.0]):
        folder = tmp_path / f"seed-{seed}"
        processes.prepare_run(folder, "", "")
        (folder / "metrics.json").write_text(json.dumps({"metrics": {"val/loss": loss}, "epoch": 1}))
    (tmp_path / "seed-x").mkdir()
    (tmp_path / "seed-x" / "config.yaml").touch()
    results = SeedResults(seed_runs(tmp_path), {})
    assert results.best("val/loss", mode) == best
    assert results.best("val/bleu", mode) is None
    assert results.mean == {}
    assert results.table(per_class=True)[1] == ["0", "1"]


@pytest.mark.slow
def test_seeds_of_a_fit_are_those_of_single_runs(run, tmp_path, monkeypatch):
    fork_fits(monkeypatch)
    fit = [
        *("fit", "--config", "conf/sentiment_builtin.yaml", "--data.corpus.max_examples", "40"),
        *("--model.embedding_dim", "4", "--model.hidden_dim", "4", "--trainer.max_epochs", "1"),
        *("--trainer.limit_train_batches", "2", "--runs", str(tmp_path)),
    ]
    code, out, error = run(*fit, "--name", "group", "--seeds", "1", "2")
    assert code == 0, error
    code, single, _ = run(*fit, "--name", "single", "--seed_everything", "2")
    assert code == 0
    assert json.loads(out)["seeds"][1] == json.loads(single)
    group = tmp_path / "group" / "1"
    weights = [path / "model" / "model.safetensors" for path in (group / "seed-2", tmp_path / "single" / "1")]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert not os.path.lexists(group / "latest")
    code, out, error = run("fit", "--resume", str(group))
    assert (code, json.loads(out)["best"]) == (0, json.loads((group / "seeds.json").read_text())["best"])
    assert error.startswith("seed 1, 1 of 2: finished\nseed 2, 2 of 2: finished\n")
