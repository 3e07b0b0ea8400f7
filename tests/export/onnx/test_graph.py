"""The builder of ONNX graphs."""

import numpy as np
import pytest
import torch

from nlp_rnn.errors import UsageError
from nlp_rnn.export.onnx import graph as module
from nlp_rnn.export.onnx.checking import start_session
from nlp_rnn.export.onnx.graph import BOOL, FLOAT, INT64, Graph


def make_graph():
    graph = Graph("small")
    ids = graph.input("ids", INT64, ("steps", "batch"))
    lengths = graph.input("lengths", INT64, ("batch",))
    embedding = torch.nn.Embedding(5, 3)
    words = [graph.lookup("embedding", embedding, ids) for _ in range(2)]
    graph.output("both", graph.concat(words), FLOAT, ("steps", "batch", 6))
    inside = graph.inside(lengths, ids)
    graph.output("inside", inside, BOOL, ("steps", "batch"))
    graph.output("masked", graph.where_inside(inside, words[0]), FLOAT, ("steps", "batch", 3))
    return graph, embedding


def test_a_weight_is_stored_once_in_float32():
    graph, embedding = make_graph()
    graph.weight("double", embedding.weight.double())
    weights = {weight.name: weight for weight in graph.model().graph.initializer}
    assert sum("embedding" in name for name in weights) == 1
    assert weights["double"].data_type == FLOAT
    assert weights["double"].raw_data == weights["embedding.weight"].raw_data


def test_sizes_may_differ_from_call_to_call():
    graph, embedding = make_graph()
    session = start_session(graph.model())
    for lengths in ([4, 0, 2], [1]):
        ids = torch.randint(5, (max(lengths), len(lengths)))
        both, inside, masked = session.run(None, {"ids": ids.numpy(), "lengths": np.array(lengths)})
        words = embedding(ids).detach().numpy()
        np.testing.assert_array_equal(both, np.concatenate([words, words], -1))
        assert inside.sum(0).tolist() == lengths
        np.testing.assert_array_equal(masked, words * inside[..., None])


def test_more_than_a_file_can_hold_is_refused_in_one_line(monkeypatch):
    graph, _ = make_graph()
    monkeypatch.setattr(module, "_LARGEST", 10)
    with pytest.raises(UsageError, match="larger than 2 GB, which an ONNX file cannot hold"):
        graph.model()


def test_a_graph_that_is_no_onnx_is_found_at_once():
    graph, _ = make_graph()
    graph.output("wrong", "ids", FLOAT, ("steps", "batch"))  # it is int64
    with pytest.raises(Exception, match="Inference"):
        graph.model()
