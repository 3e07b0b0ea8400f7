"""Files that Keras 3.15 wrote, with the probabilities that it gave; see `expected.json` beside them."""

import json
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from nlp_rnn.conversion.convert import convert
from nlp_rnn.conversion.imported import Request
from nlp_rnn.errors import UsageError
from nlp_rnn.inference.pipelines import Pipeline

h5py = pytest.importorskip("h5py")

FOLDER = Path(__file__).parents[1] / "fixtures" / "keras"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
WORDS = ["", "[UNK]", *"abcdefghij"]
LABELS = {"bidirectional_lstm": ["x", "y", "z"], "tagger": ["x", "y", "z"], "gru_max": ["x", "y"]}


def request(tmp_path, name, weights):
    files = [tmp_path / "words.json", tmp_path / "labels.json"]
    files[0].write_text(json.dumps(WORDS))
    files[1].write_text(json.dumps(LABELS.get(name, ["x", "y"])))
    return Request(weights, files)


def recipe(name):
    return "keras-tagger" if name == "tagger" else "keras-classifier"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*[!n]")), ids=lambda path: path.name)
def test_answers_are_those_of_keras(path, tmp_path):
    name = path.name.split(".")[0]
    imported, difference = convert(recipe(name), request(tmp_path, name, path))
    assert difference < 1e-6
    words = [WORDS[id] if id > 1 else "unheard" for id in EXPECTED[name]["ids"]]
    output = np.array(EXPECTED[name]["output"])
    if name == "tagger":
        (answer,) = Pipeline(imported.task)([words])
        assert answer["tags"] == [LABELS[name][best] for best in output.argmax(-1)]
        assert answer["scores"] == pytest.approx(output.max(-1).tolist(), abs=1e-6)
        return
    scores = Pipeline(imported.task)(" ".join(words))["scores"]
    expected = {"gru_max": [1 - output[0], output[0]], "simple_rnn": softmax(output)}.get(name, output)
    assert list(scores.values()) == pytest.approx(list(expected), abs=1e-6)


def softmax(scores):
    return np.exp(scores) / np.exp(scores).sum()


def test_files_without_settings_say_what_is_assumed(tmp_path):
    name = "simple_rnn"
    with_settings, _ = convert(recipe(name), request(tmp_path, name, FOLDER / f"{name}.keras"))
    without, _ = convert(recipe(name), request(tmp_path, name, FOLDER / f"{name}.safetensors"))
    assert any("taken to be Keras's default" in note for note in without.notes)
    assert not any("taken to be Keras's default" in note for note in with_settings.notes)


def test_a_keras_tokenizer_begins_at_one(tmp_path):
    ids = {word: id for id, word in enumerate(WORDS) if id > 0}
    asked = request(tmp_path, "simple_rnn", FOLDER / "simple_rnn.keras")
    tokenizer = {"class_name": "Tokenizer", "config": {"num_words": None, "word_index": json.dumps(ids)}}
    asked.vocabularies[0].write_text(json.dumps(json.dumps(tokenizer)))
    imported, _ = convert("keras-classifier", asked)
    assert imported.task.processor.tokens.tokens()[4:] == WORDS[2:]


CHANGES = [
    ({"activation": "relu"}, "SimpleRNN has activation 'relu'"),
    ({"go_backwards": True}, "has go_backwards True"),
    ({"return_sequences": True}, "has return_sequences True"),
]


@pytest.mark.parametrize(("change", "message"), CHANGES)
def test_a_layer_that_computes_otherwise_is_refused(change, message, tmp_path):
    asked = request(tmp_path, "simple_rnn", changed(tmp_path, change))
    with pytest.raises(UsageError, match=message):
        convert("keras-classifier", asked)


def changed(tmp_path, change):
    """A .keras file whose recurrent layer has another setting."""

    def edit(layers):
        next(x for x in layers if x["class_name"] == "SimpleRNN")["config"].update(change)

    return edited(tmp_path, edit)


def edited(tmp_path, edit, name="simple_rnn"):
    """A .keras file whose list of layers was edited."""
    path = tmp_path / "changed.keras"
    with zipfile.ZipFile(FOLDER / f"{name}.keras") as old, zipfile.ZipFile(path, "w") as new:
        for part in old.namelist():
            data = old.read(part)
            if part == "config.json":
                config = json.loads(data)
                edit(config["config"]["layers"])
                data = json.dumps(config).encode()
            new.writestr(part, data)
    return path


def activation(kind):
    return {"class_name": "Activation", "config": {"name": "activation", "activation": kind}}


