"""Captioning data: vectors of numbers, such as the pixels of an image, with a text each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from typing_extensions import override

from nlp_rnn.data.batching import Batch, Batching, shift_targets
from nlp_rnn.data.column_values import ColumnValues
from nlp_rnn.data.corpus.columns import Vectors
from nlp_rnn.data.corpus.corpus import Corpus
from nlp_rnn.data.corpus_data import CorpusData
from nlp_rnn.data.processor import Processor
from nlp_rnn.data.types import Dataset
from nlp_rnn.data.vocabulary import Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError
from nlp_rnn.lite.text.notices import truncate
from nlp_rnn.lite.text.number_readers import VectorReader
from nlp_rnn.settings import Columns, FiniteNumber, MaxLength, PositiveNumber


@dataclass
class CaptioningBatch(Batch):
    """A batch of vectors and their captions; `labels` are the caption ids and EOS, [T, B]."""

    vectors: Tensor
    """[B, F] float32, scaled."""
    target: Tensor | None = None
    """[T, B] int64, BOS and the caption ids: the input of the decoder."""
    target_lengths: Tensor | None = None
    """[B] int64, with BOS."""
    references: list[str] | None = None
    """The captions as written."""


@dataclass
class CaptioningProcessor(VectorReader, Processor):
    """Vectors to scaled vectors, captions to ids.

    Each of the F features is centered by its mean in the train split. All are divided by one `scale`, because
    in images some pixels are almost constant.
    """

    input_columns = ("features",)
    features = {"vector": pa.list_(pa.float32()), "target_ids": pa.list_(pa.int32())}
    id_columns = MappingProxyType({"target_ids": "target"})
    texts = ("caption",)
    scales = ("means", "scale")
    scaled = ("num_features",)

    target: Vocabulary
    means: list[FiniteNumber]
    """[F] the mean of each feature in the train split."""
    scale: PositiveNumber
    """The standard deviation of all centered features in the train split."""
    max_length: MaxLength = 100

    @property
    def num_features(self) -> int:
        """F, the numbers of a vector."""
        return len(self.means)

    @override
    def encode(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Encode vectors and captions. Nested vectors, such as the rows of an image, are flattened.

        Raises:
            UsageError: a vector does not have F numbers, or has a number that is not finite.
        """
        columns = self.encode_inputs(rows)
        if "caption" in rows:
            captions = self.target.encode(rows["caption"], self.max_length)
            columns["target_ids"] = truncate(captions, self.max_length, "captions")
        return columns

    @override
    def collate(self, rows: dict[str, list[Any]]) -> CaptioningBatch:
        vectors = torch.from_numpy(np.stack(rows["vector"]))
        batch = CaptioningBatch(rows["row"], torch.full((len(vectors),), vectors.size(1)), vectors)
        if "target_ids" in rows:
            batch.target, batch.labels, batch.target_lengths = shift_targets(rows["target_ids"])
            batch.references = rows["caption"]
        return batch


class CaptioningData(CorpusData[CaptioningProcessor]):
    """Vectors with a caption each, from JSON lines, Parquet, NumPy's .npz or the hub.

    Args:
        corpus: where rows come from.
        features: name of the column of vectors, all of one length; of several names, the first that exists.
        caption: name of the column of captions; of several names, the first that exists.
        vocabulary: how the vocabulary of the captions is made.
        batching: how rows are batched; for `max_tokens`, each number of a vector counts as one token.
        max_length: maximum number of tokens per caption; the rest is cut off.
    """

    processor_class = CaptioningProcessor

    def __init__(
        self,
        corpus: Corpus = Corpus("digits"),
        features: Columns = ("features", "pixels", "vector"),
        caption: Columns = ("caption", "text"),
        vocabulary: VocabularySettings = VocabularySettings(),
        batching: Batching = Batching(size=64),
        max_length: MaxLength = 100,
    ) -> None:
        super().__init__(corpus, batching)
        self.features = features
        self.caption = caption
        self.vocabulary = vocabulary
        self.max_length = max_length

    @override
    def columns(self) -> Mapping[str, str | Sequence[str]]:
        names = (self.features,) if isinstance(self.features, str) else self.features or ()
        return {"features": Vectors(names), "caption": self.caption}

    @override
    def make_processor(self, train: Dataset) -> CaptioningProcessor:
        vectors = np.array(train["features"][:])  # [N, F]
        means = vectors.mean(0)
        scale = float((vectors - means).std())
        if not scale > 0:
            raise UsageError(
                f"{self.description}: all vectors of the train split are equal; give vectors that differ"
            )
        target = Vocabulary.train(
            ColumnValues(train, "caption", sample=self.vocabulary.sample), self.vocabulary, written=True
        )
        return CaptioningProcessor(target, means.tolist(), scale, self.max_length)
