"""The DataModule that every task shares."""

from __future__ import annotations

import hashlib
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import pyarrow as pa
import pytorch_lightning as pl
from torch.utils.data import DataLoader

from nlp_rnn.data.batching import IGNORED, Batching, Rows
from nlp_rnn.data.cache import cached_folder
from nlp_rnn.data.corpus.corpus import Corpus
from nlp_rnn.data.corpus.splits import SPLITS
from nlp_rnn.data.processor import Processor, collect_warnings
from nlp_rnn.data.types import Dataset, DatasetDict
from nlp_rnn.errors import UsageError
from nlp_rnn.settings import Configured

log = logging.getLogger(__name__)

# Part of every cache key: raise it when the encoded form of a corpus changes.
_ENCODING_VERSION = 3

P = TypeVar("P", bound=Processor)


class DataModule(Configured, pl.LightningDataModule, ABC, Generic[P]):
    """Rows from somewhere, encoded once and batched by length.

    A task says what its rows are, how its processor is made from the train split, and which settings that
    depends on. `processor` is a pure function of the constructor's arguments, so that sizes can flow from
    data to model before Lightning has set anything up.

    Args:
        batching: how rows are put together.
    """

    processor_class: ClassVar[type[Processor]]

    def __init__(self, batching: Batching) -> None:
        super().__init__()
        self.batching = batching
        self._given: P | None = None

    @property
    @abstractmethod
    def description(self) -> str:
        """What messages and model cards call the data."""

    @abstractmethod
    def load(self) -> DatasetDict:
        """The splits train, validation and perhaps test, in canonical columns."""

    @abstractmethod
    def cache_key(self) -> str:
        """A hash of what `load` gives, found without loading it."""

    @abstractmethod
    def make_processor(self, train: Dataset) -> P:
        """A new processor from the train split."""

    @property
    def processor_settings(self) -> dict[str, Any]:
        """The settings that the processor depends on, besides the rows."""
        return {name: v for name, v in self.settings.items() if name not in ("corpus", "batching")}

    def check(self, processor: P) -> None:
        """See that a trained model's processor reads rows of this form, whatever their columns are called.

        Raises:
            UsageError: it reads more or fewer numbers a row than there are.
        """

    def attach_processor(self, processor: P) -> None:
        """Read the corpus with a trained model's processor in place of one made from the train split.

        Raises:
            UsageError: it does not fit the rows.
        """
        self.check(processor)
        chosen = {
            n: value for n, value in processor.chosen_settings().items() if n not in processor.data_settings()
        }
        for name in chosen.keys() & self.processor_settings.keys():
            if chosen[name] != self.settings[name]:
                log.warning(
                    "the trained model's %s is used, %s, not %s", name, chosen[name], self.settings[name]
                )
        self._given = processor
        self.__dict__.pop("_prepared", None)

    @property
    def processor(self) -> P:
        return self._prepared[0]

    @property
    def splits(self) -> dict[str, Rows]:
        """The encoded rows of train, validation and, where the corpus has one, test."""
        return self._prepared[1]

    @cached_property
    def _prepared(self) -> tuple[P, dict[str, Rows]]:
        # Not the fingerprint: two vocabularies of the same tokens may still read text differently.
        given = self._given.state() if self._given is not None else None
        settings = [repr(self.processor_settings), given]
        key = json.dumps([_ENCODING_VERSION, type(self).__name__, settings, self.cache_key()])
        folder = cached_folder(hashlib.sha256(key.encode()).hexdigest()[:32], self._build)
        processor = self._given
        if processor is None:
            state = json.loads((folder / "processor.json").read_text(encoding="utf-8"))
            processor = self.processor_class.from_state(state)  # type: ignore[assignment]
        files = {name: folder / f"{name}.arrow" for name in SPLITS}
        return processor, {  # type: ignore[return-value]
            name: Rows(pa.ipc.open_file(pa.memory_map(str(file))).read_all())
            for name, file in files.items()
            if file.exists()
        }

    def _build(self, folder: Path) -> None:
        splits = self.load()
        processor = self._given if self._given is not None else self.make_processor(splits["train"])
        (folder / "processor.json").write_text(json.dumps(processor.state()), encoding="utf-8")
        for name, split in splits.items():
            table = encode(split, processor)
            with pa.ipc.new_file(folder / f"{name}.arrow", table.schema) as file:
                file.write_table(table)

    def summary(self) -> str:
        """The number of rows per split and, where rows have labels, how often each occurs in train."""
        sizes = ", ".join(f"{name} {len(rows):,}" for name, rows in self.splits.items())
        text = f"{self.description}; rows: {sizes}"
        labels = self.processor.settings().get("labels", [])
        column = next((name for name in self.processor.features if name.startswith("label_id")), None)
        if column is None or not labels:
            return text
        train = self.splits["train"]
        ids = np.hstack(train[list(range(len(train)))][column])
        counts = np.bincount(ids[ids != IGNORED], minlength=len(labels))
        shown = [f"{labels[i]} {counts[i]:,}" for i in np.argsort(-counts, kind="stable")[:6]]
        return f"{text}; classes in train: {', '.join(shown)}{', ...' if len(labels) > 6 else ''}"

    def _rows(self, split: str) -> Rows:
        if split not in self.splits:
            raise UsageError(
                f"corpus {self.description!r} has no {split} split, it has {', '.join(self.splits)}; "
                f"where it has one by another name, give {split}_split"
            )
        return self.splits[split]

    def _loader(self, rows: Rows, processor: P, shuffle: bool = False) -> DataLoader:
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        return processor.loader(rows, self.batching, shuffle, rank, world_size)

    def train_dataloader(self) -> DataLoader:
        return self._loader(self._rows("train"), self.processor, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return self._loader(self._rows("validation"), self.processor)

    def test_dataloader(self) -> DataLoader:
        return self._loader(self._rows("test"), self.processor)

    def predict_dataloader(self) -> DataLoader:
        return self.test_dataloader()


class CorpusData(DataModule[P]):
    """Rows of a corpus.

    Args:
        corpus: where rows come from.
        batching: how they are put together.
    """

    labels: ClassVar[str | None] = None
    """The canonical column of labels, if the task has one."""

    def __init__(self, corpus: Corpus, batching: Batching) -> None:
        super().__init__(batching)
        self.corpus = corpus

    @abstractmethod
    def columns(self) -> Mapping[str, str | Sequence[str]]:
        """Canonical column name -> the names it may have in the corpus, in order of preference."""

    @property
    def description(self) -> str:
        return self.corpus.path

    def load(self) -> DatasetDict:
        return self.corpus.load(self.columns(), self.labels)

    def load_split(self, split: str) -> Dataset:
        """One split alone, to measure a model on, whatever other splits the corpus has or lacks."""
        return self.corpus.load_split(self.columns(), split, self.labels)

    def cache_key(self) -> str:
        return self.corpus.cache_key(self.columns(), self.labels)


def encode(rows: Dataset, processor: Processor) -> pa.Table:
    """A split as the processor's id columns, and the texts that it wants beside them."""
    given = rows.with_format("arrow")[:]
    schema = pa.schema([(name, processor.features[name]) for name in processor.encode(rows[:0])])
    with collect_warnings():
        parts = [pa.table(processor.encode(part), schema) for part in rows.iter(1000)]
    table = pa.concat_tables([schema.empty_table(), *parts]).combine_chunks()
    for name in processor.texts:
        if name in given.column_names:
            table = table.append_column(name, given[name])
    return table
