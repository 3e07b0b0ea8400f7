"""Saved equals loaded; a damaged or hostile folder or checkpoint is refused in one line."""

import json
import os
import shutil
import socket
import time
from zipfile import ZIP_DEFLATED, ZipFile

import huggingface_hub
import pytest
import torch

from nlp_rnn.data import (
    Vocabulary,
    VocabularySettings,
)
from nlp_rnn.data.corpus.hub import load_hub_dataset
from nlp_rnn.errors import UsageError
from nlp_rnn.inference.pipelines import pipeline
from nlp_rnn.lite.folders.folder import FORMAT_VERSION
from nlp_rnn.tasks import TASKS as EVERY_TASK
from nlp_rnn.tasks import Sentiment
from nlp_rnn.tasks.pretrained import from_pretrained, save_pretrained

TASKS = {name: task for name, task in EVERY_TASK.items() if task.processor_class.input_description == "text"}
TEXTS = ["i work at google .", "the work is good !", "a", "ein unbekanntes Wort", ""]


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("form", ["folder", "checkpoint"])
@pytest.mark.parametrize("name", TASKS)
def test_saved_equals_loaded_without_corpus_and_cache(trained, name, form, tmp_path, monkeypatch):
    home, tasks = trained
    monkeypatch.setenv("NLP_RNN_CACHE", str(tmp_path / "empty"))
    task = tasks[name]
    loaded = from_pretrained(home / (name if form == "folder" else f"{name}.ckpt"))
    assert type(loaded) is type(task)
    assert not loaded.training
    assert loaded.stored() == task.stored()
    assert loaded.processor.fingerprint == task.processor.fingerprint
    ours, theirs = task.model.state_dict(), loaded.model.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[key]) for key, value in ours.items())
    assert pipeline(name, loaded)(TEXTS) == pipeline(name, task)(TEXTS)
    assert not (tmp_path / "empty").exists()


class Payload:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return open, (str(self.target), "w")


@pytest.mark.parametrize("legacy", [False, True])
def test_a_malicious_pickle_is_refused_and_not_run(tmp_path, legacy, refused):
    target = tmp_path / "ran"
    checkpoint = tmp_path / "evil.ckpt"
    torch.save(
        {"nlp_rnn": Payload(target), "state_dict": {}}, checkpoint, _use_new_zipfile_serialization=not legacy
    )
    refused(checkpoint, checkpoint, "refused")
    assert not target.exists()
    # The payload would have run: otherwise nothing was tested.
    torch.load(checkpoint, weights_only=False)
    assert target.exists()


def altered(trained, path, change):
    checkpoint = torch.load(trained[0] / "sentiment.ckpt", weights_only=True)
    change(checkpoint)
    torch.save(checkpoint, path)
    return path


def tower():
    """A list that stands for 2 ** 40 items."""
    tower = []
    for _ in range(40):
        tower = [tower, tower]
    return tower


