"""Multi-label data: texts with any number of labels each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from typing_extensions import override

from nlp_rnn.data.batching import Batch, Batching, pad
from nlp_rnn.data.column_values import ColumnValues
from nlp_rnn.data.corpus.columns import LabelLists
from nlp_rnn.data.corpus.corpus import Corpus
from nlp_rnn.data.corpus.extra import ExtraCorpus
from nlp_rnn.data.corpus_data import CorpusData
from nlp_rnn.data.labels import UNSEEN, LabelEncoder, sort_labels
from nlp_rnn.data.processor import Processor
from nlp_rnn.data.types import Dataset
from nlp_rnn.data.vocabulary import Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError
from nlp_rnn.files import shorten
from nlp_rnn.lite.text.notices import warn_unseen
from nlp_rnn.lite.text.readers import TextReader
from nlp_rnn.settings import Columns, MaxLength

_RESERVED = ("text", "labels")  # canonical columns, which no column of a single label can be


@dataclass
class MultiLabelBatch(Batch):
    """A batch of texts; `labels` are [B, C + 1] of 0 and 1, the last for labels unknown to the model."""

    tokens: Tensor
    """[T, B] int64, padded with 0."""


@dataclass
class MultiLabelProcessor(TextReader, Processor):
    """Texts to ids of tokens, sets of labels to sets of ids."""

    input_columns = ("text",)
    features = {"token_ids": pa.list_(pa.int32()), "label_ids": pa.list_(pa.int32())}
    id_columns = MappingProxyType({"token_ids": "tokens"})

    tokens: Vocabulary
    labels: list[str]
    """The labels in the order of their ids."""
    max_length: MaxLength = 256

    @override
    def unknown_tokens(self, rows: dict[str, list[Any]]) -> list[str]:
        (count,) = self.count_unknown(rows)
        return list(islice(self.tokens.unknown(rows["text"][0]), count))

    @override
    def encode(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        ids = self.encode_inputs(rows)
        if flags := [name for name in self.labels if name in rows and name not in _RESERVED]:
            rows = rows | {"labels": _from_flags(rows, flags)}
        if "labels" in rows:
            ids["label_ids"] = LabelEncoder(self.labels, takes_unseen=True).encode_lists(rows["labels"])
            if any(UNSEEN in label_ids for label_ids in ids["label_ids"]):
                known = set(self.labels)
                warn_unseen(label for labels in rows["labels"] for label in labels if label not in known)
        return ids

    @override
    def collate(self, rows: dict[str, list[Any]]) -> MultiLabelBatch:
        tokens, lengths = pad(rows["token_ids"])
        batch = MultiLabelBatch(rows["row"], lengths, tokens)
        if "label_ids" in rows:
            batch.labels = torch.zeros(len(lengths), len(self.labels) + 1, dtype=torch.int64)
            for row, ids in enumerate(rows["label_ids"]):
                batch.labels[row, np.where(np.asarray(ids, int) == UNSEEN, len(self.labels), ids)] = 1
        return batch


class MultiLabelData(CorpusData[MultiLabelProcessor]):
    """Texts from any corpus, with any number of labels each.

    Args:
        corpus: where texts come from.
        text: name of the column of texts; of several names, the first that exists.
        label: name of the column of labels: lists, or text with | ; or , between the labels, the same mark in
            all splits, where an empty cell is a text without a label. Or a list of columns, one per label, of
            0 and 1 or false and true.
        vocabulary: how the vocabulary is made.
        batching: how texts are batched.
        max_length: maximum number of tokens per text; the rest is cut off.
        extra: further corpora to train on. Labels and vocabulary are counted over their texts too.
    """

    processor_class = MultiLabelProcessor
    tagged = "tokens"

    def __init__(
        self,
        corpus: Corpus = Corpus(),
        text: Columns = ("text", "sentence", "document", "review", "comment_text"),
        label: Columns = "labels",
        vocabulary: VocabularySettings = VocabularySettings(),
        batching: Batching = Batching(size=64),
        max_length: MaxLength = 256,
        extra: Sequence[ExtraCorpus] = (),
    ) -> None:
        super().__init__(corpus, batching, extra)
        self.text = text
        self.label = label
        self._label_lists = LabelLists([label] if isinstance(label, str) else label)
        self.vocabulary = vocabulary
        self.max_length = max_length

    @property
    def labels(self) -> str | None:  # type: ignore[override]  # by the instance
        """The column of labels, unless each label has a column."""
        return "labels" if isinstance(self.label, str) else None

    @override
    def columns(self) -> Mapping[str, str | Sequence[str]]:
        if isinstance(self.label, str):
            return {"text": self.text, "labels": self._label_lists}
        if len(self.label) < 2 or any(name in self.label for name in _RESERVED):
            names = " or ".join(_RESERVED)
            raise UsageError(f"label: give the name of one column, or of two or more, none of them {names}")
        return {"text": self.text} | {name: name for name in self.label}

    @override
    def make_processor(self, train: Dataset) -> MultiLabelProcessor:
        if isinstance(self.label, str):
            labels = sort_labels(label for labels in ColumnValues(train, "labels") for label in labels)
        else:
            labels = list(self.label)
        texts = ColumnValues(train, "text", sample=self.vocabulary.sample)
        return MultiLabelProcessor(
            Vocabulary.train(texts, self.vocabulary, self.tags), labels, self.max_length
        )


_PRESENT, _ABSENT = ("1", "true", "yes"), ("0", "false", "no", "-1")


def _from_flags(rows: Mapping[str, Sequence[str]], names: Sequence[str]) -> list[list[str]]:
    """The labels of each row whose columns say that they are present.

    Raises:
        UsageError: a column says something else.
    """
    labels: list[list[str]] = [[] for _ in rows[names[0]]]
    for name in names:
        for row, flag in enumerate(rows[name]):
            value = flag.strip().lower().removesuffix(".0")  # as programs write numbers beside missing ones
            if value not in (*_PRESENT, *_ABSENT):
                raise UsageError(f"column {name!r} holds {shorten(flag)}, neither 1 nor 0: is it a label?")
            if value in _PRESENT:
                labels[row].append(name)
    return labels
