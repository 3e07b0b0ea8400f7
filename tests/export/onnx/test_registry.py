"""Every class of models as ONNX graphs, against torch: over cells, directions, depths and variants."""

from itertools import product

import pytest
import torch
from combinations import latin

from nlp_rnn.errors import RunError, UsageError
from nlp_rnn.export.onnx.checking import check, make_cases
from nlp_rnn.export.onnx.registry import MODELS, build
from nlp_rnn.models import (
    CELLS,
    Captioner,
    Classifier,
    LanguageModel,
    PairClassifier,
    Regressor,
    SeriesTagger,
    Tagger,
    make_seq2seq,
)
from nlp_rnn.models.layers.crf import LinearChainCRF
from nlp_rnn.models.layers.quantization import quantize
from nlp_rnn.models.pooling import POOLINGS

BOTH = (False, True)


def crf(tags):
    """A CRF with trained scores, in which a tag never follows itself."""
    every = torch.ones(tags, dtype=torch.bool)
    chain = LinearChainCRF(every, ~torch.eye(tags, dtype=torch.bool), every)
    for parameter in chain.parameters():
        torch.nn.init.normal_(parameter)
    return chain


def tagger(characters, more_tags, with_crf, affixes=0):
    def make(cell, layers, bidirectional):
        sizes = {"character_vocab_size": 9 * characters, "character_embedding_dim": 3}
        chain = crf(5) if with_crf else None
        options = {**sizes, "character_hidden_dim": 4, "more_tags": more_tags, "crf": chain}
        options |= {"num_affixes": affixes, "affix_buckets": 5}
        model = Tagger(11, 5, 6, 7, layers, 0.5, cell, bidirectional, **options)
        if affixes:
            torch.nn.init.normal_(model.affix_embedding.weight)
        return model

    return make


def seq2seq(**variant):
    def make(cell, layers, bidirectional):
        size = 8 if "tie_embeddings" in variant else 6
        return make_seq2seq(11, 11, size, 8, layers, 0.5, cell, bidirectional=bidirectional, **variant)

    return make


def language_model(tied, **options):
    return lambda cell, layers, _: LanguageModel(11, 7, 7, layers, 0.5, cell, tie_weights=tied, **options)


def classifier(model, pooling):
    return lambda cell, layers, both: model(11, 3, 6, 7, layers, 0.5, cell, both, pooling)


# Name -> whether it can be bidirectional, and what makes it: (cell, number of layers, bidirectional).
TABLE = {
    **{f"classifier {name}": (True, classifier(Classifier, name)) for name in POOLINGS},
    **{f"pairs {name}": (True, classifier(PairClassifier, name)) for name in POOLINGS},
    "tagger": (True, tagger(False, (), False)),
    "tagger characters": (True, tagger(True, (), False)),
    "tagger crf": (True, tagger(False, (), True)),
    "tagger affixes": (True, tagger(False, (), False, 2)),
    "tagger all": (True, tagger(True, (4, 2), True, 3)),
    "series tagger": (True, lambda cell, layers, both: SeriesTagger(4, 3, 7, layers, 0.5, cell, both)),
    "regressor": (False, lambda cell, layers, _: Regressor(4, 3, 7, layers, 0.5, cell)),
    "language model": (False, language_model(False)),
    "language model tied": (False, language_model(True)),
    "language model of two directions": (False, language_model(False, bidirectional=True)),
    "captioner": (False, lambda cell, layers, _: Captioner(4, 11, 6, 7, layers, 0.5, cell)),
    "translator": (True, seq2seq()),
    "translator tied": (True, seq2seq(tie_embeddings="decoder")),
    "translator all tied": (True, seq2seq(tie_embeddings="all", attention="luong")),
    "translator context": (True, seq2seq(context=True)),
    "translator direct": (True, seq2seq(context=True, readout="direct")),
    "translator luong": (True, seq2seq(attention="luong")),
    "translator bahdanau": (True, seq2seq(attention="bahdanau")),
}

