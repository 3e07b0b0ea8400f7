"""Sequences of tags that are scored as a whole: a linear-chain conditional random field.

Lafferty et al. 2001, "Conditional Random Fields"; over recurrent layers Huang et al. 2015 and Lample et al.
2016.

The score of a sequence of tags is the sum of the emissions (one score per step and tag), of the transitions
from each tag to the next one, and of its first and its last tag. Steps behind a sequence's end are not
computed. All is in float32, or in float64 if the emissions are.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from typing_extensions import override

from nlp_rnn.models.layers.devices import to_device

_FORBIDDEN = -1e9
"""The score of what is not allowed: its probability is exactly 0, and unlike infinity it has gradients."""
_MAX_KEPT = 1 << 28
"""The bytes of the scores of all pairs of tags that a batch keeps for the gradients. Beyond it, those of each
step are computed twice (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost")."""


class ChainScores(NamedTuple):
    """The scores of tags that do not depend on the input."""

    start: Tensor
    """[C] of the first tag."""
    transitions: Tensor
    """[C, C] from the first tag to the second one."""
    end: Tensor
    """[C] of the last tag."""

    def reversed(self) -> ChainScores:
        """The scores of the same sequences, read backward."""
        return ChainScores(self.end, self.transitions.t(), self.start)


class LinearChain(nn.Module):
    """Sequences of tags of which some are not allowed; all others are scored by their emissions alone.

    Args:
        start: [C] bool, the tags that may come first.
        transitions: [C, C] bool, the tags that may follow one another.
        end: [C] bool, the tags that may come last.
    """

    forbidden_start: Tensor
    forbidden_transitions: Tensor
    forbidden_end: Tensor

    def __init__(self, start: Tensor, transitions: Tensor, end: Tensor) -> None:
        super().__init__()
        for name, allowed in (("start", start), ("transitions", transitions), ("end", end)):
            # Not among the weights: they follow from the tags.
            self.register_buffer(f"forbidden_{name}", ~allowed, persistent=False)

    def scores(self, emissions: Tensor) -> ChainScores:
        """The scores of tags and transitions, in the dtype and on the device of the emissions."""
        forbidden = (self.forbidden_start, self.forbidden_transitions, self.forbidden_end)
        return ChainScores(
            *(emissions.new_zeros(part.shape).masked_fill(part, _FORBIDDEN) for part in forbidden)
        )

    def best_tags(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """The sequences of tags with the highest scores (Viterbi 1967).

        Args:
            emissions: [T, B, C], float.
            lengths: [B] int64, on the CPU; may be 0.

        Returns:
            [T, B] int64; 0 behind a sequence's end.
        """
        batch = _sort(emissions, lengths)
        return _best_tags(batch, self.scores(batch.emissions)).index_select(1, batch.places)

    def marginals(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """The logarithm of each tag's probability at each step, by forward and backward recursion.

        Args:
            emissions: [T, B, C], float.
            lengths: [B] int64, on the CPU; may be 0.

        Returns:
            [T, B, C] float; 0 behind a sequence's end.
        """
        batch = _sort(emissions, lengths)
        in_order = lengths.sort(descending=True).values
        return _marginals(batch, self.scores(batch.emissions), in_order).index_select(1, batch.places)

    def log_likelihood(self, emissions: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """The logarithm of the probability of sequences of tags.

        Args:
            emissions: [T, B, C], float.
            tags: [T, B] int64; a negative one stands for any tag, over all of which probabilities are summed.
            lengths: [B] int64, on the CPU; may be 0.

        Returns:
            [B] float.
        """
        labels = torch.arange(emissions.size(-1), device=tags.device)
        other = (tags[..., None] != labels) & (tags[..., None] >= 0)  # [T, B, C]
        # One recursion over the sequences with these tags, and with all.
        exact = emissions.to(torch.promote_types(emissions.dtype, torch.float32))
        both = torch.cat([exact.masked_fill(other, _FORBIDDEN), exact], 1)
        batch = _sort(both, torch.cat([lengths, lengths]))
        scores = self.scores(batch.emissions)
        totals = _log_partition(batch, _forward(batch, scores), scores).index_select(0, batch.places)
        given, total = totals.chunk(2)
        return given - total


class LinearChainCRF(LinearChain):
    """A linear chain with trained scores of tags and transitions.

    Args:
        start: [C] bool, the tags that may come first.
        transitions: [C, C] bool, the tags that may follow one another.
        end: [C] bool, the tags that may come last.
    """

    def __init__(self, start: Tensor, transitions: Tensor, end: Tensor) -> None:
        super().__init__(start, transitions, end)
        self.start = nn.Parameter(torch.zeros(len(start)))
        # One row per pair of tags, so that a model can be initialized with one for other tags.
        self.transitions = nn.Parameter(torch.zeros(len(start) ** 2))
        self.end = nn.Parameter(torch.zeros(len(start)))

    @override
    def scores(self, emissions: Tensor) -> ChainScores:
        trained = (self.start, self.transitions.view_as(self.forbidden_transitions), self.end)
        forbidden = super().scores(emissions)
        return ChainScores(
            *(part.to(emissions.dtype) + low for part, low in zip(trained, forbidden, strict=True))
        )

    @override
    def extra_repr(self) -> str:
        return f"{len(self.start)} tags"


class _Sorted(NamedTuple):
    """A batch with the longest sequences first: those that reach a step are its first ones."""

    emissions: Tensor
    """[T, B, C] float32 or float64."""
    active: list[int]
    """[T], the number of sequences that reach each step."""
    places: Tensor
    """[B] int64, where each sequence of the batch is now."""

    @property
    def ending(self) -> list[slice]:
        """[T], the sequences whose last step each step is."""
        return [slice(later, count) for count, later in pairwise([*self.active, 0])]


def _sort(emissions: Tensor, lengths: Tensor) -> _Sorted:
    order = lengths.argsort(descending=True, stable=True)
    exact = emissions.to(torch.promote_types(emissions.dtype, torch.float32))
    steps = torch.arange(int(lengths.max()) if len(lengths) else 0)
    order, places = (to_device(index, emissions.device) for index in (order, order.argsort()))
    return _Sorted(exact.index_select(1, order), (lengths[:, None] > steps).sum(0).tolist(), places)


def _forward(batch: _Sorted, scores: ChainScores) -> list[Tensor]:
    """[T] tensors [active, C]: the logarithm of the summed scores of all tags up to each step's tag."""
    sums: list[Tensor] = []
    paths_size = sum(batch.active[1:]) * scores.transitions.numel() * batch.emissions.element_size()
    is_recomputed = torch.is_grad_enabled() and paths_size > _MAX_KEPT
    for emission, count in zip(batch.emissions, batch.active, strict=False):
        if not sums:
            sums.append(scores.start + emission[:count])
            continue
        arguments = (sums[-1][:count], scores.transitions, emission[:count])
        if is_recomputed:
            sums.append(checkpoint(_advance, *arguments, use_reentrant=False, preserve_rng_state=False))
        else:
            sums.append(_advance(*arguments))
    return sums


def _advance(sums: Tensor, transitions: Tensor, emission: Tensor) -> Tensor:
    """[active, C] the logarithms of the summed scores one step later."""
    paths = sums[:, :, None] + transitions  # [active, C, C]
    return paths.logsumexp(1) + emission


def _log_partition(batch: _Sorted, sums: list[Tensor], scores: ChainScores) -> Tensor:
    """[B], in the order of `batch`: the logarithm of the summed scores of all sequences; 0 for empty ones."""
    ends = [step[rows] for step, rows in zip(sums, batch.ending, strict=True)]  # the longest come last
    empty = batch.emissions.new_zeros(len(batch.places) - (batch.active[0] if batch.active else 0))
    return torch.cat([*((end + scores.end).logsumexp(1) for end in reversed(ends)), empty])


def _best_tags(batch: _Sorted, scores: ChainScores) -> Tensor:
    """[T, B] int64, in the order of `batch`."""
    best = batch.emissions.new_zeros(0)
    origins: list[Tensor] = []
    tops: list[Tensor] = []
    for emission, count in zip(batch.emissions, batch.active, strict=False):
        if not tops:
            best = scores.start + emission[:count]
        else:
            best, origin = (best[:count, :, None] + scores.transitions).max(1)
            best = best + emission[:count]
            origins.append(origin)
        tops.append(best)
    tags = batch.places.new_zeros(batch.emissions.shape[:2])
    for step in reversed(range(len(tops))):
        ending = batch.ending[step]
        tags[step, ending] = (tops[step][ending] + scores.end).argmax(1)
        if ending.start:
            later = tags[step + 1, : ending.start, None]
            tags[step, : ending.start] = origins[step].gather(1, later)[:, 0]
    return tags


def _marginals(batch: _Sorted, scores: ChainScores, lengths: Tensor) -> Tensor:
    """[T, B, C], in the order of `batch`, from the recursions over the sequences and their reversals."""
    steps = torch.arange(len(batch.emissions))[:, None]
    # Where each step is in the reversed sequence; steps behind the end stay where they are.
    mirror = to_device(torch.where(steps < lengths, lengths - 1 - steps, steps), batch.emissions.device)
    index = mirror[..., None].expand_as(batch.emissions)
    reversal = batch._replace(emissions=batch.emissions.gather(0, index))
    before, after = (
        _stack(batch, _forward(*part)) for part in ((batch, scores), (reversal, scores.reversed()))
    )
    joint = before + after.gather(0, index) - batch.emissions
    # Normalized at each step: the sum over all sequences is rounded too coarsely where they are long.
    return joint.log_softmax(-1).masked_fill((steps >= lengths).to(joint.device)[..., None], 0)


def _stack(batch: _Sorted, steps: list[Tensor]) -> Tensor:
    """[T, B, C] from [active, C] each; 0 behind a sequence's end."""
    stacked = torch.zeros_like(batch.emissions)
    for step, values in enumerate(steps):
        stacked[step, : len(values)] = values
    return stacked
