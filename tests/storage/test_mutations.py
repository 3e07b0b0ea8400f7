"""A model folder in which something was altered is refused, or is the same model: nothing else happens."""

import copy
import json

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError
from nlp_rnn.tasks.pretrained import from_pretrained, save_pretrained

VALUES = st.one_of(
    st.sampled_from([None, True, False, 0, 1, -1, 2, 10**9, 2**63, -(2**64), 10**400, 0.5, 1e308]),
    st.sampled_from([float("nan"), float("inf"), "", "lstm", "mean", "<pad>", "a" * 10_000, "\0", "\ud800"]),
    st.sampled_from([[], {}, [[]], [{}], {"": {}}, ["a"] * 1_000, [0] * 1_000]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    ),
)


def places(value, path=()):
    """The paths of all values within a value, its own left out."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def mutate(value, data):
    """A value in which one part is dropped, replaced, doubled, renamed, or exchanged with another."""
    value = copy.deepcopy(value)
    paths = list(places(value))
    *outer, key = data.draw(st.sampled_from(paths))
    parent = value
    for step in outer:
        parent = parent[step]
    how = data.draw(st.sampled_from(["drop", "replace", "retype", "add", "exchange"]))
    if how == "drop":
        del parent[key]
    elif how == "replace":
        parent[key] = data.draw(VALUES)
    elif how == "retype":
        forms = [[parent[key]], {"x": parent[key]}, str(parent[key]), json.dumps(parent[key])]
        if isinstance(parent[key], (int, float)):
            forms += [float(parent[key]), bool(parent[key]), int(parent[key]) + 1]
        parent[key] = data.draw(st.sampled_from(forms))
    elif how == "add":
        if isinstance(parent, list):
            parent.insert(key, copy.deepcopy(parent[key]))
        else:
            parent[data.draw(st.sampled_from(["x", "a\0b", "../x", "path"]))] = parent[key]
    else:
        others = [path[-1] for path in paths if list(path[:-1]) == outer]
        other = data.draw(st.sampled_from(others))
        parent[key], parent[other] = parent[other], parent[key]
    return value


@pytest.fixture(scope="module")
def folders(trained, tmp_path_factory):
    """Of each task a folder to damage."""
    home = tmp_path_factory.mktemp("mutated")
    return {name: save_pretrained(task, home / name, "card") for name, task in trained[1].items()}


def load_or_refuse(folder, original):
    """Load a folder: it is refused, or is the original model, its vocabularies and settings included."""
    try:
        task = from_pretrained(folder)
    except UsageError:
        return
    assert task.stored() == original.stored()
    weights = original.model.state_dict()
    assert task.model.state_dict().keys() == weights.keys()
    assert all(torch.equal(value, weights[name]) for name, value in task.model.state_dict().items())


PROFILE = settings(
    max_examples=60,
    deadline=10_000,  # milliseconds; a load takes some tens
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.parametrize("name", ["sentiment", "tagging", "language_modeling", "translation"])
@PROFILE
@given(data=st.data())
def test_a_mutated_config(trained, folders, name, data):
    path = folders[name] / "config.json"
    good = path.read_text(encoding="utf-8")
    try:
        path.write_text(json.dumps(mutate(json.loads(good), data)), encoding="utf-8")
        load_or_refuse(folders[name], trained[1][name])
    finally:
        path.write_text(good, encoding="utf-8")


@pytest.mark.parametrize("name", ["sentiment", "translation"])
@PROFILE
@given(data=st.data())
def test_a_mutated_tokenizer_of_a_folder(trained, folders, name, data):
    path = sorted(folders[name].glob("tokenizer*.json"))[0]
    good = path.read_text(encoding="utf-8")
    try:
        path.write_text(json.dumps(mutate(json.loads(good), data)), encoding="utf-8")
        load_or_refuse(folders[name], trained[1][name])
    finally:
        path.write_text(good, encoding="utf-8")


@pytest.mark.parametrize("level", ["word", "bpe", "char"])
@PROFILE
@given(data=st.data(), text=st.text(max_size=20))
def test_a_mutated_tokenizer(level, data, text):
    """Without the hash of a folder: what is read encodes any text to ids of its own, and decodes them."""
    good = json.loads(
        Vocabulary.train(
            ["a good film", "a bad film"] * 2, VocabularySettings(level, min_frequency=1)
        ).to_json()
    )
    try:
        vocabulary = Vocabulary.from_json(json.dumps(mutate(good, data)))
    except UsageError:
        return
    (ids,) = vocabulary.encode([text])
    assert all(id == 1 or 3 < id < len(vocabulary) for id in ids)
    vocabulary.decode(ids)


@PROFILE
@given(data=st.data())
def test_a_mutated_folder(trained, folders, data):
    """Bytes are altered, cut or put in place of others; a file is gone, or is that of another model."""
    folder = folders["translation"]
    files = sorted(path for path in folder.iterdir() if path.suffix in (".json", ".safetensors"))
    path = data.draw(st.sampled_from(files))
    good = path.read_bytes()
    how = data.draw(st.sampled_from(["flip", "cut", "insert", "exchange", "missing", "other"]))
    place = data.draw(st.integers(0, len(good) - 1))
    changed = bytearray(good)
    if how == "flip":
        changed[place] ^= 1 << data.draw(st.integers(0, 7))
    elif how == "cut":
        del changed[place : place + data.draw(st.integers(1, len(good)))]
    elif how == "insert":
        changed[place:place] = data.draw(st.binary(min_size=1, max_size=8))
    elif how == "exchange":
        changed[:] = data.draw(st.sampled_from(files)).read_bytes()
    elif how == "other":
        changed[:] = next(folders["tagging"].glob(f"*{path.suffix}")).read_bytes()
    try:
        path.write_bytes(changed)
        if how == "missing":
            path.unlink()
        load_or_refuse(folder, trained[1]["translation"])
    finally:
        path.write_bytes(good)
