"""Between text and tensors: what a task's data and model share, and what travels with the weights."""

from __future__ import annotations

import hashlib
import json
import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, TypeVar

import numpy as np
import pyarrow as pa
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from nlp_rnn.data.batching import Batch, Batching, LengthGroupedSampler, Rows
from nlp_rnn.data.vocabulary import Vocabulary
from nlp_rnn.settings import check_settings

logger = logging.getLogger(__name__)

ProcessorType = TypeVar("ProcessorType", bound="Processor")


@dataclass
class Processor(ABC):
    """Rows of text to batches of ids, by vocabularies and a few settings, all of them fields.

    Every field is a `Vocabulary`, possibly None, or plain (numbers, strings, lists of these).
    """

    input_description: ClassVar[str] = "text"
    """What one input is called in messages."""

    features: ClassVar[dict[str, pa.DataType]]
    """The columns that `encode` makes, with their Arrow types."""
    length_columns: ClassVar[tuple[str, ...]]
    """Those by whose lengths batches are grouped; the one that must not be padded first."""
    texts: ClassVar[tuple[str, ...]] = ()
    """The columns of text that `collate` wants beside them, where there are any."""

    def __post_init__(self) -> None:
        check_settings(type(self), self.settings())

    def is_input(self, given: Any) -> bool:
        """Whether a user may ask about this, as one input."""
        return isinstance(given, str)

    def is_single(self, given: Any) -> bool:
        """Whether this, of which text is always one, is one input rather than several."""
        return False

    def parse(self, line: str) -> Any:
        """One input from a line of text, without its end.

        Raises:
            UsageError: the line is none.
        """
        return line

    def split_stable_prefix(self, pending: Any, piece: Any) -> tuple[Any, Any]:
        """Of a stream's next piece, and what the piece before left open: what is settled, and what is not.

        Settled is what nothing that follows can change; the rest, of bounded size, is None if there is none.
        """
        return piece, None

    def data_settings(self) -> dict[str, Any]:
        """The DataModule's arguments on which the rows depend that this reads, as it was made with them."""
        return {}

    @abstractmethod
    def rows(self, inputs: Sequence[Any]) -> dict[str, list[Any]]:
        """What a user asks about, as canonical columns without targets."""

    @abstractmethod
    def encode(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Canonical columns in, id columns out; those of targets alone where the targets are given."""

    @abstractmethod
    def collate(self, rows: dict[str, list[Any]]) -> Batch:
        """Encoded rows to one batch: the columns of `features` and `texts`, and `row`."""

    def loader(
        self, rows: Rows, batching: Batching, shuffle: bool = False, rank: int = 0, world_size: int = 1
    ) -> DataLoader:
        """Batches of encoded rows, grouped by length: all of them in random order, or each row once."""
        lengths = np.stack([rows.lengths(name) for name in self.length_columns], axis=1)
        return self._batches(
            rows, LengthGroupedSampler(lengths, batching, shuffle, rank, world_size), batching
        )

    def _batches(self, data: Dataset, sampler: DistributedSampler, batching: Batching) -> DataLoader:
        """What the sampler asks of the data, a batch at a time."""
        return DataLoader(
            data,
            sampler=sampler,
            batch_size=None,
            collate_fn=self.collate,  # type: ignore[arg-type]
            num_workers=batching.num_workers,
            persistent_workers=batching.num_workers > 0,
        )

    def vocabularies(self) -> dict[str, Vocabulary]:
        """The vocabularies by field name."""
        found = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: value for name, value in found.items() if isinstance(value, Vocabulary)}

    def chosen_settings(self) -> dict[str, Any]:
        """The settings that were chosen rather than found in data, by name."""
        chosen = {
            name: value
            for name, value in vars(self).items()
            if value is None or type(value) in (bool, int, str)
        }
        return chosen | self.data_settings()

    def settings(self) -> dict[str, Any]:
        """The plain fields by name."""
        found = {item.name: getattr(self, item.name) for item in fields(self)}
        return {
            name: value
            for name, value in found.items()
            if value is not None and not isinstance(value, Vocabulary)
        }

    def state(self) -> dict[str, Any]:
        """All of it as strings, numbers and lists: what `from_state` takes."""
        tokenizers = {name: vocabulary.to_json() for name, vocabulary in self.vocabularies().items()}
        return {"tokenizers": tokenizers, "settings": self.settings()}

    @classmethod
    def from_state(cls: type[ProcessorType], state: dict[str, Any]) -> ProcessorType:
        """The processor that `state` was taken from."""
        tokenizers = {name: Vocabulary.from_json(text) for name, text in state["tokenizers"].items()}
        return cls(**tokenizers, **state["settings"])

    @property
    def fingerprint(self) -> str:
        """A hash of all tokens and settings."""
        tokens = {name: vocabulary.fingerprint for name, vocabulary in self.vocabularies().items()}
        return hashlib.sha256(json.dumps([tokens, self.settings()]).encode()).hexdigest()[:16]


@dataclass
class _Seen:
    """What is to be warned of, when all of it is known."""

    cut: Counter[tuple[str, int]] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)

    def warn(self) -> None:
        for (what, max_length), count in self.cut.items():
            logger.warning("%d %s cut to the maximum length of %d tokens", count, what, max_length)
        if self.unknown:
            first = ", ".join(f"{token!r:.20}" for token in list(self.unknown)[:_NAMED])
            more = ", ..." if len(self.unknown) > _NAMED else ""
            logger.warning(
                "the model does not know %d token(s) that it is given: %s%s",
                self.unknown.total(),
                first,
                more,
            )


_NAMED = 5  # of the unknown tokens
_seen: ContextVar[_Seen | None] = ContextVar("_seen", default=None)


def truncate(sequences: list[Any], max_length: int, what: str) -> list[Any]:
    """Cut sequences to `max_length`, with one warning that counts them."""
    long = sum(len(sequence) > max_length for sequence in sequences)
    if not long:
        return sequences
    with collect_warnings() as seen:
        seen.cut[what, max_length] += long
    return [sequence[:max_length] for sequence in sequences]


def warn_unknown(tokens: Sequence[str]) -> None:
    """Warn of tokens that are read as the unknown one; `one_warning` puts several together."""
    with collect_warnings() as seen:
        seen.unknown.update(tokens)


@contextmanager
def collect_warnings() -> Iterator[_Seen]:
    """Within the outermost of these warnings are only collected, and given at its end."""
    seen = _seen.get()
    if seen is not None:
        yield seen
        return
    seen = _Seen()
    before = _seen.set(seen)
    try:
        yield seen
    finally:
        _seen.reset(before)
    seen.warn()
