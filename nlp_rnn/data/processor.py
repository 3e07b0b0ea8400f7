"""Processors: rows of text or numbers to batches of tensors. They are stored with a model's weights."""

from __future__ import annotations

import hashlib
import json
import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
import pyarrow as pa
import torch
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from nlp_rnn.data.batching import Batch, Batching, LengthGroupedSampler, Rows
from nlp_rnn.data.vocabulary import UNK, Vocabulary
from nlp_rnn.settings import check_settings, plain

logger = logging.getLogger(__name__)

ProcessorType = TypeVar("ProcessorType", bound="Processor")


@dataclass
class Processor(ABC):
    """Base class: turns rows into batches of ids, with vocabularies and a few settings.

    A subclass is a dataclass. Each of its fields is a `Vocabulary`, None, or plain data (numbers, strings,
    lists of these), so that the processor can be stored in a model folder. For a user's input the steps are:

        rows = processor.rows(["a good film"])  # canonical columns
        ids = processor.encode(rows)  # columns of ids
        batch = processor.collate({"row": [0], **rows, **ids})  # tensors
    """

    input_description: ClassVar[str] = "text"
    """What messages call one input."""

    input_columns: ClassVar[tuple[str, ...]] = ()
    """The canonical columns of a table that hold one input per row: its parts, if there are several."""

    optional_columns: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType({})
    """Canonical name -> names to accept, of the columns that say what the answer to a row must have."""

    features: ClassVar[dict[str, pa.DataType]]
    """The columns that `encode` makes, with their Arrow types."""
    length_columns: ClassVar[tuple[str, ...]]
    """The columns whose lengths group rows into batches, most important first."""
    scales: ClassVar[Sequence[str]] = ()
    """The fields by which numbers are scaled: a model's weights depend on them."""
    scaled: ClassVar[Sequence[str]] = ()
    """The fields or properties that tell what is scaled."""
    texts: ClassVar[tuple[str, ...]] = ()
    """The columns of text that `collate` needs besides `features`, where the data has them."""

    unknown_remedy: ClassVar[str] = "set vocabulary.level to char or bpe, or lower vocabulary.min_frequency"
    """What a warning about many unknown tokens advises."""

    def __post_init__(self) -> None:
        check_settings(type(self), self.settings())

    def is_input(self, value: Any) -> bool:
        """Return whether a value has the type of one input."""
        return isinstance(value, str)

    def is_single(self, value: Any) -> bool:
        """Return whether a value is one input rather than a list of inputs. Text is handled elsewhere."""
        return False

    def parse(self, line: str) -> Any:
        """Parse one input from a line of text, without its line end.

        Raises:
            UsageError: the line is not an input.
        """
        return line

    def with_demands(self, value: Any, demands: Mapping[str, Any]) -> Any:
        """Make one input of a row of a table that has cells in `optional_columns`.

        Args:
            value: what the row has in `input_columns`.
            demands: its cells in `optional_columns`, less empty ones; at least one.
        """
        raise NotImplementedError  # pragma: no cover

    def split_stable_prefix(self, pending: Any, piece: Any) -> tuple[Any, Any]:
        """Split the input of a stream into the part that is final and the part that may still change.

        Args:
            pending: what the call before this one returned as pending; None at the start.
            piece: the next piece of the stream.

        Returns:
            The part whose ids no later piece can change, and the pending rest, of bounded size; None if
            there is no rest.
        """
        return piece, None

    def data_settings(self) -> dict[str, Any]:
        """Return the DataModule's arguments that determine the form of the rows, as this was made with."""
        return {}

    @property
    def reads_unknown(self) -> bool:
        """Whether tokens that the vocabulary lacks tell a model something, as words by their letters."""
        return False

    @property
    def counts_unknown(self) -> bool:
        """Whether rows are tokens, of which the vocabulary may lack some."""
        return bool(self.features[self.length_columns[0]] == pa.list_(pa.int32()))

    def count_unknown(self, rows: dict[str, list[Any]]) -> list[int]:
        """Count the tokens of each encoded row that the vocabulary lacks, if `counts_unknown`."""
        return [ids.count(UNK) for ids in rows[self.length_columns[0]]]

    def unknown_tokens(self, rows: dict[str, list[Any]]) -> list[str]:
        """Return the tokens of the first row that the vocabulary lacks, as they are written.

        Args:
            rows: what `rows` and `encode` returned.

        Returns:
            The tokens in the order in which a model reads them; none if it is not known how they are written.
        """
        return []

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
        lengths = np.stack([rows.lengths(name) for name in self.length_columns], axis=1)
        sampler = LengthGroupedSampler(lengths, batching, shuffle, rank, world_size, accumulated)
        return self._make_loader(rows, sampler, batching)

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


