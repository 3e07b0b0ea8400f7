"""All settings of a fit, without building anything."""

import pytest
import yaml

from nlp_rnn.cli.configs import check_arguments
from nlp_rnn.errors import UsageError
from nlp_rnn.training.resolved import Resolved, has_setting, setting_paths

ARGUMENTS = ["fit", "--config", "conf/hello.yaml", "--model.hidden_dim", "5", "--checkpoint.monitor"]


@pytest.fixture(scope="module")
def resolved():
    return Resolved(check_arguments([*ARGUMENTS, "val/perplexity", "--name", "film"]), [])


def test_settings_are_complete_and_flags_win(resolved):
    assert (resolved.name, resolved.runs, resolved.monitor, resolved.mode) == (
        *("film", "runs", "val/perplexity", "min"),
    )
    settings = yaml.safe_load(resolved.yaml(seed_everything=7))
    assert settings["seed_everything"] == 7
    assert settings["model"]["init_args"]["hidden_dim"] == 5
    assert settings["model"]["init_args"]["optimization"]["lr"] == 0.03
    assert resolved.settings["seed_everything"] == 0


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("model.hidden_dim", True),
        ("model.optimization.lr", True),
        ("data.batching.size", True),
        ("trainer.max_epochs", True),
        ("seed_everything", True),
        ("model", False),
        ("model.optimization.rate", False),
        ("model.hidden_dim.x", False),
        ("none.hidden_dim", False),
    ],
)
def test_a_path_names_a_setting_or_none(resolved, path, known):
    assert has_setting(resolved.settings, path) is known
    assert (path in setting_paths(resolved.settings)) is known


def test_a_metric_of_training_gives_way_to_the_validation_loss():
    assert Resolved(check_arguments([*ARGUMENTS, "train/loss_epoch"]), []).monitor == "val/loss"


def test_what_is_refused_is_one_line():
    with pytest.raises(UsageError, match=r"^unknown setting 'model\.hiden_dim'\."):
        Resolved(check_arguments(["fit", "--config", "conf/hello.yaml", "--model.hiden_dim", "5"]), [])
