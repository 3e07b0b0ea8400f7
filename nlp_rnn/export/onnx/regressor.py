"""`Regressor` as an ONNX graph."""

from __future__ import annotations

import torch
from torch import Tensor

from nlp_rnn.export.onnx.graph import FLOAT, INT64, Graph
from nlp_rnn.export.onnx.part import MODEL, Case, Part, all_steps, random_lengths
from nlp_rnn.export.onnx.recurrent import recurrent
from nlp_rnn.models.regressor import Regressor


def regressor(model: Regressor) -> list[Part]:
    """The graph of a model that reads vectors and predicts numbers."""
    graph = Graph("regressor")
    vectors = graph.input("vectors", FLOAT, ("steps", "batch", model.rnn.input_size))
    lengths = graph.input("lengths", INT64, ("batch",))
    _, states = recurrent(graph, "rnn", model.rnn, vectors, lengths)
    values = graph.linear("fc_out", model.fc_out, states.top(graph, 1))
    graph.output("values", values, FLOAT, ("batch", model.fc_out.out_features))

    def case(vectors: Tensor, lengths: Tensor | None = None) -> Case:
        inputs = {"vectors": vectors, "lengths": all_steps(vectors, lengths)}
        return Case(inputs, {"values": model(vectors, lengths)})

    def sample(steps: int, batch: int) -> tuple[Tensor, Tensor]:
        return torch.randn(steps, batch, model.rnn.input_size), random_lengths(steps, batch, least=0)

    return [Part(MODEL, graph.model(), model, "forward", case, sample)]
