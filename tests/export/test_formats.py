"""The table of export formats."""

import sys

import pytest

from nlp_rnn.errors import UsageError
from nlp_rnn.export.formats import FORMATS


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
