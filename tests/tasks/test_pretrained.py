"""Saved equals loaded, a model travels alone, and a damaged or hostile one is refused in one line."""

import json
import os
import struct
import time
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from safetensors.torch import load_file, save_file

from nlp_rnn.data import (
    Corpus,
    LanguageModelingData,
    SentimentData,
    TaggingData,
    TranslationData,
    Vocabulary,
    VocabularySettings,
)
from nlp_rnn.errors import UsageError
from nlp_rnn.inference.pipelines import pipeline
from nlp_rnn.models import Classifier, Decoder, Encoder, LanguageModel, Seq2Seq, Tagger
from nlp_rnn.storage.stored import FORMAT_VERSION
from nlp_rnn.tasks import TASKS as EVERY_TASK
from nlp_rnn.tasks import BeamSettings, Optimization, Sentiment, Translation
from nlp_rnn.tasks.pretrained import from_pretrained, save_pretrained

TASKS = {name: task for name, task in EVERY_TASK.items() if task.processor_class.input_description == "text"}
TEXTS = ["i work at google .", "the work is good !", "a", "ein unbekanntes Wort", ""]
OPTIONS = {
    "sentiment": {"pooling": "max", "cell": "gru"},
    "tagging": {
        "character_embedding_dim": 4,
        "character_hidden_dim": 6,
        "optimization": Optimization(lr=0.1),
    },
    "language_modeling": {"num_layers": 2, "decoding": BeamSettings(max_output=9)},
    "translation": {"num_layers": 2, "decoding": BeamSettings(beam=2, n_best=2, max_output=9)},
}
TOKENIZERS = {
    "sentiment": {"tokenizer.json"},
    "tagging": {"tokenizer.words.json", "tokenizer.characters.json"},
    "language_modeling": {"tokenizer.json"},
    "translation": {"tokenizer.source.json", "tokenizer.target.json"},
}


def write_corpus(folder):
    """A few rows for each task, as local files."""
    folder.mkdir()
    german = ["ich arbeite hier .", "die arbeit ist gut .", "das ist nicht gut .", "sie arbeitet ."]
    english = ["i work here .", "the work is good .", "that is not good .", "she works ."]
    tags = [
        "PRON VERB ADV PUNCT",
        "DET NOUN AUX ADJ PUNCT",
        "PRON AUX PART ADJ PUNCT",
        "PRON VERB PUNCT",
    ]
    for split in ("train", "val"):
        (folder / f"{split}.de").write_text("\n".join(german) + "\n")
        (folder / f"{split}.en").write_text("\n".join(english) + "\n")
        rows = "".join(f"{text}\t{number % 2}\n" for number, text in enumerate(english))
        (folder / "labels").mkdir(exist_ok=True)
        (folder / "labels" / f"{split}.tsv").write_text("text\tlabel\n" + rows)
        (folder / "tags").mkdir(exist_ok=True)
        with (folder / "tags" / f"{split}.conllu").open("w") as file:
            for sentence, upos in zip(english, tags, strict=True):
                for place, (word, tag) in enumerate(zip(sentence.split(), upos.split(), strict=True), 1):
                    file.write(f"{place}\t{word}\t_\t{tag}\t_\t_\t_\t_\t_\t_\n")
                file.write("\n")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, cache_home):
    """Of each task a model after a few steps, its checkpoint and its folder; the corpus is gone."""
    home = tmp_path_factory.mktemp("trained")
    write_corpus(home / "corpus")
    every = VocabularySettings(min_frequency=1)
    data = {
        "sentiment": SentimentData(Corpus(str(home / "corpus" / "labels")), vocabulary=every),
        "tagging": TaggingData(Corpus(str(home / "corpus" / "tags")), vocabulary=every),
        "language_modeling": LanguageModelingData(Corpus(str(home / "corpus")), "en", every, window=5),
        "translation": TranslationData(Corpus(str(home / "corpus")), vocabulary=every, reverse_source=True),
    }
    torch.manual_seed(1)
    made = {}
    for name, module in data.items():
        task = TASKS[name](module.processor, embedding_dim=8, hidden_dim=12, **OPTIONS[name])
        trainer = pl.Trainer(
            max_steps=2, accelerator="cpu", logger=False, enable_progress_bar=False,
            enable_model_summary=False, default_root_dir=home, enable_checkpointing=False,
        )  # fmt: skip
        trainer.fit(task, module)
        trainer.save_checkpoint(home / f"{name}.ckpt")
        save_pretrained(task, home / name, "card")
        made[name] = task.eval()
    (home / "corpus").rename(home / "gone")
    return home, made


