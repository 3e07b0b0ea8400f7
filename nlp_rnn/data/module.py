"""The base classes of every task's DataModule."""

from __future__ import annotations

import hashlib
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import pyarrow as pa
import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_only
from torch.utils.data import DataLoader
from typing_extensions import override

from nlp_rnn.data.batching import Batching
from nlp_rnn.data.cache import cached_folder
from nlp_rnn.data.corpus.corpus import Corpus
from nlp_rnn.data.corpus.drawing import Drawn
from nlp_rnn.data.corpus.extra import ExtraCorpus
from nlp_rnn.data.corpus.splits import SPLITS
from nlp_rnn.data.encoding import check_known, encode_parts, encoded_schema
from nlp_rnn.data.extra_rows import ExtraRows, joined
from nlp_rnn.data.processor import Processor
from nlp_rnn.data.report import check_seen, recorded_warnings, repeat_warnings, summarize, warn_of_unknown
from nlp_rnn.data.rows import Rows
from nlp_rnn.data.subword_dropout import check_subwords
from nlp_rnn.data.types import Dataset, DatasetDict
from nlp_rnn.data.vocabulary import VocabularySettings
from nlp_rnn.data.weighting import plan_weights
from nlp_rnn.errors import UsageError
from nlp_rnn.lite.text.notices import collect_warnings
from nlp_rnn.settings import Configured

log = logging.getLogger(__name__)

# Part of every cache key: increase it when the encoded form of a corpus changes.
_ENCODING_VERSION = 6

P = TypeVar("P", bound=Processor)


