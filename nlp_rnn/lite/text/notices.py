"""Warnings about inputs: texts that are cut, and tokens and labels that a model does not know."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

logger = logging.getLogger(__name__)


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
    has_columns: bool = False
    """Whether a line was read whole that looks like several columns."""

    def truncations(self) -> list[str]:
        """What was cut, one line for each kind of sequence."""
        return [
            f"{count} {name} cut to the maximum length of {max_length} tokens"
            for (name, max_length), count in self.truncated.items()
        ]

    def messages(self) -> list[str]:
        """All warnings."""
        lines = self.truncations()
        if self.unknown:
            total, examples = self.unknown.total(), _examples(self.unknown)
            lines.append(f"{total} token(s) not in the model's vocabulary: {examples}")
        if self.lost:
            lines.append(
                f"{self.lost} of {self.texts} text(s) have no word that the model knows; their answers mean "
                "nothing"
            )
        if self.unseen:
            total, examples = self.unseen.total(), _examples(self.unseen)
            lines.append(f"{total} label(s) that the model does not know count as errors: {examples}")
        return lines

    def log(self) -> None:
        """Log the warnings."""
        for message in self.messages():
            logger.warning("%s", message)


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


def warn_unseen(labels: Iterable[str]) -> None:
    """Warn of labels that the model does not know; `collect_warnings` joins the warnings of several calls."""
    with collect_warnings() as collected:
        collected.unseen.update(labels)


def warn_columns(line: str, where: str) -> None:
    """Warn, once within `collect_warnings`, of a line that is read whole though it looks like columns.

    Args:
        line: the line.
        where: what messages call it.
    """
    is_object = line.lstrip().startswith('{"')
    if not is_object and "\t" not in line:
        return
    with collect_warnings() as collected:
        if not collected.has_columns:
            looks, ending = ("looks like JSON", ".jsonl") if is_object else ("has tabs", ".tsv")
            logger.warning(
                "%s: %s, and is read whole, as one text; to have columns, give a file that ends in %s",
                where, looks, ending,
            )  # fmt: skip
        collected.has_columns = True


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


@contextmanager
def without_warnings(collected: CollectedWarnings | None = None) -> Iterator[CollectedWarnings]:
    """Log nothing of what `collect_warnings` would collect and log.

    Args:
        collected: where it is counted instead.

    Yields:
        The counts.
    """
    collected = CollectedWarnings() if collected is None else collected
    before = _collected.set(collected)
    try:
        yield collected
    finally:
        _collected.reset(before)
