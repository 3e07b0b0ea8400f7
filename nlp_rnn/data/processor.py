"""Processors: rows of text or numbers to batches of tensors. They are stored with a model's weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
import pyarrow as pa
import torch
from torch.utils.data import DataLoader, Dataset, DistributedSampler
from typing_extensions import override

from nlp_rnn.data.batching import Batch, Batching
from nlp_rnn.data.corpus.spool import empty_array
from nlp_rnn.data.rows import Rows
from nlp_rnn.data.sampling import LengthGroupedSampler
from nlp_rnn.data.subword_dropout import ResegmentedRows
from nlp_rnn.data.vocabulary import READ, Vocabulary
from nlp_rnn.errors import UsageError
from nlp_rnn.files import shorten
from nlp_rnn.lite.folders.folder import hash_state
from nlp_rnn.lite.text.readers import Reader
from nlp_rnn.settings import check_settings, plain

ProcessorType = TypeVar("ProcessorType", bound="Processor")

SHOWN_NUMBERS = 24
"""How many numbers of an input reports show."""


@dataclass
class Processor(Reader, ABC):
    """Base class: turns rows into batches of ids, with vocabularies and a few settings.

    A subclass is a dataclass. Each of its fields is a `Vocabulary`, None, or plain data (numbers, strings,
    lists of these), so that the processor can be stored in a model folder. For a user's input the steps are:

        rows = processor.rows(["a good film"])  # canonical columns
        ids = processor.encode(rows)  # columns of ids
        batch = processor.collate({"row": [0], **rows, **ids})  # tensors
    """

    input_columns: ClassVar[tuple[str, ...]] = ()
    """The canonical columns of a table that hold one input per row: its parts, if there are several."""

    optional_columns: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType({})
    """Canonical name -> names to accept, of the columns that say what the answer to a row must have."""

    features: ClassVar[dict[str, pa.DataType]]
    """The columns that `encode` makes, with their Arrow types."""
    scales: ClassVar[Sequence[str]] = ()
    """The fields by which numbers are scaled: a model's weights depend on them."""
    scaled: ClassVar[Sequence[str]] = ()
    """The fields or properties that tell what is scaled."""
    texts: ClassVar[tuple[str, ...]] = ()
    """The columns of text that `collate` needs besides `features`, where the data has them."""

    id_columns: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Those of `features` that a text is encoded to -> the field with its vocabulary."""

    unknown_remedy: ClassVar[str] = "set vocabulary.level to char or bpe, or lower vocabulary.min_frequency"
    """What a warning about many unknown tokens advises."""

    def __post_init__(self) -> None:
        check_settings(type(self), self.settings())

    @property
    @override
    def counts_unknown(self) -> bool:
        return bool(self.features[self.length_columns[0]] == pa.list_(pa.int32()))

    def with_demands(self, value: Any, demands: Mapping[str, Any]) -> Any:
        """Make one input of a row of a table that has cells in `optional_columns`.

        Args:
            value: what the row has in `input_columns`.
            demands: its cells in `optional_columns`, less empty ones; at least one.
        """
        raise NotImplementedError  # pragma: no cover

    def data_settings(self) -> dict[str, Any]:
        """Return the DataModule's arguments that determine the form of the rows, as this was made with."""
        return {}

    def unknown_tokens(self, rows: dict[str, list[Any]]) -> list[str]:
        """Return the tokens of the first row that the vocabulary lacks, as they are written.

        Args:
            rows: what `rows` and `encode` returned.

        Returns:
            The tokens in the order in which a model reads them; none if it is not known how they are written.
        """
        return []

    @property
    def read_vocabulary(self) -> Vocabulary:
        """The vocabulary of the texts that are read.

        Raises:
            UsageError: the model reads no text.
        """
        known = self.vocabularies()
        for name in READ:
            if name in known:
                return known[name]
        raise UsageError(f"the model reads no tokens of a vocabulary, but a {self.input_description}")

    def token_strings(self, value: Any) -> list[list[str]]:
        """The tokens of each text of an input: of all of it, and also those that the vocabulary lacks.

        Args:
            value: one input.

        Raises:
            UsageError: the model reads no text, or the text has a lone surrogate.
        """
        texts = [value] if isinstance(value, str) else value
        return [self.read_vocabulary.token_strings(text) for text in texts]

    def input_text(self, row: Mapping[str, Any]) -> str:
        """What reports show of an input: its parts with tabs between them, words joined with spaces.

        Args:
            row: the canonical columns of one row.
        """
        return "\t".join(_shown(row[name]) for name in self.input_columns)

    @abstractmethod
    def rows(self, inputs: Sequence[Any]) -> dict[str, list[Any]]:
        """Turn a user's inputs into rows: canonical columns without targets.

        Raises:
            UsageError: an input cannot be read.
        """

    @abstractmethod
    def encode(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Turn rows into the columns of `features`.

        Args:
            rows: canonical columns. If there are no targets, none are encoded.

        Raises:
            UsageError: a row cannot be encoded.
        """

    @abstractmethod
    def collate(self, rows: dict[str, list[Any]]) -> Batch:
        """Make one batch of encoded rows.

        Args:
            rows: the columns of `features` and `texts`, and `row`, the row numbers.
        """

    def loader(
        self,
        rows: Rows,
        batching: Batching,
        shuffle: bool = False,
        rank: int = 0,
        world_size: int = 1,
        accumulated: int = 1,
    ) -> DataLoader[dict[str, list[Any]]]:
        """Make a loader of batches grouped by length.

        Args:
            rows: encoded rows.
            batching: batch sizes, seed and number of workers.
            shuffle: for training, in random order; otherwise each row exactly once.
            rank: number of this process.
            world_size: number of processes.
            accumulated: number of batches per optimizer step and process, in training.
        """
        lengths = empty_array((len(rows), len(self.length_columns)), np.int32)
        for place, name in enumerate(self.length_columns):
            lengths[:, place] = rows.lengths(name)
        places = rank, world_size, accumulated
        sampler = LengthGroupedSampler(lengths, batching, shuffle, *places, rows.parts)
        data: Dataset[dict[str, list[Any]]] = rows
        if shuffle and batching.subword_dropout:
            data = ResegmentedRows(rows, self.column_vocabularies(), batching, self.settings()["max_length"])
        return self._make_loader(data, sampler, batching)

    def _make_loader(
        self, data: Dataset[dict[str, list[Any]]], sampler: DistributedSampler[Any], batching: Batching
    ) -> DataLoader[dict[str, list[Any]]]:
        """A loader in which each index from the sampler gives one batch."""
        collate: Callable[[Any], Batch] = self._collate  # without a batch size, it gets one indexed item
        return DataLoader(
            data,
            sampler=sampler,
            batch_size=None,
            collate_fn=collate,
            num_workers=batching.num_workers,
            persistent_workers=batching.num_workers > 0,
            # Its own: else each pass over a loader would change the random numbers of the training.
            generator=torch.Generator(),
        )

    def _collate(self, rows: dict[str, list[Any]]) -> Batch:
        """Make one batch; one without rows is no task's own."""
        return self.collate(rows) if rows["row"] else Batch([], torch.zeros(0, dtype=torch.int64))

    def vocabularies(self) -> dict[str, Vocabulary]:
        """Return the vocabularies by field name."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, Vocabulary)}

    def column_vocabularies(self) -> dict[str, Vocabulary]:
        """Return the vocabularies by the names of the columns of ids, see `id_columns`."""
        return {column: getattr(self, name) for column, name in self.id_columns.items()}

    def keeping(self, base: Processor) -> Self:
        """This processor as a model reads with it that goes on from another one.

        The tokens of the other model's vocabularies stay, with this one's behind them. Numbers of the same
        columns are scaled as before.

        Args:
            base: the processor of the other model.
        """
        theirs = base.vocabularies()
        kept: dict[str, Any] = {
            name: theirs[name].extended(own) for name, own in self.vocabularies().items() if name in theirs
        }
        if all(getattr(self, name) == getattr(base, name, None) for name in self.scaled):
            kept |= {name: getattr(base, name) for name in self.scales}
        return replace(self, **kept)

    def chosen_settings(self) -> dict[str, Any]:
        """Return the settings that the user chose, by name; what was computed from data is left out."""
        chosen = {
            name: value
            for name, value in vars(self).items()
            if value is None or type(value) in (bool, int, str)
        }
        return chosen | self.data_settings()

    def settings(self) -> dict[str, Any]:
        """Return all fields but vocabularies and None, by name."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {
            name: plain(value)
            for name, value in values.items()
            if value is not None and not isinstance(value, Vocabulary)
        }

    def state(self) -> dict[str, Any]:
        """Return the whole processor as strings, numbers and lists, for `from_state`."""
        tokenizers = {name: vocabulary.to_json() for name, vocabulary in self.vocabularies().items()}
        return {"tokenizers": tokenizers, "settings": self.settings()}

    @classmethod
    def from_state(cls: type[ProcessorType], state: dict[str, Any]) -> ProcessorType:
        """Restore a processor from its `state()`."""
        tokenizers = {name: Vocabulary.from_json(text) for name, text in state["tokenizers"].items()}
        return cls(**tokenizers, **state["settings"])

    @property
    def fingerprint(self) -> str:
        """A hash of all vocabularies and settings, see `hash_state`."""
        return hash_state(self.state())


