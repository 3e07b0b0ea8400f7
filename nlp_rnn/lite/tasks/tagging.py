"""Tagging: one tag per word, of one or several columns, such as parts of speech, lemmas and entities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..errors import UsageError, check_number
from ..models.builder import Builder
from ..models.chain import ChainScores, best_tags, marginals
from ..models.linear import softmax
from ..models.scorers import Tagger
from ..models.string_encoder import StringEncoder
from ..text.affixes import MAX_AFFIX, MAX_BUCKETS
from ..text.batches import pad
from ..text.lemmas import apply_rule, check_rule
from ..text.readers import Reader
from ..text.spans import legal_sequences
from ..text.splitting import WordSplitter
from ..text.vocabulary import Vocabulary
from ..text.word_reader import RAW, RawText, WordReader, number_spellings, pad_affixes
from .answers import TagAnswer, format_tags, scores_key, tag_answers
from .task import (
    StreamState,
    Task,
    check_names,
    require_unidirectional,
    stored_names,
    stored_number,
)

_LEMMA = "lemma"
_SCHEMES = ("", "iob1", "iob2", "iobes", "bilou")


class Tagging(Task):
    """One tag per word."""

    name = "tagging"
    columns = ("tokens",)
    defaults = {
        "embedding_dim": 100,
        "hidden_dim": 200,
        "num_layers": 1,
        "cell": "lstm",
        "bidirectional": True,
        "character_embedding_dim": 32,
        "character_hidden_dim": 64,
        "crf": False,
    }

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        columns = _columns(self.stored)
        self._names, self._labels, schemes = zip(*columns, strict=True)
        self._ends = np.cumsum([len(labels) for labels in self._labels])[:-1]
        self._keys = ["tags", *self._names[1:]]
        self._has_spans = bool(schemes[0])
        self._decoders = [partial(_decode, *column) for column in columns]
        # Of each column whose tags are chosen for a whole sentence, the scores beside those of its words.
        self._chains: list[ChainScores | None] = []
        for number, (_, labels, scheme) in enumerate(columns):
            trained = self.engine.crf if number == 0 else None
            chain = ChainScores.zeros(len(labels)) if trained is None and scheme else trained
            legal = legal_sequences(labels, scheme) if scheme else None
            self._chains.append(chain.restricted(legal) if chain is not None and legal else chain)

    @classmethod
    def make_reader(cls, vocabularies: Mapping[str, Vocabulary], stored: Mapping[str, Any]) -> Reader:
        """See `Task`."""
        reader = WordReader()
        reader.words, reader.characters = vocabularies["words"], vocabularies.get("characters")
        reader.max_length = stored_number(stored, "max_length", 512)
        reader.max_word_length = stored_number(stored, "max_word_length", 32)
        splitter = stored.get("splitter")
        reader.splitter = None if splitter is None else _splitter(splitter)
        reader.affixes, reader.affix_buckets = _affixes(stored)
        reader.context_characters = vocabularies.get("context_characters")
        return reader

    @classmethod
    def make_engine(
        cls, build: Builder, reader: Any, settings: Mapping[str, Any], stored: Mapping[str, Any]
    ) -> Any:
        """See `Task`."""
        characters = 0 if reader.characters is None else len(reader.characters)
        affixes = len(reader.affixes) * reader.affix_buckets
        sizes = [len(labels) for _, labels, _ in _columns(stored)]
        language_model = None
        if reader.context_characters is not None:
            stated = _language_model(stored)
            language_model = StringEncoder(build, len(reader.context_characters), stated)
        return Tagger(build, len(reader.words), characters, affixes, sizes, settings, language_model)

    def cells(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """See `Task`."""
        cells: dict[str, Any] = {"prediction": None, "prediction_words": answer.get("words")}
        for key in self._keys:
            ending = "" if key == "tags" else f"_{key}"
            cells[f"prediction{ending}"] = answer.get(key)
            cells[f"probability{ending}"] = answer.get(scores_key(key))
        return cells

    def take_words(self) -> None:
        """See `Task`."""
        self.processor.splitter = None

    def answer(self, rows: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
        """See `Task`."""
        words, lengths = pad(rows["word_ids"])
        affixes = self._affixed(rows, len(words))
        strings = self.processor.strings(rows)
        logits = self.engine.logits(words, lengths, *self._spelled(rows), affixes, strings)
        return self._answers(logits, lengths, rows["tokens"], rows[RAW])

    format_answer = staticmethod(format_tags)

    def start_stream(self) -> StreamState:
        """See `Task`."""
        require_unidirectional(self.engine.is_bidirectional)
        if self.processor.context_characters is not None:
            raise UsageError("a tagger with a language model reads whole sentences: it has no stream")
        if any(chain is not None for chain in self._chains):
            raise UsageError(
                "the tags of spans and of a CRF are chosen for whole sentences, so this model cannot answer "
                "before the text has ended: train with --model.crf false and --data.scheme none"
            )
        answer: dict[str, Any] = {"words": []}
        for key in self._keys:
            answer |= {key: [], scores_key(key): []}
        return StreamState(answer, self.engine.initial_state(1))

    def read_stream(self, piece: str | Sequence[str], stream: StreamState) -> StreamState:
        """See `Task`; the answer has the tags of the words of this piece only."""
        (words,) = self.processor.rows([piece])["tokens"]
        state, logits = stream.state, []
        for word in words:
            row = self.processor.encode_inputs({"tokens": [[word]]})
            characters, lengths, spelling = self._spelled(row)
            spelled = None if spelling is None else spelling[0]
            ids = np.array(row["word_ids"][0])
            affixes = self._affixed(row, 1)
            affixes = None if affixes is None else affixes[0]
            scores, state = self.engine.step(ids, state, characters, lengths, spelled, affixes)
            logits.append(scores)
        if not words:
            return stream
        (answer,) = self._answers(np.stack(logits), np.array([len(words)]), [words], [None])
        return StreamState(answer, state)

    def _spelled(
        self, rows: Mapping[str, list[Any]]
    ) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
        """The characters of a batch's words: ids [K, U], lengths [U], and which of the U each word is."""
        if self.processor.characters is None:
            return None, None, None
        spellings, spelling = number_spellings(rows)
        return *pad(spellings), pad(spelling)[0]

    def _affixed(self, rows: Mapping[str, list[Any]], steps: int) -> np.ndarray | None:
        """The affixes of a batch's words, [T, A, B]; None if they are not read."""
        sizes = self.processor.affixes
        return pad_affixes(rows, steps, len(sizes)) if sizes else None

    def _answers(
        self,
        logits: np.ndarray,
        lengths: np.ndarray,
        sentences: Sequence[Sequence[str]],
        raw_texts: Sequence[RawText | None],
    ) -> list[dict[str, Any]]:
        """Answers from logits [T, B, C] of all columns."""
        columns: list[TagAnswer] = []
        parts = np.split(logits, self._ends, -1)
        for key, decode, scores, chain in zip(self._keys, self._decoders, parts, self._chains, strict=True):
            is_trained = chain is not None and self.engine.crf is not None and not columns
            ids, probabilities = [], []
            for row, length in enumerate(lengths.tolist()):
                emissions = scores[:length, row]
                tags = emissions.argmax(-1) if chain is None else best_tags(emissions, chain)
                if is_trained and chain is not None:
                    chances = np.exp(marginals(emissions, chain))
                else:
                    chances = softmax(emissions)
                ids.append(tags.tolist())
                probabilities.append(chances[np.arange(length), tags].tolist())
            columns.append(TagAnswer(key, decode, ids, probabilities))
        return tag_answers(columns, lengths.tolist(), sentences, raw_texts, self._has_spans)


