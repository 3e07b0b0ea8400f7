"""Decoding with demands: the phrases that a sequence must contain, and the search of one row.

The search itself, over all rows at once, is in `nlp_rnn.models.constraints` with torch, and in
`nlp_rnn.lite.decoding.demands` without.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from ..errors import UsageError
from .hypotheses import Hypothesis, gnmt_length_penalty, make_hypothesis


@dataclass(frozen=True)
class Demand:
    """What the answer to one input must have.

    Args:
        prefix: the ids that it begins with; may be empty.
        constraints: the ids of each phrase that it contains; may be empty.
    """

    prefix: Sequence[int] = ()
    constraints: Sequence[Sequence[int]] = ()

    @property
    def size(self) -> int:
        """The number of tokens that are asked for."""
        return len(self.prefix) + sum(map(len, self.constraints))


def check_demands(demands: Sequence[Demand], max_output: int) -> None:
    """Refuse demands that need more tokens than an answer may have.

    Args:
        demands: of each input.
        max_output: maximum number of tokens in an answer.

    Raises:
        UsageError: one does.
    """
    for demand in demands:
        if (size := demand.size) > max_output:
            raise UsageError(
                f"prefix and constraints of an input have {size} tokens, an answer at most {max_output}: "
                "ask for less, or raise decoding.max_output"
            )


Progress = tuple[int, ...]
"""Of each phrase, how many of its tokens the end of a sequence matches; all of them once it was complete."""


class Phrases:
    """Finds out, token by token, which of some phrases a sequence contains.

    Phrases may overlap and may be contained in each other. Progress depends on the tokens alone, not on
    whether a search chose them for a phrase.

    Args:
        phrases: the tokens of each, at least one.

    Raises:
        ValueError: a phrase has no token.
    """

    def __init__(self, phrases: Sequence[Sequence[int]]) -> None:
        self.phrases = list(dict.fromkeys(map(tuple, phrases)))
        if not all(self.phrases):
            raise ValueError("a constraint has no token")
        self.start: Progress = (0,) * len(self.phrases)
        self.size = sum(map(len, self.phrases))
        self._fallbacks = list(map(_fallbacks, self.phrases))

    def advance(self, progress: Progress, token: int) -> Progress:
        """The progress after one more token."""
        return tuple(map(_advance, self.phrases, self._fallbacks, progress, [token] * len(progress)))

    def covered(self, progress: Progress) -> int:
        """The number of tokens of complete phrases, and of the one that most has been matched of."""
        pairs = list(zip(self.phrases, progress, strict=True))
        complete = sum(matched for phrase, matched in pairs if matched == len(phrase))
        return complete + max((matched for phrase, matched in pairs if matched < len(phrase)), default=0)

    def wanted(self, progress: Progress) -> set[int]:
        """The tokens that each go on with a phrase that is not complete."""
        pairs = zip(self.phrases, progress, strict=True)
        return {phrase[matched] for phrase, matched in pairs if matched < len(phrase)}


def _fallbacks(phrase: Sequence[int]) -> list[int]:
    """For each number of matched tokens, the next smaller number that the same end of a sequence matches."""
    fallbacks = [0, 0]
    for token in phrase[1:]:
        matched = fallbacks[-1]
        while matched and phrase[matched] != token:
            matched = fallbacks[matched]
        fallbacks.append(matched + (phrase[matched] == token))
    return fallbacks


def _advance(phrase: Sequence[int], fallbacks: Sequence[int], matched: int, token: int) -> int:
    """The number of tokens matched after `token` (Knuth, Morris and Pratt 1977)."""
    if matched == len(phrase):
        return matched
    while matched and phrase[matched] != token:
        matched = fallbacks[matched]
    return matched + (phrase[matched] == token)


class Live(NamedTuple):
    """An unfinished hypothesis."""

    tokens: list[int]
    log_prob: float
    progress: Progress


class ConstrainedRow:
    """The search of one row.

    Args:
        phrases: what its sequences must contain.
        limit: the most tokens, EOS included.
        width: live hypotheses per number of tokens of phrases that they contain.
        alpha: the exponent of the length penalty.
        eos_id: the token that ends a sequence.
    """

    def __init__(self, phrases: Phrases, limit: int, width: int, alpha: float, eos_id: int) -> None:
        self.phrases = phrases
        self.limit = limit
        self.width = width
        self.alpha = alpha
        self.eos_id = eos_id
        self.live = [Live([], 0.0, phrases.start)]
        self.complete: list[Hypothesis] = []

    def extend(self, candidates: Sequence[dict[int, float]]) -> list[int]:
        """Replace the live hypotheses by their best extensions.

        Args:
            candidates: of each live hypothesis, the log-probabilities of the tokens that may follow.

        Returns:
            The index of the hypothesis that each new one extends.
        """
        extensions = [
            (hypothesis.log_prob + log_prob, parent, token)
            for parent, (hypothesis, tokens) in enumerate(zip(self.live, candidates, strict=True))
            for token, log_prob in tokens.items()
            if log_prob > -math.inf
        ]
        banks: dict[int, list[tuple[int, Live]]] = {}
        rank = 0  # among the extensions that contain all phrases
        for log_prob, parent, token in sorted(extensions, key=lambda extension: -extension[0]):
            old = self.live[parent]
            progress = old.progress if token == self.eos_id else self.phrases.advance(old.progress, token)
            covered = self.phrases.covered(progress)
            new = Live([*old.tokens, token], log_prob, progress)
            ends = token == self.eos_id or len(new.tokens) == self.limit
            bank = banks.setdefault(covered, [])
            if not ends and len(bank) < self.width:
                bank.append((parent, new))
            if covered == self.phrases.size:
                if ends and rank < self.width:
                    self.complete.append(
                        make_hypothesis(new.tokens, log_prob, eos_id=self.eos_id, alpha=self.alpha)
                    )
                rank += 1
        kept = list(chain.from_iterable(banks.values()))
        self.live = [new for _, new in kept]
        return [parent for parent, _ in kept]

    def best(self, n_best: int) -> list[Hypothesis]:
        """The best complete hypotheses so far, best first."""
        return sorted(self.complete, key=lambda hypothesis: -hypothesis.score)[:n_best]

    def is_done(self, n_best: int) -> bool:
        """Whether no live hypothesis can be among the `n_best`."""
        if not self.live or len(self.complete) >= self.width:
            return True
        highest = max(hypothesis.log_prob for hypothesis in self.live)
        best = self.best(n_best)
        return len(best) == n_best and best[-1].score >= highest / gnmt_length_penalty(self.limit, self.alpha)