class DataModule(Configured, pl.LightningDataModule, ABC, Generic[P]):
    """Base class: rows that are encoded once, cached, and batched by length.

    A subclass defines what its rows are and how its processor is made from the train split. Rows of a corpus
    are the usual case: see `CorpusData`. `processor` depends only on the constructor's arguments, so a model
    can take its sizes from it before Lightning has set up the data.

    Args:
        batching: how rows are batched.
    """

    processor_class: type[P]
    """The class of `processor`."""
    extra: Sequence[ExtraCorpus] = ()
    """Further corpora to train on."""
    tagged: ClassVar[str | None] = None
    """The field of the processor with the vocabulary of what a tag stands before; None without tags."""

    def __init__(self, batching: Batching) -> None:
        super().__init__()
        self.batching = batching
        self._attached: P | None = None
        self._base: P | None = None
        self._drawn: Drawn | None = None
        """What `load` has drawn."""

    @override
    @classmethod
    def from_datasets(cls, *_: Any, **__: Any) -> Self:
        """Refuse what Lightning offers: its datasets would not be encoded.

        Raises:
            UsageError: always; the message says what to do.
        """
        raise UsageError(f"give the data itself: {cls.__name__}(data), with a table, rows or splits of these")

    @property
    def batch_size(self) -> int:
        """`batching.size`, under the name by which Lightning's `BatchSizeFinder` sets it."""
        return self.batching.size

    @batch_size.setter
    def batch_size(self, size: int) -> None:
        self.batching = replace(self.batching, size=size)

    @property
    @abstractmethod
    def description(self) -> str:
        """What messages and model cards call the data."""

    @property
    def source(self) -> Corpus | None:
        """The corpus that the rows come from, with which they can be read again; None if there is none."""
        return None

    @abstractmethod
    def load(self) -> DatasetDict:
        """Load the splits train, validation and, where there is one, test, with canonical columns.

        Raises:
            UsageError: the data cannot be read.
        """

    def load_extra(self, splits: DatasetDict) -> list[ExtraRows]:
        """Load the extra corpora, without the rows that are in validation or test.

        Args:
            splits: what `load` returned.

        Raises:
            UsageError: one of them cannot be read, or does not fit the main corpus.
        """
        return []

    @abstractmethod
    def cache_key(self) -> str:
        """Return a hash of everything that the result of `load` depends on, without loading it."""

    @abstractmethod
    def make_processor(self, train: Dataset) -> P:
        """Make a new processor from the train split.

        Raises:
            UsageError: the train split and the settings do not fit together.
        """

    @property
    def processor_settings(self) -> dict[str, Any]:
        """The settings, besides the rows, that the processor depends on."""
        arguments = self.all_arguments
        return {name: v for name, v in arguments.items() if name not in ("corpus", "batching", "extra")}

    @property
    def data_columns(self) -> dict[str, Any]:
        """The settings that a model needs to find its columns again, as plain values, see `Task`."""
        return self.column_arguments

    def check(self, processor: P) -> None:
        """Check that a trained model's processor can encode these rows, whatever their columns are called.

        Raises:
            UsageError: it expects another number of columns.
        """

    def attach_processor(self, processor: P) -> None:
        """Use a trained model's processor instead of one made from the train split.

        Raises:
            UsageError: the processor does not fit the rows.
        """
        self.check(processor)
        data_settings = processor.data_settings()
        chosen = {
            name: value for name, value in processor.chosen_settings().items() if name not in data_settings
        }
        ours = self.processor_settings
        for name in chosen.keys() & ours.keys():
            if chosen[name] != ours[name]:
                log.warning("the trained model's %s is used, %s, not %s", name, chosen[name], ours[name])
        self._attached = processor
        self.__dict__.pop("_prepared", None)

    def extend_processor(self, base: P) -> None:
        """Make the processor as an extension of a trained model's, see `Processor.keeping`.

        Args:
            base: of the same class.
        """
        self._base = base
        self.__dict__.pop("_prepared", None)

    @property
    def processor(self) -> P:
        """The attached processor, or one made from the train split."""
        return self._prepared[0]

    @property
    def splits(self) -> dict[str, Rows]:
        """The encoded rows of train, validation and, where the corpus has one, test."""
        return self._prepared[1]

    @property
    def drawn(self) -> Drawn | None:
        """Which rows of train were drawn for which split; None if the data has all of its splits."""
        state = self._prepared[2]["drawn"]
        return None if state is None else Drawn.from_state(state)

    @cached_property
    def _prepared(self) -> tuple[P, dict[str, Rows], dict[str, Any]]:
        # Not the fingerprint: two vocabularies of the same tokens may still split text differently.
        states = [
            None if processor is None else processor.state() for processor in (self._attached, self._base)
        ]
        settings: list[Any] = [repr(self.processor_settings), states]
        if self._attached is None:  # else no vocabulary is made
            made = [value for value in vars(self).values() if isinstance(value, VocabularySettings)]
            # The files may be others tomorrow.
            settings += [vocabulary.sources() for vocabulary in made]
        key = json.dumps([_ENCODING_VERSION, type(self).__name__, settings, self.cache_key()])
        built = []

        def build(folder: Path) -> None:
            built.append(folder)
            with recorded_warnings(folder / "warnings.json"):
                self._build(folder)

        folder = cached_folder(hashlib.sha256(key.encode()).hexdigest()[:32], build)
        if not built and getattr(rank_zero_only, "rank", 0) == 0:
            repeat_warnings(folder / "warnings.json")
        processor = self._attached
        if processor is None:
            state = json.loads((folder / "processor.json").read_text(encoding="utf-8"))
            processor = self.processor_class.from_state(state)
        files = {name: folder / f"{name}.arrow" for name in SPLITS}
        splits = {name: Rows.open(file) for name, file in files.items() if file.exists()}
        if self.batching.subword_dropout:
            check_subwords(processor.column_vocabularies())
        return processor, splits, json.loads((folder / "facts.json").read_text(encoding="utf-8"))

    def _build(self, folder: Path) -> None:
        splits = self.load()
        extras = self.load_extra(splits)
        processor = self._attached
        if processor is None:
            processor = self.make_processor(joined(splits["train"], extras))
            processor = processor if self._base is None else processor.keeping(self._base)
        (folder / "processor.json").write_text(json.dumps(processor.state()), encoding="utf-8")
        truncated = {}
        for name, split in splits.items():
            path = folder / f"{name}.arrow"
            schema = encoded_schema(split, processor)
            with collect_warnings() as collected, pa.ipc.new_file(path, schema) as file:
                for part in encode_parts(split, processor, schema):
                    file.write_table(part)
                for extra in extras if name == "train" else ():
                    for part in extra.encode(processor, schema, self.tagged):
                        file.write_table(part)
            truncated[name] = {what: count for (what, _), count in collected.truncated.items()}
            rows = Rows.open(path)
            check_known(rows, processor)
            if name != "train":
                warn_of_unknown(name, rows, processor)
        sizes = [len(extra.rows) for extra in extras]
        facts = {"drawn": self._drawn and asdict(self._drawn), "truncated": truncated, "extra": sizes}
        (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")

    def summary(self) -> str:
        """What the data is, see `summarize`."""
        drawn = [] if self.drawn is None else list(self.drawn.split_rows())
        truncated = self._prepared[2]["truncated"]
        described = self.extra_descriptions()
        extra = f"; of train, extra: {', '.join(described)}" if described else ""
        return f"{self.description}; {summarize(self.splits, self.processor, drawn, truncated)}{extra}"

    def extra_descriptions(self) -> list[str]:
        """What reports say of each extra corpus: its name, rows, weight and tag."""
        sizes = self._prepared[2]["extra"] if self.extra else []
        return [extra.described(size) for extra, size in zip(self.extra, sizes, strict=True)]

    @override
    def __repr__(self) -> str:
        held = self.summary() if "_prepared" in vars(self) else f"{self.description}; not read yet"
        return f"{type(self).__name__}({held})"

    __str__ = __repr__  # Lightning's own makes all loaders

    def _rows(self, split: str) -> Rows:
        if split not in self.splits:
            raise UsageError(
                f"corpus {self.description!r} has no {split} split, it has {', '.join(self.splits)}; "
                f"if it has one under another name, set {split}_split"
            )
        return self.splits[split]

    def repeats(self, rows: Rows) -> np.ndarray | None:
        """How often each row is seen per epoch of training, [N] int; once if None."""
        return None

    def _weighted(self, rows: Rows) -> Rows:
        """The rows of an epoch of training, each as often as it is seen."""
        if (repeats := self.repeats(rows)) is not None:
            return rows.repeated(repeats)
        if all(extra.weight == 1 for extra in self.extra):
            return rows
        sizes: list[int] = self._prepared[2]["extra"]
        own = len(rows) - sum(sizes)
        return rows.select(*plan_weights([own, *sizes], [1, *(extra.weight for extra in self.extra)]))

    def _loader(self, rows: Rows, processor: P, shuffle: bool = False) -> DataLoader[dict[str, list[Any]]]:
        trainer = self.trainer
        if getattr(trainer, "overfit_batches", 0):
            shuffle = False  # the same batches in each epoch
        place = (trainer.global_rank, trainer.world_size, trainer.accumulate_grad_batches) if trainer else ()
        rows = self._weighted(rows) if shuffle else rows
        loader = processor.loader(rows, self.batching, shuffle, *place)
        # From pinned memory, batches are copied to a GPU while the CPU goes on.
        loader.pin_memory = trainer is not None and trainer.strategy.root_device.type == "cuda"
        return loader

    @override
    def train_dataloader(self) -> DataLoader[dict[str, list[Any]]]:
        rows = self._rows("train")
        if "label_ids" in self.processor.features:
            check_seen(rows, self.processor, 0.0)
        return self._loader(rows, self.processor, shuffle=True)

    @override
    def val_dataloader(self) -> DataLoader[dict[str, list[Any]]]:
        return self._loader(self._rows("validation"), self.processor)

    @override
    def test_dataloader(self) -> DataLoader[dict[str, list[Any]]]:
        return self._loader(self._rows("test"), self.processor)

    @override
    def predict_dataloader(self) -> DataLoader[dict[str, list[Any]]]:
        return self.test_dataloader()