def as_functional(*extra):
    """Layers that are called one after the other; the last one reads the layers `extra` too."""

    def edit(layers):
        for before, layer in zip([None, *layers], layers, strict=False):
            names = [before["config"]["name"]] if before else []
            names += extra if layer is layers[-1] else []
            histories = [{"keras_history": [name, 0, 0]} for name in names]
            args = [{"class_name": "__keras_tensor__", "config": config} for config in histories]
            layer["inbound_nodes"] = [{"args": args, "kwargs": {}}] if args else []

    return edit


def call_twice(layers):
    as_functional()(layers)
    layers[-2]["inbound_nodes"] *= 2


def other_backward(layers):
    layer = next(x for x in layers if x["class_name"] == "Bidirectional")
    layer["config"]["backward_layer"] = {"class_name": "LSTM", "config": {"activation": "relu"}}


EDITS = [
    (lambda layers: layers.insert(-1, activation("relu")), "simple_rnn", "Activation, Dense"),
    (lambda layers: layers.append(activation("tanh")), "simple_rnn", "activation 'tanh'"),
    (as_functional("embedding"), "simple_rnn", "does not read the layer before it alone"),
    (call_twice, "simple_rnn", "does not read the layer before it alone"),
    (other_backward, "bidirectional_lstm", "activation 'relu'"),
    (lambda layers: layers.clear(), "simple_rnn", "its tensors fit no keras-classifier"),
]


@pytest.mark.parametrize(("edit", "name", "message"), EDITS)
def test_layers_that_are_joined_otherwise_are_refused(edit, name, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        convert("keras-classifier", request(tmp_path, name, edited(tmp_path, edit, name)))


@pytest.mark.parametrize("edit", [as_functional(), lambda layers: layers.append(activation("softmax"))])
def test_a_chain_of_layers_and_a_softmax_behind_it_are_read(edit, tmp_path):
    _, difference = convert("keras-classifier", request(tmp_path, "simple_rnn", edited(tmp_path, edit)))
    assert difference < 1e-6


WEIGHTS = [
    ("dense/kernel", lambda array: (100 * array).astype(np.int8), "is quantized"),
    ("dense/bias", lambda array: array * np.nan, "NaN or infinite"),
    ("recurrent_kernel", lambda array: array.ravel(), "its tensors fit no keras-classifier"),
]


@pytest.mark.parametrize(("name", "change", "message"), WEIGHTS)
def test_weights_of_another_kind_are_refused(name, change, message, tmp_path):
    arrays = load_file(FOLDER / "simple_rnn.safetensors")
    (key,) = (key for key in arrays if name in re.sub(r"_\d+/", "/", key))
    save_file({**arrays, key: change(arrays[key])}, tmp_path / "changed.safetensors")
    with pytest.raises(UsageError, match=message):
        convert("keras-classifier", request(tmp_path, "simple_rnn", tmp_path / "changed.safetensors"))


def test_reset_before_the_product_is_refused(tmp_path):
    path = tmp_path / "gru.safetensors"
    arrays = {
        "embedding/embeddings": np.zeros((12, 5), np.float32),
        "gru/gru_cell/kernel": np.zeros((5, 12), np.float32),
        "gru/gru_cell/recurrent_kernel": np.zeros((4, 12), np.float32),
        "gru/gru_cell/bias": np.zeros(12, np.float32),
        "dense/kernel": np.zeros((4, 2), np.float32),
        "dense/bias": np.zeros(2, np.float32),
    }
    save_file(arrays, path)
    with pytest.raises(UsageError, match="reset_after False"):
        convert("keras-classifier", request(tmp_path, "gru", path))


def test_two_dense_layers_are_refused(tmp_path):
    arrays = load_file(FOLDER / "simple_rnn.safetensors")
    arrays["sequential_2/dense_2/kernel"] = np.zeros((2, 2), np.float32)
    save_file(arrays, tmp_path / "two.safetensors")
    with pytest.raises(UsageError, match="Dense, Dense"):
        convert("keras-classifier", request(tmp_path, "simple_rnn", tmp_path / "two.safetensors"))


@pytest.mark.parametrize("end", [10, 1000, 20_000])
def test_a_truncated_file_is_refused(end, tmp_path):
    for source in ("simple_rnn.keras", "bidirectional_lstm.h5"):
        path = tmp_path / source
        shutil.copy(FOLDER / source, path)
        path.write_bytes(path.read_bytes()[:end])
        with pytest.raises(UsageError, match="damaged"):
            convert("keras-classifier", request(tmp_path, source.split(".")[0], path))


def test_links_to_other_files_are_not_followed(tmp_path):
    shutil.copy(FOLDER / "simple_rnn.weights.h5", tmp_path / "secret.h5")
    with h5py.File(tmp_path / "linked.h5", "w") as file:
        file["layers"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "layers")
    with pytest.raises(UsageError, match="holds no layers"):
        convert("keras-classifier", request(tmp_path, "gru_max", tmp_path / "linked.h5"))
