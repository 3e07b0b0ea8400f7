"""The settings that the help of a verb begins with."""

import pytest

from nlp_rnn.tasks import TASKS
from nlp_rnn.tasks.registry import data_classes
from nlp_rnn.training import VERBS
from nlp_rnn.training.common_settings import COMMON_SETTINGS, all_settings, describe


@pytest.mark.parametrize("verb", VERBS)
def test_every_common_setting_exists(verb, run):
    code, out, _ = run(verb, "--config", "conf/hello.yaml", "--help")
    assert code == 0
    for setting in COMMON_SETTINGS:
        if verb in setting.verbs and setting.name.partition(".")[0] not in ("model", "data"):
            assert out.count(f"--{setting.name} ") >= 2  # in the first table, and in the parser's own


def test_every_common_setting_of_a_model_or_its_data_exists():
    names = set(all_settings("fit"))
    assert {setting.name for setting in COMMON_SETTINGS if "fit" in setting.verbs} <= names
    assert not [name for name in names if name.endswith(".processor")]


def test_the_help_begins_with_them(run):
    code, out, _ = run("fit", "--help")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "usage: nlp-rnn fit --config FILE [--config FILE ...] [--SETTING VALUE ...]"
    table = [line for line in lines[:40] if line.startswith("  --")]
    assert [line.split()[0] for line in table] == [
        f"--{setting.name}" for setting in COMMON_SETTINGS if "fit" in setting.verbs
    ]
    assert 20 <= len(table) <= 30
    assert "Annotated" not in out


def test_defaults_are_those_of_the_classes():
    text = describe("fit", {"trainer.max_epochs": 10})
    assert "epochs to train (default: 10)" in text
    assert "constant, cosine, one_cycle or plateau (default: constant)" in text
    sizes = [data_class().batching.size for name in TASKS for data_class in data_classes(name)]
    assert f"sequences per batch (default: {min(sizes)} to {max(sizes)}, by task)" in text