@pytest.fixture
def folder(trained, tmp_path):
    """A copy of the sentiment model's folder, to damage."""
    return save_pretrained(trained[1]["sentiment"], tmp_path / "model")


def refused(source, *expected):
    """The message with which `source` is refused: one line that holds what is expected."""
    with pytest.raises(UsageError) as caught:
        from_pretrained(source)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 1000
    for part in expected:
        assert str(part) in message
    return message


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


# ------------------------------------------------------------------------------------ saved equals loaded


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


def test_load_from_checkpoint_knows_its_task(trained):
    home, tasks = trained
    loaded = Translation.load_from_checkpoint(home / "translation.ckpt")
    assert isinstance(loaded, Translation)
    assert torch.equal(
        loaded.model.encoder.embedding.weight, tasks["translation"].model.encoder.embedding.weight
    )
    with pytest.raises(UsageError, match=r"sentiment\.ckpt holds a model for sentiment, not for translation"):
        Translation.load_from_checkpoint(home / "sentiment.ckpt")


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
        "translation": lambda p: Seq2Seq(
            Encoder(len(p.source), 8, 12, 2, 0.5), Decoder(len(p.target), 8, 12, 2, 0.5)
        ),
    }[name](processor)  # fmt: skip
    bare.load_state_dict(weights, strict=True)


@pytest.mark.parametrize("name", TASKS)
def test_what_is_in_the_folder(trained, name):
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


def test_the_card(trained):
    task = trained[1]["translation"]
    card = task.card("corpus/x", "nlp-rnn fit --config y", {"test": {"test/bleu": 12.34567}})
    for part in (
        "library_name: nlp_rnn",
        "`corpus/x`",
        "`nlp-rnn fit --config y`",
        "| test | bleu | 12.3457 |",
    ):
        assert part in card
    size = sum(parameter.numel() for parameter in task.model.parameters())
    assert f"{size:,} parameters" in card
    assert str(task.model) in card


# --------------------------------------------------------------------------------------------------- saving


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


@pytest.mark.parametrize("broken", ["write", "rename"])
def test_a_save_that_fails_leaves_the_earlier_folder(trained, folder, tmp_path, monkeypatch, broken):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    if broken == "write":

        def no_space(weights, path):
            Path(path).write_bytes(b"half")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("nlp_rnn.storage.writing.save_file", no_space)
    else:
        rename = Path.rename

        def once(self, target):
            if self.name == "new":
                raise OSError(28, "No space left on device")
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", once)
    with pytest.raises(UsageError, match=r"model: cannot be written \(No space left on device\)"):
        save_pretrained(trained[1]["translation"], folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"notes.txt": "mine"}, "exists and is not a model folder"),
        ({"config.json": "{}"}, "exists and is not a model folder"),
        ({"config.json": '{"model_type": "bert"}', "model.safetensors": ""}, "exists and is not a model folder"),
        ({"config.json": "broken", "model.safetensors": ""}, "exists and is not a model folder"),
    ],
)
def test_something_else_is_never_replaced(trained, tmp_path, content, message):
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


# ------------------------------------------------------------------------------ damaged and hostile files


class Payload:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return open, (str(self.target), "w")


@pytest.mark.parametrize("legacy", [False, True])
def test_a_malicious_pickle_is_refused_and_not_run(tmp_path, legacy):
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
    "settings of another kind": (lambda c: c["nlp_rnn"].update(settings=3), "its settings fit no model"),
    "no tokenizer": (
        lambda c: c["nlp_rnn"]["processor"]["tokenizers"].update(tokens="{"),
        "not a readable tokenizer.json",
    ),
}


@pytest.mark.parametrize("case", CHECKPOINTS)
def test_altered_checkpoints(trained, tmp_path, case):
    change, message = CHECKPOINTS[case]
    path = altered(trained, tmp_path / "x.ckpt", change)
    refused(path, path, message)


@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.99])
def test_a_truncated_checkpoint(trained, tmp_path, share):
    content = (trained[0] / "sentiment.ckpt").read_bytes()
    path = tmp_path / "x.ckpt"
    path.write_bytes(content[: int(share * len(content))])
    refused(path, path)


