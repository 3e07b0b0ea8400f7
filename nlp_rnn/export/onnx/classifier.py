"""`Classifier` and `PairClassifier` as ONNX graphs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from nlp_rnn.export.onnx.graph import FLOAT, INT64, Graph
from nlp_rnn.export.onnx.part import MODEL, Case, Part, all_steps, random_ids, random_lengths
from nlp_rnn.export.onnx.recurrent import States, recurrent
from nlp_rnn.models.classifier import Classifier
from nlp_rnn.models.pair_classifier import PairClassifier


def classifier(model: Classifier) -> list[Part]:
    """The graph of a model that reads one text."""
    graph = Graph("classifier")
    summary = _summarize(graph, model, *_add_text(graph, ""))
    logits = graph.linear("fc_out", model.fc_out, summary)
    graph.output("logits", logits, FLOAT, ("batch", model.fc_out.out_features))

    def case(tokens: Tensor, lengths: Tensor | None = None) -> Case:
        inputs = {"ids": tokens, "lengths": all_steps(tokens, lengths)}
        return Case(inputs, {"logits": model(tokens, lengths)})

    def sample(steps: int, batch: int) -> tuple[Tensor, Tensor]:
        return random_ids(steps, batch, model.embedding), random_lengths(steps, batch, least=0)

    return [Part(MODEL, graph.model(), model, "forward", case, sample)]


def pair_classifier(model: PairClassifier) -> list[Part]:
    """The graph of a model that reads two texts."""
    graph = Graph("pair_classifier")
    texts = [_add_text(graph, prefix) for prefix in ("first_", "second_")]
    # Both in one batch: quantization does not take a weight that two recurrent operators read.
    steps = [graph.op("Slice", graph.op("Shape", ids), graph.ints(0), graph.ints(1)) for ids, _ in texts]
    longest = graph.op("Max", *steps)
    none = graph.ints(0)
    padded = [
        graph.op("Pad", ids, graph.concat([none, none, graph.op("Sub", longest, own), none], 0))
        for (ids, _), own in zip(texts, steps, strict=True)
    ]
    both = graph.concat(padded, 1), graph.concat([lengths for _, lengths in texts], 0)
    u, v = graph.ops("Split", 2, _summarize(graph, model, *both), axis=0)
    difference = graph.op("Abs", graph.op("Sub", u, v))
    compared = graph.concat([u, v, difference, graph.op("Mul", u, v)])
    logits = graph.linear("fc_out", model.fc_out, compared)
    graph.output("logits", logits, FLOAT, ("batch", model.fc_out.out_features))
    names = ("first_ids", "second_ids", "first_lengths", "second_lengths")

    def case(first: Tensor, second: Tensor, first_lengths: Tensor, second_lengths: Tensor) -> Case:
        arguments = (first, second, first_lengths, second_lengths)
        return Case(dict(zip(names, arguments, strict=True)), {"logits": model(*arguments)})

    def sample(steps: int, batch: int) -> tuple[Tensor, ...]:
        sizes = (steps, steps + 2)
        texts = (random_ids(size, batch, model.embedding) for size in sizes)
        lengths = (random_lengths(size, batch, least=0) for size in sizes)
        return *texts, *lengths

    return [Part(MODEL, graph.model(), model, "forward", case, sample)]


def _add_text(graph: Graph, prefix: str) -> tuple[str, str]:
    """Add the inputs of a text, its ids [T, B] and lengths [B]."""
    ids = graph.input(f"{prefix}ids", INT64, (f"{prefix}steps", "batch"))
    return ids, graph.input(f"{prefix}lengths", INT64, ("batch",))


def _summarize(graph: Graph, model: Classifier, ids: str, lengths: str) -> str:
    """The summary of texts [B, S], see `Classifier.summarize`."""
    words = graph.lookup("embedding", model.embedding, ids)
    output, states = recurrent(graph, "rnn", model.rnn, words, lengths)
    return _POOLINGS[model.pooling](graph, model, output, states, lengths)


def _last(graph: Graph, model: Classifier, output: str, states: States, lengths: str) -> str:
    return states.top(graph, 2 if model.rnn.bidirectional else 1)


def _mean(graph: Graph, model: Classifier, output: str, states: States, lengths: str) -> str:
    total = graph.op("ReduceSum", output, graph.ints(0), keepdims=0)  # zero behind each end
    count = graph.op("Cast", graph.op("Max", lengths, graph.scalar(1)), to=FLOAT)
    return graph.op("Div", total, graph.op("Unsqueeze", count, graph.ints(1)))


def _max(graph: Graph, model: Classifier, output: str, states: States, lengths: str) -> str:
    inside = graph.op("Unsqueeze", graph.inside(lengths, output), graph.ints(2))
    highest = graph.op("Where", inside, output, graph.scalar(float("-inf")))
    highest = graph.op("ReduceMax", highest, axes=[0], keepdims=0)
    is_text = graph.op("Unsqueeze", graph.op("Greater", lengths, graph.scalar(0)), graph.ints(1))
    return graph.op("Where", is_text, highest, graph.scalar(0.0))


def _concat(graph: Graph, model: Classifier, output: str, states: States, lengths: str) -> str:
    return graph.concat([pool(graph, model, output, states, lengths) for pool in (_last, _max, _mean)])


def _attention(graph: Graph, model: Classifier, output: str, states: States, lengths: str) -> str:
    assert model.query is not None
    scores = graph.op("MatMul", output, graph.weight("query", model.query[:, None]))  # [T, B, 1]
    inside = graph.op("Unsqueeze", graph.inside(lengths, output), graph.ints(2))
    scores = graph.op("Where", inside, scores, graph.scalar(torch.finfo(torch.float32).min))
    weighted = graph.op("Mul", graph.op("Softmax", scores, axis=0), output)
    return graph.op("ReduceSum", weighted, graph.ints(0), keepdims=0)


_POOLINGS: dict[str, Callable[[Graph, Classifier, str, States, str], str]] = {
    "last": _last,
    "mean": _mean,
    "max": _max,
    "concat": _concat,
    "attention": _attention,
}
