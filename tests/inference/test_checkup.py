"""Checking model folders: each fault is found, and the other checks still run."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from nlp_rnn import from_pretrained, save_pretrained
from nlp_rnn.data import Corpus, ForecastingData
from nlp_rnn.errors import UsageError
from nlp_rnn.inference.checkup import check_folder
from nlp_rnn.tasks import Forecasting


@pytest.fixture
def folder(models, tmp_path):
    return Path(shutil.copytree(models["tagging"], tmp_path / "model"))


def states(folder):
    return {check.name: check.state for check in check_folder(folder)}


def test_good_folders_are_well(models):
    for folder in models.values():
        checks = check_folder(folder)
        assert {check.state for check in checks} == {"ok"}, [*map(str, checks)]
        assert checks[-1].name == "answer"
        assert "0 results that can be measured again" in [check.message for check in checks]


def test_a_model_of_series_has_no_tokenizers(tmp_path):
    data = ForecastingData(Corpus("ramp", max_examples=50))
    task = Forecasting(data.processor, hidden_dim=4)
    checks = check_folder(save_pretrained(task, tmp_path / "model"))
    assert {check.state for check in checks} == {"ok"}, [*map(str, checks)]


def config_with(**values):
    def damage(folder):
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return damage


def weights_with(change):
    def damage(folder):
        weights = load_file(folder / "model.safetensors")
        change(weights)
        save_file(weights, folder / "model.safetensors")

    return damage


def fill(value):
    return weights_with(lambda weights: next(iter(weights.values())).view(-1)[:1].fill_(value))


def leads_out(name):
    def damage(folder):
        shutil.move(folder / name, folder.parent / "elsewhere")
        (folder / name).symlink_to(folder.parent / "elsewhere")

    return damage


def labels(folder):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["processor"]["settings"]["labels"].reverse()
    path.write_text(json.dumps(config))


TOKENIZERS = {"tokenizer words", "tokenizer characters"}
STORED = {"tensors", "vocabularies and labels", "checksums"}
FAULTS = {
    "no configuration": (
        lambda folder: (folder / "config.json").unlink(),
        {"configuration", "file config.json", "loading"},
        {"format version", "special ids", "tokenizers", "settings", *STORED, "answer"},
    ),
    "not JSON": (
        lambda folder: (folder / "config.json").write_text("{"),
        {"configuration", "loading"},
        {"format version", "special ids", "tokenizers", "settings", *STORED, "answer"},
    ),
    "newer format": (config_with(format_version=99), {"format version", "loading"}, {"answer"}),
    "special ids": (config_with(special_ids={"pad": 3}), {"special ids", "loading"}, {"answer"}),
    "unknown task": (config_with(task="parsing"), {"settings", "loading"}, {*STORED, "answer"}),
    "no vocabularies": (
        config_with(vocabularies=[1]),
        {"tokenizers", "loading"},
        {"settings", *STORED, "answer"},
    ),
    "vocabularies without size": (
        config_with(vocabularies={"words": {}, "characters": 3}),
        {*TOKENIZERS, "loading"},
        {"settings", *STORED, "answer"},
    ),
    "no weights": (
        lambda folder: (folder / "model.safetensors").unlink(),
        {"file model.safetensors", "model.safetensors", "loading"},
        {*STORED, "answer"},
    ),
    "truncated weights": (
        lambda folder: os.truncate(folder / "model.safetensors", 1000),
        {"model.safetensors", "loading"},
        {*STORED, "answer"},
    ),
    "NaN": (fill(float("nan")), {"tensors", "checksums", "loading"}, {"answer"}),
    "other weights": (fill(3.0), {"checksums", "loading"}, {"answer"}),
    "a tensor more": (
        weights_with(lambda weights: weights.update(extra=torch.zeros(1))),
        {"tensors", "checksums", "loading"},
        {"answer"},
    ),
    "reversed labels": (labels, {"vocabularies and labels", "loading"}, {"answer"}),
    "no tokenizer": (
        lambda folder: (folder / "tokenizer.words.json").unlink(),
        {"file tokenizer.words.json", "tokenizer words", "loading"},
        {"settings", *STORED, "answer"},
    ),
    "another tokenizer": (
        lambda folder: shutil.copy(folder / "tokenizer.characters.json", folder / "tokenizer.words.json"),
        {"tokenizer words", "loading"},
        {"settings", *STORED, "answer"},
    ),
    "a link out": (
        leads_out("model.safetensors"),
        {"file model.safetensors", "model.safetensors", "loading"},
        {*STORED, "answer"},
    ),
    "a card that leads out": (leads_out("README.md"), {"card"}, set()),
    "a card that cannot be read": (
        lambda folder: (folder / "README.md").write_text("---\na: [\n---\n"),
        {"card"},
        set(),
    ),
    "no card": (lambda folder: (folder / "README.md").unlink(), set(), set()),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found(fault, folder):
    """What is wrong, what cannot be checked then, and that all else is checked; loading agrees."""
    damage, wrong, unchecked = FAULTS[fault]
    before = states(folder)
    damage(folder)
    after = states(folder)
    assert {name for name, state in after.items() if state == "wrong"} == wrong
    assert {name for name, state in after.items() if state == "not checked"} == unchecked
    renamed = {"tokenizers", *TOKENIZERS, "file tokenizer.words.json", "file tokenizer.characters.json"}
    assert before.keys() - renamed == after.keys() - renamed
    if "loading" in wrong:
        with pytest.raises(UsageError):
            from_pretrained(folder)


def test_what_is_no_folder(tmp_path, folder):
    with pytest.raises(UsageError, match="not a folder"):
        check_folder(tmp_path / "none")
    with pytest.raises(UsageError, match=f"but contains one: {folder}"):
        check_folder(folder.parent)


def test_the_verb(folder, run):
    code, output, error = run("doctor", str(folder))
    assert (code, error) == (0, "")
    assert all(line.startswith("ok ") for line in output.splitlines())
    (folder / "tokenizer.words.json").unlink()
    code, output, error = run("doctor", str(folder))
    assert code == 1
    assert "wrong        tokenizer words: " in output
    assert "not checked  tensors: " in output
    assert error.endswith("checks found something wrong\n")
    code, output, error = run("doctor", "--json", str(folder))
    report = json.loads(output)
    assert (code, report["ok"], report["folder"]) == (1, False, str(folder))
    assert {check["state"] for check in report["checks"]} == {"ok", "wrong", "not checked"}
