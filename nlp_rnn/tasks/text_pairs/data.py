"""Text pair data: two texts with one label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor
from typing_extensions import override

from nlp_rnn.data.balancing import Balance, BalancedData
from nlp_rnn.data.batching import Batch, Batching, pad
from nlp_rnn.data.column_values import ColumnValues
from nlp_rnn.data.corpus.corpus import Corpus
from nlp_rnn.data.corpus.extra import ExtraCorpus
from nlp_rnn.data.labels import LabelEncoder, sort_labels
from nlp_rnn.data.processor import Processor
from nlp_rnn.data.types import Dataset
from nlp_rnn.data.vocabulary import UNK, Vocabulary, VocabularySettings
from nlp_rnn.lite.text.readers import PairReader
from nlp_rnn.settings import Column, Columns, MaxLength, PositiveNumber


@dataclass
class TextPairsBatch(Batch):
    """A batch of pairs; `lengths` are those of the first texts, `labels` are [B]."""

    first: Tensor
    """[T, B] int64, padded with 0."""
    second: Tensor
    """[S, B] int64, padded with 0."""
    second_lengths: Tensor
    """[B] int64."""


@dataclass
class TextPairsProcessor(PairReader, Processor):
    """Pairs of texts to ids of tokens, labels to ids of classes."""

    input_columns = ("first", "second")
    features = {
        "first_ids": pa.list_(pa.int32()),
        "second_ids": pa.list_(pa.int32()),
        "label_id": pa.int32(),
    }
    id_columns = MappingProxyType({"first_ids": "tokens", "second_ids": "tokens"})

    tokens: Vocabulary
    labels: list[str]
    """The labels in the order of their ids."""
    max_length: MaxLength = 256
    label_weights: list[PositiveNumber] | None = None
    """The weight of each label in the training loss, in the same order."""

    @override
    def unknown_tokens(self, rows: dict[str, list[Any]]) -> list[str]:
        unknown: list[str] = []
        for name in self.input_columns:
            count = list(rows[f"{name}_ids"][0]).count(UNK)
            unknown += islice(self.tokens.unknown(rows[name][0]), count)
        return unknown

    @override
    def encode(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        ids = self.encode_inputs(rows)
        if "label" in rows:
            ids["label_id"] = LabelEncoder(self.labels).encode(rows["label"])
        return ids

    @override
    def collate(self, rows: dict[str, list[Any]]) -> TextPairsBatch:
        first, lengths = pad(rows["first_ids"])
        second, second_lengths = pad(rows["second_ids"])
        labels = torch.tensor(rows["label_id"]) if "label_id" in rows else None
        return TextPairsBatch(rows["row"], lengths, first, second, second_lengths, labels=labels)


class TextPairsData(BalancedData[TextPairsProcessor]):
    """Labeled pairs of texts from any corpus, such as a sentence and a hypothesis, or two questions.

    Args:
        corpus: where pairs come from.
        first: name of the column of first texts; of several names, the first that exists.
        second: name of the column of second texts, likewise.
        label: name of the column of labels.
        vocabulary: how the vocabulary of both texts is made.
        batching: how pairs are batched.
        max_length: maximum number of tokens per text; the rest is cut off.
        balance: how rare labels get as much weight as frequent ones: none; weights of the labels in the loss;
            or sampling, where rows of rare labels are repeated in each epoch.
        extra: further corpora to train on, with the labels of `corpus`. The vocabulary is counted over their
            texts too.
    """

    processor_class = TextPairsProcessor
    tagged = "tokens"

    def __init__(
        self,
        corpus: Corpus = Corpus(),
        first: Columns = ("sentence1", "premise", "question1", "text1", "first"),
        second: Columns = ("sentence2", "hypothesis", "question2", "text2", "second"),
        label: Column = "label",
        vocabulary: VocabularySettings = VocabularySettings(),
        batching: Batching = Batching(size=64),
        max_length: MaxLength = 256,
        balance: Balance = "none",
        extra: Sequence[ExtraCorpus] = (),
    ) -> None:
        super().__init__(corpus, vocabulary, batching, max_length, balance, extra)
        self.first = first
        self.second = second
        self.label = label

    @override
    def columns(self) -> Mapping[str, str | Sequence[str]]:
        return {"first": self.first, "second": self.second, "label": self.label}

    @override
    def make_processor(self, train: Dataset) -> TextPairsProcessor:
        labels = sort_labels(ColumnValues(train, "label"))
        texts = ColumnValues(train, "first", "second", sample=self.vocabulary.sample)
        tokens = Vocabulary.train(texts, self.vocabulary, self.tags)
        weights = self.label_weights(train, labels)
        return TextPairsProcessor(tokens, labels, self.max_length, weights)
