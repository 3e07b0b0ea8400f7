"""Decoding with demands, with NumPy: a text that begins with given tokens, or that contains given phrases.

The rules are those of `nlp_rnn.models.constraints`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from ..models.cells import State
from ..text.tokenizer_format import EOS
from .constraints import ConstrainedRow, Phrases
from .hypotheses import Hypothesis
from .search import Beam, StepFunction, highest, log_probabilities, select_rows


def force_prefixes(
    step: StepFunction, state: State, prefixes: Sequence[Sequence[int]]
) -> tuple[StepFunction, State]:
    """Make a step function that leaves only one token possible while a row's prefix is not complete.

    Args:
        step: the model.
        state: the state before the first step.
        prefixes: the tokens that each row begins with; may be empty.

    Returns:
        The step function, and the state before its first step, which carries the prefixes.
    """
    longest = max(map(len, prefixes), default=0)
    padded = [[*prefix, *[-1] * (longest + 1 - len(prefix))] for prefix in prefixes]
    wanted = np.array(padded, np.int64).reshape(len(prefixes), longest + 1).T

    def forced(ids: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        *inner, wanted, position = state
        logits, new = step(ids, tuple(inner))
        token = np.take_along_axis(wanted, position, 0).T  # [rows, 1]
        others = np.arange(logits.shape[1]) != token
        logits = np.where(others & (token >= 0), np.float32(-np.inf), logits)
        return logits, (*new, wanted, np.minimum(position + 1, longest))

    return forced, (*state, wanted, np.zeros_like(wanted[:1]))


def constrained_search(
    step: StepFunction,
    state: State,
    first: np.ndarray,
    constraints: Sequence[Sequence[Sequence[int]]],
    settings: Beam,
    forbidden: Sequence[int],
) -> list[list[Hypothesis]]:
    """Beam search among the texts that contain all phrases of their row (Hokamp & Liu 2017).

    Args:
        step: the model.
        state: the state before the first step.
        first: [rows] int64, the first input tokens.
        constraints: of each row the phrases, each the tokens that must follow each other somewhere.
        settings: how to decode.
        forbidden: ids that are never produced.

    Returns:
        For each row its best hypotheses by `score`, best first.
    """
    rows = [
        ConstrainedRow(Phrases(phrases), settings.max_output, settings.beam, settings.length_penalty, EOS)
        for phrases in constraints
    ]
    active, inputs = rows, first
    while active:
        logits, state = step(inputs, state)
        log_probs = log_probabilities(logits, forbidden)
        owners = [(row, hypothesis) for row in active for hypothesis in row.live]
        tokens = highest(log_probs, min(settings.beam + 1, log_probs.shape[1]))
        top = np.take_along_axis(log_probs, tokens, 1)
        candidates = [
            dict(zip(*pair, strict=True)) for pair in zip(tokens.tolist(), top.tolist(), strict=True)
        ]
        for number, (row, hypothesis) in enumerate(owners):
            for token in sorted(row.phrases.wanted(hypothesis.progress)):
                candidates[number][token] = float(log_probs[number, token])
        starts = [0, *accumulate(len(row.live) for row in active)]
        sources: list[int] = []
        remaining = []
        for row, start, end in zip(active, starts[:-1], starts[1:], strict=True):
            parents = row.extend(candidates[start:end])
            if not row.is_done(settings.n_best):
                remaining.append(row)
                sources += [start + parent for parent in parents]
        active = remaining
        state = select_rows(state, np.array(sources, np.int64))
        last = [hypothesis.tokens[-1] for row in active for hypothesis in row.live]
        inputs = np.array(last, np.int64)
    return [row.best(settings.n_best) for row in rows]
