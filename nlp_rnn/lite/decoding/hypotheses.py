"""Decoded sequences, and what they are ranked by."""

from __future__ import annotations

from dataclasses import dataclass

INVALID_LOGITS = "step gave logits that are NaN or infinite, or that leave no token possible"


@dataclass(frozen=True)
class Hypothesis:
    """One decoded sequence.

    Attributes:
        tokens: the ids, without BOS and EOS.
        log_prob: the sum of the tokens' log-probabilities, including that of EOS.
        score: what hypotheses are ranked by: `log_prob`, in beam search divided by the length penalty.
        finished: whether EOS came within `max_length` steps.
    """

    tokens: list[int]
    log_prob: float
    score: float
    finished: bool


def gnmt_length_penalty(length: int, alpha: float) -> float:
    """The divisor of log-probabilities, ((5 + length) / 6) ** alpha (Wu et al. 2016, equation 14)."""
    return float(((5 + length) / 6) ** alpha)


def make_hypothesis(tokens: list[int], log_prob: float, *, eos_id: int, alpha: float) -> Hypothesis:
    """A hypothesis from its tokens, the last of which may be EOS, and the length penalty's exponent."""
    finished = bool(tokens) and tokens[-1] == eos_id
    score = log_prob / gnmt_length_penalty(len(tokens), alpha)
    return Hypothesis(tokens[:-1] if finished else tokens, log_prob, score, finished)
