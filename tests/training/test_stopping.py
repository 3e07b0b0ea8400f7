"""Early stopping says that it stopped, why, and at which epoch the best was."""

import json
import re

import pytest

SENTIMENT = [
    *("--config", "conf/sentiment_builtin.yaml", "--data.corpus.max_examples", "60"),
    *("--model.embedding_dim", "8", "--model.hidden_dim", "8", "--trainer.max_epochs", "6"),
]
# With this learning rate nothing is learned, so the first epoch stays the best.
STILL = ["--model.optimization.lr", "1e-12", "--early_stopping.min_delta", "0.01"]


def reasons(error):
    return [line for line in error.splitlines() if line.startswith("early stopping")]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            [*STILL, "--early_stopping.patience", "1"],
            r"after epoch 2: val/loss has not improved for 1 validation \(patience\); best [\d.]+ in epoch 1",
        ),
        (
            [*STILL, "--early_stopping.patience", "3"],
            r"after epoch 4: val/loss has not improved for 3 validations \(patience\); "
            r"best [\d.]+ in epoch 1",
        ),
        (
            ["--early_stopping.stopping_threshold", "9"],
            r"after epoch 1: val/loss [\d.]+, the best, has reached stopping_threshold 9\.0",
        ),
        (
            ["--early_stopping.divergence_threshold", "0.001"],
            r"after epoch 1: val/loss [\d.]+ has passed divergence_threshold 0\.001; best .*",
        ),
        ([*STILL, "--early_stopping.patience", "5"], None),  # it ends with the last epoch
        (
            ["--early_stopping.divergence_threshold", "0.001", "--trainer.max_epochs", "1"],
            r"after epoch 1: val/loss [\d.]+ has passed divergence_threshold 0\.001; best .*",
        ),
        ([*STILL, "--early_stopping.patience", "6"], None),
    ],
)
def test_the_reason_is_told(run, tmp_path, settings, expected):
    code, out, error = run("fit", *SENTIMENT, *settings, "--runs", str(tmp_path))
    assert code == 0, error
    assert json.loads(out)["early_stopped"] is bool(expected)
    if expected is None:
        assert reasons(error) == []
    else:
        assert re.fullmatch(f"early stopping {expected}", *reasons(error))


def test_a_resumed_run_with_more_patience_remembers_the_best_epoch(run, tmp_path):
    assert run("fit", *SENTIMENT, *STILL, "--early_stopping.patience", "1", "--runs", str(tmp_path))[0] == 0
    folder = str(tmp_path / "sentiment_builtin" / "1")
    code, out, error = run("fit", "--resume", folder, "--early_stopping.patience", "2")
    assert code == 0, error
    (reason,) = reasons(error)
    assert reason.startswith("early stopping after epoch 3: val/loss has not improved for 2 validations")
    assert reason.endswith(" in epoch 1")
    assert json.loads(out)["epochs"] == 3
    code, _, error = run("fit", "--resume", folder, "--early_stopping.patience", "9")
    assert (code, reasons(error)) == (0, [])