def _columns(stored: Mapping[str, Any]) -> list[tuple[str, list[str], Any]]:
    """The name, the labels and the scheme of each column of tags; no scheme without spans.

    Raises:
        UsageError: they are not what a folder has.
    """
    names = check_names("columns", stored.get("columns") or ["upos"])
    labels = [
        stored_names(stored, "labels"),
        *(check_names("other_labels", part) for part in stored.get("other_labels") or []),
    ]
    schemes = check_names("schemes", stored.get("schemes") or [""] * len(names))
    if not len(names) == len(labels) == len(schemes):
        raise UsageError("columns, other_labels and schemes do not fit together")
    for name, rules, scheme in zip(names, labels, schemes, strict=True):
        if scheme not in _SCHEMES:
            raise UsageError(f"schemes must be among {', '.join(_SCHEMES[1:])}, not {scheme!r:.60}")
        if not scheme and name.casefold() == _LEMMA:
            for rule in rules:
                check_rule(rule)
    return list(zip(names, labels, schemes, strict=True))


def _decode(
    name: str, labels: Sequence[str], scheme: str, words: Sequence[str], ids: Sequence[int]
) -> list[str]:
    """The values of the words of a sentence, from their labels; those of lemmas are rules."""
    if not scheme and name.casefold() == _LEMMA:
        return [apply_rule(labels[id], word) for word, id in zip(words, ids, strict=False)]
    return [labels[id] for id in ids]


def _affixes(stored: Mapping[str, Any]) -> tuple[list[int], int]:
    """The sizes of affixes, none if they are not read, and the number of ids of each.

    Raises:
        UsageError: they are not what a folder has.
    """
    sizes = stored.get("affixes") or []
    if not isinstance(sizes, list) or 0 in sizes:
        raise UsageError(f"affixes must be a list of numbers other than 0, not {sizes!r:.60}")
    for size in sizes:
        check_number("affixes", size, -MAX_AFFIX, MAX_AFFIX, int)
    buckets = stored_number(stored, "affix_buckets", 1)
    check_number("affix_buckets", buckets, 1, MAX_BUCKETS, int)
    return sizes, buckets


def _language_model(stored: Mapping[str, Any]) -> Mapping[str, Any]:
    """The sizes of the language model of characters.

    Raises:
        UsageError: they are not what a folder has.
    """
    sizes = stored.get("language_model")
    if not isinstance(sizes, Mapping) or not isinstance(sizes.get("cell"), str):
        raise UsageError(f"language_model must be the sizes of one, not {sizes!r:.60}")
    for name in ("embedding_dim", "hidden_dim", "num_layers"):
        check_number(f"language_model.{name}", sizes.get(name), 1, 65_536, int)
    if not isinstance(sizes.get("bidirectional"), bool):
        raise UsageError("language_model.bidirectional must be true or false")
    return sizes


def _splitter(stored: Mapping[str, Any]) -> WordSplitter:
    """What splits raw text.

    Raises:
        UsageError: its settings are not what a folder has.
    """
    splitter = WordSplitter(**stored)
    if not isinstance(splitter.weights, Mapping):
        raise UsageError("splitter.weights must be a mapping of features to numbers")
    for weight in splitter.weights.values():
        check_number("splitter.weights", weight, -1e300, 1e300)
    for name in ("chunks", "contractions"):
        check_names(f"splitter.{name}", list(getattr(splitter, name)))
    return splitter
