"""Sentiment data: texts with one label each."""

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
from nlp_rnn.data.vocabulary import Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.lite.text.readers import TextReader
from nlp_rnn.settings import Column, Columns, MaxLength, PositiveNumber


@dataclass
class SentimentBatch(Batch):
    """A batch of texts; `labels` are [B]."""

    tokens: Tensor
    """[T, B] int64, padded with 0."""


@dataclass
class SentimentProcessor(TextReader, Processor):
    """Texts to ids of tokens, labels to ids of classes."""

    input_columns = ("text",)
    features = {"token_ids": pa.list_(pa.int32()), "label_id": pa.int32()}
    id_columns = MappingProxyType({"token_ids": "tokens"})

    tokens: Vocabulary
    classes: list[str]
    """The labels as the corpus writes them, in the order of their ids."""
    labels: list[str]
    """The names of the labels in answers, in the same order."""
    max_length: MaxLength = 256
    label_weights: list[PositiveNumber] | None = None
    """The weight of each label in the training loss, in the same order."""

    @override
    def unknown_tokens(self, rows: dict[str, list[Any]]) -> list[str]:
        (count,) = self.count_unknown(rows)
        return list(islice(self.tokens.unknown(rows["text"][0]), count))

    @override
    def encode(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        ids = self.encode_inputs(rows)
        if "label" in rows:
            ids["label_id"] = LabelEncoder(self.classes, aliases=self.labels).encode(rows["label"])
        return ids

    @override
    def collate(self, rows: dict[str, list[Any]]) -> SentimentBatch:
        tokens, lengths = pad(rows["token_ids"])
        labels = torch.tensor(rows["label_id"]) if "label_id" in rows else None
        return SentimentBatch(rows["row"], lengths, tokens, labels=labels)


class SentimentData(BalancedData[SentimentProcessor]):
    """Labeled texts from any corpus.

    Args:
        corpus: where texts come from.
        text: name of the column of texts; of several names, the first that exists.
        label: name of the column of labels.
        label_names: names of the labels in answers, in the sorted order of the labels. If left out, labels 0
            and 1 are called negative and positive, and others keep their names.
        vocabulary: how the vocabulary is made.
        batching: how texts are batched.
        max_length: maximum number of tokens per text; the rest is cut off.
        balance: how rare labels get as much weight as frequent ones: none; weights of the labels in the loss;
            or sampling, where rows of rare labels are repeated in each epoch.
        extra: further corpora to train on, with the labels of `corpus`. The vocabulary is counted over their
            texts too.
    """

    processor_class = SentimentProcessor
    tagged = "tokens"

    def __init__(
        self,
        corpus: Corpus = Corpus(),
        text: Columns = ("text", "sentence", "document", "review"),
        label: Column = "label",
        label_names: Sequence[str] | None = None,
        vocabulary: VocabularySettings = VocabularySettings(),
        batching: Batching = Batching(size=64),
        max_length: MaxLength = 256,
        balance: Balance = "none",
        extra: Sequence[ExtraCorpus] = (),
    ) -> None:
        super().__init__(corpus, vocabulary, batching, max_length, balance, extra)
        self.text = text
        self.label = label
        self.label_names = label_names

    @override
    def columns(self) -> Mapping[str, str | Sequence[str]]:
        return {"text": self.text, "label": self.label}

    @override
    def make_processor(self, train: Dataset) -> SentimentProcessor:
        classes = sort_labels(ColumnValues(train, "label"))
        names = list(self.label_names or (["negative", "positive"] if classes == ["0", "1"] else classes))
        if len(names) != len(classes):
            raise UsageError(
                f"label_names has {len(names)} names, the train split {len(classes)} labels: "
                f"{join_names(classes)}"
            )
        if len(set(names)) != len(names):
            raise UsageError(f"label_names must differ from each other: {join_names(names)}")
        texts = ColumnValues(train, "text", sample=self.vocabulary.sample)
        tokens = Vocabulary.train(texts, self.vocabulary, self.tags)
        weights = self.label_weights(train, classes)
        return SentimentProcessor(tokens, classes, names, self.max_length, weights)
