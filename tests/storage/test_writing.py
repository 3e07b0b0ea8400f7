"""A model folder is written completely or not at all, and nothing else is ever replaced."""

import json
import os
from pathlib import Path

import pytest
from safetensors.torch import load_file

from nlp_rnn.data import (
    Vocabulary,
)
from nlp_rnn.errors import RunError, UsageError
from nlp_rnn.lite.folders.folder import FORMAT_VERSION
from nlp_rnn.models import Classifier, Decoder, Encoder, LanguageModel, Seq2Seq, Tagger
from nlp_rnn.tasks import TASKS as EVERY_TASK
from nlp_rnn.tasks.pretrained import from_pretrained, save_pretrained

TASKS = {name: task for name, task in EVERY_TASK.items() if task.processor_class.input_description == "text"}
TOKENIZERS = {
    "sentiment": {"tokenizer.json"},
    "tagging": {"tokenizer.words.json", "tokenizer.characters.json"},
    "language_modeling": {"tokenizer.json"},
    "multi_label": {"tokenizer.json"},
    "translation": {"tokenizer.source.json", "tokenizer.target.json"},
}


def test_a_folder_of_a_folder_is_the_same_folder(trained, tmp_path):
    home, _ = trained
    again = save_pretrained(from_pretrained(home / "tagging"), tmp_path / "again", "card")
    for path in (home / "tagging").iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes()


@pytest.mark.parametrize("name", TASKS)
def test_weights_fit_the_bare_models(trained, name):
    home, tasks = trained
    processor = tasks[name].processor
    weights = load_file(home / name / "model.safetensors")
    bare = {
        "sentiment": lambda p: Classifier(len(p.tokens), 2, 8, 12, 1, 0.5, "gru", pooling="max"),
        "tagging": lambda p: Tagger(
            len(p.words), len(p.labels), 8, 12, 1, 0.5, character_vocab_size=len(p.characters),
            character_embedding_dim=4, character_hidden_dim=6,
        ),
        "language_modeling": lambda p: LanguageModel(len(p.tokens), 8, 12, 2, 0.5),
        "multi_label": lambda p: Classifier(len(p.tokens), 2, 8, 12, 1, 0.5, pooling="max"),
        "translation": lambda p: Seq2Seq(
            Encoder(len(p.source), 8, 12, 2, 0.5), Decoder(len(p.target), 8, 12, 2, 0.5)
        ),
    }[name](processor)  # fmt: skip
    bare.load_state_dict(weights, strict=True)


@pytest.mark.parametrize("name", TASKS)
def test_contents_of_the_folder(trained, name):
    home, tasks = trained
    folder = home / name
    assert {path.name for path in folder.iterdir()} == {
        "config.json", "model.safetensors", "README.md", *TOKENIZERS[name],
    }  # fmt: skip
    config = json.loads((folder / "config.json").read_text())
    assert config["task"] == name
    assert config["format_version"] == FORMAT_VERSION
    assert config["special_ids"] == {"pad": 0, "unk": 1, "bos": 2, "eos": 3}
    assert config["settings"]["hidden_dim"] == 12
    assert {entry["file"] for entry in config["vocabularies"].values()} == TOKENIZERS[name]
    for field, entry in config["vocabularies"].items():
        vocabulary = Vocabulary.from_json((folder / entry["file"]).read_text())
        assert (len(vocabulary), vocabulary.fingerprint) == (entry["size"], entry["hash"])
        assert vocabulary.tokens() == getattr(tasks[name].processor, field).tokens()
    if name not in ("translation", "language_modeling"):
        assert config["processor"]["settings"]["labels"] == tasks[name].processor.labels
    for path in folder.iterdir():
        content = path.read_bytes()
        assert not content.startswith((b"\x80", b"PK"))  # a pickle, or an archive with one
        assert path.stat().st_mode & 0o444 == 0o444 & ~umask()


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_saving_replaces_a_model_folder_whole(trained, folder, tmp_path):
    save_pretrained(trained[1]["translation"], folder)
    assert not (folder / "tokenizer.json").exists()
    assert from_pretrained(folder).name == "translation"
    assert list(tmp_path.iterdir()) == [folder]


def test_saving_makes_parents_and_fills_an_empty_folder(trained, tmp_path):
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "a" / "b" / "model", tmp_path / "empty"):
        assert save_pretrained(trained[1]["sentiment"], str(place)) == place
        assert from_pretrained(place).name == "sentiment"


def test_a_save_that_fails_leaves_the_earlier_folder(trained, folder, tmp_path, monkeypatch):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def no_space(weights, path):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nlp_rnn.storage.writing.save_file", no_space)
    with pytest.raises(RunError, match=r"model: cannot be written \(No space left on device\)"):
        save_pretrained(trained[1]["translation"], folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"notes.txt": "mine"}, "exists and is not a model folder"),
        ({"config.json": "{}"}, "exists and is not a model folder"),
        (
            {"config.json": '{"model_type": "bert"}', "model.safetensors": ""},
            "exists and is not a model folder",
        ),
        ({"config.json": "broken", "model.safetensors": ""}, "exists and is not a model folder"),
    ],
)
def test_other_files_are_never_replaced(trained, tmp_path, content, message):
    other = tmp_path / "other"
    other.mkdir()
    for name, text in content.items():
        (other / name).write_text(text)
    with pytest.raises(UsageError, match=message):
        save_pretrained(trained[1]["sentiment"], other)
    assert {path.name: path.read_text() for path in other.iterdir()} == content


def test_a_file_and_a_model_folder_with_other_files_are_never_replaced(trained, folder):
    (folder / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match=r"also holds thesis\.tex"):
        save_pretrained(trained[1]["sentiment"], folder)
    assert (folder / "thesis.tex").read_text() == "years of work"
    with pytest.raises(UsageError, match=r"thesis\.tex exists and is not a model folder"):
        save_pretrained(trained[1]["sentiment"], folder / "thesis.tex")


def test_saving_and_loading_through_a_link(trained, folder, tmp_path):
    link = tmp_path / "latest"
    link.symlink_to(folder)
    save_pretrained(trained[1]["tagging"], link)
    assert link.is_symlink()
    assert from_pretrained(link).name == from_pretrained(folder).name == "tagging"


def test_a_lone_surrogate_in_a_label_is_refused_and_nothing_is_written(trained, tmp_path):
    task = from_pretrained(save_pretrained(trained[1]["sentiment"], tmp_path / "good"))
    task.processor.labels[0] = "a\ud800"
    with pytest.raises(UsageError, match=r"bad: cannot be written: a label, .* surrogate \('\\ud800'\)"):
        save_pretrained(task, tmp_path / "bad")
    assert [path.name for path in tmp_path.iterdir()] == ["good"]
