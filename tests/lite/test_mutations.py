"""A configuration in which something was altered is refused in one line, or the model answers: no traceback.

The checksums are left out, so that each value meets its own check.
"""

import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nlp_rnn.errors import UsageError
from nlp_rnn.lite.loading import load
from nlp_rnn.lite.pipelines import Pipeline
from nlp_rnn.tasks import TASKS

VALUES = st.sampled_from(
    [
        *(None, True, False, 0, 1, -1, 2, 7, 10**9, 2**63, 10**400, 0.5, 1e308, float("nan"), float("inf")),
        *("", "lstm", "mean", "<pad>", "\0", [], {}, [[]], [{}], {"": {}}, ["a"], [0], [0.5] * 6, "iob2"),
    ]
)


def places(value, path=()):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


@pytest.fixture(scope="module")
def folders(make_folder):
    made = {}
    for name in TASKS:
        options = {"crf": True, "processor": {"columns": ("ner", "lemma")}} if name == "tagging" else {}
        folder = make_folder(name, **options)
        config = json.loads((folder / "config.json").read_text())
        for key in ("checksums", "fingerprint"):
            del config[key]
        made[name] = folder, config
    return made


@pytest.mark.parametrize("name", TASKS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_value(folders, inputs_of, name, data):
    folder, config = folders[name]
    config = copy.deepcopy(config)
    parts = {key: config[key] for key in ("settings", "processor")}
    *outer, key = data.draw(st.sampled_from(list(places(parts))))
    parent = config
    for step in outer:
        parent = parent[step]
    if data.draw(st.booleans()):
        parent[key] = data.draw(VALUES)
    else:
        del parent[key]
    (folder / "config.json").write_text(json.dumps(config))
    try:
        task = load(folder)
    except UsageError:
        return
    answerer = Pipeline(task)
    try:
        answers = answerer(inputs_of(name)[:3])
    except UsageError:  # such as a series with other columns
        return
    for answer in answers:
        assert isinstance(task.format_answer(answer), str)
