"""`LanguageModel` as an ONNX graph, and the output layer that it shares with decoders."""

from __future__ import annotations

from torch import Tensor

from nlp_rnn.export.onnx.graph import FLOAT, INT64, Graph
from nlp_rnn.export.onnx.part import (
    MODEL,
    Case,
    Part,
    add_state,
    all_steps,
    named_state,
    random_ids,
    random_lengths,
    random_state,
    return_state,
)
from nlp_rnn.export.onnx.recurrent import recurrent
from nlp_rnn.models.language_model import LanguageModel
from nlp_rnn.models.layers.base import State
from nlp_rnn.models.seq2seq import Decoder


def language_model(model: LanguageModel) -> list[Part]:
    """The graph of a language model, whose state is an input and an output."""
    graph = Graph("language_model")
    ids = graph.input("ids", INT64, ("steps", "batch"))
    lengths = graph.input("lengths", INT64, ("batch",))
    state = add_state(graph, model.rnn)
    words = graph.lookup("embedding", model.embedding, ids)
    output, states = recurrent(graph, "rnn", model.rnn, words, lengths, state)
    logits = vocabulary_logits(graph, model, output)
    graph.output("logits", logits, FLOAT, ("steps", "batch", size(model)))
    return_state(graph, model.rnn, states.stacked(graph), "next_")

    def case(tokens: Tensor, state: State | None = None, lengths: Tensor | None = None) -> Case:
        if state is None:
            state = model.rnn.initial_state(tokens.size(1), model.embedding.weight)
        logits, following = model(tokens, state, lengths)
        inputs = {"ids": tokens, "lengths": all_steps(tokens, lengths)}
        return Case(inputs | named_state(state), {"logits": logits} | named_state(following, "next_"))

    def sample(steps: int, batch: int) -> tuple[Tensor, State, Tensor]:
        ids, state = random_ids(steps, batch, model.embedding), random_state(model.rnn, batch)
        return ids, state, random_lengths(steps, batch, least=0)

    return [Part(MODEL, graph.model(), model, "forward", case, sample)]


def vocabulary_logits(graph: Graph, model: LanguageModel | Decoder, features: str) -> str:
    """The output layer, which may share its weight with the embedding: [..., H] -> [..., V]."""
    if model.fc_out is not None:
        return graph.linear("fc_out", model.fc_out, features)
    weight = graph.weight("embedding.weight", model.embedding.weight)  # once in the file
    product = graph.op("MatMul", features, graph.op("Transpose", weight, perm=[1, 0]))
    return graph.op("Add", product, graph.weight("bias", model.bias))


def size(model: LanguageModel | Decoder) -> int:
    """The number of tokens that a model scores."""
    return len(model.output[1])