NAMES = {both: [name for name, (can, _) in TABLE.items() if can == both] for both in BOTH}
ROWS = [
    *latin(NAMES[True], CELLS, product((1, 2), BOTH)),
    *latin(NAMES[False], CELLS, [(1, False), (2, False)]),
]


def make(name, cell="lstm", layers=1, bidirectional=False):
    model = TABLE[name][1](cell, layers, bidirectional).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    return model


@pytest.mark.parametrize(("name", "cell", "layers_and_directions"), ROWS)
def test_agrees_with_torch(name, cell, layers_and_directions):
    for part in build(make(name, cell, *layers_and_directions)):
        difference = check(part, make_cases(part))
        assert difference.cases == 20
        assert difference.equal in (None, 1.0)


def test_the_table_has_every_class():
    assert {type(make(name)) for name in TABLE} == set(MODELS)


@pytest.mark.parametrize("name", TABLE)
def test_a_difference_is_found(name):
    parts = build(make(name))
    for part in parts:
        cases = make_cases(part)
        weight = next(
            weight for weight in part.graph.graph.initializer if weight.name.endswith((".W", ".weight.T"))
        )
        weight.raw_data = bytes(len(weight.raw_data))  # zeros
        with pytest.raises(RunError, match=rf"{part.file} would differ from torch by .* written"):
            check(part, cases)


@pytest.mark.parametrize("name", TABLE)
def test_infinite_weights_are_no_agreement(name):
    model = make(name)
    parts = build(model)
    for part in parts:
        for weight in part.graph.graph.initializer:
            if weight.name.endswith(("fc_out.bias", "key.weight.T", "projection.bias", "bias", ".B")):
                weight.raw_data = torch.full((len(weight.raw_data) // 4,), torch.nan).numpy().tobytes()
        with pytest.raises(RunError):
            check(part, make_cases(part))


@pytest.mark.parametrize("name", ["series tagger", "regressor"])
def test_numbers_behind_an_end_affect_nothing(name):
    (part,) = build(make(name, "mingru"))
    cases = make_cases(part)
    for case in cases:
        vectors, lengths = case.inputs["vectors"], case.inputs["lengths"]
        vectors[torch.arange(len(vectors))[:, None] >= lengths] = torch.nan
    check(part, cases)


class OwnClassifier(Classifier):
    """It may compute anything."""


def quantized():
    return quantize(make("classifier last"))


def own_decoder():
    class OwnDecoder(type(make("translator").decoder)):
        pass

    model = make("translator")
    model.decoder.__class__ = OwnDecoder
    return model


def own_captioner():
    model = own_decoder()
    captioner = make("captioner")
    captioner.decoder.__class__ = type(model.decoder)
    return captioner


def own_squash():
    model = make("captioner")
    model.squash = torch.sigmoid
    return model


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: OwnClassifier(11, 3, 6, 7, 1, 0.5), "the model OwnClassifier has no ONNX graph; those of"),
        (quantized, "the weights are int8: export the model that was quantized"),
        (own_decoder, "Encoder and OwnDecoder have no ONNX graph"),
        (own_captioner, "the class OwnDecoder has no ONNX graph"),
        (own_squash, "the function sigmoid, which makes the initial state, has no ONNX graph"),
    ],
)
def test_what_has_no_graph_is_refused_by_name(model, message):
    with pytest.raises(UsageError, match=message):
        build(model())


@torch.no_grad()
def test_a_language_model_starts_with_zeros():
    (part,) = build(make("language model", layers=2))
    assert check(part, [part.case(torch.randint(11, (5, 3)))]).cases == 1


@pytest.mark.parametrize("name", ["language model tied", "translator tied"])
def test_tied_weights_are_stored_once(name):
    graph = build(make(name))[-1].graph.graph
    matrices = [weight for weight in graph.initializer if len(weight.dims) == 2]
    assert sum(11 in weight.dims for weight in matrices) == 1
