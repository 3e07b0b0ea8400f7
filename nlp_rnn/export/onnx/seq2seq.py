"""`Seq2Seq` as two ONNX graphs: its encoder, and one step of its decoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nlp_rnn.errors import UsageError
from nlp_rnn.export.onnx.graph import BOOL, FLOAT, INT64, Graph
from nlp_rnn.export.onnx.language_model import size, vocabulary_logits
from nlp_rnn.export.onnx.part import (
    DECODER_STEP,
    ENCODER,
    Case,
    Part,
    add_state,
    all_steps,
    named_state,
    random_ids,
    random_lengths,
    return_state,
    state_names,
)
from nlp_rnn.export.onnx.recurrent import States, recurrent
from nlp_rnn.models.attention import AttentiveDecoder, AttentiveEncoder, BahdanauDecoder, LuongDecoder
from nlp_rnn.models.context import ContextDecoder, ContextEncoder, DirectContextDecoder
from nlp_rnn.models.layers.base import State
from nlp_rnn.models.seq2seq import Decoder, Encoder, Seq2Seq


@dataclass
class Step:
    """One step of a decoder under construction."""

    graph: Graph
    decoder: Decoder
    word: str
    """[1, B, E], the embedded token."""
    state: list[str]
    seen: dict[str, str]
    """What the encoder gives beside the state, by name."""

    def run(self, value: str) -> tuple[str, States]:
        """The recurrent layers: [1, B, I] -> [1, B, H] and the new state."""
        return recurrent(self.graph, "rnn", self.decoder.rnn, value, state=self.state)


Reader = Callable[[Step], tuple[list[str], States, str]]
"""Gives what the output layer reads, parts of [1, B, ...]; the new state; and the weights [B, S] or ""."""


@dataclass(frozen=True)
class Variant:
    """A kind of `Seq2Seq`.

    Args:
        read: a step of its decoder.
        seen: the names of what the encoder gives beside the state.
    """

    read: Reader
    seen: tuple[str, ...] = ()


def _plain(step: Step) -> tuple[list[str], States, str]:
    hidden, states = step.run(step.word)
    return [hidden], states, ""


def _context(step: Step) -> tuple[list[str], States, str]:
    context = step.seen["context"]
    hidden, states = step.run(step.graph.concat([step.word, context]))
    return [hidden, context, step.word], states, ""


def _direct(step: Step) -> tuple[list[str], States, str]:
    (hidden, context, word), states, weights = _context(step)
    return [word, hidden, context], states, weights


def _luong(step: Step) -> tuple[list[str], States, str]:
    graph = step.graph
    hidden, states = step.run(step.word)
    keys = graph.op("Transpose", step.seen["keys"], perm=[1, 2, 0])  # [B, H, S]
    scores = graph.op("MatMul", graph.op("Transpose", hidden, perm=[1, 0, 2]), keys)  # [B, 1, S]
    weights = _normalize(step, graph.op("Squeeze", scores, graph.ints(1)))
    return [hidden, _weighted_memory(step, weights)], states, weights


def _bahdanau(step: Step) -> tuple[list[str], States, str]:
    graph, decoder = step.graph, step.decoder
    assert isinstance(decoder, BahdanauDecoder)
    top = graph.op("Gather", step.state[0], graph.scalar(decoder.rnn.num_layers - 1), axis=0)  # [B, H]
    query = graph.linear("query", decoder.query, top)
    energy = graph.op("Tanh", graph.op("Add", step.seen["keys"], query))  # [S, B, H]
    scores = graph.op("Squeeze", graph.linear("energy", decoder.energy, energy), graph.ints(-1))  # [S, B]
    weights = _normalize(step, graph.op("Transpose", scores, perm=[1, 0]))
    context = _weighted_memory(step, weights)
    hidden, states = step.run(graph.concat([step.word, context]))
    return [hidden, context, step.word], states, weights


def _normalize(step: Step, scores: str) -> str:
    """Scores [B, S] -> weights: a softmax within each source, and 0 elsewhere."""
    graph = step.graph
    inside = graph.op("Transpose", step.seen["inside"], perm=[1, 0])
    lowest = graph.scalar(torch.finfo(torch.float32).min)
    weights = graph.op("Softmax", graph.op("Where", inside, scores, lowest), axis=-1)
    return graph.op("Where", inside, weights, graph.scalar(0.0))


def _weighted_memory(step: Step, weights: str) -> str:
    """[B, S] weights -> [1, B, H], the weighted mean of the encoder's outputs."""
    graph = step.graph
    memory = graph.op("Transpose", step.seen["memory"], perm=[1, 0, 2])  # [B, S, H]
    context = graph.op("MatMul", graph.op("Unsqueeze", weights, graph.ints(1)), memory)  # [B, 1, H]
    return graph.op("Transpose", context, perm=[1, 0, 2])


_ATTENTION = ("memory", "keys", "inside")

