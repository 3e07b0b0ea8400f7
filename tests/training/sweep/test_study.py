"""The callback that prunes the trials of a sweep."""

import os
import sys
from types import SimpleNamespace

import pytest
import torch

from nlp_rnn.errors import RunError, UsageError
from nlp_rnn.training.sweep import study as module
from nlp_rnn.training.sweep.study import open_study, pruning_callbacks, require_optuna, trial_environment


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Trains a new trial of a study that has given losses, one per epoch."""
    study = open_study(tmp_path, "min", 27, seed=0)

    def call(*losses):
        number = study.ask().number
        for name, value in trial_environment(tmp_path, number, "val/loss").items():
            monkeypatch.setenv(name, value)
        (callback,) = pruning_callbacks()
        trainer = SimpleNamespace(
            is_global_zero=True,
            sanity_checking=True,
            strategy=SimpleNamespace(reduce_boolean_decision=lambda decision, all: decision),
        )
        callback.on_train_start(trainer, None)
        callback.on_validation_end(trainer, None)
        trainer.sanity_checking = False
        for trainer.current_epoch, loss in enumerate(losses):
            trainer.callback_metrics = {"val/loss": torch.tensor(loss)}
            callback.on_validation_end(trainer, None)
            callback.on_train_epoch_end(trainer, None)
        study.tell(number, losses[-1])
        return study.trials[number]

    call.study = study
    return call


def test_only_the_trials_of_a_sweep_report(train):
    assert pruning_callbacks() == []
    trial = train(3.0, 2.0, 1.0)
    assert trial.intermediate_values == {1: 3.0, 2: 2.0, 3: 1.0}
    assert module._TRIAL not in os.environ
    assert pruning_callbacks() == []


def test_a_bad_trial_is_pruned_and_good_ones_are_not(train):
    for number in range(12):
        train(*[1.0 / (epoch + 2) - number / 1e4 for epoch in range(9)])
    messages = {}
    for _ in range(8):
        try:
            train(*[50.0] * 27)
        except RunError as stop:
            messages[len(train.study.trials) - 1] = str(stop)
    assert 4 <= len(messages) < 8  # one of the brackets of Hyperband prunes nothing
    for number, message in messages.items():
        trial = train.study.trials[number]
        epoch = trial.user_attrs["pruned"]
        assert message == f"pruned after epoch {epoch}: other trials were better by then"
        assert max(trial.intermediate_values) == epoch < 27
    assert len(train.study.trials) == 20


def test_without_the_extra_the_message_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UsageError, match=r"install it with: pip install 'nlp-rnn\[sweep\]'$"):
        require_optuna()


def test_a_resumed_study_draws_other_values(tmp_path):
    def draw():
        return open_study(tmp_path, "max", 9, seed=0).ask().suggest_float("lr", 0, 1)

    assert draw() != draw()
