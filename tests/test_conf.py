"""Every ready-made configuration says how it is run, and trains."""

import contextlib
import json
import re

import pytest
import yaml

from nlp_rnn.cli.configs import conf_folder
from nlp_rnn.cli.main import main
from nlp_rnn.data import Corpus
from nlp_rnn.data.builtin.corpora import EXAMPLES
from nlp_rnn.tasks import TASKS
from nlp_rnn.training.checks import check_run

CONF = conf_folder()
CORPORA = sorted(path.name for path in CONF.glob("*.yaml"))
OVERLAYS = sorted(path.name for path in (CONF / "trainer").glob("*.yaml"))

TEXT = [
    *("--data.corpus.path", "builtin", "--data.corpus.config", "null", "--data.corpus.max_examples", "200"),
    *("--data.batching.size", "16", "--data.max_length", "12"),
    *("--model.embedding_dim", "8", "--model.hidden_dim", "8"),
]
QUICK = [
    *("--trainer.limit_train_batches", "2", "--trainer.limit_val_batches", "1", "--trainer.max_epochs", "1"),
    *("--trainer.precision", "32-true", "--trainer.enable_progress_bar", "false"),
    *("--trainer.check_val_every_n_epoch", "1"),
]
TINY_CORPORA = {"captioning": "digits", "tagging_entities.yaml": "entities"}
TINY_CORPORA |= {"text_pairs": "pairs", "multi_label": "topics"}
TINY_CORPORA |= {f"{name}.yaml": name for name in ("parity", "brackets")}


def task_of(name):
    """The task of the model that a configuration names."""
    path = yaml.safe_load((CONF / name).read_text())["model"]["class_path"]
    (task,) = (task.name for task in TASKS.values() if path == f"nlp_rnn.tasks.{task.__name__}")
    return task


def settings_of(name, section):
    """The dotted names of the settings of the model or the data that a configuration sets, of two levels."""
    settings = yaml.safe_load((CONF / name).read_text())[section].get("init_args", {})
    nested = {
        f"{key}.{inner}" for key, value in settings.items() if isinstance(value, dict) for inner in value
    }
    return {*settings, *nested}


def tiny(name):
    """Flags with which a configuration trains in seconds."""
    if task_of(name) in ("forecasting", "series_tagging"):
        return QUICK
    corpus = TINY_CORPORA.get(name, TINY_CORPORA.get(task_of(name), "builtin"))
    return [*(value.replace("builtin", corpus) for value in TEXT), *QUICK]


def test_every_task_has_a_configuration():
    assert {task_of(name) for name in CORPORA} == set(TASKS)
    assert len(CORPORA) >= 8
    assert {"bf16.yaml", "ddp.yaml", "gpu.yaml"} <= set(OVERLAYS)


def test_the_readme_lists_every_configuration():
    listed = re.findall(r"^\| `([\w/]+\.yaml)`", (CONF / "README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted([*CORPORA, *(f"trainer/{name}" for name in OVERLAYS)])


@pytest.mark.parametrize("name", CORPORA)
def test_the_first_line_is_the_command_that_runs_it(name):
    first = (CONF / name).read_text().splitlines()[0]
    assert first == f"# nlp-rnn fit --config conf/{name}"


@pytest.mark.slow
@pytest.mark.parametrize("name", CORPORA)
def test_it_trains(name, tmp_path):
    vectors = tmp_path / "vectors.txt"
    vectors.write_text(f"film {'0 ' * 8}\n. {'0 ' * 8}\n")
    own = [
        part
        for section, setting in (("model", "vectors"), ("data", "vocabulary.vectors"))
        if setting in settings_of(name, section)
        for part in (f"--{section}.{setting}", str(vectors))
    ]
    main(["fit", "--config", f"conf/{name}", *tiny(name), *own, "--runs", str(tmp_path)])
    (run,) = (tmp_path / name.removesuffix(".yaml")).glob("1")
    config = json.loads((run / "model" / "config.json").read_text())
    assert config["task"] == task_of(name)
    assert (run / "checkpoints" / "last.ckpt").is_file()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_goes_over_any_of_them(overlay, capsys):
    lines = (CONF / "trainer" / overlay).read_text().splitlines()
    command = f"nlp-rnn fit --config conf/NAME.yaml --config conf/trainer/{overlay}"
    assert lines[0].startswith("# ")
    assert lines[0].endswith(command)
    overlay_settings = yaml.safe_load("\n".join(lines))
    assert set(overlay_settings) == {"trainer"}
    name = CORPORA[OVERLAYS.index(overlay) % len(CORPORA)]
    stacked = ["--config", f"conf/{name}", "--config", f"conf/trainer/{overlay}"]
    with contextlib.suppress(SystemExit):
        main(["fit", *stacked, "--print_config"])
    printed = yaml.safe_load(capsys.readouterr().out)
    own = yaml.safe_load((CONF / name).read_text())["trainer"]
    for setting, value in {**own, **overlay_settings["trainer"]}.items():
        found = printed["trainer"][setting]
        if isinstance(value, dict):  # the class's other arguments are printed too
            found = {**found, "init_args": {name: found["init_args"][name] for name in value["init_args"]}}
        assert str(found) == str(value)


@pytest.mark.parametrize("name", CORPORA)
def test_its_values_are_in_range_and_its_corpus_is_the_hubs_or_built_in(name):
    content = yaml.safe_load((CONF / name).read_text())
    groups = {name: {} for name in ("trainer", "checkpoint", "early_stopping", "training")}
    check_run({**groups, **content, "data": {"init_args": {}, **content["data"]}})
    corpus = Corpus(**content["data"].get("init_args", {}).get("corpus", {}))
    assert corpus.path in EXAMPLES or corpus.path.count("/") == 1
