"""Captioning: a vector of numbers, such as the pixels of a picture, and a text that says what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from nlp_rnn.data.batching import Batch, Batching, shift_targets
from nlp_rnn.data.corpus.columns import Vectors
from nlp_rnn.data.corpus.corpus import Corpus
from nlp_rnn.data.corpus.numbers import parse_numbers
from nlp_rnn.data.module import CorpusData
from nlp_rnn.data.processor import Processor, truncate
from nlp_rnn.data.types import Dataset
from nlp_rnn.data.vocabulary import Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError
from nlp_rnn.settings import Columns, MaxLength


@dataclass
class CaptioningBatch(Batch):
    """Vectors and their captions."""

    vectors: Tensor
    """[B, F] float32, scaled."""
    target: Tensor | None = None
    """[T, B] int64, beginning of sentence first: what the decoder is shown."""
    target_lengths: Tensor | None = None
    """[B], the mark of beginning or end counted."""
    references: list[str] | None = None
    """The captions as written."""


@dataclass
class CaptioningProcessor(Processor):
    """Vectors to scaled vectors, captions to ids.

    From each of the F features its mean in the train split is taken; all are divided by one `scale`, for in
    pictures some pixels hardly ever change.
    """

    input_description = "vector of numbers"
    features = {"vector": pa.list_(pa.float32()), "target_ids": pa.list_(pa.int32())}
    length_columns = ("vector", "target_ids")
    texts = ("caption",)

    target: Vocabulary
    means: list[float]
    scale: float
    max_length: MaxLength = 100

    def is_input(self, given: Any) -> bool:
        array = _array(given)
        return array is not None and array.ndim > 0

    def is_single(self, given: Any) -> bool:
        """A flat list is one vector; a nested one is, too, if it holds F numbers and its items hold fewer."""
        array = _array(given)
        if array is None or array.size == 0:
            return False
        return array.ndim < 2 or array.size == len(self.means) != array[0].size

    def parse(self, line: str) -> Any:
        given = parse_numbers(line)
        self._vector(given)
        return given

    def rows(self, inputs: Sequence[Any]) -> dict[str, list[Any]]:
        for number, given in enumerate(inputs, 1):
            try:
                self._vector(given)
            except UsageError as error:
                raise UsageError(f"input {number}: {error}") from None
        return {"features": list(inputs)}

    def encode(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Nested vectors, such as the rows of a picture, are laid end to end.

        Raises:
            UsageError: a vector is of another length than the model's, or holds a number that is not finite.
        """
        columns: dict[str, list[Any]] = {"vector": [self._vector(row) for row in rows["features"]]}
        if "caption" in rows:
            columns["target_ids"] = truncate(self.target.encode(rows["caption"]), self.max_length, "captions")
        return columns

    def _vector(self, given: Any) -> np.ndarray:
        """What a user or a corpus gives, [F] float32 and scaled."""
        array = _array(given)
        if array is None:
            raise UsageError("no vector; give a list of numbers, or lists of equal length")
        vector = array.astype(np.float64).ravel()
        if len(vector) != len(self.means):
            raise UsageError(f"a vector of {len(vector)} numbers; the model reads {len(self.means)}")
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = (vector - self.means) / self.scale
        if not (np.abs(scaled) <= np.finfo(np.float32).max).all():  # as it is not of NaN
            raise UsageError("a vector holds NaN, infinity or a number beyond float32; leave it out")
        return scaled.astype(np.float32)

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
        corpus: where they come from.
        features: name of the column of vectors, all of one length; of several, the first that there is.
        caption: name of the column of captions, likewise.
        vocabulary: how the captions' vocabulary is made.
        batching: how rows are put together; of `max_tokens` a vector takes one a number.
        max_length: longest caption, in tokens; what is beyond it is cut off.
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

    def columns(self) -> Mapping[str, str | Sequence[str]]:
        names = (self.features,) if isinstance(self.features, str) else self.features or ()
        return {"features": Vectors(names), "caption": self.caption}

    def make_processor(self, train: Dataset) -> CaptioningProcessor:
        vectors = np.array(train["features"][:])  # [N, F]
        means = vectors.mean(0)
        scale = float((vectors - means).std())
        if not scale > 0:
            raise UsageError(f"{self.description}: all vectors of the train split are the same; give others")
        target = Vocabulary.train(train["caption"], self.vocabulary)
        return CaptioningProcessor(target, means.tolist(), scale, self.max_length)


def _array(given: Any) -> np.ndarray | None:
    """Numbers as an array of them; None where it is something else, or lists are of unequal length."""
    try:
        array = np.asarray(given)
    except (ValueError, TypeError, OverflowError):
        return None
    return array if array.dtype.kind in "biuf" else None
