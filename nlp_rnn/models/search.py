"""Turn a step function into sequences: greedy search, beam search and sampling.

The model is seen only as a step function, `step(tokens, state) -> (logits, new state)`, so one decoder
serves every model that can advance by one token. A row is one sequence to be decoded; rows that have
ended are taken out of the batch at once, so a step costs only what the rows still running cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nlp_rnn.models.layers.base import State

StepFunction = Callable[[Tensor, State], tuple[Tensor, State]]
"""(tokens [rows] int64, state) -> (logits [rows, vocab], new state)."""

PerRow = int | Sequence[int] | Tensor
"""One whole number for all rows, or one for each row."""


@dataclass(frozen=True)
class Hypothesis:
    """One decoded sequence."""

    tokens: list[int]  # without bos and eos
    log_prob: float  # sum of the tokens' log-probabilities, that of eos included
    score: float  # what hypotheses are ranked by: `log_prob`, in beam search divided by the length penalty
    finished: bool  # eos came within `max_length` steps


def gnmt_length_penalty(length: int, alpha: float) -> float:
    """((5 + length) / 6) ** alpha, which log-probabilities are divided by: Wu et al. 2016, equation 14."""
    return ((5 + length) / 6) ** alpha


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
    """Take the most probable token at every step.

    Args:
        step: the model, see `StepFunction`.
        state: the state before the first step; its dimension 1 says how many rows there are.
        bos_id: the first input token, an int or one a row.
        eos_id: the token that ends a sequence.
        max_length: the most steps a row may take, eos counted; an int or one a row.
        forbidden: ids that are never produced. Their logits become -inf before the softmax, so
            log-probabilities are those of the distribution over the other tokens, renormalised.

    Returns:
        One hypothesis a row; an answer does not depend on the other rows.

    Raises:
        ValueError: bad arguments, or logits that are NaN or leave no token possible.
    """
    return _roll_out(step, state, _most_probable, bos_id, eos_id, max_length, forbidden)


@torch.no_grad()
def sample(
    step: StepFunction,
    state: State,
    *,
    bos_id: PerRow,
    eos_id: int,
    max_length: PerRow,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
    forbidden: Sequence[int] = (),
) -> list[Hypothesis]:
    """Draw every token at random from the model's distribution.

    Args:
        temperature: logits are divided by it; towards 0 the draw becomes greedy, large values flatten it.
        top_k: draw among the k most probable tokens only.
        top_p: draw among the fewest most probable tokens whose probabilities reach p: nucleus sampling,
            Holtzman et al. 2020. Applied after the temperature and `top_k`.
        generator: the source of randomness, on the device of the logits; torch's own where None.

    The other arguments, the result and the errors are those of `greedy`. `log_prob` and `score` are the
    model's own, before the temperature, `top_k` and `top_p`.
    """
    draw = _drawing(temperature, top_k, top_p, generator)
    return _roll_out(step, state, draw, bos_id, eos_id, max_length, forbidden)


@torch.no_grad()
def stream(
    step: StepFunction,
    state: State,
    *,
    bos_id: PerRow,
    eos_id: int,
    max_length: PerRow,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
    forbidden: Sequence[int] = (),
) -> Iterator[tuple[int, float]]:
    """Of one row each token as soon as it is chosen, eos too, and its log-probability.

    The tokens are those of `sample`, or of `greedy` where `temperature` is None. The arguments and the errors
    are theirs too.
    """
    choose = _most_probable if temperature is None else _drawing(temperature, top_k, top_p, generator)
    for _, tokens, gains in _advance(step, state, choose, bos_id, eos_id, max_length, forbidden):
        yield tokens[0], gains[0]


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
    """Search for the sequences with the highest score, keeping `width` unfinished ones a row.

    A step extends every live hypothesis by every token. Those among the best `width` extensions that end
    in eos are complete; the best `width` others live on. A row stops when `width` are complete, or when no
    live hypothesis can still enter its `n_best`: log-probabilities only fall, so the most a hypothesis can
    reach is its present log-probability over the penalty of the longest length allowed (the optimal stop of
    Huang, Zhao and Ma 2017). At `max_length`, hypotheses without eos compete as they are. `width=1` is greedy
    search.

    Args:
        width: live hypotheses a row.
        length_penalty: alpha of the divisor ((5 + length) / 6) ** alpha (Wu et al. 2016, equation 14),
            length counting eos; 0 ranks by log-probability, larger values favour longer sequences.
        n_best: hypotheses to return a row, at most `width`.

    The other arguments and the errors are those of `greedy`.

    Returns:
        For each row its best hypotheses by `score`, best first: `n_best`, or fewer where fewer are possible.
    """
    if width < 1:
        raise ValueError(f"width must be at least 1, not {width}")
    if not 1 <= n_best <= width:
        raise ValueError(f"n_best must be from 1 to the beam width {width}, not {n_best}")
    if not 0 <= length_penalty <= 10:  # far above any use; powers stay within float32
        raise ValueError(f"length_penalty must be from 0 to 10, not {length_penalty}")
    if width == 1:  # the loop below would go on past eos where the penalty lets a longer sequence win
        best = _roll_out(step, state, _most_probable, bos_id, eos_id, max_length, forbidden, length_penalty)
        return [[hypothesis] for hypothesis in best]
    limits, inputs, banned, highest = _prepare(state, bos_id, eos_id, max_length, forbidden)
    rows, device = len(limits), limits.device
    longest = int(limits.max()) if rows else 0
    penalties = [gnmt_length_penalty(length, length_penalty) for length in range(longest + 1)]
    reach = torch.tensor(penalties, device=device)[limits]  # [rows], the largest penalty of a row
    # The complete hypotheses, eos kept; -inf marks an empty place.
    best_scores = torch.full((rows, n_best), -torch.inf, device=device)
    best_lengths = torch.zeros((rows, n_best), dtype=torch.int64, device=device)
    best_tokens = torch.zeros((rows, n_best, longest), dtype=torch.int64, device=device)
    # The live ones, of the rows still running: one a row at first, later `width` (-inf: an empty place).
    active = torch.arange(rows, device=device)  # [a], their numbers among all rows
    live = torch.zeros((rows, 1), device=device)  # [a, w], log-probabilities
    completed = torch.zeros(rows, dtype=torch.int64, device=device)  # [a], how many there have been
    history = torch.zeros((rows, 1, 0), dtype=torch.int64, device=device)  # [a, w, length - 1]

    for length in range(1, longest + 1):
        running, live_width = live.shape
        logits, state = step(inputs, state)
        log_probs = _log_probs(logits, inputs, banned, highest)  # [a * w, vocab]
        # `width` tokens other than eos, and eos, are the most that one hypothesis can contribute.
        top, tokens = log_probs.topk(min(width + 1, log_probs.shape[1]))  # [a * w, k]
        extended = live.unsqueeze(2) + top.view(running, live_width, -1)  # [a, w, k]
        totals, order = extended.flatten(1).sort(descending=True, stable=True)  # [a, w * k], best first
        tokens = tokens.view(running, -1).gather(1, order)
        parents = order // top.shape[1]
        is_eos = tokens == eos_id
        at_limit = limits[active] == length  # [a]

        # Complete: eos within the first `width` places; at the limit whatever stands there.
        complete = (is_eos | at_limit.unsqueeze(1))[:, :width]
        scores = (totals[:, :width] / penalties[length]).masked_fill(~complete, -torch.inf)
        lengths = torch.full_like(parents[:, :width], length)
        sequences = _follow(history, parents[:, :width], tokens[:, :width])  # [a, w, length]
        best_scores[active], kept = torch.cat((best_scores[active], scores), 1).topk(n_best)
        best_lengths[active] = torch.cat((best_lengths[active], lengths), 1).gather(1, kept)
        sequences = torch.cat((best_tokens[active, :, :length], sequences), 1)
        best_tokens[active, :, :length] = sequences.gather(1, kept.unsqueeze(2).expand(-1, -1, length))

        # Live: the first `width` that do not end in eos (sorting the flags stably keeps them best first).
        places = is_eos.long().argsort(dim=1, stable=True)[:, :width]
        live = totals.gather(1, places).masked_fill(is_eos.gather(1, places), -torch.inf)
        completed = completed + complete.logical_and(totals[:, :width] > -torch.inf).sum(1)
        done = at_limit | (completed >= width) | (best_scores[active, -1] >= live[:, 0] / reach[active])
        going = done.logical_not().nonzero().squeeze(1)
        if len(going) == 0:
            break
        parents, tokens = parents.gather(1, places)[going], tokens.gather(1, places)[going]
        history = _follow(history[going], parents, tokens)
        # One gather both follows the surviving hypotheses and drops the rows that are done.
        sources = (going.unsqueeze(1) * live_width + parents).flatten()
        state = tuple(tensor.index_select(1, sources) for tensor in state)
        active, live, completed, inputs = active[going], live[going], completed[going], tokens.flatten()

    return [
        [
            _scored(sequence[:length], score * penalties[length], eos_id, length_penalty)
            for sequence, length, score in zip(*row, strict=True)
            if score > -torch.inf
        ]
        for row in zip(best_tokens.tolist(), best_lengths.tolist(), best_scores.tolist(), strict=True)
    ]


def _roll_out(
    step: StepFunction,
    state: State,
    choose: Callable[[Tensor], Tensor],
    bos_id: PerRow,
    eos_id: int,
    max_length: PerRow,
    forbidden: Sequence[int],
    length_penalty: float = 0.0,
) -> list[Hypothesis]:
    """One sequence a row, each token being what `choose` makes of the log-probabilities [rows, vocab]."""
    rows = state[0].shape[1] if state and state[0].dim() > 1 else 0
    produced: list[list[int]] = [[] for _ in range(rows)]  # eos kept
    log_prob = [0.0] * rows
    for active, tokens, gains in _advance(step, state, choose, bos_id, eos_id, max_length, forbidden):
        for row, token, gain in zip(active, tokens, gains, strict=True):
            produced[row].append(token)
            log_prob[row] += gain
    return [
        _scored(tokens, total, eos_id, length_penalty)
        for tokens, total in zip(produced, log_prob, strict=True)
    ]


def _advance(
    step: StepFunction,
    state: State,
    choose: Callable[[Tensor], Tensor],
    bos_id: PerRow,
    eos_id: int,
    max_length: PerRow,
    forbidden: Sequence[int],
) -> Iterator[tuple[list[int], list[int], list[float]]]:
    """At each step the numbers of the rows still running, their tokens and the log-probabilities of these."""
    limits, inputs, banned, highest = _prepare(state, bos_id, eos_id, max_length, forbidden)
    limit_of = limits.tolist()
    active = list(range(len(limit_of)))
    length = 0
    while active:
        logits, state = step(inputs, state)
        log_probs = _log_probs(logits, inputs, banned, highest)
        inputs = choose(log_probs)
        length += 1
        tokens = inputs.tolist()
        yield active, tokens, log_probs.gather(1, inputs.unsqueeze(1)).squeeze(1).tolist()
        going = [
            place
            for place, (row, token) in enumerate(zip(active, tokens, strict=True))
            if token != eos_id and length < limit_of[row]
        ]
        if 0 < len(going) < len(active):
            places = torch.tensor(going, device=inputs.device)
            state = tuple(tensor.index_select(1, places) for tensor in state)
            inputs = inputs[places]
        active = [active[place] for place in going]


def _drawing(
    temperature: float, top_k: int | None, top_p: float | None, generator: torch.Generator | None
) -> Callable[[Tensor], Tensor]:
    """What draws a token a row from log-probabilities, see `sample`."""
    if not 0 < temperature < float("inf"):
        raise ValueError(f"temperature must be above 0 and finite, not {temperature}")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be at least 1, not {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1, not {top_p}")

    def draw(log_probs: Tensor) -> Tensor:  # [rows, vocab] -> [rows]
        tokens = None
        # Shifted so that the largest is 0: whatever the temperature, the division cannot give inf - inf.
        tiny = torch.finfo(log_probs.dtype).tiny
        scores = (log_probs - log_probs.max(1, keepdim=True).values) / max(temperature, tiny)
        if top_k is not None:
            scores, tokens = scores.topk(min(top_k, scores.shape[1]))
        elif top_p is not None:
            scores, tokens = scores.sort(descending=True)
        probabilities = scores.softmax(1)
        if top_p is not None:
            mass_before = probabilities.cumsum(1) - probabilities
            probabilities = probabilities.masked_fill(mass_before >= top_p, 0)
        choice = torch.multinomial(probabilities, 1, generator=generator)
        return (choice if tokens is None else tokens.gather(1, choice)).squeeze(1)

    return draw


def _most_probable(log_probs: Tensor) -> Tensor:
    return log_probs.argmax(1)


def _scored(tokens: list[int], log_prob: float, eos_id: int, alpha: float) -> Hypothesis:
    """A hypothesis from its tokens, the last of which may be eos."""
    finished = bool(tokens) and tokens[-1] == eos_id
    score = log_prob / gnmt_length_penalty(len(tokens), alpha)
    return Hypothesis(tokens[:-1] if finished else tokens, log_prob, score, finished)


def _prepare(
    state: State, bos_id: PerRow, eos_id: int, max_length: PerRow, forbidden: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor, int]:
    """Check what all functions take.

    Returns, on the state's device: max_length [rows], bos [rows], forbidden [n]; and the highest id among
    eos and the forbidden ones, which the vocabulary must hold.
    """
    if not state or any(tensor.dim() < 2 or tensor.shape[1] != state[0].shape[1] for tensor in state):
        shapes = [tuple(tensor.shape) for tensor in state]
        raise ValueError(
            f"state must be tensors [layers, rows, hidden] with equal rows, not of shapes {shapes}"
        )
    rows, device = state[0].shape[1], state[0].device
    limits = _per_row("max_length", max_length, rows, device, least=1)
    inputs = _per_row("bos_id", bos_id, rows, device, least=0)
    ids = [eos_id, *forbidden]
    if min(ids) < 0:
        raise ValueError(f"ids must not be negative: eos_id {eos_id}, forbidden {ids[1:]}")
    return limits, inputs, torch.tensor(ids[1:], dtype=torch.int64, device=device), max(ids)


def _per_row(name: str, value: PerRow, rows: int, device: torch.device, least: int) -> Tensor:
    """`value` as an int64 tensor [rows] on `device`."""
    given = torch.as_tensor(value, device=device)
    if given.dim() == 0:
        given = given.expand(rows)
    if given.shape != (rows,):
        raise ValueError(f"{name} must be one number or {rows}, one a row, not of shape {tuple(given.shape)}")
    if rows and (given.is_floating_point() or given.dtype == torch.bool or int(given.min()) < least):
        raise ValueError(f"{name} must be whole numbers of at least {least}, not {value}")
    return given.long()


def _log_probs(logits: Tensor, inputs: Tensor, banned: Tensor, highest: int) -> Tensor:
    """Log-probabilities [rows, vocab] in float32, the banned ids at -inf and the others renormalised."""
    if logits.dim() != 2 or len(logits) != len(inputs):
        raise ValueError(f"step must give logits [{len(inputs)}, vocab], not of shape {tuple(logits.shape)}")
    if logits.shape[1] <= highest:
        raise ValueError(
            f"eos_id or forbidden names id {highest}, outside the vocabulary of {logits.shape[1]}"
        )
    if len(banned):
        logits = logits.index_fill(1, banned, -torch.inf)  # a copy: the step's own tensor stays as it is
    log_probs = torch.log_softmax(logits, dim=1, dtype=torch.float32)
    # One NaN makes its whole row NaN, and so does a row of -inf alone: one column tells.
    if log_probs[:, 0].isnan().any():
        raise ValueError("step gave logits that are NaN or infinite, or that leave no token possible")
    return log_probs


def _follow(history: Tensor, parents: Tensor, tokens: Tensor) -> Tensor:
    """Append tokens [a, n] to the histories [a, w, length] of their parents [a, n]: [a, n, length + 1]."""
    parents = parents.unsqueeze(2).expand(-1, -1, history.shape[2])
    return torch.cat((history.gather(1, parents), tokens.unsqueeze(2)), 2)
