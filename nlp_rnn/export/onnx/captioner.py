"""`Captioner` as two ONNX graphs: the vector's initial state, and one step of its decoder."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from nlp_rnn.errors import UsageError
from nlp_rnn.export.onnx.graph import FLOAT, Graph
from nlp_rnn.export.onnx.part import ENCODER, Case, Part, named_state, random_ids, return_state
from nlp_rnn.export.onnx.seq2seq import VARIANTS, decoder_step
from nlp_rnn.models.captioner import Captioner
from nlp_rnn.models.layers.base import State
from nlp_rnn.models.seq2seq import Decoder, Encoder

_SQUASHES: dict[Callable[..., Tensor], str] = {torch.tanh: "Tanh"}
"""The operators of functions that make an initial state."""


def captioner(model: Captioner) -> list[Part]:
    """The graphs of a model that describes a vector.

    Raises:
        UsageError: the decoder's class, or the function that squashes the initial state, has no graph.
    """
    if type(model.decoder) is not Decoder:
        raise UsageError(f"the class {type(model.decoder).__name__} has no ONNX graph")

    def sample(steps: int, batch: int) -> tuple[Tensor, State]:
        state = model.start(torch.randn(batch, model.projection.in_features))
        return random_ids(1, batch, model.decoder.embedding), state

    return [_encoder(model), decoder_step(model.decoder, VARIANTS[Encoder, Decoder], sample)]


def _encoder(model: Captioner) -> Part:
    squash = _SQUASHES.get(model.squash)
    if squash is None:
        name = getattr(model.squash, "__name__", "squash")
        raise UsageError(f"the function {name}, which makes the initial state, has no ONNX graph")
    rnn = model.decoder.rnn
    graph = Graph("encoder")
    vectors = graph.input("vectors", FLOAT, ("batch", model.projection.in_features))
    projected = graph.op(squash, graph.linear("projection", model.projection, vectors))
    sizes = graph.ints(-1, rnn.state_tensors, rnn.num_layers, rnn.hidden_size)
    by_tensor = graph.op("Transpose", graph.op("Reshape", projected, sizes), perm=[1, 2, 0, 3])
    tensors = [graph.op("Gather", by_tensor, graph.scalar(n), axis=0) for n in range(rnn.state_tensors)]
    return_state(graph, rnn, tensors)

    def case(vectors: Tensor) -> Case:
        return Case({"vectors": vectors}, named_state(model.start(vectors)))

    def sample(steps: int, batch: int) -> tuple[Tensor]:
        return (torch.randn(batch, model.projection.in_features),)

    return Part(ENCODER, graph.model(), model, "start", case, sample)
