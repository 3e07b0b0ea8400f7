"""Greedy search, beam search and sampling with NumPy, by the rules of `nlp_rnn.models.search`.

The model is seen only as a step function, `step(ids, state) -> (logits, new state)`. Rows that have ended are
removed from the batch at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..models.cells import State
from ..models.linear import log_softmax, softmax
from ..text.tokenizer_format import EOS
from .hypotheses import INVALID_LOGITS, Hypothesis, gnmt_length_penalty, make_hypothesis

StepFunction = Callable[[np.ndarray, State], tuple[np.ndarray, State]]
"""([rows] int64 ids, state) -> ([rows, V] logits, new state)."""

Choice = Callable[[np.ndarray], np.ndarray]
"""Log-probabilities [rows, V] -> ids [rows]."""

_LOWEST = np.float32(-np.inf)


@dataclass(frozen=True)
class Beam:
    """How answers are decoded, see `nlp_rnn.tasks.generation.BeamSettings`.

    Args:
        beam: width of the beam; 1 is greedy decoding.
        length_penalty: exponent of the length penalty.
        n_best: answers per input, at most `beam`.
        max_output: maximum number of tokens in an answer.
    """

    beam: int = 1
    length_penalty: float = 1.0
    n_best: int = 1
    max_output: int = 100


def select_rows(state: State, rows: Sequence[int] | np.ndarray | slice) -> State:
    """These rows of a state, in this order."""
    return tuple(part[:, rows] for part in state)


def log_probabilities(logits: np.ndarray, forbidden: Sequence[int]) -> np.ndarray:
    """The log-probabilities [rows, V] of a step's logits, renormalized without the forbidden ids.

    Raises:
        ValueError: a row is NaN, or leaves no token possible.
    """
    logits = logits.astype(np.float32)  # a copy
    logits[:, list(forbidden)] = _LOWEST
    log_probs = log_softmax(logits)
    if np.isnan(log_probs[:, 0]).any():
        raise ValueError(INVALID_LOGITS)
    return log_probs


def most_probable(log_probs: np.ndarray) -> np.ndarray:
    """The `Choice` of greedy search."""
    tokens: np.ndarray = log_probs.argmax(1)
    return tokens


def sampler(
    temperature: float, top_k: int | None, top_p: float | None, generator: np.random.Generator
) -> Choice:
    """The `Choice` of sampling, see `nlp_rnn.models.sampling.sample`.

    Args:
        temperature: logits are divided by it.
        top_k: sample among the k most probable tokens only.
        top_p: sample among the fewest most probable tokens whose probabilities sum to at least this.
        generator: the source of randomness.
    """

    def choose(log_probs: np.ndarray) -> np.ndarray:
        order = np.argsort(-log_probs, 1, kind="stable")[:, :top_k]
        scores = np.take_along_axis(log_probs, order, 1)
        probabilities = softmax((scores - scores[:, :1]) / np.float32(temperature))
        if top_p is not None:
            mass_before = probabilities.cumsum(1) - probabilities
            probabilities = np.where(mass_before >= top_p, np.float32(0), probabilities)
        chances = generator.exponential(size=probabilities.shape)
        chosen = (probabilities / chances).argmax(1)[:, None]
        return np.take_along_axis(order, chosen, 1)[:, 0]

    return choose


def decode_steps(
    step: StepFunction,
    state: State,
    choose: Choice,
    first: np.ndarray,
    max_length: int,
    forbidden: Sequence[int],
) -> Iterator[tuple[list[int], list[int], list[float]]]:
    """Decode step by step.

    Args:
        step: the model.
        state: the state before the first step.
        choose: picks each token.
        first: [rows] int64, the first input tokens.
        max_length: the most steps of a row, including EOS.
        forbidden: ids that are never produced.

    Yields:
        For each step: the indices of the rows still running, their tokens, and these tokens'
        log-probabilities.
    """
    active, inputs = list(range(len(first))), first
    for length in range(1, max_length + 1):
        if not active:
            return
        logits, state = step(inputs, state)
        log_probs = log_probabilities(logits, forbidden)
        inputs = choose(log_probs)
        yield active, inputs.tolist(), log_probs[np.arange(len(inputs)), inputs].tolist()
        running = [] if length == max_length else np.flatnonzero(inputs != EOS).tolist()
        if 0 < len(running) < len(active):
            state, inputs = select_rows(state, running), inputs[running]
        active = [active[index] for index in running]


def search(
    step: StepFunction, state: State, first: np.ndarray, settings: Beam, forbidden: Sequence[int]
) -> list[list[Hypothesis]]:
    """The best hypotheses of each row by beam search; see `nlp_rnn.models.search.beam_search`.

    Args:
        step: the model.
        state: the state before the first step.
        first: [rows] int64, the first input tokens.
        settings: how to decode.
        forbidden: ids that are never produced.

    Returns:
        For each row its best hypotheses by `score`, best first.
    """
    if settings.beam == 1:
        return [[best] for best in _greedy(step, state, first, settings, forbidden)]
    rows = [_Row(settings) for _ in first]
    active, inputs = list(rows), first
    while active:
        logits, state = step(inputs, state)
        log_probs = log_probabilities(logits, forbidden)
        # One hypothesis can contribute at most `beam` tokens other than EOS, and EOS.
        count = min(settings.beam + 1, log_probs.shape[1])
        tokens = highest(log_probs, count)  # [hypotheses, k]
        top = np.take_along_axis(log_probs, tokens, 1)
        sources: list[int] = []
        start, remaining = 0, []
        for row in active:
            end = start + len(row.live)
            parents = row.extend(top[start:end], tokens[start:end])
            if parents is not None:
                remaining.append(row)
                sources += [start + parent for parent in parents]
            start = end
        active = remaining
        state = select_rows(state, np.array(sources, np.int64))
        inputs = np.array([tokens[-1] for row in active for _, tokens in row.live], np.int64)
    return [row.best for row in rows]


def _greedy(
    step: StepFunction, state: State, first: np.ndarray, settings: Beam, forbidden: Sequence[int]
) -> list[Hypothesis]:
    tokens_of_row: list[list[int]] = [[] for _ in first]  # with EOS
    log_prob_of_row = [0.0] * len(first)
    for active, tokens, log_probs in decode_steps(
        step, state, most_probable, first, settings.max_output, forbidden
    ):
        for row, token, log_prob in zip(active, tokens, log_probs, strict=True):
            tokens_of_row[row].append(token)
            log_prob_of_row[row] += log_prob
    return [
        make_hypothesis(tokens, log_prob, eos_id=EOS, alpha=settings.length_penalty)
        for tokens, log_prob in zip(tokens_of_row, log_prob_of_row, strict=True)
    ]


def highest(values: np.ndarray, count: int) -> np.ndarray:
    """The places of the highest values of each row of [rows, V], highest first: [rows, count]."""
    places = np.argpartition(-values, count - 1, 1)[:, :count]
    order = np.argsort(-np.take_along_axis(values, places, 1), 1, kind="stable")
    return np.take_along_axis(places, order, 1)


class _Row:
    """The search of one row."""

    def __init__(self, settings: Beam) -> None:
        self._settings = settings
        self.live: list[tuple[np.float32, list[int]]] = [(np.float32(0), [])]
        self.best: list[Hypothesis] = []
        self._completed = 0
        longest = gnmt_length_penalty(settings.max_output, settings.length_penalty)
        self._longest_penalty = np.float32(longest)

    def extend(self, top: np.ndarray, tokens: np.ndarray) -> list[int] | None:
        """Replace the live hypotheses by their best extensions.

        Args:
            top: [live, k] the log-probabilities of the best tokens behind each live hypothesis.
            tokens: [live, k] their ids.

        Returns:
            The index of the hypothesis that each new one extends; None if the search has ended.
        """
        width, n_best = self._settings.beam, self._settings.n_best
        totals = (np.array([score for score, _ in self.live], np.float32)[:, None] + top).ravel()
        order = np.argsort(-totals, kind="stable")
        length = len(self.live[0][1]) + 1
        at_limit = length == self._settings.max_output
        parents: list[int] = []
        live: list[tuple[np.float32, list[int]]] = []
        for rank, place in enumerate(order.tolist()):
            total = totals[place]
            if total == _LOWEST or (rank >= width and len(live) == width):
                break
            parent = place // top.shape[1]
            token = int(tokens.ravel()[place])
            extended = [*self.live[parent][1], token]
            if rank < width and (at_limit or token == EOS):
                self._complete(extended, float(total))
            if token != EOS and len(live) < width:
                live.append((total, extended))
                parents.append(parent)
        self.best = sorted(self.best, key=lambda found: -found.score)[:n_best]
        if at_limit or self._completed >= width or not live:
            return None
        # The highest score that a live hypothesis can reach (Huang, Zhao and Ma 2017).
        if len(self.best) == n_best and self.best[-1].score >= live[0][0] / self._longest_penalty:
            return None
        self.live = live
        return parents

    def _complete(self, tokens: list[int], log_prob: float) -> None:
        self._completed += 1
        alpha = self._settings.length_penalty
        self.best.append(make_hypothesis(tokens, log_prob, eos_id=EOS, alpha=alpha))


def stream(
    step: StepFunction,
    state: State,
    choose: Choice,
    first: int,
    max_length: int,
    forbidden: Sequence[int],
) -> Iterator[tuple[int, float]]:
    """Decode one row and yield each token as soon as it is chosen, with its log-probability."""
    begin = np.array([first], np.int64)
    for _, tokens, log_probs in decode_steps(step, state, choose, begin, max_length, forbidden):
        yield tokens[0], log_probs[0]