def test_a_bare_state_dict_and_what_is_no_checkpoint(tmp_path):
    torch.save({"fc.weight": torch.zeros(2)}, tmp_path / "bare.pt")
    refused(tmp_path / "bare.pt", "bare.pt", "load a bare state_dict with load_state_dict")
    torch.save([1], tmp_path / "list.pt")
    refused(tmp_path / "list.pt", "list.pt", "not a checkpoint of nlp_rnn")
    (tmp_path / "text.ckpt").write_text("hello\n")
    refused(tmp_path / "text.ckpt", "text.ckpt")


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:9/x.ckpt", "https://example.org/model", "s3://bucket/x.ckpt", "file:///x"]
)
def test_addresses_are_refused(address):
    refused(address, address, "cannot load from a URL")
    with pytest.raises(UsageError, match="cannot load from a URL"):
        Sentiment.load_from_checkpoint(address)


@pytest.mark.parametrize("source", ["missing", "a/b/c", "missing.ckpt", "a/missing.ckpt", "/no/such"])
def test_what_is_not_there(source):
    refused(source, source, "no such model folder or checkpoint")


@pytest.mark.parametrize("hub_id", ["nobody/no-such-model", "./missing", "a b/c"])
def test_a_hub_id_without_the_hub_is_one_line_at_once(hub_id):
    start = time.monotonic()
    refused(hub_id, hub_id, "the hub has no such model")
    assert time.monotonic() - start < 5


def test_a_hub_snapshot_with_its_links_loads(trained, tmp_path, monkeypatch):
    """As the hub's cache lays it out: the snapshot holds links to files two folders higher."""
    store = tmp_path / "models--me--mine"
    (store / "blobs").mkdir(parents=True)
    (store / "snapshots" / "main").mkdir(parents=True)
    for number, path in enumerate((trained[0] / "translation").iterdir()):
        (store / "blobs" / str(number)).write_bytes(path.read_bytes())
        (store / "snapshots" / "main" / path.name).symlink_to(Path("..") / ".." / "blobs" / str(number))
    monkeypatch.setattr(
        "huggingface_hub.snapshot_download", lambda hub_id, allow_patterns: str(store / "snapshots" / "main")
    )
    assert from_pretrained("me/mine").name == "translation"


# -------------------------------------------------------------------------------------- damaged folders


def header_of(path):
    content = path.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    return content[8 : 8 + size].decode(), content[8 + size :]


def write_safetensors(path, header, data):
    path.write_bytes(struct.pack("<Q", len(header.encode())) + header.encode() + data)


def doubled(path):
    header, data = header_of(path)
    entries = json.loads(header)
    entry = json.dumps(entries["fc_out.bias"])
    write_safetensors(path, f'{header.rstrip()[:-1]},"fc_out.bias":{entry}}}', data)


def with_weights(change):
    def damage(path):
        weights = load_file(path)
        change(weights)
        save_file(weights, path)

    return damage


WEIGHTS = {
    "empty": (lambda path: path.write_bytes(b""), "damaged or not a safetensors file"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-100]), "damaged or not a safetensors file"),
    "truncated header": (lambda path: path.write_bytes(path.read_bytes()[:50]), "damaged or not a safetensors"),
    "header bomb": (
        lambda path: path.write_bytes(struct.pack("<Q", 1 << 62) + b"{}"),
        "damaged or not a safetensors file (a header of",
    ),
    "header of brackets": (
        lambda path: write_safetensors(path, "[" * 200_000, b""),
        "damaged or not a safetensors file",
    ),
    "duplicate keys": (doubled, "'fc_out.bias' occurs 2 times in its header"),
    "missing tensor": (with_weights(lambda w: w.pop("fc_out.bias")), "tensor fc_out.bias is missing"),
    "additional tensor": (
        with_weights(lambda w: w.update(backdoor=torch.zeros(1))),
        "tensor backdoor is not part of this model",
    ),
    "wrong shape": (
        with_weights(lambda w: w.update({"fc_out.bias": torch.zeros(3)})),
        "tensor fc_out.bias has shape [3], but settings and vocabulary require [2]",
    ),
    "NaN": (
        with_weights(lambda w: w["embedding.weight"][3].fill_(float("nan"))),
        "tensor embedding.weight contains NaN",
    ),
    "opposite infinities": (
        with_weights(lambda w: w.update({"fc_out.bias": torch.tensor([float("inf"), -float("inf")])})),
        "tensor fc_out.bias contains NaN or infinite values",
    ),
    "a pickle": (lambda path: torch.save({"a": 1}, path), "damaged or not a safetensors file"),
    "missing": (lambda path: path.unlink(), "no such file"),
}


