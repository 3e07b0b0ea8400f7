"""The protocol between what reads inputs and writes answers, and what computes scores: the engines.

`scorers` and `writers` beside this compute with NumPy. Another engine, such as one over ONNX files, has
these methods. Arrays are float32, ids and lengths int64; time comes first, [T, B]. What stands behind a
sequence's end must not change its scores. A state is a tuple of arrays whose dimension 1 is the rows, so that
a search may reorder and remove rows.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ..text.strings import Strings
from .cells import State
from .chain import ChainScores


class TextEngine(Protocol):
    """Scores the classes of texts."""

    @property
    def is_bidirectional(self) -> bool:
        """Whether a text must have ended before it is read, so that `step` cannot be called."""

    def logits(self, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """[T, B] ids, [B] lengths, which may be 0 -> [B, C]."""

    def initial_state(self, batch: int) -> State:
        """The state before the first `step`."""

    def step(self, ids: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """[B] ids -> [B, C], the scores of all read so far, and the new state."""


class PairEngine(Protocol):
    """Scores the classes of pairs of texts."""

    def logits(
        self, first: np.ndarray, second: np.ndarray, first_lengths: np.ndarray, second_lengths: np.ndarray
    ) -> np.ndarray:
        """[T, B] and [S, B] ids, [B] lengths of both -> [B, C]."""


class TaggerEngine(Protocol):
    """Scores the tags of words; those of several columns stand one behind the other."""

    crf: ChainScores | None
    """The scores of the first column's tags that do not depend on the words; None without a CRF."""

    @property
    def is_bidirectional(self) -> bool:
        """Whether a sentence must have ended before it is read, so that `step` cannot be called."""

    def logits(
        self,
        words: np.ndarray,
        lengths: np.ndarray,
        characters: np.ndarray | None = None,
        character_lengths: np.ndarray | None = None,
        spelling: np.ndarray | None = None,
        affixes: np.ndarray | None = None,
        strings: Strings | None = None,
    ) -> np.ndarray:
        """Score the tags of every word.

        Args:
            words: [T, B] ids.
            lengths: [B].
            characters: [K, U] ids of the U different words of the batch; for models that read characters, as
                the next two.
            character_lengths: [U].
            spelling: [T, B], which of the U words each word is.
            affixes: [T, A, B] ids of the affixes of each word; for models that read them.
            strings: the characters of the sentences; for models with a language model.

        Returns:
            [T, B, C]; what stands behind a sequence's end does not matter.
        """

    def initial_state(self, batch: int) -> State:
        """The state before the first `step`."""

    def step(
        self,
        words: np.ndarray,
        state: State,
        characters: np.ndarray | None = None,
        character_lengths: np.ndarray | None = None,
        spelling: np.ndarray | None = None,
        affixes: np.ndarray | None = None,
    ) -> tuple[np.ndarray, State]:
        """[B] ids, of each word its characters as in `logits` and affixes [A, B] -> [B, C], the new state."""


class SeriesEngine(Protocol):
    """Scores the tags of steps, or predicts the numbers that follow a series."""

    def outputs(self, vectors: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """[T, B, F], [B] lengths -> [T, B, C] of each step, or [B, N] of the whole."""


class StepEngine(Protocol):
    """Writes token by token."""

    def step(self, ids: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """[B] ids -> the logits of the token behind each, [B, V], and the new state."""


class TranslationEngine(StepEngine, Protocol):
    """Reads a source, then writes."""

    def encode(self, ids: np.ndarray, lengths: np.ndarray) -> State:
        """[S, B] ids, [B] lengths, which may be 0 -> the state before the first `step`."""

    def alignment(self, target: np.ndarray, state: State) -> np.ndarray | None:
        """[T, B] ids, the first row BOS -> the weights [T, B, S] of the source; None without attention."""


class CaptionEngine(StepEngine, Protocol):
    """Reads a vector, then writes."""

    def encode(self, vectors: np.ndarray) -> State:
        """[B, F] -> the state before the first `step`."""


class LanguageEngine(StepEngine, Protocol):
    """Continues what it has read."""

    def initial_state(self, batch: int) -> State:
        """The state before the first `step`, which reads BOS."""
