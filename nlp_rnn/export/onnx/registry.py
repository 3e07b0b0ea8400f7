"""The table of models that have ONNX graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.export.onnx.captioner import captioner
from nlp_rnn.export.onnx.classifier import classifier, pair_classifier
from nlp_rnn.export.onnx.language_model import language_model
from nlp_rnn.export.onnx.part import Part
from nlp_rnn.export.onnx.regressor import regressor
from nlp_rnn.export.onnx.seq2seq import seq2seq
from nlp_rnn.export.onnx.tagger import series_tagger, tagger
from nlp_rnn.models.captioner import Captioner
from nlp_rnn.models.classifier import Classifier
from nlp_rnn.models.language_model import LanguageModel
from nlp_rnn.models.layers.quantization import is_quantized
from nlp_rnn.models.pair_classifier import PairClassifier
from nlp_rnn.models.regressor import Regressor
from nlp_rnn.models.seq2seq import Seq2Seq
from nlp_rnn.models.tagger import SeriesTagger, Tagger

MODELS: dict[type[nn.Module], Callable[[Any], list[Part]]] = {
    Captioner: captioner,
    Classifier: classifier,
    LanguageModel: language_model,
    PairClassifier: pair_classifier,
    Regressor: regressor,
    Seq2Seq: seq2seq,
    SeriesTagger: series_tagger,
    Tagger: tagger,
}
"""What writes the graphs of a model, by its class. A subclass may compute something else, so it has none."""


def build(model: nn.Module) -> list[Part]:
    """The ONNX files of a model.

    Args:
        model: in evaluation mode, on the CPU, in float32.

    Raises:
        UsageError: the model's class or one of its layers has no graph, or its weights are int8.
    """
    if is_quantized(model):
        raise UsageError("the weights are int8: export the model that was quantized, with --int8 if you wish")
    writer = MODELS.get(type(model))
    if writer is None:
        known = join_names(known.__name__ for known in MODELS)
        raise UsageError(f"the model {type(model).__name__} has no ONNX graph; those of {known} have one")
    return writer(model)
