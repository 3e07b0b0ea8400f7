"""`Tagger` and `SeriesTagger` as ONNX graphs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nlp_rnn.errors import UsageError
from nlp_rnn.export.onnx.graph import FLOAT, INT64, Graph
from nlp_rnn.export.onnx.part import MODEL, Case, Part, all_steps, random_ids, random_lengths
from nlp_rnn.export.onnx.recurrent import recurrent
from nlp_rnn.lite.text.strings import Strings
from nlp_rnn.models.layers.crf import ChainScores
from nlp_rnn.models.tagger import SeriesTagger, Tagger
from nlp_rnn.models.word_encoder import WordEncoder

_CRF = ("crf_start", "crf_transitions", "crf_end")
_READ = ("characters", "character_lengths", "spelling", "affixes")


def tagger(model: Tagger) -> list[Part]:
    """The graph of a model that reads words, and their characters if it does."""
    if model.string_encoder is not None:
        raise UsageError("a tagger with a language model cannot be exported to ONNX")
    graph = Graph("tagger")
    ids = graph.input("ids", INT64, ("steps", "batch"))
    lengths = graph.input("lengths", INT64, ("batch",))
    features = graph.lookup("embedding", model.embedding, ids)
    encoder = model.word_encoder
    if model.affix_embedding is not None:
        affixes = graph.input("affixes", INT64, ("steps", model.num_affixes, "batch"))
        vectors = graph.lookup("affix_embedding", model.affix_embedding, affixes)  # [T, A, B, E]
        features = graph.op("Add", features, graph.op("ReduceSum", vectors, graph.ints(1), keepdims=0))
    if encoder is not None:
        features = graph.concat([features, _add_word_encoder(graph, encoder)])
    _add_layers(graph, model, features, lengths, sum(model.sizes))
    chain = _chain(model)
    if chain is not None:
        for name, scores in zip(_CRF, chain, strict=True):
            graph.output(name, graph.weight(f"{name}.scores", scores), FLOAT, tuple(scores.shape))

    def case(
        words: Tensor,
        lengths: Tensor | None = None,
        characters: Tensor | None = None,
        character_lengths: Tensor | None = None,
        spelling: Tensor | None = None,
        affixes: Tensor | None = None,
        strings: Strings | None = None,
    ) -> Case:
        assert strings is None  # there is no string encoder
        read = (characters, character_lengths, spelling, affixes)
        inputs = {"ids": words, "lengths": all_steps(words, lengths)}
        inputs |= {name: value for name, value in zip(_READ, read, strict=True) if value is not None}
        outputs = {"logits": model(words, lengths, *read)}
        return Case(inputs, outputs | (dict(zip(_CRF, chain, strict=True)) if chain is not None else {}))

    def sample(steps: int, batch: int) -> tuple[Tensor | None, ...]:
        words = random_ids(steps, batch, model.embedding), random_lengths(steps, batch, least=0)
        spelled: tuple[Tensor | None, ...] = (None, None, None)
        if encoder is not None:
            count = 1 + steps * batch // 2
            characters = random_ids(steps + 3, count, encoder.embedding)
            spelled = characters, random_lengths(steps + 3, count), torch.randint(count, (steps, batch))
        affixes = None
        if model.affix_embedding is not None:
            shape = (steps, model.num_affixes, batch)
            affixes = torch.randint(model.affix_embedding.num_embeddings, shape)
        return *words, *spelled, affixes

    return [Part(MODEL, graph.model(), model, "forward", case, sample)]


def _add_word_encoder(graph: Graph, encoder: WordEncoder) -> str:
    """Add the inputs of the characters; return each word's vector [T, B, 2 * H]."""
    characters = graph.input("characters", INT64, ("characters_per_word", "different_words"))
    lengths = graph.input("character_lengths", INT64, ("different_words",))
    spelling = graph.input("spelling", INT64, ("steps", "batch"))
    embedded = graph.lookup("word_encoder.embedding", encoder.embedding, characters)
    _, states = recurrent(graph, "word_encoder.rnn", encoder.rnn, embedded, lengths)
    return graph.op("Gather", states.top(graph, 2), spelling)


def _chain(model: Tagger) -> ChainScores | None:
    """The scores of the model's CRF, if it has one; what is not allowed has a low one."""
    if not hasattr(model, "crf"):
        return None
    return ChainScores(*(scores.detach() for scores in model.crf.scores(model.fc_out.bias)))


def series_tagger(model: SeriesTagger) -> list[Part]:
    """The graph of a model that reads vectors and scores each step."""
    graph = Graph("series_tagger")
    vectors = graph.input("vectors", FLOAT, ("steps", "batch", model.rnn.input_size))
    lengths = graph.input("lengths", INT64, ("batch",))
    _add_layers(graph, model, vectors, lengths, model.fc_out.out_features)

    def case(vectors: Tensor, lengths: Tensor | None = None) -> Case:
        inputs = {"vectors": vectors, "lengths": all_steps(vectors, lengths)}
        return Case(inputs, {"logits": model(vectors, lengths)})

    def sample(steps: int, batch: int) -> tuple[Tensor, Tensor]:
        return torch.randn(steps, batch, model.rnn.input_size), random_lengths(steps, batch, least=0)

    return [Part(MODEL, graph.model(), model, "forward", case, sample)]


def _add_layers(graph: Graph, model: Tagger | SeriesTagger, features: str, lengths: str, tags: int) -> None:
    """Add the recurrent layers, the output layers, and their logits as output."""
    output, _ = recurrent(graph, "rnn", model.rnn, features, lengths)
    logits = [graph.linear("fc_out", model.fc_out, output)]
    for number, layer in enumerate(model.fc_more):
        assert isinstance(layer, nn.Linear)
        logits.append(graph.linear(f"fc_more.{number}", layer, output))
    graph.output("logits", graph.concat(logits), FLOAT, ("steps", "batch", tags))
