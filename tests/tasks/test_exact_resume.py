"""Training of each task, interrupted again and again, ends exactly where uninterrupted training ends."""

import os
import signal

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint

from nlp_rnn.data import Batching
from nlp_rnn.errors import Interrupted
from nlp_rnn.tasks.optimization import Optimization
from nlp_rnn.training import resume_state
from nlp_rnn.training.last_checkpoint import LastCheckpoint
from nlp_rnn.training.metrics_log import MetricsLog
from nlp_rnn.training.random_states import random_states
from nlp_rnn.training.resume_state import KEY, ResumeState


class Interruptions(pl.Callback):
    """Sends SIGTERM to this process, or raises an error, at batch 3, 7, 12, ... of a run."""

    def __init__(self, error):
        self.error = error
        self.batches, self.next, self.gap = 0, 3, 4  # the gaps grow, for a validation begins anew each time

    def on_train_batch_end(self, trainer, *_):
        self.batches += 1
        if self.batches < self.next:
            return
        self.next, self.gap = self.next + self.gap, self.gap + 1
        if self.error:
            raise RuntimeError("a fault")
        os.kill(os.getpid(), signal.SIGTERM)

    def on_validation_batch_end(self, trainer, *_):
        if not trainer.sanity_checking and not self.error:
            self.on_train_batch_end(trainer)


@pytest.fixture
def fit(make_task, task_rows, trainer, tmp_path):
    """Trains a new task in a folder; gives its final checkpoint and its metrics.csv."""

    def call(name, folder, settings, options, interruption=None, resumes=False):
        pl.seed_everything(1, verbose=False)
        task = make_task(name, **settings)
        if name == "language_modeling":
            task.processor.window = 3
        rows = task_rows(task, 2)
        fails = interruption is not None and interruption.error  # and so cannot save
        last = LastCheckpoint(tmp_path / folder / "last.ckpt", minutes=0 if fails else 10)
        best = ModelCheckpoint(
            tmp_path / folder, "best", "val/loss", save_on_train_epoch_end=False, enable_version_counter=False
        )
        stopping = EarlyStopping("val/loss", patience=5)
        callbacks = [ResumeState(), last, LearningRateMonitor(), stopping, best]
        if interruption is not None:
            callbacks.append(interruption)
        logger = MetricsLog(str(tmp_path / folder))
        options = {"max_epochs": 2, "log_every_n_steps": 1, "enable_checkpointing": True, **options}
        run = trainer(tmp_path, callbacks=callbacks, logger=logger, **options)
        loaders = [task.processor.loader(rows, Batching(size=3), shuffle) for shuffle in (True, False)]
        run.fit(task, *loaders, ckpt_path=last.path if resumes else None, weights_only=True)
        return torch.load(last.path, weights_only=True), (tmp_path / folder / "metrics.csv").read_text()

    return call


def interrupted(fit, name, settings, options, error=False):
    """The end of a run that is interrupted and resumed until it ends, and how often it was interrupted."""
    interruption = Interruptions(error)
    for times in range(20):
        try:
            return fit(name, "interrupted", settings, options, interruption, resumes=times > 0), times
        except (Interrupted, RuntimeError) as stop:
            if error is isinstance(stop, Interrupted):
                raise
    return pytest.fail("it never ends")


def assert_same(one, two):
    """Assert that both runs end with the same weights, states and rows of metrics.csv."""
    assert one[1] == two[1]
    one, two = one[0], two[0]
    weights = one["state_dict"], two["state_dict"]
    assert [name for name, value in weights[0].items() if not value.equal(weights[1][name])] == []
    states = [checkpoint["optimizer_states"][0]["state"] for checkpoint in (one, two)]
    torch.testing.assert_close(*states, rtol=0, atol=0)
    assert one["global_step"] == two["global_step"]
    states = [checkpoint[KEY]["processes"][0]["random"]["torch"] for checkpoint in (one, two)]
    assert states[0].equal(states[1])


DROPOUT = {"dropout": 0.3, "optimization": Optimization(lr=0.05)}


@pytest.mark.parametrize(
    ("name", "settings", "options"),
    [
        ("sentiment", {"word_dropout": 0.3}, {"accumulate_grad_batches": 3}),
        ("translation", {"teacher_forcing": 0.5}, {"val_check_interval": 2}),
        ("tagging", {"cell": "gru", "optimization": Optimization(schedule="cosine")}, {}),
        ("language_modeling", {"locked": True, "weight_dropout": 0.3}, {"val_check_interval": 0.5}),
        ("language_modeling", {"bidirectional": True}, {}),
        (
            "sentiment",
            {"optimization": Optimization(lr=0.05, schedule="one_cycle", layer_decay=0.5, unfreeze=0.4)},
            {"accumulate_grad_batches": 2, "gradient_clip_val": 0.1},
        ),
        ("captioning", {"cell": "mingru", "optimization": Optimization(schedule="plateau", patience=0)}, {}),
        ("forecasting", {"cell": "rnn"}, {"max_epochs": -1, "max_steps": 11}),
        ("series_tagging", {"cell": "minlstm"}, {"check_val_every_n_epoch": 2}),
    ],
)
def test_training_ends_the_same_however_often_it_is_interrupted(fit, name, settings, options):
    settings = {**DROPOUT, **settings}
    end, times = interrupted(fit, name, settings, options)
    assert times >= 3
    assert_same(fit(name, "whole", settings, options), end)


def test_after_an_error_training_resumes_from_what_was_saved(fit):
    end, times = interrupted(fit, "sentiment", DROPOUT, {}, error=True)
    assert times >= 2
    assert_same(fit("sentiment", "whole", DROPOUT, {}), end)


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["random", "gradients", "sums", "position"])
def test_each_of_the_states_is_needed(fit, monkeypatch, lost):
    options = {"accumulate_grad_batches": 3}
    if lost == "random":
        monkeypatch.setattr(resume_state, "set_random_states", lambda *_: random_states(torch.device("cpu")))
    elif lost == "position":
        monkeypatch.setattr(resume_state, "_start_loader", lambda _: None)
    else:
        part = {"gradients": ("gradients", {}), "sums": ("task", {})}[lost]
        process_state = ResumeState._process_state
        monkeypatch.setattr(
            ResumeState, "_process_state", lambda *args: {**process_state(*args), part[0]: part[1]}
        )
        monkeypatch.setattr("nlp_rnn.tasks.base.Task.load_epoch_state", lambda *_: None)
    whole = fit("sentiment", "whole", DROPOUT, options)
    with pytest.raises(AssertionError):
        assert_same(whole, interrupted(fit, "sentiment", DROPOUT, options)[0])
