"""Training resumes from a checkpoint, with the settings of this run."""

import csv
import shutil

import pytest
import torch

from nlp_rnn import from_pretrained
from nlp_rnn.storage.checkpoint import read_checkpoint, write_checkpoint

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


def test_a_resumed_model_keeps_its_size(trained, tmp_path, run):
    checkpoint = str(trained / "checkpoints" / "last.ckpt")
    arguments = ["fit", "--config", CONFIG, *TINY, "--ckpt_path", checkpoint, "--runs", str(tmp_path)]
    code, _, error = run(*arguments, "--model.hidden_dim", "16", "--trainer.max_epochs", "3")
    assert code == 2
    assert "hidden_dim 16 (was 8)" in one_line(error)


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
    assert "not from last.ckpt: refused: damaged" in said[0]
