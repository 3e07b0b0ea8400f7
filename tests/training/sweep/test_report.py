"""What a sweep leaves behind: the best trial within the limits."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from nlp_rnn.errors import RunError
from nlp_rnn.training.sweep.limits import Limits
from nlp_rnn.training.sweep.report import LATENCY, SIZE, write_report

optuna = pytest.importorskip("optuna")
BASE = SimpleNamespace(monitor="val/loss", mode="min")


@pytest.fixture
def study(tmp_path):
    """Three trials: the best one is the largest."""
    study = optuna.create_study()
    for number, (loss, size) in enumerate([(3.0, 10.0), (2.0, 20.0), (1.0, 30.0)]):
        distributions = {"model.hidden_dim": optuna.distributions.IntDistribution(1, 99)}
        trial = optuna.trial.create_trial(
            value=loss,
            params={"model.hidden_dim": number + 1},
            distributions=distributions,
            user_attrs={SIZE: size, LATENCY: 1.0},
        )
        study.add_trial(trial)
        folder = tmp_path / f"trial-{number}"
        folder.mkdir()
        (folder / "config.yaml").write_text(f"# nlp-rnn fit\nname: {number}\n")
    return study


def test_the_best_is_chosen_within_the_limits(tmp_path, study):
    for max_size, best in ((None, 2), (25.0, 1), (10.0, 0)):
        write_report(tmp_path, study, replace(Limits(), max_size=max_size), BASE)
        assert json.loads((tmp_path / "sweep.json").read_text())["best"] == best
        assert (tmp_path / "best.yaml").read_text().endswith(f"\nname: {best}\n")
        assert (tmp_path / "best").resolve() == tmp_path / f"trial-{best}"


def test_limits_that_no_trial_meets_leave_no_best_of_before(tmp_path, study):
    write_report(tmp_path, study, Limits(), BASE)
    with pytest.raises(RunError, match="no trial is within the limits: the smallest model has 1e-05 MB"):
        write_report(tmp_path, study, replace(Limits(), max_size=5.0), BASE)
    assert not [
        name
        for name in ("sweep.json", "best.yaml", "best")
        if (tmp_path / name).is_symlink() or (tmp_path / name).exists()
    ]
    assert (tmp_path / "trials.csv").read_text().count("false") == 3
