"""Translation: pairs of sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from torch import Tensor

from nlp_rnn.data.batching import Batch, Batching, pad, shift_targets
from nlp_rnn.data.corpus.corpus import Corpus
from nlp_rnn.data.module import CorpusData
from nlp_rnn.data.processor import Processor, truncate
from nlp_rnn.data.types import Dataset
from nlp_rnn.data.vocabulary import Vocabulary, VocabularySettings
from nlp_rnn.settings import Column, MaxLength


@dataclass
class TranslationBatch(Batch):
    """Sentence pairs."""

    source: Tensor
    """[S, B] int64, padded with 0."""
    target: Tensor | None = None
    """[T, B] int64, beginning of sentence first: what the decoder is shown."""
    target_lengths: Tensor | None = None
    """[B], the mark of beginning or end counted."""
    references: list[str] | None = None
    """The target sentences as written."""


@dataclass
class TranslationProcessor(Processor):
    """Sentences to ids."""

    features = {"source_ids": pa.list_(pa.int32()), "target_ids": pa.list_(pa.int32())}
    length_columns = ("source_ids", "target_ids")
    texts = ("target",)

    source: Vocabulary
    target: Vocabulary
    reverse_source: bool = False
    max_length: MaxLength = 100

    def rows(self, inputs: Sequence[Any]) -> dict[str, list[Any]]:
        return {"source": list(inputs)}

    def encode(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        ids = {
            "source_ids": truncate(self.source.encode(rows["source"]), self.max_length, "source sentences")
        }
        if "target" in rows:
            ids["target_ids"] = truncate(
                self.target.encode(rows["target"]), self.max_length, "target sentences"
            )
        return ids

    def collate(self, rows: dict[str, list[Any]]) -> TranslationBatch:
        # Read backwards, the source's first words are the last before the decoder's first (Sutskever 2014).
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
        vocabulary: how each side's vocabulary is made.
        batching: how pairs are put together.
        reverse_source: read source sentences from their end.
        max_length: longest sentence, in tokens; what is beyond it is cut off.
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
    ) -> None:
        super().__init__(corpus, batching)
        self.languages = {"source": source, "target": target}
        self.vocabulary = vocabulary
        self.reverse_source = reverse_source
        self.max_length = max_length

    def columns(self) -> Mapping[str, str]:
        return self.languages

    def make_processor(self, train: Dataset) -> TranslationProcessor:
        return TranslationProcessor(
            Vocabulary.train(train["source"], self.vocabulary),
            Vocabulary.train(train["target"], self.vocabulary),
            self.reverse_source,
            self.max_length,
        )
