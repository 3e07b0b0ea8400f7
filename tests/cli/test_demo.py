"""`nlp-rnn demo`, up to where the page begins."""

import sys
from types import SimpleNamespace

import pytest


@pytest.fixture
def no_gradio(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.delitem(sys.modules, "nlp_rnn.demo.page", raising=False)


def test_without_gradio_one_line_names_the_extra(run, no_gradio):
    code, printed, error = run("demo", "model")
    assert (code, printed) == (2, "")
    assert "pip install 'nlp-rnn[demo]'" in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["m", "--port", "70000"], "--port must be between 0 and 65535, not 70000"),
        (["m", "--port", "x"], "invalid int value"),
        ([], "the following arguments are required: MODEL"),
        ([""], "is empty; give a path"),
    ],
)
def test_wrong_arguments(run, arguments, message):
    code, _, error = run("demo", *arguments)
    assert code == 2
    assert message in error


def test_a_model_that_is_not_there(run, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "nlp_rnn.demo.page", SimpleNamespace(page=None))
    code, printed, error = run("demo", str(tmp_path / "none"), "--port", "0")
    assert (code, printed) == (2, "")
    assert "no such model folder" in error
