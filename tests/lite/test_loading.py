"""A folder from a stranger is read or refused in one line, as with torch; nothing outside it is read."""

import json
import shutil
from dataclasses import asdict
from inspect import signature
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from nlp_rnn.errors import UsageError
from nlp_rnn.inference.pipelines import pipeline
from nlp_rnn.lite.decoding.search import Beam
from nlp_rnn.lite.folders.names import ALIASES
from nlp_rnn.lite.loading import find_task, load
from nlp_rnn.lite.pipelines import pipeline as lite_pipeline
from nlp_rnn.tasks import TASKS, BeamSettings
from nlp_rnn.tasks.pretrained import from_pretrained

BIAS = "fc_out.bias"
V0_1 = Path(__file__).parents[1] / "fixtures/v0_1"


@pytest.fixture(scope="module")
def original(make_folder):
    return make_folder("sentiment", num_layers=2)


@pytest.fixture
def folder(original, tmp_path):
    return shutil.copytree(original, tmp_path / "model")


def change(folder, *keys, value):
    config = json.loads((folder / "config.json").read_text())
    inner = config
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    (folder / "config.json").write_text(json.dumps(config))


def change_weights(folder, change):
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (["format_version"], 2, "is newer than the newest"),
        (["task"], "poetry", "unknown task 'poetry'"),
        (["task"], ["sentiment"], "unknown task"),
        (["class"], "mine:Sentiment", "its class 'mine:Sentiment' is of your own and needs torch"),
        (["model"], {"class": "mine:Net", "settings": {}}, "its class 'mine:Net' is of your own"),
        (["weights"], "int4", "unknown type of weights 'int4'"),
        (["weights"], "int8", "model.safetensors: tensor embedding.int8 is missing"),
        (["settings", "cell"], "sru", "the cell 'sru' needs torch"),
        (["settings", "pooling"], "sum", "unknown pooling 'sum'"),
        (["settings", "hidden_dim"], 7, "has shape"),
        (["settings", "hidden_dim"], "six", "fit no model|has shape"),
        (["settings", "num_layers"], 10**9, "is missing"),
        (["settings", "num_layers"], 1, "is not part of this model"),
        (["settings", "telepathy"], True, "task sentiment has no setting 'telepathy': upgrade"),
        (["settings", "temperature"], 0, "temperature must be between"),
        (["settings", "unsure_below"], "x", "unsure_below must be a number"),
        (["processor", "settings", "labels"], ["a", "b"], "has shape"),
        (["processor", "settings", "labels"], "bad", "labels must be a list of texts"),
        (
            ["processor", "settings", "labels"],
            ["so", "bad", "good"],
            "are not those that the model",
        ),
        (["processor", "settings", "max_length"], 0, "max_length must be between"),
        (["settings", "dropout"], 0.25, "the settings were altered"),
        (["vocabularies", "tokens", "size"], 5, "tokens, the model was trained with 5"),
        (["vocabularies"], {"../tokens": {}}, "is not a name of a vocabulary"),
    ],
    ids=str,
)
def test_configurations_that_are_refused(folder, keys, value, message):
    change(folder, *keys, value=value)
    with pytest.raises(UsageError, match=message) as refused:
        load(folder)
    assert str(folder) in str(refused.value)


@pytest.mark.parametrize(
    ("change_one", "message"),
    [
        (lambda weights: weights.pop(BIAS), r"tensor fc_out\.bias is missing"),
        (lambda weights: weights.update(more=weights[BIAS] + 1), "tensor more is not part"),
        (lambda weights: weights[BIAS].fill_(float("nan")), "contains NaN"),
        (lambda weights: weights[BIAS].add_(1), "the weights were altered"),
        (
            lambda weights: weights.update({"fc_out.bias": weights[BIAS].char()}),
            "is not a tensor of",
        ),
        (
            lambda weights: weights.update({"fc_out.bias": weights[BIAS].int()}),
            "is I32, which cannot",
        ),
    ],
)
def test_weights_that_are_refused(folder, change_one, message):
    change_weights(folder, change_one)
    with pytest.raises(UsageError, match=message):
        load(folder)


@pytest.mark.parametrize("dtype", ["half", "bfloat16", "double"])
def test_weights_of_any_float_type_are_answered_as_with_torch(folder, difference, dtype):
    def convert(weights):
        weights.update({name: getattr(value, dtype)() for name, value in weights.items()})

    change_weights(folder, convert)
    config = json.loads((folder / "config.json").read_text())
    del config["checksums"]
    (folder / "config.json").write_text(json.dumps(config))
    texts = ["the film is good", "a b"]
    assert difference(lite_pipeline("sentiment", folder)(texts), pipeline("sentiment", folder)(texts)) < 1e-5


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_no_file_is_read_outside_of_the_folder(original, folder, name):
    (folder / name).unlink()
    (folder / name).symlink_to(original / name)
    with pytest.raises(UsageError, match="points outside the model folder"):
        load(folder)


