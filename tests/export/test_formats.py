"""The table of export formats."""

import sys

import pytest

from nlp_rnn.errors import UsageError
from nlp_rnn.export.formats import FORMATS, Format, export


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_has_what_the_verb_needs(name, tmp_path):
    assert callable(FORMATS[name].writer())
    assert FORMATS[name].default_output(tmp_path / "model").name.startswith("model")


def test_a_missing_package_is_named_with_the_extra_that_has_it(monkeypatch):
    for module in [name for name in sys.modules if name.startswith("nlp_rnn.export.onnx")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UsageError, match=r"needs the package onnx: pip install 'nlp-rnn\[onnx\]'"):
        FORMATS["onnx"].writer()


def test_exporting_from_python_takes_the_same_settings(tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    calls = []
    monkeypatch.setattr(Format, "writer", lambda row: lambda *paths, **given: calls.append((*paths, given)))
    export(str(tmp_path / "model"), str(tmp_path / "a.c"), "c", int8=True)
    export(tmp_path / "model", tmp_path / "b.html", "html")
    model = tmp_path / "model"
    assert calls == [(model, tmp_path / "a.c", {"int8": True}), (model, tmp_path / "b.html", {})]


@pytest.mark.parametrize(
    ("model", "output", "format", "int8", "message"),
    [
        ("model", "new", "jpg", False, "there is no format 'jpg': use one of onnx, c, html"),
        ("model", "new", "html", True, "format html has no int8: leave it out"),
        ("none", "new", "c", False, "none: no such folder; export takes the model folder of a run"),
        ("model", "model", "c", False, "model exists: name another output, or remove it first"),
    ],
)
def test_what_cannot_be_exported_is_said_in_one_line(
    model, output, format, int8, message, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    with pytest.raises(UsageError) as caught:
        export(model, output, format, int8)
    assert str(caught.value) == message
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