@pytest.mark.parametrize("case", WEIGHTS)
def test_damaged_weights(folder, case):
    damage, message = WEIGHTS[case]
    path = folder / "model.safetensors"
    damage(path)
    refused(folder, path, message)


def test_half_precision_weights_load(folder):
    """They are smaller to send, and the model is the same within their precision."""
    before = from_pretrained(folder).model.state_dict()
    with_weights(lambda w: w.update({key: value.half() for key, value in w.items()}))(
        folder / "model.safetensors"
    )
    after = from_pretrained(folder).model.state_dict()
    assert all(value.dtype == torch.float32 for value in after.values())
    assert all(torch.allclose(value, after[key], atol=1e-2) for key, value in before.items())


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
    "text for a number": (lambda c: c["settings"].update(hidden_dim="12"), "its settings fit no model"),
    "unknown cell": (lambda c: c["settings"].update(cell="mamba"), "mamba"),
    "many layers": (lambda c: c["settings"].update(num_layers=64), "is missing"),
    "no vocabularies": (lambda c: c.pop("vocabularies"), "not the configuration of a model folder"),
    "no vocabulary": (lambda c: c.update(vocabularies={}), "its settings fit no model"),
    "no settings": (lambda c: c.pop("settings"), "its settings fit no model"),
    "vocabularies of another kind": (lambda c: c.update(vocabularies=[1]), "not the configuration"),
    "labels of another number": (
        lambda c: c["processor"]["settings"].update(labels=["a", "b", "c"]),
        "has shape",
    ),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_altered_config(folder, case):
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
def test_config_that_is_none(folder, content, message):
    (folder / "config.json").write_bytes(content)
    refused(folder, folder / "config.json", message)


def test_folders_without_config_and_config_that_is_a_pipe(folder, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    refused(empty, empty / "config.json", "no such file")
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")
    refused(folder, folder / "config.json", "not a regular file")
    os.mkfifo(tmp_path / "x.ckpt")
    refused(tmp_path / "x.ckpt", "not a regular file")


def test_another_tokenizer(trained, folder):
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


def test_an_embedding_that_does_not_fit_the_tokenizer(trained, folder):
    size = len(trained[1]["sentiment"].processor.tokens)
    with_weights(lambda w: w.update({"embedding.weight": torch.zeros(size + 7, 8)}))(
        folder / "model.safetensors"
    )
    refused(folder, "model.safetensors", f"shape [{size + 7}, 8]", f"require [{size}, 8]")


@pytest.mark.parametrize("name", ["../secret", "..", "/etc/x", "a/b", "a\0b", ""])
def test_names_that_leave_the_folder(folder, name):
    def rename(config):
        config["vocabularies"] = {name: config["vocabularies"]["tokens"], "tokens": {"size": 1, "hash": ""}}

    edit(folder / "config.json", rename)
    refused(folder, folder / "config.json", "nothing was read")


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors"])
def test_links_that_leave_the_folder(folder, tmp_path, file):
    """Also where what lies there would be fit to read."""
    outside = tmp_path / file
    (folder / file).rename(outside)
    (folder / file).symlink_to(outside)
    refused(folder, folder / file, "points outside the model folder; nothing was read")
    (folder / file).unlink()
    outside.rename(folder / f"real.{file}")
    (folder / file).symlink_to(f"real.{file}")
    assert from_pretrained(folder).name == "sentiment"


def test_a_folder_has_a_card_even_if_none_is_given(trained, tmp_path):
    _, made = trained
    card = (save_pretrained(made["tagging"], tmp_path / "model") / "README.md").read_text(encoding="utf-8")
    assert "# Tagging model" in card
    assert "Not measured." in card


def test_a_run_directory_names_its_model_folder(trained, tmp_path):
    save_pretrained(trained[1]["tagging"], tmp_path / "1" / "model")
    (tmp_path / "latest").symlink_to("1")
    for place in (tmp_path, tmp_path / "1"):
        with pytest.raises(UsageError, match=r"not a model folder, but contains one: .*/model$"):
            from_pretrained(place)