def hash_state(state: Mapping[str, Any]) -> str:
    """Hash a processor's `state()`: its whole tokenizers, and the labels and all other settings."""
    tokenizers = {name: json.loads(text) for name, text in state["tokenizers"].items()}
    canonical = json.dumps([tokenizers, state["settings"]], sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


@dataclass
class CollectedWarnings:
    """Counts of truncated sequences, unknown tokens and unknown labels, for one warning each."""

    truncated: Counter[tuple[str, int]] = field(default_factory=Counter)
    """Number of sequences, by what they are called and their maximum length."""
    unknown: Counter[str] = field(default_factory=Counter)
    """Number of times that each unknown token occurs."""
    unseen: Counter[str] = field(default_factory=Counter)
    """Number of times that each label occurs that the model does not know."""
    texts: int = 0
    """Number of texts that a model was asked for an answer."""
    lost: int = 0
    """Number of these that have no token which the model knows."""

    def log(self) -> None:
        """Log the warnings."""
        for (name, max_length), count in self.truncated.items():
            logger.warning("%d %s cut to the maximum length of %d tokens", count, name, max_length)
        if self.unknown:
            logger.warning(
                "%d token(s) not in the model's vocabulary: %s",
                self.unknown.total(), _examples(self.unknown),
            )  # fmt: skip
        if self.lost:
            logger.warning(
                "%d of %d text(s) have no word that the model knows; their answers mean nothing",
                self.lost, self.texts,
            )  # fmt: skip
        if self.unseen:
            logger.warning(
                "%d label(s) that the model does not know count as errors: %s",
                self.unseen.total(), _examples(self.unseen),
            )  # fmt: skip


def _examples(counts: Counter[str]) -> str:
    shown = ", ".join(f"{token!r:.20}" for token in list(counts)[:_MAX_EXAMPLES])
    return f"{shown}{', ...' if len(counts) > _MAX_EXAMPLES else ''}"


_MAX_EXAMPLES = 5  # unknown tokens or labels named in a warning
_collected: ContextVar[CollectedWarnings | None] = ContextVar("_collected", default=None)


def truncate(sequences: list[Any], max_length: int, name: str) -> list[Any]:
    """Truncate sequences to `max_length`, with one warning that counts the truncated ones.

    Args:
        sequences: lists of tokens or ids.
        max_length: maximum number of items of each.
        name: what the warning calls the sequences, such as "texts".
    """
    num_truncated = sum(len(sequence) > max_length for sequence in sequences)
    if not num_truncated:
        return sequences
    with collect_warnings() as collected:
        collected.truncated[name, max_length] += num_truncated
    return [sequence[:max_length] for sequence in sequences]


def warn_unknown(tokens: Iterable[str]) -> None:
    """Warn of tokens that the vocabulary lacks; `collect_warnings` joins the warnings of several calls."""
    with collect_warnings() as collected:
        collected.unknown.update(tokens)


def warn_lost(lengths: Iterable[int], unknown: Iterable[int]) -> None:
    """Warn of texts all of whose tokens are unknown; `collect_warnings` joins the warnings of several calls.

    Args:
        lengths: the numbers of tokens of the texts.
        unknown: how many of them the model does not know.
    """
    is_lost = [0 < length == count for length, count in zip(lengths, unknown, strict=True)]
    with collect_warnings() as collected:
        collected.texts += len(is_lost)
        collected.lost += sum(is_lost)


def blank_to_empty(texts: Iterable[str]) -> list[str]:
    """Return texts of which those of white space alone are empty, as they are not to every vocabulary."""
    return [text if text.strip() else "" for text in texts]


def warn_unseen(labels: Iterable[str]) -> None:
    """Warn of labels that the model does not know; `collect_warnings` joins the warnings of several calls."""
    with collect_warnings() as collected:
        collected.unseen.update(labels)


@contextmanager
def collect_warnings() -> Iterator[CollectedWarnings]:
    """Collect the warnings of `truncate` and `warn_unknown` and log them once, at the end of the context.

    In nested contexts the outermost one logs.
    """
    collected = _collected.get()
    if collected is not None:
        yield collected
        return
    collected = CollectedWarnings()
    before = _collected.set(collected)
    try:
        yield collected
    finally:
        _collected.reset(before)
    collected.log()
