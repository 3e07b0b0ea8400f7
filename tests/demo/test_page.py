"""The page has a tab per model, and says errors in one line. Skipped without Gradio."""

from typing import get_args

import pytest

pytest.importorskip("gradio", reason="the extra demo is not installed")

from nlp_rnn.demo.page import COMPONENTS, _seed, _Tab, page
from nlp_rnn.errors import UsageError
from nlp_rnn.tasks import TASKS
from nlp_rnn.tasks.views import Kind

TEXT = "the work is not good , but the film is"


def test_a_tab_per_model_and_nothing_is_reported(make_demo):
    blocks = page([make_demo(name) for name in TASKS])
    config = blocks.get_config_file()
    tabs = [part["props"]["label"] for part in config["components"] if part["type"] == "tabitem"]
    assert tabs == list(TASKS)
    assert not blocks.analytics_enabled
    for event in config["dependencies"]:
        assert event["api_visibility"] == "private"


@pytest.mark.parametrize("name", [name for name in TASKS if name != "language_modeling"])
def test_as_many_values_as_outputs(name, make_demo):
    demo = make_demo(name)
    blocks = page([demo])
    answers = [
        event for event in blocks.get_config_file()["dependencies"] if event["targets"][0][1] == "load"
    ]
    settings = [2, 1] if demo.decodes else []
    for parts in (demo.example, [""] * len(demo.fields), ["\ud800"] * len(demo.fields)):
        values = _Tab(demo).answer(*parts, *settings)
        assert len(values) == len(answers[0]["outputs"])
        assert len(answers[0]["inputs"]) == len([*parts, *settings])


def test_errors_and_notes_are_one_line_without_an_answer(make_demo):
    tab = _Tab(make_demo("translation"))
    message, *others = tab.answer(TEXT, 2, 3)
    assert 'class="error"' in message
    assert "n_best must be at most" in message
    assert others == [None, None]
    message, text, table = tab.answer("xyzzy", 2, 1)
    assert 'class="note"' in message
    assert text
    assert table.startswith("<div")


def test_what_is_no_error_of_the_user_is_one_line_too(make_demo, monkeypatch):
    demo = make_demo("sentiment")
    monkeypatch.setattr(demo, "answer", lambda _: 1 / 0)
    assert "ZeroDivisionError: division by zero" in _Tab(demo).answer(TEXT)[0]


def test_a_text_goes_on_in_steps(make_demo):
    tab = _Tab(make_demo("language_modeling"))
    first, *others = tab.continuation("the", 4, 0.0, 0, 1, None)
    assert first == ["", "the", ""]
    assert others[-1][1].startswith("the ")
    (_, failed) = tab.continuation("the", 4, 0.0, 3, 1, "")
    assert "set a temperature too" in failed[0]
    (_, failed) = tab.continuation("the", 4, 1.0, 3, 1, "x")
    assert "the seed must be a whole number" in failed[0]
    assert [_seed(""), _seed(" 7 ")] == [None, 7]
    with pytest.raises(UsageError):
        _seed("-1")


@pytest.mark.slow
def test_states_are_images(make_demo):
    tab = _Tab(make_demo("sentiment"))
    message, plots = tab.inside(TEXT)
    assert message == ""
    assert plots.count("<img") >= 4
    message, plots = tab.inside(None)
    assert "the text has no words" in message
    assert plots == ""


def test_every_kind_has_a_component():
    assert set(COMPONENTS) == set(get_args(Kind))