def _shown(value: Any) -> str:
    """A text as it is, words joined with spaces, and the first numbers of a vector."""
    if isinstance(value, str):
        return value
    parts = np.ravel(value).tolist()
    if all(isinstance(part, str) for part in parts):
        return " ".join(parts)
    return " ".join(f"{number:.4g}" for number in parts[:SHOWN_NUMBERS]) + " …" * (len(parts) > SHOWN_NUMBERS)


def difference_of(one: Processor, other: Processor) -> str | None:
    """Say in which respect two processors differ, so that models with them read or answer differently.

    Args:
        one: of a class.
        other: of the same class.

    Returns:
        Such as "labels are ['a', 'b'] rather than ['a', 'c']"; None if they are the same.
    """
    if one.fingerprint == other.fingerprint:
        return None
    for name, vocabulary in one.vocabularies().items():
        theirs = other.vocabularies().get(name)
        if theirs is None or vocabulary.fingerprint != theirs.fingerprint:
            sizes = len(vocabulary), 0 if theirs is None else len(theirs)
            return f"the {name} vocabulary of {sizes[0]:,} is another one than that of {sizes[1]:,}"
    settings, others = one.settings(), other.settings()
    for name in sorted({*settings, *others}):
        if (value := settings.get(name)) != (theirs := others.get(name)):
            return f"{name}: {shorten(str(value))} rather than {shorten(str(theirs))}"
    return "the vocabularies differ"
