"""Translation data: pairs of sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import pyarrow as pa
from torch import Tensor
from typing_extensions import override

from nlp_rnn.data.batching import Batch, Batching, pad, shift_targets
from nlp_rnn.data.corpus.corpus import Corpus
from nlp_rnn.data.module import CorpusData
from nlp_rnn.data.processor import Processor, truncate
from nlp_rnn.data.types import Dataset
from nlp_rnn.data.vocabulary import Vocabulary, VocabularySettings
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


@dataclass
class TranslationProcessor(Processor):
    """Source and target sentences to ids."""

    features = {"source_ids": pa.list_(pa.int32()), "target_ids": pa.list_(pa.int32())}
    length_columns = ("source_ids", "target_ids")
    texts = ("target",)

    source: Vocabulary
    target: Vocabulary
    reverse_source: bool = False
    max_length: MaxLength = 100

    @override
    def data_settings(self) -> dict[str, Any]:
        return {"shared_vocabulary": self.source.fingerprint == self.target.fingerprint}

    @override
    def rows(self, inputs: Sequence[Any]) -> dict[str, list[Any]]:
        return {"source": list(inputs)}

    @override
    def encode(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        sources = self.source.encode(rows["source"], self.max_length)
        ids = {"source_ids": truncate(sources, self.max_length, "source sentences")}
        if "target" in rows:
            targets = self.target.encode(rows["target"], self.max_length)
            ids["target_ids"] = truncate(targets, self.max_length, "target sentences")
        return ids

    @override
    def collate(self, rows: dict[str, list[Any]]) -> TranslationBatch:
        # Reversed, the first source words are close to the first target words (Sutskever et al. 2014).
        sources = [ids[::-1] for ids in rows["source_ids"]] if self.reverse_source else rows["source_ids"]
        source, lengths = pad(sources)
        batch = TranslationBatch(rows["row"], lengths, source)
        if "target_ids" in rows:
            batch.target, batch.labels, batch.target_lengths = shift_targets(rows["target_ids"])
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
        if self.shared_vocabulary:
            source = target = Vocabulary.train(chain(train["source"], train["target"]), self.vocabulary)
        else:
            source, target = (Vocabulary.train(train[side], self.vocabulary) for side in ("source", "target"))
        return TranslationProcessor(source, target, self.reverse_source, self.max_length)
