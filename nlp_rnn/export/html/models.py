"""What a page needs to know of each model: a row per task, with the class in JavaScript that runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.export.html.unicode_tables import letter_classes
from nlp_rnn.export.html.vocabularies import describe_characters, describe_vocabulary
from nlp_rnn.lite.text.spans import legal_sequences
from nlp_rnn.models.attention import AttentiveEncoder, BahdanauDecoder, LuongDecoder
from nlp_rnn.models.context import ContextDecoder, ContextEncoder
from nlp_rnn.models.layers.base import RecurrentLayer
from nlp_rnn.models.layers.cells import CELLS, cell_name
from nlp_rnn.models.layers.quantization import is_quantized
from nlp_rnn.models.seq2seq import Decoder, Encoder
from nlp_rnn.tasks.base import Task
from nlp_rnn.tasks.generation import BeamSettings
from nlp_rnn.tasks.language_modeling import LanguageModeling
from nlp_rnn.tasks.multi_label import MultiLabel
from nlp_rnn.tasks.registry import ROWS
from nlp_rnn.tasks.sentiment import Sentiment
from nlp_rnn.tasks.tagging import Tagging
from nlp_rnn.tasks.tagging.columns import TagColumn
from nlp_rnn.tasks.text_pairs import TextPairs
from nlp_rnn.tasks.translation import Translation

_CELLS = {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM", "mingru": "minGRU", "minlstm": "minLSTM"}
_VARIANTS = {
    (Encoder, Decoder): "plain",
    (ContextEncoder, ContextDecoder): "context",
    (AttentiveEncoder, LuongDecoder): "luong",
    (AttentiveEncoder, BahdanauDecoder): "bahdanau",
}


def describe(task: Task) -> dict[str, Any]:
    """All that a page knows of a model but its weights, as values of JSON.

    Raises:
        UsageError: no page can run the model; says why.
    """
    describe_kind = _KINDS.get(type(task))
    if describe_kind is None:
        known = join_names(known.name for known in _KINDS)
        raise UsageError(f"a page cannot run the model {type(task).__name__}: export one of {known}")
    if is_quantized(task.model):
        raise UsageError(
            "the weights are int8 already: export the model that was quantized, whose page has 8-bit weights"
        )
    vocabularies = task.processor.vocabularies()
    description = describe_kind(task)
    cell = description["settings"]["cell"] = _cell(task)
    return {
        **description,
        "title": task.name.replace("_", " ").capitalize(),
        "summary": ROWS[task.name].summary,
        "example": task.example,
        "facts": _facts(task, cell),
        "vocabularies": {name: describe_vocabulary(one) for name, one in vocabularies.items()},
        "characters": describe_characters(vocabularies.values()),
    }


def _recurrent_layers(task: Task) -> list[RecurrentLayer]:
    return [module for module in task.model.modules() if isinstance(module, RecurrentLayer)]


def _cell(task: Task) -> str:
    """The cell of all recurrent layers of a model, which is one."""
    (name,) = {cell_name(layer) for layer in _recurrent_layers(task)}
    if name not in _CELLS or type(_recurrent_layers(task)[0]) is not CELLS[name].layer:
        raise UsageError(f"the cell {name} is not written in JavaScript: use one of {', '.join(_CELLS)}")
    return name


def _facts(task: Task, cell: str) -> dict[str, str]:
    """What a reader may want to know of a model."""
    layers = _recurrent_layers(task)
    weights = sum(weight.numel() for weight in task.model.parameters())
    sizes = (f"{len(one):,} {name}" for name, one in task.processor.vocabularies().items())
    return {
        "Cell": _CELLS[cell],
        "Hidden units": " + ".join([f"{layers[-1].hidden_size:,}"] * (1 + layers[-1].bidirectional)),
        "Layers": f"{layers[-1].num_layers}" + (", in both directions" * layers[-1].bidirectional),
        "Vocabulary": ", ".join(sizes),
        "Weights": f"{weights:,} weights of 8 bits",
    }


def _text_settings(task: Sentiment | MultiLabel | TextPairs) -> dict[str, Any]:
    return {"max_length": task.processor.max_length, "pooling": task.model.pooling}


def _single_label(task: Sentiment | TextPairs) -> dict[str, Any]:
    settings = {"temperature": task.temperature, "unsure_below": task.unsure_below}
    return {"labels": task.labels, "settings": _text_settings(task) | settings}


def _sentiment(task: Sentiment) -> dict[str, Any]:
    return {"kind": "classifier", **_single_label(task)}


def _text_pairs(task: TextPairs) -> dict[str, Any]:
    return {"kind": "pair_classifier", **_single_label(task)}


def _multi_label(task: MultiLabel) -> dict[str, Any]:
    thresholds = list(task.thresholds) if task.thresholds is not None else [0.5] * len(task.labels)
    settings = _text_settings(task) | {"thresholds": thresholds}
    return {"kind": "multi_label", "labels": task.labels, "settings": settings}


def _tagging(task: Tagging) -> dict[str, Any]:
    processor = task.processor
    if processor.strings_read:
        raise UsageError("a page cannot run a tagger with a language model")
    settings = {
        "max_length": processor.max_length,
        "max_word_length": processor.max_word_length,
        "crf": task.crf,
        "affixes": processor.affixes or [],
        "affix_buckets": processor.affix_buckets or 0,
    }
    columns = [
        {"key": key, **_tag_column(column)}
        for key, column in zip(task.keys, processor.tag_columns, strict=True)
    ]
    splitter = None
    if processor.splitter is not None:
        learned = processor.splitter
        splitter = {
            "weights": learned.weights,
            "chunks": list(learned.chunks),
            "contractions": list(learned.contractions),
            "dense": learned.dense,
            "classes": letter_classes(),
        }
    return {
        "kind": "tagger",
        "labels": columns[0]["labels"],
        "columns": columns,
        "splitter": splitter,
        "settings": settings,
    }


def _tag_column(column: TagColumn) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": column.name,
        "labels": column.labels,
        "scheme": column.scheme,
        "lemmas": column.is_text,
        "legal": None,
    }
    if column.scheme:
        legal = legal_sequences(column.labels, column.scheme)
        described["legal"] = {
            "start": _flags(legal.start),
            "transitions": [_flags(row) for row in legal.transitions],
            "end": _flags(legal.end),
        }
    return described


def _flags(values: list[bool]) -> str:
    return "".join("01"[value] for value in values)


def _decoding(decoding: BeamSettings) -> dict[str, Any]:
    names = ("beam", "length_penalty", "n_best", "max_output")
    return {name: getattr(decoding, name) for name in names}


def _language_modeling(task: LanguageModeling) -> dict[str, Any]:
    settings = {"max_length": task.processor.max_length, "decoding": _decoding(task.decoding)}
    return {"kind": "language_model", "labels": [], "settings": settings}


def _translation(task: Translation) -> dict[str, Any]:
    if task.copy_unknown:
        raise UsageError(
            "a page cannot copy unknown words: save task.with_decoding(copy_unknown=False) with "
            "save_pretrained, and export that"
        )
    variant = _VARIANTS.get((type(task.model.encoder), type(task.model.decoder)))
    if variant is None:
        raise UsageError(f"a page cannot run the decoder {type(task.model.decoder).__name__}")
    settings = {
        "max_length": task.processor.max_length,
        "reverse_source": task.processor.reverse_source,
        "reverse_target": task.processor.reverse_target,
        "never_written": task.processor.never_written(),
        "decoder": variant,
        "decoding": _decoding(task.decoding),
    }
    return {"kind": "translator", "labels": [], "settings": settings}


_KINDS: Mapping[type[Task], Callable[[Any], dict[str, Any]]] = {
    Sentiment: _sentiment,
    MultiLabel: _multi_label,
    TextPairs: _text_pairs,
    Tagging: _tagging,
    LanguageModeling: _language_modeling,
    Translation: _translation,
}
"""What describes a model, by the class of its task. A subclass may answer otherwise, so it has none."""
