"""What a C file needs of each kind of model: sizes, data, and the parts of the runtime."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from nlp_rnn.data.vocabulary import Vocabulary
from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.export.c.source import array, define, doubles, finite, floats, layers, linear, string, table
from nlp_rnn.export.c.unicode_tables import classes, lower_case
from nlp_rnn.lite.text.tokenizer_format import BOS, EOS, LINE_BREAK, UNK
from nlp_rnn.lite.text.vocabulary import MAX_WORD
from nlp_rnn.models.classifier import Classifier
from nlp_rnn.models.language_model import LanguageModel
from nlp_rnn.models.layers.cells import CELLS, cell_name
from nlp_rnn.models.pooling import POOLINGS
from nlp_rnn.models.regressor import Regressor
from nlp_rnn.models.seq2seq import Decoder, Encoder, Seq2Seq
from nlp_rnn.models.tagger import SeriesTagger, Tagger
from nlp_rnn.tasks.base import Task
from nlp_rnn.tasks.registry import TASKS

_LONGEST_SERIES = 4096  # steps that a series has at most, where it is read in both directions
_GATES = {"rnn": 1, "gru": 3, "lstm": 4, "mingru": 2, "minlstm": 3}


@dataclass
class Parts:
    """What is written of a model, beside the parts that all have.

    Args:
        runtime: the names of the `.c` files of the runtime, in their order.
        sizes: macros by name.
        data: definitions of arrays and matrices.
    """

    runtime: list[str]
    sizes: dict[str, Any] = field(default_factory=dict)
    data: list[str] = field(default_factory=list)


def make_parts(task: Task) -> Parts:
    """What is written of a model.

    Raises:
        UsageError: a part of it has no C code.
    """
    if TASKS.get(task.name) is not type(task):  # it may answer otherwise
        raise UsageError(f"a task of the class {type(task).__name__}, of your own, cannot be exported to C")
    model_class = type(task.model)
    if model_class not in _FAMILIES:
        raise UsageError(
            f"a {model_class.__name__} cannot be exported to C: use one of "
            f"{join_names(sorted(known.__name__ for known in _FAMILIES))}"
        )
    return _FAMILIES[model_class](task)


def _stack(rnn: Any, name: str = "nlp_layers", other_hidden: int = 0) -> tuple[dict[str, Any], str]:
    """The sizes and the data of the recurrent layers.

    Args:
        rnn: the layers.
        name: of their array.
        other_hidden: the hidden size of other layers of the same cell.
    """
    cell = cell_name(rnn)
    if cell not in _GATES:
        raise UsageError(f"the cell {cell} cannot be exported to C: use one of {join_names(_GATES)}")
    directions = 2 if rnn.bidirectional else 1
    inputs = int(rnn.input_size)
    sizes = {
        **{f"NLP_{known.upper()}": number for number, known in enumerate(_GATES)},
        "NLP_CELL": f"NLP_{cell.upper()}",
        "NLP_GATES": _GATES[cell],
        "NLP_LAYERS": rnn.num_layers,
        "NLP_DIRECTIONS": directions,
        "NLP_INPUT": inputs,
        "NLP_HIDDEN": rnn.hidden_size,
        "NLP_MAX_HIDDEN": max(rnn.hidden_size, other_hidden),
        "NLP_WIDTH": max(inputs, directions * rnn.hidden_size),
    }
    return sizes, layers(name, rnn)


def _vocabulary(vocabulary: Vocabulary, words_given: bool = False, texts: bool = False) -> Parts:
    """The tables that turn texts into ids.

    Args:
        vocabulary: of words or characters. With one of subwords the file takes ids alone.
        words_given: whether texts are words with white space between them.
        texts: whether ids are turned into text, too.
    """
    tokens, level = vocabulary.tokens(), vocabulary.level
    if level == "bpe":
        raise UsageError(
            "a model with subwords cannot be exported to C: train with data.vocabulary.level word"
        )
    sizes = {
        "NLP_EMBEDS": 1,
        "NLP_UNKNOWN": UNK,
        "NLP_WORDS": int(level == "word" and not words_given),
        "NLP_LOWERCASE": int(vocabulary.lowercase),
        "NLP_LINE_BREAKS": int(_has_breaks(vocabulary) and not words_given),
        "NLP_TOKENS": len(tokens) - EOS - 1,
        "NLP_MAX_TOKEN": max(4, *(len(token.encode()) for token in tokens)),
    }
    data = [table("nlp_table", tokens, EOS + 1)]
    if texts:
        data.append(_written(vocabulary))
    data += classes(level == "word" and not words_given)
    if vocabulary.lowercase:
        data.append(lower_case())
    runtime = ["text.c"] + ([] if words_given else ["words.c" if level == "word" else "characters.c"])
    return Parts(runtime, sizes, data)


def _has_breaks(vocabulary: Vocabulary) -> bool:
    """Whether line breaks of HTML are read as spaces."""
    steps = json.loads(vocabulary.to_json())["normalizer"]["normalizers"]
    return {"Regex": LINE_BREAK} in [step.get("pattern") for step in steps]


def _written(vocabulary: Vocabulary) -> str:
    return array("char *const", "nlp_tokens", map(string, vocabulary.tokens()), public=True)


def _labels(names: list[str]) -> str:
    return array("char *const", "nlp_labels", map(string, names), public=True)


def _classifier(task: Any) -> Parts:
    model = task.model
    parts = _vocabulary(task.processor.tokens)
    sizes, stack = _stack(model.rnn)
    several = hasattr(task, "thresholds")
    names = task.processor.labels
    parts.sizes |= sizes | {
        **{f"NLP_{pooling.upper()}": number for number, pooling in enumerate(POOLINGS)},
        "NLP_POOLING": f"NLP_{model.pooling.upper()}",
        "NLP_SUMMARY": model.fc_out.in_features,
        "NLP_LABELS": len(names),
        "NLP_MAX_LENGTH": task.processor.max_length,
        "NLP_SEVERAL": int(several),
        "NLP_TEMPERATURE": floats([getattr(task, "temperature", 1.0)])[0],
        "NLP_UNSURE_BELOW": floats([getattr(task, "unsure_below", 0.0)])[0],
    }
    parts.data += [
        linear("nlp_embedding", model.embedding),
        stack,
        linear("nlp_output", model.fc_out),
        _labels(names),
    ]
    if model.query is not None:
        parts.data.append(array("float", "nlp_query", floats(model.query)))
    if several:
        parts.sizes["NLP_SEPARATOR"] = string("|")
        parts.data.append(
            array("float", "nlp_thresholds", floats(task.thresholds or [0.5] * len(names)), public=True)
        )
    parts.runtime.append("classifier.c")
    return parts


def _tagger(task: Any) -> Parts:
    model, processor = task.model, task.processor
    if len(processor.tag_columns) > 1 or processor.tag_columns[0].is_text:
        raise UsageError("a tagger of several columns, or of lemmas, cannot be exported to C")
    if model.string_encoder is not None:
        raise UsageError("a tagger with a language model cannot be exported to C")
    parts = _vocabulary(processor.words, words_given=True)
    spelling = model.word_encoder
    sizes, stack = _stack(model.rnn, other_hidden=spelling.rnn.hidden_size if spelling is not None else 0)
    chain = model.crf if task.crf else dict(task.chains.items()).get("0")
    if chain is not None and not model.rnn.bidirectional:
        raise UsageError(
            "the tags of a word depend on later words: train with --model.bidirectional true for C, or with "
            "--model.crf false and --data.scheme none"
        )
    steps = "NLP_MAX_LENGTH" if model.rnn.bidirectional else 1
    parts.sizes |= sizes | {
        "NLP_LABELS": len(processor.labels),
        "NLP_MAX_LENGTH": processor.max_length,
        "NLP_STEPS": steps,
        "NLP_CHAIN": int(chain is not None),
        "NLP_CHARACTERS": 0,
        "NLP_AFFIXES": model.num_affixes,
    }
    parts.data += [
        linear("nlp_embedding", model.embedding),
        stack,
        linear("nlp_output", model.fc_out),
        _labels(processor.labels),
    ]
    if spelling is not None:
        characters = processor.characters.tokens()
        if processor.characters.lowercase:
            raise UsageError("a tagger whose characters are in lower case cannot be exported to C")
        parts.sizes |= {
            "NLP_CHARACTERS": len(characters) - EOS - 1,
            "NLP_CHARACTER_BREAKS": int(_has_breaks(processor.characters)),
            "NLP_MAX_CHARACTERS": processor.max_word_length,
            "NLP_CHARACTER_INPUT": spelling.rnn.input_size,
            "NLP_CHARACTER_HIDDEN": spelling.rnn.hidden_size,
        }
        parts.data += [
            table("nlp_character_table", characters, EOS + 1),
            linear("nlp_character_embedding", spelling.embedding),
            layers("nlp_character_layers", spelling.rnn),
        ]
    if model.num_affixes:
        parts.sizes |= {
            "NLP_AFFIX_BUCKETS": processor.affix_buckets,
            "NLP_MAX_AFFIX": max(map(abs, processor.affixes)),
            "NLP_MAX_WORD": MAX_WORD,
            "NLP_WORD_INPUT": task.settings["embedding_dim"],
        }
        parts.data += [
            array("int", "nlp_affix_sizes", map(str, processor.affixes)),
            linear("nlp_affix_embedding", model.affix_embedding),
        ]
    if chain is not None:
        scores = chain.scores(torch.zeros(1, 1, len(processor.labels)))
        for name, values in zip(("start", "transitions", "end"), scores, strict=True):
            parts.data.append(array("float", f"nlp_chain_{name}", finite(values)))
    parts.runtime.append("tagger.c")
    return parts


def _language_model(task: Any) -> Parts:
    model, vocabulary = task.model, task.processor.tokens
    parts = _vocabulary(vocabulary, texts=True)
    sizes, stack = _stack(model.rnn)
    parts.sizes |= sizes | {
        "NLP_TOKENS_ALL": len(vocabulary),
        "NLP_BOS": BOS,
        "NLP_EOS": EOS,
        "NLP_MAX_LENGTH": task.processor.max_length,
        "NLP_MAX_OUTPUT": task.decoding.max_output,
        "NLP_SPACE": string(" " if vocabulary.level == "word" else ""),
    }
    parts.data += [linear("nlp_embedding", model.embedding), stack, _output(model)]
    parts.runtime.append("language_model.c")
    return parts


def _output(model: Any) -> str:
    """The output layer. A weight that it shares with the embedding is written once more, column by column."""
    if model.fc_out is not None:
        return linear("nlp_output", model.fc_out)
    embedding = model.embedding
    return define("nlp_output", embedding if hasattr(embedding, "int8") else embedding.weight, model.bias)


def _series(task: Any, names: list[str], forecasts: bool) -> Parts:
    processor = task.processor
    sizes, stack = _stack(task.model.rnn)
    steps = "NLP_MAX_LENGTH" if task.model.rnn.bidirectional else 1
    parts = Parts(["series.c"], sizes)
    parts.sizes |= {
        "NLP_EMBEDS": 0,
        "NLP_LABELS": len(names),
        "NLP_MAX_LENGTH": _LONGEST_SERIES,
        "NLP_STEPS": steps,
        "NLP_FORECASTS": int(forecasts),
    }
    parts.data += [
        stack,
        linear("nlp_output", task.model.fc_out),
        _labels(names),
        array("double", "nlp_means", doubles(processor.means)),
        array("double", "nlp_deviations", doubles(processor.deviations)),
    ]
    return parts


def _series_tagger(task: Any) -> Parts:
    return _series(task, task.processor.labels, forecasts=False)


def _regressor(task: Any) -> Parts:
    processor = task.processor
    names = [f"{name}+{step}" for step in range(1, processor.horizon + 1) for name in task.names]
    parts = _series(task, names, forecasts=True)
    for name in ("target_means", "target_deviations"):
        values = doubles(getattr(processor, name)) * processor.horizon
        parts.data.append(array("double", f"nlp_{name}", values))
    return parts


def _translator(task: Any) -> Parts:
    encoder, decoder = task.model.encoder, task.model.decoder
    if type(encoder) is not Encoder or type(decoder) is not Decoder:
        raise UsageError(
            f"a {type(decoder).__name__} cannot be exported to C: train without context and attention"
        )
    parts = _vocabulary(task.processor.source)
    target = task.processor.target
    if target.level == "bpe":
        raise UsageError(
            "a model with subwords cannot be exported to C: train with data.vocabulary.level word"
        )
    sizes, stack = _stack(decoder.rnn)
    shared = encoder.extra_repr() != ""
    parts.sizes |= sizes | {
        "NLP_TOKENS_ALL": len(target),
        "NLP_BOS": BOS,
        "NLP_EOS": EOS,
        "NLP_MAX_LENGTH": task.processor.max_length,
        "NLP_MAX_OUTPUT": task.decoding.max_output,
        "NLP_ENCODER_DIRECTIONS": 2 if encoder.rnn.bidirectional else 1,
        "NLP_REVERSED": int(task.processor.reverse_source),
        "NLP_WRITES_REVERSED": int(task.processor.reverse_target),
        "NLP_SPACE": string(" " if target.level == "word" else ""),
        "NLP_IS_NEVER_WRITTEN(id)": " || ".join(f"(id) == {id}" for id in task.processor.never_written()),
    }
    if shared:
        parts.sizes["nlp_source_embedding"] = "nlp_embedding"
    parts.data += [
        _written(target),
        *([] if shared else [linear("nlp_source_embedding", encoder.embedding)]),
        layers("nlp_encoder", encoder.rnn),
        linear("nlp_embedding", decoder.embedding),
        stack,
        _output(decoder),
    ]
    parts.runtime.append("translator.c")
    return parts


_FAMILIES: dict[type[nn.Module], Callable[[Any], Parts]] = {
    Classifier: _classifier,
    Tagger: _tagger,
    LanguageModel: _language_model,
    SeriesTagger: _series_tagger,
    Regressor: _regressor,
    Seq2Seq: _translator,
}
assert set(_GATES) <= set(CELLS)
