"""Decoding with demands: a sequence that begins with given tokens, or that contains given phrases."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, chain

import torch
from torch import Tensor

from nlp_rnn.lite.decoding.constraints import ConstrainedRow, Live, Phrases
from nlp_rnn.lite.decoding.hypotheses import INVALID_LOGITS, Hypothesis
from nlp_rnn.models.decoding import PerRow, StepFunction, check_arguments, log_probabilities
from nlp_rnn.models.layers.base import State


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
        ConstrainedRow(Phrases(phrases), limit, width, length_penalty, eos_id)
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


def _candidates(
    hypotheses: Sequence[tuple[ConstrainedRow, Live]], log_probs: Tensor
) -> list[dict[int, float]]:
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
