"""NaN and infinity in training: stop at once with good checkpoints, or leave the batches out."""

import math
import os
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest
import pytorch_lightning as pl
import torch
from forked import run_forked
from pytorch_lightning.plugins import MixedPrecision

from nlp_rnn import save_pretrained
from nlp_rnn.data import Batching, Corpus, SentimentData
from nlp_rnn.errors import RunError, UsageError
from nlp_rnn.tasks import Optimization, Sentiment
from nlp_rnn.training import nonfinite
from nlp_rnn.training.nonfinite import NonFiniteGuard

CONFIG = [
    *("--config", "conf/sentiment_builtin.yaml", "--data.corpus.max_examples", "60"),
    *("--data.batching.size", "20", "--model.embedding_dim", "8", "--model.hidden_dim", "8"),
    *("--trainer.num_sanity_val_steps", "0", "--trainer.max_epochs", "3"),
]  # three steps per epoch

FAULTS = {
    "loss": lambda loss, task: loss * math.nan,
    "loss alone": lambda loss, task: loss + math.inf,  # its gradients are finite
    "gradients alone": lambda loss, task: loss + (0 * task.model.embedding.weight.sum()).sqrt(),
}


def break_loss(monkeypatch, steps, fault="loss"):
    """Make the training loss of some steps, counted from 0, not finite."""
    calls, loss = [], Sentiment.loss

    def broken(task, batch):
        calls.append(batch.rows)
        value = loss(task, batch)
        return FAULTS[fault](value, task) if len(calls) - 1 in steps else value

    monkeypatch.setattr(Sentiment, "loss", broken)
    return calls


@pytest.fixture(scope="module")
def data():
    return SentimentData(Corpus("builtin", max_examples=60), batching=Batching(20))


def make_task(data, **optimization):
    torch.manual_seed(0)
    settings = Optimization(**{"lr": 0.01, "weight_decay": 0.1, **optimization})
    return Sentiment(data.processor, 8, 8, dropout=0.0, optimization=settings)


def fit(task, data, guard, **settings):
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    options |= {"max_epochs": 1, "accelerator": "cpu", "enable_model_summary": False, "callbacks": guard}
    trainer = pl.Trainer(**{**options, **settings})
    trainer.fit(task, data)
    return trainer


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        ("loss", "the loss is nan"),
        ("loss alone", "the loss is inf"),
        ("gradients alone", "the norm of the gradients is nan"),
    ],
)
def test_loss_and_gradients_stop_training_before_the_weights_change(data, monkeypatch, fault, what):
    rows, task = break_loss(monkeypatch, {0}, fault), make_task(data)
    before = [p.detach().clone() for p in task.parameters()]
    with pytest.raises(RunError, match=f"^step 0, epoch 1: {what}; rows of the batch: ") as stopped:
        fit(task, data, NonFiniteGuard())
    assert f"rows of the batch: {', '.join(map(str, rows[0]))}; last good" in str(stopped.value)
    assert all(map(torch.equal, before, task.parameters()))


def test_a_run_stops_at_once_and_keeps_good_checkpoints(run, tmp_path, monkeypatch):
    rows = break_loss(monkeypatch, {4})
    code, out, error = run("fit", *CONFIG, "--runs", str(tmp_path))
    assert (code, out) == (1, "")
    run_dir = tmp_path / "sentiment_builtin" / "1"
    line = error.splitlines()[-1]
    assert line.startswith("nlp-rnn: error: step 4, epoch 2: the loss is nan; rows of the batch: ")
    assert f"last good checkpoint: {run_dir / 'checkpoints' / 'last.ckpt'}; " in line
    assert line.endswith("leave such batches out with --training.on_nan skip")
    assert "Traceback" not in error
    assert len(rows) == 5
    for name in ("best", "last"):
        checkpoint = torch.load(run_dir / "checkpoints" / f"{name}.ckpt", weights_only=True)
        assert checkpoint["global_step"] == 3
        assert all(value.isfinite().all() for value in checkpoint["state_dict"].values())
    assert not (run_dir / "model").exists()
    assert not (tmp_path / "sentiment_builtin" / "latest").exists()


def test_before_the_first_checkpoint_there_is_none_to_name_and_rows_are_few(monkeypatch):
    break_loss(monkeypatch, {0})
    data = SentimentData(Corpus("builtin", max_examples=60), batching=Batching(50))
    with pytest.raises(RunError, match="; last good checkpoint: none yet; ") as stopped:
        fit(make_task(data), data, NonFiniteGuard())
    rows = str(stopped.value).partition("rows of the batch: ")[2].partition(";")[0]
    assert rows.count(",") == 20
    assert rows.endswith(", ... (50 in all)")