@pytest.mark.parametrize("cut", [0, 4, 8, 100, -1])
def test_damaged_weights(folder, cut):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(UsageError, match=r"model\.safetensors"):
        load(folder)


def test_headers_that_the_library_refuses_too(folder):
    path = folder / "model.safetensors"
    size = int.from_bytes(path.read_bytes()[:8], "little")
    header, data = json.loads(path.read_bytes()[8 : 8 + size]), path.read_bytes()[8 + size :]
    first = next(name for name in header if name != "__metadata__")
    for changed in (
        {"data_offsets": [0, len(data) + 4]},
        {"data_offsets": [4, 0]},
        {"data_offsets": ["a", "b"]},
        {"shape": [-1]},
        {"shape": [10**30]},
        {"dtype": "F4"},
        {"shape": None},
    ):
        written = json.dumps({**header, first: {**header[first], **changed}}).encode()
        path.write_bytes(len(written).to_bytes(8, "little") + written + data)
        for read in (load, from_pretrained):
            with pytest.raises(UsageError, match=r"model\.safetensors"):
                read(folder)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("no/such/folder", "no such folder"),
        ("someone/model", "no such folder; without torch give a model folder that is on this machine"),
        (__file__, "is a file"),
    ],
)
def test_what_is_no_folder(source, message):
    with pytest.raises(UsageError, match=message):
        load(source)


def test_a_run_names_the_model_folder(folder):
    with pytest.raises(UsageError, match="not a model folder, but contains one"):
        load(folder.parent)


@pytest.mark.parametrize("name", ["sentiment", "translation"])
def test_folders_of_version_0_1(difference, name):
    texts = ["ein mann", "zwei hunde", "not a bad film"]
    ours, theirs = lite_pipeline(name, V0_1 / name), pipeline(name, V0_1 / name)
    assert difference(ours(texts), theirs(texts)) < 2e-5


@pytest.mark.parametrize("name", TASKS)
def test_lite_knows_all_settings_of_every_task(make_folder, name):
    settings = json.loads((make_folder(name) / "config.json").read_text())["settings"]
    assert {*find_task(name).complete(settings)} >= {*settings}
    assert {*find_task(name).defaults} <= {*settings}
    parameters = signature(TASKS[name].settings_owner()).parameters
    for setting, default in find_task(name).defaults.items():
        if setting != "decoding":  # whose defaults are those of its class
            assert parameters[setting].default == default, setting
    assert asdict(Beam()) == asdict(BeamSettings())


def test_every_task_and_alias_is_known():
    assert [*ALIASES] == [*TASKS]
    for name, aliases in ALIASES.items():
        assert find_task(name).name == name
        for alias in aliases:
            with pytest.raises(UsageError, match="no such folder"):
                lite_pipeline(alias, "no/such/folder")
    with pytest.raises(UsageError, match="there is no task 'poetry'"):
        lite_pipeline("poetry", "no/such/folder")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("sentiment", {"beam": 3}, "beam and n_best are for tasks that generate text"),
        ("sentiment", {"copy_unknown": True}, "copy_unknown is for translation"),
        ("sentiment", {"unsure_below": 2.0}, "unsure_below must be between 0 and 1"),
        ("sentiment", {"batch_size": 0}, "batch size must be between 1"),
        ("translation", {"unsure_below": 0.5}, "unsure_below is for tasks that predict one label"),
        ("translation", {"n_best": 0}, "n_best must be between 1"),
        ("translation", {"beam": 2, "n_best": 3}, "n_best must be at most the beam's width"),
        ("captioning", {"copy_unknown": True}, "copy_unknown is for translation"),
    ],
)
def test_options_are_refused_as_with_torch(make_folder, name, options, message):
    folder = make_folder(name)
    for make in (lite_pipeline, pipeline):
        with pytest.raises(UsageError, match=message):
            make(name, folder, **options)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_output": 0}, "max_output must be between"),
        ({"temperature": 0.0}, "temperature must be between"),
        ({"top_k": 5}, "set a temperature too"),
        ({"temperature": 1.0, "top_p": 1.5}, "top_p must be between"),
        ({"temperature": 1.0, "top_k": 1.5}, "top_k must be a whole number"),
    ],
)
def test_sampling_is_refused_as_with_torch(make_folder, settings, message):
    folder = make_folder("language_modeling")
    for make in (lite_pipeline, pipeline):
        with pytest.raises(UsageError, match=message):
            make("text-generation", folder).generate("a", **settings)


def test_a_loaded_model_is_not_changed_by_a_pipeline(make_folder):
    task = load(make_folder("translation"))
    before = task.decoding
    lite_pipeline("translation", task, beam=3, n_best=2)
    assert task.decoding == before
    with pytest.raises(UsageError, match="the model is for translation, not for sentiment"):
        lite_pipeline("sentiment", task)
