"""Translation data: pairs of sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import Any

import pyarrow as pa
from torch import Tensor
from typing_extensions import override

from nlp_rnn.data.batching import Batch, Batching, pad, shift_targets
from nlp_rnn.data.column_values import ColumnValues
from nlp_rnn.data.corpus.columns import Texts
from nlp_rnn.data.corpus.corpus import Corpus
from nlp_rnn.data.module import CorpusData
from nlp_rnn.data.processor import Processor, blank_to_empty, truncate
from nlp_rnn.data.types import Dataset
from nlp_rnn.data.vocabulary import Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.settings import Column, MaxLength


@dataclass
class TranslationBatch(Batch):
    """A batch of sentence pairs; `labels` are the target ids and EOS, [T, B]."""

    source: Tensor
    """[S, B] int64, padded with 0."""
    target: Tensor | None = None
    """[T, B] int64, BOS and the target ids: the input of the decoder."""
    target_lengths: Tensor | None = None
    """[B] int64, with BOS."""
    references: list[str] | None = None
    """The target sentences as written."""
    source_texts: list[str] | None = None
    """The source sentences as written."""
    prefixes: list[list[int]] | None = None
    """The target ids that each answer begins with."""
    constraints: list[list[list[int]]] | None = None
    """The target ids of the phrases that each answer contains."""


@dataclass
class TranslationProcessor(Processor):
    """Source and target sentences to ids.

    An input is a sentence, or a mapping with the sentence as `text`, and with what its translation must have:
    `prefix`, the text that it begins with, and `constraints`, a list of words or phrases that it contains. A
    table has these in columns, with "|" between constraints that are not lists.
    """

    input_columns = ("source",)
    optional_columns = MappingProxyType({"prefix": ("prefix",), "constraints": Texts(("constraints",))})
    features = {"source_ids": pa.list_(pa.int32()), "target_ids": pa.list_(pa.int32())}
    length_columns = ("source_ids", "target_ids")
    texts = ("target", "source")

    source: Vocabulary
    target: Vocabulary
    reverse_source: bool = False
    max_length: MaxLength = 100

    @override
    def data_settings(self) -> dict[str, Any]:
        return {"shared_vocabulary": self.source.fingerprint == self.target.fingerprint}

    @override
    def is_input(self, value: Any) -> bool:
        return isinstance(value, str) or self.is_single(value)

    @override
    def is_single(self, value: Any) -> bool:
        return isinstance(value, Mapping) and isinstance(value.get("text"), str)

    @override
    def with_demands(self, value: Any, demands: Mapping[str, Any]) -> Any:
        constraints = demands.get("constraints") or []
        parts = constraints.split("|") if isinstance(constraints, str) else constraints
        return {"text": value, **demands, "constraints": [part for part in parts if part.strip()]}

    @override
    def rows(self, inputs: Sequence[Any]) -> dict[str, list[Any]]:
        rows: dict[str, list[Any]] = {"source": [], "prefix": [], "constraints": []}
        for value in inputs:
            text, prefix, constraints = _demands(value)
            rows["source"] += blank_to_empty([text])
            rows["prefix"].append(prefix)
            rows["constraints"].append(constraints)
        return rows if any(rows["prefix"]) or any(rows["constraints"]) else {"source": rows["source"]}

    @override
    def unknown_tokens(self, rows: dict[str, list[Any]]) -> list[str]:
        (count,) = self.count_unknown(rows)
        unknown = list(islice(self.source.unknown(rows["source"][0]), count))
        return unknown[::-1] if self.reverse_source else unknown

    @override
    def encode(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        sources = self.source.encode(rows["source"], self.max_length)
        ids = {"source_ids": truncate(sources, self.max_length, "source sentences")}
        if "target" in rows:
            targets = self.target.encode(rows["target"], self.max_length)
            ids["target_ids"] = truncate(targets, self.max_length, "target sentences")
        if "prefix" in rows:
            ids["prefix_ids"] = [self._known_ids(text, "prefix") if text else [] for text in rows["prefix"]]
            ids["constraint_ids"] = [
                [self._known_ids(phrase, "constraint") for phrase in phrases]
                for phrases in rows["constraints"]
            ]
        return ids

    def _known_ids(self, text: str, name: str) -> list[int]:
        """The target ids of a text that a translation must have.

        Raises:
            UsageError: it has no tokens, or one that the vocabulary lacks.
        """
        (ids,) = self.target.encode([text])
        if unknown := list(self.target.unknown(text)):
            raise UsageError(
                f"{name} {text!a:.60}: the model knows no {join_names(map(repr, unknown))}; use words of its "
                "vocabulary"
            )
        if not ids:
            raise UsageError(f"{name} {text!a:.60} has no words: leave it out")
        return ids

    @override
    def collate(self, rows: dict[str, list[Any]]) -> TranslationBatch:
        # Reversed, the first source words are close to the first target words (Sutskever et al. 2014).
        sources = [ids[::-1] for ids in rows["source_ids"]] if self.reverse_source else rows["source_ids"]
        source, lengths = pad(sources)
        batch = TranslationBatch(rows["row"], lengths, source, source_texts=rows.get("source"))
        batch.prefixes, batch.constraints = rows.get("prefix_ids"), rows.get("constraint_ids")
        if "target_ids" in rows:
            batch.target, batch.labels, batch.target_lengths = shift_targets(rows["target_ids"])
            batch.references = rows["target"]
        return batch


def _demands(value: Any) -> tuple[str, str, list[str]]:
    """The sentence, the prefix and the constraints of one input, see `TranslationProcessor`.

    Raises:
        UsageError: it has other keys, or values of another type.
    """
    if isinstance(value, str):
        return value, "", []
    if others := sorted(map(str, value.keys() - {"text", "prefix", "constraints"})):
        raise UsageError(f"an input has text, prefix and constraints, not {join_names(others)}")
    prefix, constraints = value.get("prefix") or "", value.get("constraints") or []
    if not isinstance(prefix, str):
        raise UsageError(f"prefix must be a text, not {prefix!a:.60}")
    if not isinstance(constraints, (list, tuple)) or not all(isinstance(text, str) for text in constraints):
        raise UsageError(f"constraints must be a list of texts, not {constraints!a:.60}")
    return value["text"], prefix, list(constraints)


class TranslationData(CorpusData[TranslationProcessor]):
    """Sentence pairs from any corpus.

    Args:
        corpus: where pairs come from.
        source: column, or file extension, of the source language.
        target: column, or file extension, of the target language.
        vocabulary: how the vocabulary of each language is made.
        batching: how pairs are batched.
        reverse_source: read source sentences from end to start.
        max_length: maximum number of tokens per sentence; the rest is cut off.
        shared_vocabulary: make one vocabulary from the sentences of both languages.
    """

    processor_class = TranslationProcessor

    def __init__(
        self,
        corpus: Corpus = Corpus(),
        source: Column = "de",
        target: Column = "en",
        vocabulary: VocabularySettings = VocabularySettings(),
        batching: Batching = Batching(size=128),
        reverse_source: bool = False,
        max_length: MaxLength = 100,
        shared_vocabulary: bool = False,
    ) -> None:
        super().__init__(corpus, batching)
        self.languages = {"source": source, "target": target}
        self.vocabulary = vocabulary
        self.reverse_source = reverse_source
        self.max_length = max_length
        self.shared_vocabulary = shared_vocabulary

    @override
    def columns(self) -> Mapping[str, str]:
        return self.languages

    @override
    def make_processor(self, train: Dataset) -> TranslationProcessor:
        def learn(*sides: str) -> Vocabulary:
            texts = ColumnValues(train, *sides, sample=self.vocabulary.sample)
            return Vocabulary.train(texts, self.vocabulary)

        if self.shared_vocabulary:
            source = target = learn("source", "target")
        else:
            source, target = learn("source"), learn("target")
        return TranslationProcessor(source, target, self.reverse_source, self.max_length)
