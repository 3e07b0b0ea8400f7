"""Sequences of tags that are scored as a whole: the best one, and the probability of each tag.

The score of a sequence of tags is the sum of the emissions (one score per step and tag), of the transitions
from each tag to the next one, and of its first and its last tag; see `nlp_rnn.models.layers.crf`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..text.spans import Legal
from .linear import log_softmax

_FORBIDDEN = np.float32(-1e9)
"""The score of what is not allowed: its probability is exactly 0."""


class ChainScores(NamedTuple):
    """The scores of tags that do not depend on the input."""

    start: np.ndarray
    """[C] float32, of the first tag."""
    transitions: np.ndarray
    """[C, C] float32, from the first tag to the second one."""
    end: np.ndarray
    """[C] float32, of the last tag."""

    def restricted(self, legal: Legal) -> ChainScores:
        """The same scores, with those of what is not allowed as low as can be."""
        return ChainScores(
            *(
                scores + np.where(np.array(allowed), np.float32(0), _FORBIDDEN)
                for scores, allowed in zip(self, legal, strict=True)
            )
        )

    @staticmethod
    def zeros(tags: int) -> ChainScores:
        """Scores that prefer nothing."""
        return ChainScores(
            np.zeros(tags, np.float32), np.zeros((tags, tags), np.float32), np.zeros(tags, np.float32)
        )


def best_tags(emissions: np.ndarray, scores: ChainScores) -> np.ndarray:
    """The sequence of tags with the highest score (Viterbi 1967).

    Args:
        emissions: [T, C] float32 of one sequence.
        scores: of tags and transitions.

    Returns:
        [T] int64.
    """
    steps = len(emissions)
    tags = np.zeros(steps, np.int64)
    if not steps:
        return tags
    best = scores.start + emissions[0]
    origins = []
    for emission in emissions[1:]:
        paths = best[:, None] + scores.transitions
        origins.append(paths.argmax(0))
        best = paths.max(0) + emission
    tags[-1] = (best + scores.end).argmax()
    for step in range(steps - 2, -1, -1):
        tags[step] = origins[step][tags[step + 1]]
    return tags


def marginals(emissions: np.ndarray, scores: ChainScores) -> np.ndarray:
    """The logarithm of each tag's probability at each step, by forward and backward recursion.

    Args:
        emissions: [T, C] float32 of one sequence.
        scores: of tags and transitions.

    Returns:
        [T, C] float32.
    """
    backward = ChainScores(scores.end, scores.transitions.T, scores.start)
    before, after = _sums(emissions, scores), _sums(emissions[::-1], backward)[::-1]
    # Normalized at each step: the sum over all sequences is rounded too coarsely where they are long.
    return log_softmax(before + after - emissions)


def _sums(emissions: np.ndarray, scores: ChainScores) -> np.ndarray:
    """[T, C]: the logarithm of the summed scores of all tags up to each step's tag."""
    sums = np.empty_like(emissions)
    for step, emission in enumerate(emissions):
        if not step:
            sums[0] = scores.start + emission
            continue
        paths = sums[step - 1][:, None] + scores.transitions
        highest = paths.max(0)
        sums[step] = highest + np.log(np.exp(paths - highest).sum(0)) + emission
    return sums