def test_a_skipped_batch_changes_neither_weights_nor_the_training_loss(data, monkeypatch):
    break_loss(monkeypatch, {1})
    task, weights = make_task(data), []

    class Record(pl.Callback):
        def on_train_batch_end(self, *_):
            weights.append([p.detach().clone() for p in task.parameters()])

    guard = NonFiniteGuard("skip")
    trainer = fit(task, data, [guard, Record()])
    assert guard.skipped == 1
    same = [all(map(torch.equal, weights[i], weights[i + 1])) for i in range(2)]
    assert same == [True, False]  # the second step is left out, with its weight decay; the third is not
    assert trainer.callback_metrics["train/loss_epoch"].isfinite()


def test_a_run_that_skips_ends_well_and_says_how_often(run, tmp_path, monkeypatch, caplog):
    break_loss(monkeypatch, {0, 4})
    code, _, error = run("fit", *CONFIG, "--training.on_nan", "skip", "--runs", str(tmp_path))
    assert code == 0, error
    assert "skipped 2 of 9 steps" in caplog.text
    assert "step 4, epoch 2: the loss is nan; rows of the batch: " in caplog.text
    assert (tmp_path / "sentiment_builtin" / "latest" / "model" / "config.json").is_file()


def test_only_so_many_steps_are_skipped(data, monkeypatch):
    break_loss(monkeypatch, {0, 1, 2})
    guard = NonFiniteGuard("skip", max_skipped=2)
    with pytest.raises(RunError, match=r"^step 2, .*; skipped 2 steps \(training.max_skipped\); last good"):
        fit(make_task(data), data, guard)
    resumed = NonFiniteGuard("skip", max_skipped=2)
    resumed.load_state_dict(guard.state_dict())
    break_loss(monkeypatch, {0})
    with pytest.raises(RunError, match=r"^step 0, "):
        fit(make_task(data), data, resumed)


def test_of_accumulated_batches_the_bad_one_is_named_and_all_are_left_out(data, monkeypatch):
    rows = break_loss(monkeypatch, {1})
    task = make_task(data)
    before = [p.detach().clone() for p in task.parameters()]
    with pytest.raises(RunError) as stopped:
        fit(task, data, NonFiniteGuard(), accumulate_grad_batches=2)
    assert f"step 0, epoch 1: the loss is nan; rows of the batch: {', '.join(map(str, rows[1]))};" in str(
        stopped.value
    )
    assert all(map(torch.equal, before, task.parameters()))


def test_an_update_that_ruins_the_weights_is_found_before_they_are_saved(data, tmp_path):
    class Ruin(pl.Callback):
        def on_train_batch_end(self, trainer, task, *_):
            if trainer.global_step == 3:  # the last, after which no gradient shows it
                task.model.embedding.weight.data[0, 0] = math.inf

    checkpoints = pl.callbacks.ModelCheckpoint(tmp_path)
    task = make_task(data)
    with pytest.raises(RunError, match=r"^step 3: the weights are NaN or infinite: an update was too large"):
        fit(task, data, [Ruin(), NonFiniteGuard(), checkpoints], enable_checkpointing=True)
    assert not list(tmp_path.iterdir())
    with pytest.raises(RunError, match=r"^step 3: the weights"):
        fit(make_task(data), data, [Ruin(), NonFiniteGuard()])
    with pytest.raises(UsageError, match=r"tensor embedding.weight contains NaN or infinite values"):
        save_pretrained(task, tmp_path / "model")


def test_with_bad_weights_no_batch_is_to_blame(data):
    task = make_task(data)
    task.model.embedding.weight.data.fill_(math.nan)
    with pytest.raises(RunError, match="; the weights already were; "):
        fit(task, data, NonFiniteGuard("skip"), num_sanity_val_steps=0)


def test_a_validation_loss_that_is_not_finite_stops_before_it_is_saved(data, tmp_path, monkeypatch):
    results = Sentiment.compute_metrics
    monkeypatch.setattr(Sentiment, "compute_metrics", lambda *a: results(*a) | {"loss": math.inf})
    checkpoints = pl.callbacks.ModelCheckpoint(tmp_path, monitor="val/loss")
    with pytest.raises(RunError, match=r"^step 3: val/loss is inf; last good checkpoint: none yet"):
        fit(make_task(data), data, [NonFiniteGuard(), checkpoints], enable_checkpointing=True)
    assert not list(tmp_path.iterdir())