CHECKPOINTS = {
    "an instantiator": (
        lambda c: c.update(hyper_parameters={"_instantiator": "os.system"}),
        "refused: it names a function to call",
    ),
    "no vocabulary": (lambda c: c.pop("nlp_rnn"), "not a checkpoint of nlp_rnn"),
    "no weights": (lambda c: c.pop("state_dict"), "not a checkpoint of nlp_rnn"),
    "newer": (lambda c: c["nlp_rnn"].update(format_version=99), "upgrade nlp_rnn"),
    "NaN": (
        lambda c: c["state_dict"]["model.fc_out.bias"].fill_(float("nan")),
        "tensor fc_out.bias contains NaN or infinite values",
    ),
    "another type": (
        lambda c: c["state_dict"].update({"model.fc_out.bias": "text"}),
        "fc_out.bias is not a tensor of floating-point",
    ),
    "integers": (
        lambda c: c["state_dict"].update({"model.fc_out.bias": torch.ones(2, dtype=torch.int64)}),
        "fc_out.bias is not a tensor of floating-point",
    ),
    "a task that is a list": (lambda c: c["nlp_rnn"].update(task=["x"]), "unknown task ['x']"),
    "an instantiator of another kind": (
        lambda c: c.update(hyper_parameters=3, nlp_rnn={"format_version": 1, "task": "x"}),
        "unknown task 'x'",
    ),
    "a tensor in the settings": (
        lambda c: c["nlp_rnn"]["settings"].update(hidden_dim=torch.ones(1)),
        "more than plain values (Tensor)",
    ),
    "lists that contain each other": (
        lambda c: c["nlp_rnn"].update(task=tower()),
        "more than 1,000,000 items",
    ),
    "one number for many": (
        lambda c: c["state_dict"].update({"model.fc_out.bias": torch.zeros(1).expand(2)}),
        "larger than what is stored of it",
    ),
    "sparse": (
        lambda c: c["state_dict"].update({"model.fc_out.bias": torch.zeros(2).to_sparse()}),
        "torch.sparse_coo, which cannot be read",
    ),
    "8-bit floats": (
        lambda c: c["state_dict"].update({"model.fc_out.bias": torch.zeros(2).to(torch.float8_e5m2)}),
        "torch.float8_e5m2",
    ),
    "reversed labels": (
        lambda c: c["nlp_rnn"]["processor"]["settings"]["labels"].reverse(),
        "not those that the model was trained with",
    ),
    "settings of another kind": (lambda c: c["nlp_rnn"].update(settings=3), "its settings fit no model"),
    "no tokenizer": (
        lambda c: c["nlp_rnn"]["processor"]["tokenizers"].update(tokens="{"),
        "not a readable tokenizer.json",
    ),
}


@pytest.mark.parametrize("case", CHECKPOINTS)
def test_altered_checkpoints(trained, tmp_path, case, refused):
    change, message = CHECKPOINTS[case]
    path = altered(trained, tmp_path / "x.ckpt", change)
    refused(path, path, message)


def test_a_compressed_checkpoint_is_refused(trained, tmp_path, refused):
    """Zeros of a hundred gigabytes are a small file."""
    path = tmp_path / "x.ckpt"
    with ZipFile(trained[0] / "sentiment.ckpt") as stored, ZipFile(path, "w", ZIP_DEFLATED) as compressed:
        for name in stored.namelist():
            compressed.writestr(name, stored.read(name))
    refused(path, "compressed, which torch never does")


@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.99])
def test_a_truncated_checkpoint(trained, tmp_path, share, refused):
    content = (trained[0] / "sentiment.ckpt").read_bytes()
    path = tmp_path / "x.ckpt"
    path.write_bytes(content[: int(share * len(content))])
    refused(path, path)


def test_bare_state_dicts_and_other_files_are_refused(tmp_path, refused):
    torch.save({"fc.weight": torch.zeros(2)}, tmp_path / "bare.pt")
    refused(tmp_path / "bare.pt", "bare.pt", "load a bare state_dict with load_state_dict")
    torch.save([1], tmp_path / "list.pt")
    refused(tmp_path / "list.pt", "list.pt", "not a checkpoint of nlp_rnn")
    (tmp_path / "text.ckpt").write_text("hello\n")
    refused(tmp_path / "text.ckpt", "text.ckpt")
    (tmp_path / "model.safetensors").write_bytes(b"")
    refused(tmp_path / "model.safetensors", "model.safetensors", "give the model folder that it is in")


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:9/x.ckpt", "https://example.org/model", "s3://bucket/x.ckpt", "file:///x"]
)
def test_urls_are_refused(address, refused):
    refused(address, address, "cannot load from a URL")
    with pytest.raises(UsageError, match="cannot load from a URL"):
        Sentiment.load_from_checkpoint(address)


@pytest.mark.parametrize("source", ["missing", "a/b/c", "missing.ckpt", "a/missing.ckpt", "/no/such"])
def test_missing_sources(source, refused):
    refused(source, source, "no such model folder or checkpoint")


