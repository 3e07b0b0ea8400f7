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
from nlp_rnn.data.corpus.extra import ExtraCorpus
from nlp_rnn.data.corpus_data import CorpusData
from nlp_rnn.data.processor import Processor
from nlp_rnn.data.types import Dataset
from nlp_rnn.data.vocabulary import Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError
from nlp_rnn.lite.text.notices import truncate
from nlp_rnn.lite.text.readers import SentenceReader
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
class TranslationProcessor(SentenceReader, Processor):
    """Source and target sentences to ids.

    An input is a sentence, or a mapping with the sentence as `text`, and with what its translation must have:
    `prefix`, the text that it begins with, and `constraints`, a list of words or phrases that it contains. A
    table has these in columns, with "|" between constraints that are not lists.
    """

    input_columns = ("source",)
    optional_columns = MappingProxyType({"prefix": ("prefix",), "constraints": Texts(("constraints",))})
    features = {"source_ids": pa.list_(pa.int32()), "target_ids": pa.list_(pa.int32())}
    id_columns = MappingProxyType({"source_ids": "source", "target_ids": "target"})
    texts = ("target", "source")

    source: Vocabulary
    target: Vocabulary
    reverse_source: bool = False
    max_length: MaxLength = 100
    reverse_target: bool = False

    @override
    def data_settings(self) -> dict[str, Any]:
        return {"shared_vocabulary": self.source.fingerprint == self.target.fingerprint}

    @override
    def with_demands(self, value: Any, demands: Mapping[str, Any]) -> Any:
        constraints = demands.get("constraints") or []
        parts = constraints.split("|") if isinstance(constraints, str) else constraints
        return {"text": value, **demands, "constraints": [part for part in parts if part.strip()]}

    @override
    def unknown_tokens(self, rows: dict[str, list[Any]]) -> list[str]:
        (count,) = self.count_unknown(rows)
        unknown = list(islice(self.source.unknown(rows["source"][0]), count))
        return unknown[::-1] if self.reverse_source else unknown

    @override
    def encode(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        ids = self.encode_inputs(rows)
        if "target" in rows:
            targets = self.target.encode(rows["target"], self.max_length)
            ids["target_ids"] = truncate(targets, self.max_length, "target sentences")
        return ids

    @override
    def collate(self, rows: dict[str, list[Any]]) -> TranslationBatch:
        source, lengths = pad(self.source_order(rows["source_ids"]))
        batch = TranslationBatch(rows["row"], lengths, source, source_texts=rows.get("source"))
        batch.prefixes, batch.constraints = rows.get("prefix_ids"), rows.get("constraint_ids")
        if "target_ids" in rows:
            batch.target, batch.labels, batch.target_lengths = shift_targets(
                self.target_order(rows["target_ids"])
            )
            batch.references = rows["target"]
        return batch


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
        extra: further corpora to train on, such as synthetic ones. Vocabularies are counted over their
            sentences too.
        reverse_target: write translations from end to start. Answers are given in reading order.
    """

    processor_class = TranslationProcessor
    tagged = "source"

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
        extra: Sequence[ExtraCorpus] = (),
        reverse_target: bool = False,
    ) -> None:
        super().__init__(corpus, batching, extra)
        self.languages = {"source": source, "target": target}
        self.vocabulary = vocabulary
        self.reverse_source = reverse_source
        self.max_length = max_length
        self.shared_vocabulary = shared_vocabulary
        self.reverse_target = reverse_target

    @override
    def columns(self) -> Mapping[str, str]:
        return self.languages

    @override
    def identifying_columns(self) -> Sequence[Sequence[str]]:
        return [["source"], ["target"]]

    @override
    def make_processor(self, train: Dataset) -> TranslationProcessor:
        def learn(*sides: str) -> Vocabulary:
            texts = ColumnValues(train, *sides, sample=self.vocabulary.sample)
            tags = self.tags if "source" in sides or self.shared_vocabulary else ()
            return Vocabulary.train(texts, self.vocabulary, tags, written="source" not in sides)

        if self.shared_vocabulary and self.vocabulary.model is None:
            source = target = learn("source", "target")
        else:
            source, target = learn("source"), learn("target")
        if self.shared_vocabulary and source.fingerprint != target.fingerprint:
            raise UsageError(
                f"vocabulary.model {self.vocabulary.model}: its model has two vocabularies: set "
                "shared_vocabulary to false"
            )
        return TranslationProcessor(source, target, self.reverse_source, self.max_length, self.reverse_target)
