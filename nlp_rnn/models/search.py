"""Greedy search and beam search: find a probable sequence."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nlp_rnn.lite.decoding.hypotheses import INVALID_LOGITS, Hypothesis, gnmt_length_penalty, make_hypothesis
from nlp_rnn.models.decoding import (
    PerRow,
    StepFunction,
    check_arguments,
    decode,
    log_probabilities,
    most_probable,
)
from nlp_rnn.models.layers.base import State


@torch.no_grad()
def greedy(
    step: StepFunction,
    state: State,
    *,
    bos_id: PerRow,
    eos_id: int,
    max_length: PerRow,
    forbidden: Sequence[int] = (),
) -> list[Hypothesis]:
    """Choose the most probable token at every step.

    Args:
        step: the model, see `StepFunction`.
        state: the state before the first step; its dimension 1 is the number of rows.
        bos_id: the first input token, one integer or one per row.
        eos_id: the token that ends a sequence.
        max_length: the most steps of a row, including EOS; one integer or one per row.
        forbidden: ids that are never produced. Their logits become -inf before the softmax, so
            log-probabilities are those of the distribution over the other tokens, renormalized.

    Returns:
        One hypothesis per row; it does not depend on the other rows.

    Raises:
        ValueError: bad arguments, or logits that are NaN or leave no token possible.

    Examples:
        state = model.encoder(source)
        hypotheses = greedy(model.decoder.step, state, bos_id=2, eos_id=3, max_length=50)
    """
    return decode(
        step,
        state,
        most_probable,
        bos_id=bos_id,
        eos_id=eos_id,
        max_length=max_length,
        forbidden=forbidden,
    )


@torch.no_grad()
def beam_search(
    step: StepFunction,
    state: State,
    *,
    bos_id: PerRow,
    eos_id: int,
    max_length: PerRow,
    width: int = 5,
    length_penalty: float = 1.0,
    n_best: int = 1,
    forbidden: Sequence[int] = (),
) -> list[list[Hypothesis]]:
    """Search for the sequences with the highest score, keeping `width` unfinished ones per row.

    A step extends every live hypothesis by every token. Those among the best `width` extensions that end in
    EOS are complete; the best `width` others stay live. A row stops when `width` are complete, or when no
    live hypothesis can still enter its `n_best`: log-probabilities only decrease, so the highest score that a
    hypothesis can reach is its present log-probability over the penalty of the longest allowed length (the
    optimal stopping of Huang, Zhao and Ma 2017). At `max_length`, hypotheses without EOS compete as they are.
    `width=1` is greedy search.

    Args:
        step: the model, see `StepFunction`.
        state: the state before the first step; its dimension 1 is the number of rows.
        bos_id: the first input token, one integer or one per row.
        eos_id: the token that ends a sequence.
        max_length: the most steps of a row, including EOS; one integer or one per row.
        width: live hypotheses per row.
        length_penalty: alpha of the divisor ((5 + length) / 6) ** alpha (Wu et al. 2016, equation 14), where
            the length includes EOS; 0 ranks by log-probability, larger values favor longer sequences.
        n_best: hypotheses to return per row, at most `width`.
        forbidden: ids that are never produced, as in `greedy`.

    Returns:
        For each row its best hypotheses by `score`, best first: `n_best`, or fewer where fewer are possible.

    Raises:
        ValueError: bad arguments, or logits that are NaN or leave no token possible.
    """
    if width < 1:
        raise ValueError(f"width must be at least 1, not {width}")
    if not 1 <= n_best <= width:
        raise ValueError(f"n_best must be from 1 to the beam width {width}, not {n_best}")
    if not 0 <= length_penalty <= 10:  # far above any use; powers stay within float32
        raise ValueError(f"length_penalty must be from 0 to 10, not {length_penalty}")
    if width == 1:  # the loop below would go on past EOS where the penalty lets a longer sequence win
        best = decode(
            step,
            state,
            most_probable,
            bos_id=bos_id,
            eos_id=eos_id,
            max_length=max_length,
            forbidden=forbidden,
            length_penalty=length_penalty,
        )
        return [[hypothesis] for hypothesis in best]
    limits, inputs, banned, highest_id = check_arguments(
        state, bos_id=bos_id, eos_id=eos_id, max_length=max_length, forbidden=forbidden
    )
    rows, device = len(limits), limits.device
    longest = int(limits.max()) if rows else 0
    penalties = [gnmt_length_penalty(length, length_penalty) for length in range(longest + 1)]
    max_penalties = torch.tensor(penalties, device=device)[limits]  # [rows], of each row's longest length
    # The best complete hypotheses, with EOS; a score of -inf marks an empty slot.
    best_scores = torch.full((rows, n_best), -torch.inf, device=device)
    best_lengths = torch.zeros((rows, n_best), dtype=torch.int64, device=device)
    best_tokens = torch.zeros((rows, n_best, longest), dtype=torch.int64, device=device)
    # The live hypotheses of the rows still running: one per row at first, `width` later.
    active = torch.arange(rows, device=device)  # [a], their indices among all rows
    live = torch.zeros((rows, 1), device=device)  # [a, w], log-probabilities; -inf marks an empty slot
    completed = torch.zeros(rows, dtype=torch.int64, device=device)  # [a], how many there have been
    history = torch.zeros((rows, 1, 0), dtype=torch.int64, device=device)  # [a, w, length - 1]
    invalid = torch.zeros((), dtype=torch.bool, device=device)  # whether a step gave NaN, which ends the loop

    for length in range(1, longest + 1):
        num_active, live_width = live.shape
        logits, state = step(inputs, state)
        log_probs = log_probabilities(  # [a * w, vocab]
            logits, rows=len(inputs), banned=banned, highest_id=highest_id
        )
        invalid = log_probs[:, 0].isnan().any()  # one NaN makes its whole row NaN
        # One hypothesis can contribute at most `width` tokens other than EOS, and EOS.
        top, tokens = log_probs.topk(min(width + 1, log_probs.shape[1]))  # [a * w, k]
        extended = live.unsqueeze(2) + top.view(num_active, live_width, -1)  # [a, w, k]
        totals, order = extended.flatten(1).sort(descending=True, stable=True)  # [a, w * k], best first
        tokens = tokens.view(num_active, -1).gather(1, order)
        parents = order // top.shape[1]
        is_eos = tokens == eos_id
        at_limit = limits[active] == length  # [a]

        # Complete: those of the first `width` that end in EOS; at the limit all of them.
        complete = (is_eos | at_limit.unsqueeze(1))[:, :width]
        scores = (totals[:, :width] / penalties[length]).masked_fill(~complete, -torch.inf)
        lengths = torch.full_like(parents[:, :width], length)
        sequences = _extend(history, parents[:, :width], tokens[:, :width])  # [a, w, length]
        best_scores[active], kept = torch.cat((best_scores[active], scores), 1).topk(n_best)
        best_lengths[active] = torch.cat((best_lengths[active], lengths), 1).gather(1, kept)
        sequences = torch.cat((best_tokens[active, :, :length], sequences), 1)
        best_tokens[active, :, :length] = sequences.gather(1, kept.unsqueeze(2).expand(-1, -1, length))

        # Live: the first `width` that do not end in EOS (a stable sort of the flags keeps them best first).
        slots = is_eos.long().argsort(dim=1, stable=True)[:, :width]
        live = totals.gather(1, slots).masked_fill(is_eos.gather(1, slots), -torch.inf)
        completed = completed + complete.logical_and(totals[:, :width] > -torch.inf).sum(1)
        highest_scores = live[:, 0] / max_penalties[active]  # that live hypotheses can reach
        done = at_limit | (completed >= width) | (best_scores[active, -1] >= highest_scores)
        done = done | invalid
        running = done.logical_not().nonzero().squeeze(1)
        if len(running) == 0:
            break
        parents, tokens = parents.gather(1, slots)[running], tokens.gather(1, slots)[running]
        history = _extend(history[running], parents, tokens)
        # One gather both follows the surviving hypotheses and removes the rows that are done.
        sources = (running.unsqueeze(1) * live_width + parents).flatten()
        state = tuple(tensor.index_select(1, sources) for tensor in state)
        active, live, completed, inputs = active[running], live[running], completed[running], tokens.flatten()

    if invalid:
        raise ValueError(INVALID_LOGITS)
    return [
        [
            make_hypothesis(sequence[:length], score * penalties[length], eos_id=eos_id, alpha=length_penalty)
            for sequence, length, score in zip(*row, strict=True)
            if score > -torch.inf
        ]
        for row in zip(best_tokens.tolist(), best_lengths.tolist(), best_scores.tolist(), strict=True)
    ]


def _extend(history: Tensor, parents: Tensor, tokens: Tensor) -> Tensor:
    """Append tokens [a, n] to the histories [a, w, length] of their parents [a, n]: [a, n, length + 1]."""
    parents = parents.unsqueeze(2).expand(-1, -1, history.shape[2])
    return torch.cat((history.gather(1, parents), tokens.unsqueeze(2)), 2)