VARIANTS: dict[tuple[type[Encoder], type[Decoder]], Variant] = {
    (Encoder, Decoder): Variant(_plain),
    (ContextEncoder, ContextDecoder): Variant(_context, ("context",)),
    (ContextEncoder, DirectContextDecoder): Variant(_direct, ("context",)),
    (AttentiveEncoder, LuongDecoder): Variant(_luong, _ATTENTION),
    (AttentiveEncoder, BahdanauDecoder): Variant(_bahdanau, _ATTENTION),
}
"""The kinds of `Seq2Seq` that have graphs, by the classes of encoder and decoder."""


def seq2seq(model: Seq2Seq) -> list[Part]:
    """The graphs of a sequence-to-sequence model.

    Raises:
        UsageError: the encoder or the decoder is of a class without a graph.
    """
    classes = type(model.encoder), type(model.decoder)
    variant = VARIANTS.get(classes)
    if variant is None:
        names = " and ".join(part.__name__ for part in classes)
        raise UsageError(f"{names} have no ONNX graph: only the classes of this package have one")

    def sample(steps: int, batch: int) -> tuple[Tensor, State]:
        source = random_ids(steps, batch, model.encoder.source_embedding)
        state = model.encoder(source, random_lengths(steps, batch, least=0))
        return random_ids(1, batch, model.decoder.embedding), state

    return [_encoder(model.encoder, model.decoder, variant), decoder_step(model.decoder, variant, sample)]


def _encoder(encoder: Encoder, decoder: Decoder, variant: Variant) -> Part:
    graph = Graph("encoder")
    ids = graph.input("ids", INT64, ("source_steps", "batch"))
    lengths = graph.input("lengths", INT64, ("batch",))
    words = graph.lookup("embedding", encoder.source_embedding, ids)
    output, states = recurrent(graph, "rnn", encoder.rnn, words, lengths)
    two = encoder.rnn.bidirectional
    state = states.joined(graph) if two else states.stacked(graph)
    return_state(graph, decoder.rnn, state)  # it is the decoder's initial state
    seen: dict[str, Callable[[], str]] = {
        "context": lambda: graph.op("Unsqueeze", states.top(graph, 2 if two else 1), graph.ints(0)),
        "memory": lambda: output,
        "keys": lambda: _keys(graph, encoder, output),
        "inside": lambda: graph.inside(lengths, ids),
    }
    for name in variant.seen:
        graph.output(name, seen[name](), *_seen_type(name, encoder.hidden_dim))

    def case(source: Tensor, lengths: Tensor | None = None) -> Case:
        inputs = {"ids": source, "lengths": all_steps(source, lengths)}
        return Case(inputs, _named(encoder(source, lengths), variant))

    def sample(steps: int, batch: int) -> tuple[Tensor, Tensor]:
        return random_ids(steps, batch, encoder.source_embedding), random_lengths(steps, batch, least=0)

    return Part(ENCODER, graph.model(), encoder, "forward", case, sample)


def _keys(graph: Graph, encoder: Encoder, output: str) -> str:
    assert isinstance(encoder, AttentiveEncoder)
    return graph.linear("key", encoder.key, output)


def _seen_type(name: str, hidden: int) -> tuple[int, tuple[int | str, ...]]:
    """The element type and the shape of what a decoder sees."""
    if name == "inside":
        return BOOL, ("source_steps", "batch")
    return FLOAT, (1 if name == "context" else "source_steps", "batch", hidden)


def _named(state: State, variant: Variant) -> dict[str, Tensor]:
    """What an encoder returned, by name."""
    names = [*state_names(len(state) - len(variant.seen)), *variant.seen]
    return dict(zip(names, state, strict=True))


def decoder_step(
    decoder: Decoder,
    variant: Variant,
    sample: Callable[[int, int], Sequence[object]],
) -> Part:
    """The graph of one step of a decoder.

    Args:
        decoder: the decoder.
        variant: its row.
        sample: random arguments of its `forward`.
    """
    graph = Graph("decoder_step")
    token = graph.input("token", INT64, ("batch",))
    state = add_state(graph, decoder.rnn)
    seen = {name: graph.input(name, *_seen_type(name, decoder.rnn.hidden_size)) for name in variant.seen}
    word = graph.op("Unsqueeze", graph.lookup("embedding", decoder.embedding, token), graph.ints(0))
    parts, states, weights = variant.read(Step(graph, decoder, word, state, seen))
    features = graph.concat(parts)
    if isinstance(decoder, ContextDecoder) and decoder.combine is not None:
        features = graph.op("Tanh", graph.linear("combine", decoder.combine, features))
    logits = graph.op("Squeeze", vocabulary_logits(graph, decoder, features), graph.ints(0))
    graph.output("logits", logits, FLOAT, ("batch", size(decoder)))
    return_state(graph, decoder.rnn, states.stacked(graph), "next_")
    if weights:
        graph.output("alignment", weights, FLOAT, ("batch", "source_steps"))

    def case(target: Tensor, state: State) -> Case:
        logits, following = decoder(target, state)
        outputs = {"logits": logits[0]} | named_state(following[: decoder.rnn.state_tensors], "next_")
        if isinstance(decoder, AttentiveDecoder):
            outputs["alignment"] = decoder.alignment(target, state)[0]
        return Case({"token": target[0]} | _named(state, variant), outputs)

    return Part(DECODER_STEP, graph.model(), decoder, "forward", case, sample)
