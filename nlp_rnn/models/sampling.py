"""Sampling: choose each token at random from the model's distribution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from nlp_rnn.lite.decoding.hypotheses import Hypothesis
from nlp_rnn.models.decoding import Choice, PerRow, StepFunction, decode, decode_steps, most_probable
from nlp_rnn.models.layers.base import State


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
    """Sample one sequence per row.

    Args:
        step: the model, see `StepFunction`.
        state: the state before the first step.
        bos_id: the first input token, one integer or one per row.
        eos_id: the token that ends a sequence.
        max_length: the most steps of a row, including EOS; one integer or one per row.
        temperature: logits are divided by it; near 0 sampling becomes greedy, large values make all tokens
            equally likely.
        top_k: sample among the k most probable tokens only.
        top_p: sample among the fewest most probable tokens whose probabilities sum to at least p (nucleus
            sampling, Holtzman et al. 2020). Applied after the temperature and `top_k`.
        generator: the source of randomness, on the device of the logits; torch's default one if None.
        forbidden: ids that are never produced, as in `greedy`.

    Returns:
        One hypothesis per row. `log_prob` and `score` are the model's, without temperature, `top_k` and
        `top_p`.

    Raises:
        ValueError: bad arguments, or logits that are NaN or leave no token possible.
    """
    return decode(
        step,
        state,
        _sampler(temperature, top_k, top_p, generator),
        bos_id=bos_id,
        eos_id=eos_id,
        max_length=max_length,
        forbidden=forbidden,
    )


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
    """Decode one row and yield each token as soon as it is chosen.

    The arguments are those of `sample`, but the most probable token is chosen where `temperature` is None.

    Yields:
        Each token, including EOS, and its log-probability.

    Raises:
        ValueError: bad arguments, or logits that are NaN or leave no token possible.
    """
    choose = most_probable if temperature is None else _sampler(temperature, top_k, top_p, generator)
    for _, tokens, log_probs in decode_steps(
        step, state, choose, bos_id=bos_id, eos_id=eos_id, max_length=max_length, forbidden=forbidden
    ):
        yield tokens[0], log_probs[0]


def _sampler(
    temperature: float, top_k: int | None, top_p: float | None, generator: torch.Generator | None
) -> Choice:
    """The `Choice` of `sample`."""
    if not 0 < temperature < float("inf"):
        raise ValueError(f"temperature must be above 0 and finite, not {temperature}")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be at least 1, not {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1, not {top_p}")

    def choose(log_probs: Tensor) -> Tensor:  # [rows, vocab] -> [rows]
        tokens = None
        # Shifted so that the largest is 0: at any temperature, the division cannot give inf - inf.
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
        # torch.multinomial draws so too, but checks the probabilities first, for which the CPU has to wait.
        chances = torch.empty_like(probabilities).exponential_(generator=generator)
        chosen = (probabilities / chances).argmax(1, keepdim=True)
        return (chosen if tokens is None else tokens.gather(1, chosen)).squeeze(1)

    return choose
