"""Captioning data: vectors of numbers, such as the pixels of an image, with a text each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from nlp_rnn.data.corpus.numbers import parse_numbers
from nlp_rnn.data.module import CorpusData
from nlp_rnn.data.processor import Processor, truncate
from nlp_rnn.data.types import Dataset
from nlp_rnn.data.vocabulary import Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError
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
class CaptioningProcessor(Processor):
    """Vectors to scaled vectors, captions to ids.

    Each of the F features is centered by its mean in the train split. All are divided by one `scale`, because
    in images some pixels are almost constant.
    """

    input_description = "vector of numbers"
    input_columns = ("features",)
    features = {"vector": pa.list_(pa.float32()), "target_ids": pa.list_(pa.int32())}
    length_columns = ("vector", "target_ids")
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
    def is_input(self, value: Any) -> bool:
        array = _array(value)
        return array is not None and array.ndim > 0

    @override
    def is_single(self, value: Any) -> bool:
        """Return whether a value is one vector: a flat list, or a nested one of F numbers in all."""
        array = _array(value)
        if array is None or array.size == 0:
            return False
        return array.ndim < 2 or array.size == len(self.means) != array[0].size

    @override
    def parse(self, line: str) -> Any:
        numbers = parse_numbers(line)
        self._vector(numbers)
        return numbers

    @override
    def rows(self, inputs: Sequence[Any]) -> dict[str, list[Any]]:
        for number, vector in enumerate(inputs, 1):
            try:
                self._vector(vector)
            except UsageError as error:
                raise UsageError(f"input {number}: {error}") from None
        return {"features": list(inputs)}

    @override
    def encode(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Encode vectors and captions. Nested vectors, such as the rows of an image, are flattened.

        Raises:
            UsageError: a vector does not have F numbers, or has a number that is not finite.
        """
        columns: dict[str, list[Any]] = {"vector": [self._vector(row) for row in rows["features"]]}
        if "caption" in rows:
            captions = self.target.encode(rows["caption"], self.max_length)
            columns["target_ids"] = truncate(captions, self.max_length, "captions")
        return columns

    def _vector(self, value: Any) -> np.ndarray:
        """A user's or a corpus's vector, scaled: [F] float32."""
        array = _array(value)
        if array is None:
            raise UsageError("not a vector; give a list of numbers, or lists of equal length")
        vector = array.astype(np.float64).ravel()
        if len(vector) != len(self.means):
            raise UsageError(f"a vector of {len(vector)} numbers; the model reads {len(self.means)}")
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = (vector - self.means) / self.scale
        if not (np.abs(scaled) <= np.finfo(np.float32).max).all():  # False for NaN
            raise UsageError("a vector holds NaN, infinity or a number beyond float32; leave it out")
        return scaled.astype(np.float32)

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
            ColumnValues(train, "caption", sample=self.vocabulary.sample), self.vocabulary
        )
        return CaptioningProcessor(target, means.tolist(), scale, self.max_length)


def _array(value: Any) -> np.ndarray | None:
    """Numbers as an array; None for anything else, or lists of unequal length."""
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return array if array.dtype.kind in "biuf" else None
