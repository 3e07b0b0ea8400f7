"""Decoding with demands: a sequence that begins with given tokens, or that contains given phrases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, chain
from typing import NamedTuple

import torch
from torch import Tensor

from nlp_rnn.lite.hypotheses import INVALID_LOGITS, Hypothesis, gnmt_length_penalty, make_hypothesis
from nlp_rnn.models.decoding import PerRow, StepFunction, check_arguments, log_probabilities
from nlp_rnn.models.layers.base import State

Progress = tuple[int, ...]
"""Of each phrase, how many of its tokens the end of a sequence matches; all of them once it was complete."""


def force_prefixes(
    step: StepFunction, state: State, prefixes: Sequence[Sequence[int]]
) -> tuple[StepFunction, State]:
    """Make a step function that leaves only one token possible while a row's prefix is not complete.

    Log-probabilities are those of what follows the prefix: its own tokens count 0. The state carries the
    prefixes, so any search may use the step function.

    Args:
        step: the model, see `StepFunction`.
        state: the state before the first step.
        prefixes: the tokens that each row begins with; may be empty.

    Returns:
        The step function, and the state before its first step.
    """
    longest = max(map(len, prefixes), default=0)
    padded = [[*prefix, *[-1] * (longest + 1 - len(prefix))] for prefix in prefixes]
    wanted = (
        torch.tensor(padded, dtype=torch.int64, device=state[0].device).view(len(prefixes), longest + 1).t()
    )

    def forced(tokens: Tensor, state: State) -> tuple[Tensor, State]:
        *inner, wanted, position = state
        logits, new = step(tokens, tuple(inner))
        token = wanted.gather(0, position).t()  # [rows, 1]
        others = torch.arange(logits.shape[1], device=logits.device) != token
        logits = logits.masked_fill(others & (token >= 0), -torch.inf)
        return logits, (*new, wanted, (position + 1).clamp(max=longest))

    return forced, (*state, wanted, torch.zeros_like(wanted[:1]))


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


class _Live(NamedTuple):
    """An unfinished hypothesis."""

    tokens: list[int]
    log_prob: float
    progress: Progress


class _Row:
    """The search of one row."""

    def __init__(self, phrases: Phrases, limit: int, width: int, alpha: float, eos_id: int) -> None:
        self.phrases = phrases
        self.limit = limit
        self.width = width
        self.alpha = alpha
        self.eos_id = eos_id
        self.live = [_Live([], 0.0, phrases.start)]
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
        banks: dict[int, list[tuple[int, _Live]]] = {}
        rank = 0  # among the extensions that contain all phrases
        for log_prob, parent, token in sorted(extensions, key=lambda extension: -extension[0]):
            old = self.live[parent]
            progress = old.progress if token == self.eos_id else self.phrases.advance(old.progress, token)
            covered = self.phrases.covered(progress)
            new = _Live([*old.tokens, token], log_prob, progress)
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
        return sorted(self.complete, key=lambda hypothesis: -hypothesis.score)[:n_best]

    def is_done(self, n_best: int) -> bool:
        if not self.live or len(self.complete) >= self.width:
            return True
        highest = max(hypothesis.log_prob for hypothesis in self.live)
        best = self.best(n_best)
        return len(best) == n_best and best[-1].score >= highest / gnmt_length_penalty(self.limit, self.alpha)


@torch.no_grad()
def constrained_beam_search(
    step: StepFunction,
    state: State,
    constraints: Sequence[Sequence[Sequence[int]]],
    *,
    bos_id: PerRow,
    eos_id: int,
    max_length: PerRow,
    width: int = 5,
    length_penalty: float = 1.0,
    n_best: int = 1,
    forbidden: Sequence[int] = (),
) -> list[list[Hypothesis]]:
    """Beam search among the sequences that contain all phrases of their row (Hokamp & Liu 2017).

    A row has a beam of `width` hypotheses for each number of constraint tokens that may be covered. Besides
    the most probable tokens, those that go on with a phrase are always tried, so each constraint is met
    within as many steps as there are tokens in them. EOS is possible only after that. A row without
    constraints is searched as by `nlp_rnn.models.search.beam_search`.

    Args:
        step: the model, see `StepFunction`.
        state: the state before the first step; its dimension 1 is the number of rows.
        constraints: of each row the phrases, each the tokens that must follow each other somewhere.
        bos_id: the first input token, one integer or one per row.
        eos_id: the token that ends a sequence.
        max_length: the most steps of a row, including EOS; one integer or one per row.
        width: live hypotheses per row and number of covered tokens.
        length_penalty: as in `beam_search`.
        n_best: hypotheses to return per row, at most `width`.
        forbidden: ids that are never produced.

    Returns:
        For each row its best hypotheses by `score`, best first: `n_best`, or fewer where fewer are possible.

    Raises:
        ValueError: bad arguments: a phrase is empty, or has a token that is never produced; a row's phrases
            together are longer than its `max_length`; or the step's logits are NaN.
    """
    limits, inputs, banned, highest_id = check_arguments(
        state, bos_id=bos_id, eos_id=eos_id, max_length=max_length, forbidden=forbidden
    )
    if not 1 <= n_best <= width:
        raise ValueError(f"n_best must be from 1 to the beam width {width}, not {n_best}")
    if len(constraints) != len(limits):
        raise ValueError(f"constraints must be {len(limits)} lists, one per row, not {len(constraints)}")
    rows = [
        _Row(Phrases(phrases), limit, width, length_penalty, eos_id)
        for phrases, limit in zip(constraints, limits.tolist(), strict=True)
    ]
    for number, row in enumerate(rows):
        tokens = set(chain.from_iterable(row.phrases.phrases))
        if impossible := tokens & {eos_id, *forbidden}:
            raise ValueError(
                f"row {number}: a constraint has token {impossible.pop()}, which is never produced"
            )
        if row.phrases.size > row.limit:
            raise ValueError(
                f"row {number}: its constraints have {row.phrases.size} tokens, more than its max_length of "
                f"{row.limit}"
            )
    active = rows
    while active:
        logits, state = step(inputs, state)
        log_probs = log_probabilities(logits, rows=len(inputs), banned=banned, highest_id=highest_id)
        if log_probs[:, 0].isnan().any():
            raise ValueError(INVALID_LOGITS)
        candidates = _candidates([(row, hypothesis) for row in active for hypothesis in row.live], log_probs)
        starts = [0, *accumulate(len(row.live) for row in active)]
        sources: list[int] = []
        remaining = []
        for row, start, end in zip(active, starts[:-1], starts[1:], strict=True):
            parents = row.extend(candidates[start:end])
            if not row.is_done(n_best):
                remaining.append(row)
                sources += [start + parent for parent in parents]
        active = remaining
        index = torch.tensor(sources, dtype=torch.int64, device=inputs.device)
        state = tuple(tensor.index_select(1, index) for tensor in state)
        last = [hypothesis.tokens[-1] for row in active for hypothesis in row.live]
        inputs = torch.tensor(last, dtype=torch.int64, device=inputs.device)
    return [row.best(n_best) for row in rows]


def _candidates(hypotheses: Sequence[tuple[_Row, _Live]], log_probs: Tensor) -> list[dict[int, float]]:
    """Per hypothesis, the log-probabilities of the best tokens and of those that its phrases want."""
    width = hypotheses[0][0].width
    top, tokens = log_probs.topk(min(width + 1, log_probs.shape[1]))  # [hypotheses, k]
    candidates = [dict(zip(*pair, strict=True)) for pair in zip(tokens.tolist(), top.tolist(), strict=True)]
    wanted = [
        (number, token)
        for number, (owner, hypothesis) in enumerate(hypotheses)
        for token in sorted(owner.phrases.wanted(hypothesis.progress))
    ]
    if wanted:
        index = torch.tensor(wanted, device=log_probs.device)
        for (number, token), log_prob in zip(
            wanted, log_probs[index[:, 0], index[:, 1]].tolist(), strict=True
        ):
            candidates[number][token] = log_prob
    return candidates