def test_a_device_that_runs_ahead_is_read_one_step_late(data, monkeypatch, tmp_path):
    monkeypatch.setattr(nonfinite, "_runs_ahead", lambda device: True)
    rows = break_loss(monkeypatch, {1})
    with pytest.raises(RunError, match=f"^step 1, .*rows of the batch: {rows[1][0] if rows[1:] else ''}"):
        fit(make_task(data), data, NonFiniteGuard())
    assert len(rows) == 3
    break_loss(monkeypatch, {2})  # the last step, behind which nothing is read but before the checkpoint
    checkpoints = pl.callbacks.ModelCheckpoint(tmp_path)
    with pytest.raises(RunError, match=r"^step 2, "):
        fit(make_task(data), data, [NonFiniteGuard(), checkpoints], enable_checkpointing=True)
    assert not list(tmp_path.iterdir())


class LossScaling(MixedPrecision):
    """Scales the loss as `16-mixed` does; the model computes in float32, for a CPU has no float16 LSTM."""

    def __init__(self, scale):
        super().__init__("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=scale))

    def autocast_context_manager(self):
        return nullcontext()


def test_what_the_scaler_leaves_out_is_normal(data):
    task, scaling = make_task(data), LossScaling(2.0**20)
    for weight in task.parameters():  # as in float16
        weight.register_hook(lambda gradient: gradient.masked_fill(gradient.abs() > 65504, math.inf))
    before = [p.detach().clone() for p in task.parameters()]
    fit(task, data, NonFiniteGuard(), plugins=scaling, max_epochs=4)
    assert scaling.scaler.get_scale() < 2.0**20
    assert not all(map(torch.equal, before, task.parameters()))


@pytest.mark.parametrize(("fault", "step"), [("loss", 0), ("gradients alone", 3)])
def test_loss_scaling_hides_no_nan(data, monkeypatch, fault, step):
    # While there is a scale to lower, 4, 2, 1, it may be at fault for the gradients, but never for the loss.
    break_loss(monkeypatch, range(100), fault)
    with pytest.raises(RunError, match=f"^step {step}, "):
        fit(make_task(data), data, NonFiniteGuard(), plugins=LossScaling(4.0), max_epochs=4)


ON_ONE_RANK = """
import sys
import pytorch_lightning as pl
from nlp_rnn.data import Batching, Corpus, SentimentData
from nlp_rnn.errors import RunError
from nlp_rnn.tasks import Sentiment
from nlp_rnn.training.nonfinite import NonFiniteGuard

class Broken(Sentiment):
    def loss(self, batch):
        bad = self.global_rank == 1 and self.global_step in (0, 2)
        return super().loss(batch) * (float("nan") if bad else 1)

data = SentimentData(Corpus("builtin", max_examples=60), batching=Batching(10))
task, guard = Broken(data.processor, 8, 8), NonFiniteGuard("skip", max_skipped=1)
quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
trainer = pl.Trainer(strategy="ddp", devices=2, accelerator="cpu", max_epochs=1, callbacks=guard,
    num_sanity_val_steps=0, limit_val_batches=0, **quiet)
try:
    trainer.fit(task, data)
except RunError as error:
    sys.stdout.write(f"rank {trainer.global_rank}: {error}\\n")
"""


@pytest.mark.slow
def test_a_loss_that_is_nan_on_one_rank_is_skipped_and_stops_on_all():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NODE_RANK": "0"}
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(
            lambda rank: run_forked(
                [sys.executable, "-c", ON_ONE_RANK],
                env={**os.environ, "CUDA_VISIBLE_DEVICES": "", **shared, "LOCAL_RANK": rank},
            ),
            ["0", "1"],
        )
    lines = (first.stdout + second.stdout).splitlines()
    said = dict(line.split(": ", 1) for line in lines if line.startswith("rank "))
    assert said.keys() == {"rank 0", "rank 1"}, first.stderr + second.stderr
    assert said["rank 0"] == said["rank 1"]
    assert said["rank 0"].startswith("step 2, epoch 1: the loss is nan; rows of the batch: ")
    assert said["rank 0"].count(", ") < 15  # of the one rank
    assert "; skipped 1 steps (training.max_skipped); " in said["rank 0"]
    assert (first.stderr + second.stderr).count("the step is skipped") == 1
