"""What greedy search, beam search and sampling share: step functions, hypotheses and the decoding loop.

The model is seen only as a step function, `step(tokens, state) -> (logits, new state)`, so one loop serves
every model that can advance by one token. A row is one sequence to decode. Rows that have ended are removed
from the batch at once, so the cost of a step depends only on the rows still running.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from nlp_rnn.lite.decoding.hypotheses import INVALID_LOGITS, Hypothesis, make_hypothesis
from nlp_rnn.models.layers.base import State

StepFunction = Callable[[Tensor, State], tuple[Tensor, State]]
"""(tokens [rows] int64, state) -> (logits [rows, vocab], new state)."""

PerRow = int | Sequence[int] | Tensor
"""One integer for all rows, or one per row."""

Choice = Callable[[Tensor], Tensor]
"""Log-probabilities [rows, vocab] -> tokens [rows] int64. A row may be all NaN; any token will do then."""


def most_probable(log_probs: Tensor) -> Tensor:
    """The `Choice` of greedy search."""
    return log_probs.argmax(1)


def decode(
    step: StepFunction,
    state: State,
    choose: Choice,
    *,
    bos_id: PerRow,
    eos_id: int,
    max_length: PerRow,
    forbidden: Sequence[int],
    length_penalty: float = 0.0,
) -> list[Hypothesis]:
    """Decode one hypothesis per row; see `decode_steps` for the arguments."""
    rows = state[0].shape[1] if state and state[0].dim() > 1 else 0
    tokens_of_row: list[list[int]] = [[] for _ in range(rows)]  # with EOS
    log_prob_of_row = [0.0] * rows
    for active, tokens, log_probs in decode_steps(
        step, state, choose, bos_id=bos_id, eos_id=eos_id, max_length=max_length, forbidden=forbidden
    ):
        for row, token, log_prob in zip(active, tokens, log_probs, strict=True):
            tokens_of_row[row].append(token)
            log_prob_of_row[row] += log_prob
    return [
        make_hypothesis(tokens, log_prob, eos_id=eos_id, alpha=length_penalty)
        for tokens, log_prob in zip(tokens_of_row, log_prob_of_row, strict=True)
    ]


def decode_steps(
    step: StepFunction,
    state: State,
    choose: Choice,
    *,
    bos_id: PerRow,
    eos_id: int,
    max_length: PerRow,
    forbidden: Sequence[int],
) -> Iterator[tuple[list[int], list[int], list[float]]]:
    """Decode step by step.

    Args:
        step: the model, see `StepFunction`.
        state: the state before the first step.
        choose: picks each token.
        bos_id: the first input token, one integer or one per row.
        eos_id: the token that ends a sequence.
        max_length: the most steps of a row, one integer or one per row.
        forbidden: ids that are never produced.

    Yields:
        For each step: the indices of the rows still running, their tokens, and these tokens'
        log-probabilities.
    """
    limits, inputs, banned, highest_id = check_arguments(
        state, bos_id=bos_id, eos_id=eos_id, max_length=max_length, forbidden=forbidden
    )
    limit_of_row = limits.tolist()
    active = list(range(len(limit_of_row)))
    length = 0
    while active:
        logits, state = step(inputs, state)
        log_probs = log_probabilities(logits, rows=len(inputs), banned=banned, highest_id=highest_id)
        inputs = choose(log_probs)
        length += 1
        tokens, chosen = _to_host(inputs, log_probs.gather(1, inputs.unsqueeze(1)).squeeze(1))
        if math.isnan(sum(chosen)):
            raise ValueError(INVALID_LOGITS)
        yield active, tokens, chosen
        running = [
            index
            for index, (row, token) in enumerate(zip(active, tokens, strict=True))
            if token != eos_id and length < limit_of_row[row]
        ]
        if 0 < len(running) < len(active):
            indices = torch.tensor(running, device=inputs.device)
            state = tuple(tensor.index_select(1, indices) for tensor in state)
            inputs = inputs[indices]
        active = [active[index] for index in running]


def _to_host(tokens: Tensor, log_probs: Tensor) -> tuple[list[int], list[float]]:
    """Tokens and float32 log-probabilities, both [rows], as lists; the CPU waits for the device once."""
    if tokens.device.type == "cpu":
        return tokens.tolist(), log_probs.tolist()
    both = torch.stack((tokens.int(), log_probs.view(torch.int32))).cpu()
    return both[0].tolist(), both[1].view(torch.float32).tolist()


def check_arguments(
    state: State, *, bos_id: PerRow, eos_id: int, max_length: PerRow, forbidden: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor, int]:
    """Check the arguments that all decoding functions share.

    Returns:
        On the state's device: max_length [rows], BOS [rows] and the forbidden ids [n]; and the highest id
        among EOS and the forbidden ones, which the vocabulary must have.

    Raises:
        ValueError: a bad argument.
    """
    if not state or any(tensor.dim() < 2 or tensor.shape[1] != state[0].shape[1] for tensor in state):
        shapes = [tuple(tensor.shape) for tensor in state]
        raise ValueError(
            f"state must be tensors [layers, rows, hidden] with equal rows, not of shapes {shapes}"
        )
    rows, device = state[0].shape[1], state[0].device
    limits = _per_row("max_length", max_length, rows=rows, device=device, least=1)
    inputs = _per_row("bos_id", bos_id, rows=rows, device=device, least=0)
    ids = [eos_id, *forbidden]
    if min(ids) < 0:
        raise ValueError(f"ids must not be negative: eos_id {eos_id}, forbidden {ids[1:]}")
    return limits, inputs, torch.tensor(ids[1:], dtype=torch.int64, device=device), max(ids)


def _per_row(name: str, value: PerRow, *, rows: int, device: torch.device, least: int) -> Tensor:
    """`value` as an int64 tensor [rows] on `device`."""
    values = torch.as_tensor(value, device=device)
    if values.dim() == 0:
        values = values.expand(rows)
    if values.shape != (rows,):
        raise ValueError(
            f"{name} must be one number or {rows}, one per row, not of shape {tuple(values.shape)}"
        )
    if rows and (values.is_floating_point() or values.dtype == torch.bool or int(values.min()) < least):
        raise ValueError(f"{name} must be whole numbers of at least {least}, not {value}")
    return values.long()


def log_probabilities(logits: Tensor, *, rows: int, banned: Tensor, highest_id: int) -> Tensor:
    """The log-probabilities of a step's logits.

    Args:
        logits: [rows, vocab], float.
        rows: how many rows there must be.
        banned: [n] int64, the forbidden ids.
        highest_id: the highest id that the vocabulary must have.

    Returns:
        [rows, vocab] float32, -inf at the forbidden ids and renormalized over the others. Rows with logits
        that are NaN, or that leave no token possible, are all NaN; to find them, the CPU waits for the
        device, so that is left to the caller.

    Raises:
        ValueError: the logits have another shape.
    """
    if logits.dim() != 2 or len(logits) != rows:
        raise ValueError(f"step must give logits [{rows}, vocab], not of shape {tuple(logits.shape)}")
    if logits.shape[1] <= highest_id:
        raise ValueError(
            f"eos_id or forbidden names id {highest_id}, outside the vocabulary of {logits.shape[1]}"
        )
    if len(banned):
        logits = logits.index_fill(1, banned, -torch.inf)  # a copy: the step's own tensor is unchanged
    return torch.log_softmax(logits, dim=1, dtype=torch.float32)