@pytest.fixture
def silent_hub(monkeypatch, tmp_path):
    """A hub that accepts and never answers; returns the local cache."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        for name, value in {
            "HF_HUB_OFFLINE": False,
            "ENDPOINT": f"http://127.0.0.1:{server.getsockname()[1]}",
            "HF_HUB_ETAG_TIMEOUT": 0.2,
            "HF_HUB_CACHE": str(tmp_path / "hub"),
        }.items():
            monkeypatch.setattr(huggingface_hub.constants, name, value)
        yield tmp_path / "hub"


def test_a_hub_that_never_answers_ends_at_the_time_out(trained, silent_hub, refused):
    start = time.monotonic()
    refused("me/mine", "me/mine", "there is no such folder, and the hub did not answer within 0.2 s")
    with pytest.raises(
        UsageError, match="dataset me/mine: not in the local cache and the hub cannot be reached"
    ):
        load_hub_dataset("me/mine")
    # What is in the cache is read without the hub.
    store = silent_hub / "models--me--mine"
    shutil.copytree(trained[0] / "sentiment", store / "snapshots" / ("0" * 40))
    (store / "refs").mkdir()
    (store / "refs" / "main").write_text("0" * 40)
    assert from_pretrained("me/mine").name == "sentiment"
    assert time.monotonic() - start < 10


CONFIGS = {
    "newer format": (lambda c: c.update(format_version=FORMAT_VERSION + 1), "upgrade nlp_rnn"),
    "no format": (lambda c: c.pop("format_version"), "it has no format_version"),
    "unknown task": (lambda c: c.update(task="parsing"), "unknown task 'parsing'"),
    "unknown setting": (lambda c: c["settings"].update(attention=True), "no setting 'attention'"),
    "unknown nested setting": (lambda c: c["settings"]["optimization"].update(magic=1), "'magic'"),
    "unknown setting of the data": (lambda c: c["processor"]["settings"].update(magic=1), "'magic'"),
    "absurd size": (lambda c: c["settings"].update(hidden_dim=10**9), "hidden_dim must be between"),
    "large size": (lambda c: c["settings"].update(hidden_dim=60_000), "has shape"),
    "negative length": (lambda c: c["processor"]["settings"].update(max_length=-1), "max_length must be"),
    "NaN": (lambda c: c["settings"].update(dropout=float("nan")), "dropout must be between"),
    "text for a number": (lambda c: c["settings"].update(hidden_dim="12"), "must be a whole number, not"),
    "unknown cell": (lambda c: c["settings"].update(cell="mamba"), "mamba"),
    "many layers": (lambda c: c["settings"].update(num_layers=64), "is missing"),
    "no vocabularies": (lambda c: c.pop("vocabularies"), "not the configuration of a model folder"),
    "no vocabulary": (lambda c: c.update(vocabularies={}), "its settings fit no model"),
    "no settings": (lambda c: c.pop("settings"), "its settings fit no model"),
    "vocabularies of another kind": (lambda c: c.update(vocabularies=[1]), "not the configuration"),
    "reversed labels": (
        lambda c: c["processor"]["settings"]["labels"].reverse(),
        "not those that the model was trained with (hash",
    ),
    "another maximum length": (
        lambda c: c["processor"]["settings"].update(max_length=7),
        "not those that the model was trained with (hash",
    ),
    "another pooling": (lambda c: c["settings"].update(pooling="mean"), "the settings were altered"),
    "other checksums": (lambda c: c.update(checksums=["x"]), "the settings were altered"),
    "another fingerprint": (lambda c: c.update(fingerprint=["x"] * 9), "use the files of one model"),
    "a path to open": (lambda c: c["settings"].update(init_encoder="/etc"), "no setting 'init_encoder'"),
    "a processor as a setting": (lambda c: c["settings"].update(processor={}), "no setting 'processor'"),
    "format that is no number": (lambda c: c.update(format_version=True), "it has no format_version"),
    "labels of another number": (
        lambda c: c["processor"]["settings"].update(labels=["a", "b", "c"]),
        "has shape",
    ),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_altered_config(folder, case, refused):
    change, message = CONFIGS[case]
    edit(folder / "config.json", change)
    start = time.monotonic()
    refused(folder, folder, message)
    assert time.monotonic() - start < 5  # nothing of an absurd size was made


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"[]", "not the configuration of a model folder"),
        (b"[" * 200_000, "not valid JSON"),
        (b'{"a": "\xff"}', "not UTF-8 (byte offset 7)"),
    ],
)
def test_invalid_config_files(folder, content, message, refused):
    (folder / "config.json").write_bytes(content)
    refused(folder, folder / "config.json", message)


def test_folders_without_config_and_config_that_is_a_pipe(folder, tmp_path, refused):
    empty = tmp_path / "empty"
    empty.mkdir()
    refused(empty, empty / "config.json", "no such file")
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")
    refused(folder, folder / "config.json", "not a regular file")
    os.mkfifo(tmp_path / "x.ckpt")
    refused(tmp_path / "x.ckpt", "not a regular file")


def test_another_tokenizer(trained, folder, refused):
    path = folder / "tokenizer.json"
    own = trained[1]["sentiment"].processor.tokens
    larger = Vocabulary.train(
        ["some more words than that"] * 2 + own.tokens(), VocabularySettings(min_frequency=1)
    )
    path.write_text(larger.to_json())
    refused(folder, path, f"has {len(larger)} tokens, the model was trained with {len(own)}")

    # Of the same size, even of the same words, in another order: silently wrong answers otherwise.
    tokens = json.loads(own.to_json())
    vocab = tokens["model"]["vocab"]
    a, b = [token for token, id in vocab.items() if id in (4, 5)]
    vocab[a], vocab[b] = vocab[b], vocab[a]
    path.write_text(json.dumps(tokens))
    refused(folder, path, "not the tokenizer that the model was trained with", own.fingerprint)

    path.write_text("{}")
    refused(folder, path, "not a readable tokenizer.json")

    # Of the same tokens, yet read in another way.
    for change in ({"normalizer": None}, {"pre_tokenizer": {"type": "Whitespace"}}):
        path.write_text(json.dumps({**json.loads(own.to_json()), **change}))
        refused(folder, path, f"its {next(iter(change))} is not one that this package makes")
    exact = json.loads(own.to_json())
    exact["normalizer"]["normalizers"].pop()  # Lowercase
    path.write_text(json.dumps(exact))
    refused(folder, folder / "config.json", "the tokenizers, labels or processor settings are not those")


def test_a_file_may_be_written_with_other_white_space(folder):
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()), indent=8, sort_keys=True))
    edit(folder / "config.json", lambda config: None)
    assert from_pretrained(folder).name == "sentiment"


def test_a_file_of_absurd_size_is_not_read(folder, refused):
    with (folder / "tokenizer.json").open("r+b") as file:
        file.truncate(2**40)  # takes no space
    refused(folder, folder / "tokenizer.json", "more than the 1,073,741,824 that are read")


@pytest.mark.parametrize("name", ["../secret", "..", "/etc/x", "a/b", "a\0b", ""])
def test_names_that_leave_the_folder(folder, name, refused):
    def rename(config):
        config["vocabularies"] = {name: config["vocabularies"]["tokens"], "tokens": {"size": 1, "hash": ""}}

    edit(folder / "config.json", rename)
    refused(folder, folder / "config.json", "nothing was read")


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors"])
def test_links_that_leave_the_folder(folder, tmp_path, file, refused):
    """Also where what lies there would be fit to read."""
    outside = tmp_path / file
    (folder / file).rename(outside)
    (folder / file).symlink_to(outside)
    refused(folder, folder / file, "points outside the model folder; nothing was read")
    (folder / file).unlink()
    outside.rename(folder / f"real.{file}")
    (folder / file).symlink_to(f"real.{file}")
    assert from_pretrained(folder).name == "sentiment"


def test_a_run_directory_names_its_model_folder(trained, tmp_path):
    save_pretrained(trained[1]["tagging"], tmp_path / "1" / "model")
    (tmp_path / "latest").symlink_to("1")
    for place in (tmp_path, tmp_path / "1"):
        with pytest.raises(UsageError, match=r"not a model folder, but contains one: .*/model$"):
            from_pretrained(place)
