"""Graphs with int8 weights."""

import pytest
import torch

from nlp_rnn.export.onnx.checking import make_cases, measure
from nlp_rnn.export.onnx.quantizing import float_operators, quantize
from nlp_rnn.export.onnx.registry import build
from nlp_rnn.models import CELLS, Classifier

STAY_FLOAT = {"gru": ["GRU"], "rnn": ["RNN"]}


@pytest.mark.parametrize("cell", CELLS)
def test_weights_are_a_quarter_and_answers_are_near(cell):
    torch.manual_seed(1)
    (part,) = build(Classifier(300, 4, 32, 48, 1, 0.0, cell).eval())
    small = quantize(part.graph)
    assert float_operators(part.graph) == STAY_FLOAT.get(cell, [])
    sizes = [graph.ByteSize() for graph in (part.graph, small)]
    if cell in STAY_FLOAT:
        assert sizes[1] < sizes[0]
    else:
        assert sizes[1] < 0.4 * sizes[0]
    difference = measure(small, make_cases(part))
    assert 1e-5 < difference.relative < 0.05  # it is int8, and right on processors without VNNI too
    assert difference.equal > 0.9
