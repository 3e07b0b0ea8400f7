"""Sampling with one random generator per row, so that an answer does not depend on the rest of the batch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from nlp_rnn.lite.decoding.hypotheses import Hypothesis
from nlp_rnn.models.decoding import PerRow, StepFunction, decode
from nlp_rnn.models.layers.base import State


def row_uniforms(keys: Sequence[Sequence[int]], steps: int, seed: int) -> Tensor:
    """Random numbers for each row, which depend on its key and the seed alone.

    Args:
        keys: [B] integers that stand for each row, such as its source ids.
        steps: how many numbers each row gets.
        seed: of all rows.

    Returns:
        [B, steps] float32 from 0 to less than 1.
    """
    numbers = np.empty((len(keys), steps), np.float32)
    for row, key in enumerate(keys):
        content = np.asarray([seed, *key], np.int64).tobytes()
        entropy = int.from_bytes(hashlib.blake2b(content, digest_size=16).digest(), "little")
        numbers[row] = np.random.default_rng(entropy).random(steps, np.float32)
    return torch.from_numpy(numbers)


@torch.no_grad()
def sample_rows(
    step: StepFunction,
    state: State,
    uniforms: Tensor,
    *,
    bos_id: PerRow,
    eos_id: int,
    max_length: PerRow,
    temperature: float = 1.0,
    top_k: int | None = None,
    forbidden: Sequence[int] = (),
) -> list[Hypothesis]:
    """Sample one sequence per row, by the inverse of the distribution function.

    Args:
        step: the model, see `StepFunction`.
        state: the state before the first step.
        uniforms: [B, steps] float32, the random numbers of each row, at least `max_length`.
        bos_id: the first input token, one integer or one per row.
        eos_id: the token that ends a sequence.
        max_length: the most steps of a row, including EOS; one integer or one per row.
        temperature: logits are divided by it.
        top_k: sample among the k most probable tokens only (Fan et al. 2018).
        forbidden: ids that are never produced.

    Returns:
        One hypothesis per row. `log_prob` and `score` are the model's, without temperature and `top_k`.

    Raises:
        ValueError: bad arguments, or logits that are NaN or leave no token possible.
    """
    current: list[Tensor] = []  # of the rows that are still running, [rows, steps]

    def with_numbers(tokens: Tensor, state: State) -> tuple[Tensor, State]:
        *inner, numbers = state
        logits, new = step(tokens, tuple(inner))
        current[:] = [numbers[0, :, 0]]
        return logits, (*new, numbers[:, :, 1:])

    def choose(log_probs: Tensor) -> Tensor:  # [rows, vocab] -> [rows]
        scores, tokens = log_probs / temperature, None
        if top_k is not None:
            scores, tokens = scores.topk(min(top_k, scores.shape[1]))
        mass = scores.softmax(1).cumsum(1)
        # Less than the whole mass, whatever the rounding: else the last token would be chosen.
        wanted = current[0][:, None] * mass[:, -1:] * (1 - 1e-6)
        places = torch.searchsorted(mass, wanted, right=True).clamp(max=mass.shape[1] - 1)
        return (places if tokens is None else tokens.gather(1, places)).squeeze(1)

    numbers = uniforms.to(state[0].device)[None]
    return decode(
        with_numbers,
        (*state, numbers),
        choose,
        bos_id=bos_id,
        eos_id=eos_id,
        max_length=max_length,
        forbidden=forbidden,
    )
