"""Ensembles: several models of one kind that answer with the mean of their probabilities.

An ensemble has the interface of its members, so what calls a model need not know that it is one. Each member
has its own state: that of the ensemble is those of its members, one behind the other. The members may differ
in all but what they read and what they score.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nlp_rnn.models.layers.base import State
from nlp_rnn.models.tagger import Tagger

Combine = Callable[[Sequence[Tensor]], Tensor]
"""The scores of the members, each of the same shape -> the scores of the ensemble."""


def mean_probabilities(logits: Sequence[Tensor], temperatures: Sequence[float] | None = None) -> Tensor:
    """The logarithm of the mean of probabilities, which are logits too: their softmax is the mean.

    Args:
        logits: of each member [..., C], float.
        temperatures: what the logits of each member are divided by before; 1 if left out.

    Returns:
        [..., C], at least float32.
    """
    temperatures = temperatures or [1.0] * len(logits)
    log_probs = [
        _exact(scores / temperature).log_softmax(-1)
        for scores, temperature in zip(logits, temperatures, strict=True)
    ]
    return torch.stack(log_probs).logsumexp(0) - math.log(len(logits))


def mean_independent_probabilities(logits: Sequence[Tensor]) -> Tensor:
    """The log-odds of the mean of probabilities: their sigmoid is the mean of the members' sigmoids.

    Args:
        logits: of each member, of one shape, float.

    Returns:
        The same shape, at least float32.
    """
    stacked = torch.stack([_exact(scores) for scores in logits])
    # Sums of logarithms, for the difference of 1 and a mean near 1 would have no digits left.
    return F.logsigmoid(stacked).logsumexp(0) - F.logsigmoid(-stacked).logsumexp(0)


def mean_values(values: Sequence[Tensor]) -> Tensor:
    """The mean of numbers or of scores, at least in float32."""
    return torch.stack([_exact(value) for value in values]).mean(0)


class Ensemble(nn.Module):
    """Models that score a whole input, or its steps, whose scores are combined.

    Args:
        members: the models, which take the same inputs and give scores of one shape.
        combine: makes one score of those of the members.
    """

    def __init__(self, members: Sequence[nn.Module], combine: Combine) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.combine = combine

    def forward(self, *inputs: Tensor | None) -> Tensor:
        """The combined scores, from the inputs of a member."""
        return self.combine([member(*inputs) for member in self.members])

    @property
    def bidirectional(self) -> bool:
        """Whether any member reads backwards too."""
        return any(_member(member).bidirectional for member in self.members)

    def initial_state(self, batch: int) -> State:
        """The state before the first `step` of `batch` sequences."""
        return join(_member(member).initial_state(batch) for member in self.members)

    def step(self, tokens: Tensor, state: State, *inputs: Tensor | None) -> tuple[Tensor, State]:
        """Read one more token of each sequence, as the members' `step` does.

        Args:
            tokens: [B] int64 ids.
            state: that of `initial_state`, or of the step before.
            inputs: what a member's `step` takes beside these.

        Returns:
            The combined scores, and the new state.
        """
        members = [_member(member) for member in self.members]
        parts = split(state, [len(member.initial_state(1)) for member in members])
        results = [member.step(tokens, part, *inputs) for member, part in zip(members, parts, strict=True)]
        return self.combine([scores for scores, _ in results]), join(state for _, state in results)


class TaggerEnsemble(Ensemble):
    """Taggers: of each set of tags the mean of the probabilities.

    Those that are scored by a conditional random field have the mean of the emissions, transitions, first and
    last tags, which is again such a field: the score of a sequence of tags is the mean of its scores.

    Args:
        members: the taggers, with the same sets of tags. All have a conditional random field, or none has.
    """

    def __init__(self, members: Sequence[Tagger]) -> None:
        super().__init__(members, self._combined)
        self.sizes = members[0].sizes
        fields = [member.crf for member in members if hasattr(member, "crf")]
        if fields:
            self.crf = copy.deepcopy(fields[0])
            with torch.no_grad():
                for name, parameter in self.crf.named_parameters():
                    parameter.copy_(mean_values([field.get_parameter(name) for field in fields]))

    def _combined(self, logits: Sequence[Tensor]) -> Tensor:
        by_column = zip(*(scores.split(self.sizes, -1) for scores in logits), strict=True)
        combined = [
            mean_values(column) if number == 0 and hasattr(self, "crf") else mean_probabilities(column)
            for number, column in enumerate(by_column)
        ]
        return torch.cat(combined, -1)


def join(states: Iterable[State]) -> State:
    """One state of several, one behind the other."""
    return tuple(chain.from_iterable(states))


def split(state: State, counts: Sequence[int]) -> list[State]:
    """The states that `join` made one of.

    Args:
        state: the joined one.
        counts: the number of tensors of each.
    """
    ends = [sum(counts[: number + 1]) for number in range(len(counts))]
    return [state[end - count : end] for end, count in zip(ends, counts, strict=True)]


def _exact(scores: Tensor) -> Tensor:
    return scores.to(torch.promote_types(scores.dtype, torch.float32))


def _member(module: nn.Module) -> Any:
    """A member by its own methods, which are those of its class rather than of all modules."""
    return module
