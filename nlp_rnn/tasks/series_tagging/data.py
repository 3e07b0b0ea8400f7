"""Series tagging data: sequences of vectors with one label per step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from torch import Tensor
from typing_extensions import override

from nlp_rnn.data.batching import IGNORED, Batch, Batching, pad, pad_vectors
from nlp_rnn.data.corpus.corpus import Corpus
from nlp_rnn.data.labels import LabelEncoder
from nlp_rnn.data.scaling import mean_std
from nlp_rnn.data.series import Series, SeriesData, last_series, last_steps, parse_names
from nlp_rnn.data.series_processor import SeriesProcessor, check_num_columns
from nlp_rnn.data.types import Dataset
from nlp_rnn.errors import UsageError
from nlp_rnn.settings import Column, Columns

PIXELS = tuple(f"p{pixel}" for pixel in range(16))
"""The columns of numbers of the corpus `motion`."""


@dataclass
class SeriesTaggingBatch(Batch):
    """A batch of sequences; `labels` are [T, B]."""

    vectors: Tensor
    """[T, B, F] float32, padded with 0."""


@dataclass(kw_only=True)
class SeriesTaggingProcessor(SeriesProcessor):
    """Sequences to vectors, scaled by the statistics of the train split, and labels to ids."""

    features = {"vectors": pa.list_(pa.float32()), "label_ids": pa.list_(pa.int32())}

    label: str
    """The column of labels."""
    labels: list[str]
    """The labels in the order of their ids."""

    @override
    def data_settings(self) -> dict[str, Any]:
        return {"inputs": self.inputs, "label": self.label, "group": self.group}

    @override
    def encode(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        encoded = self.encode_inputs(rows)
        if "labels" in rows:
            encoded["label_ids"] = LabelEncoder(self.labels).encode_lists(rows["labels"])
        return encoded

    @override
    def collate(self, rows: dict[str, list[Any]]) -> SeriesTaggingBatch:
        vectors, lengths = pad_vectors(rows["vectors"], len(self.inputs))
        batch = SeriesTaggingBatch(rows["row"], lengths, vectors)
        if "label_ids" in rows:
            batch.labels, _ = pad(rows["label_ids"], IGNORED)
        return batch


class SeriesTaggingData(SeriesData[SeriesTaggingProcessor]):
    """Labeled sequences from any corpus whose rows are time steps.

    Args:
        corpus: where rows come from, in order. If it has no validation split, the last sequences of train
            become one; of a single file, the last are for test and those before them for validation. A single
            sequence is cut in time instead.
        inputs: names of the columns of numbers, as a list or with commas between them.
        label: name of the column of labels, one per step.
        group: name of the column that names the sequence of each row; a new sequence starts where it changes.
            If empty, each file is one sequence.
        batching: how sequences are batched.
    """

    processor_class = SeriesTaggingProcessor

    def __init__(
        self,
        corpus: Corpus = Corpus("motion"),
        inputs: Columns = PIXELS,
        label: Column = "label",
        group: Column = "clip",
        batching: Batching = Batching(size=32),
    ) -> None:
        self.inputs = parse_names(inputs)
        self.label = label
        if not self.inputs or not label:
            raise UsageError("inputs and label name the columns of numbers and of labels; give both")
        super().__init__(corpus, self.inputs, group, label, batching)

    @override
    def check(self, processor: SeriesTaggingProcessor) -> None:
        check_num_columns("inputs", processor.inputs, self.inputs)

    @override
    def attach_processor(self, processor: SeriesTaggingProcessor) -> None:
        """Use a trained model's processor instead of one made from the train split.

        Raises:
            UsageError: the model reads other columns.
        """
        if self.inputs != processor.inputs:
            raise UsageError(f"the model reads the columns {processor.inputs}, the data has {self.inputs}")
        super().attach_processor(processor)

    @override
    def split_off(self, train: list[Series], fractions: Mapping[str, float]) -> dict[str, list[Series]]:
        if len(train) > 1:
            return last_series(train, fractions)
        parts = last_steps(train, fractions)
        if any(len(series) == 0 for (series,) in parts.values()):
            raise UsageError(f"{train[0].where}: too few steps for train and {' and '.join(fractions)}")
        return parts

    @override
    def table(self, series: list[Series]) -> pa.Table:
        """Make one row per sequence: `steps`, flat, and `labels`."""
        steps = pa.array([part.numbers.ravel() for part in series])
        return pa.table({"steps": steps, "labels": pa.array([part.labels for part in series])})

    @override
    def make_processor(self, train: Dataset) -> SeriesTaggingProcessor:
        series = self._series["train"]
        numbers = np.concatenate([part.numbers for part in series])
        means, deviations = mean_std(numbers, self.inputs, series[0].source)
        return SeriesTaggingProcessor(
            inputs=self.inputs,
            means=means,
            deviations=deviations,
            group=self.group,
            label=self.label,
            labels=sorted({label for part in series for label in part.labels or ()}),
        )
