"""Batches of sequences of different lengths: segments without much padding, and reordered rows and steps."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from nlp_rnn.models.layers.autograd import Function

SEGMENT_COST = 256
"""The cost of one more segment, counted in padded steps of one sequence."""


class Segment(NamedTuple):
    """Steps `start` to `end` of the first `rows` sequences."""

    start: int
    end: int
    rows: int


def plan_segments(lengths: Tensor) -> list[Segment]:
    """Divide a batch over time into segments, so that there are few padded steps and few segments.

    This is a shortest path over the lengths that occur. A segment costs its padded steps, of the sequences
    that have not ended before it, and `SEGMENT_COST`.

    Args:
        lengths: [B] int64, sorted in descending order.

    Returns:
        The segments, in the order of time; they cover every step of every sequence.
    """
    ends, counts = lengths.unique(return_counts=True)  # ascending
    ends, counts = ends[ends > 0], counts[ends > 0]
    alive = counts.flip(0).cumsum(0).flip(0)  # [K], sequences that reach each end
    bounds = torch.cat([ends.new_zeros(1), ends])  # [K + 1], where segments may begin and end
    cost = [0.0] + [float("inf")] * len(ends)  # of the cheapest way to each bound
    previous = [0] * (len(ends) + 1)  # the bound before it on that way
    for begin in range(len(ends)):
        segment_costs = (bounds[begin + 1 :] - bounds[begin]) * alive[begin] + SEGMENT_COST
        for end, total in enumerate((segment_costs + cost[begin]).tolist(), begin + 1):
            if total < cost[end]:
                cost[end], previous[end] = total, begin
    segments = []
    end = len(ends)
    while end:
        begin = previous[end]
        segments.append(Segment(int(bounds[begin]), int(bounds[end]), int(alive[begin])))
        end = begin
    return segments[::-1]


class GatherRows(Function):
    """Rows of a matrix [M, I] by their indices [N], each at most once, and zeros behind them: [rows, I]."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, indices: Tensor, rows: int) -> Tensor:
        """Gather the rows."""
        ctx.save_for_backward(indices)
        ctx.rows = len(input)
        output = input.new_zeros(rows, input.size(1))
        torch.index_select(input, 0, indices, out=output[: len(indices)])
        return output

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """The gradient of `input`."""
        return ScatterRows.apply(gradient, *ctx.saved_tensors, ctx.rows), None, None


class ScatterRows(Function):
    """The inverse of `GatherRows`: the first N rows go to rows `indices` [N] of [rows, H]; others are 0."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, indices: Tensor, rows: int) -> Tensor:
        """Scatter the rows."""
        ctx.save_for_backward(indices)
        ctx.rows = len(input)
        return input.new_zeros(rows, input.size(1)).index_copy_(0, indices, input[: len(indices)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """The gradient of `input`."""
        return GatherRows.apply(gradient, *ctx.saved_tensors, ctx.rows), None, None


class PermuteSteps(Function):
    """The steps of a batch [T, B, I] in the order [T * B] of a permutation that is its own inverse."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, order: Tensor) -> Tensor:
        """Permute the steps."""
        ctx.save_for_backward(order)
        return input.flatten(0, 1).index_select(0, order).view_as(input)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """The gradient of `input`."""
        return PermuteSteps.apply(gradient, *ctx.saved_tensors), None
