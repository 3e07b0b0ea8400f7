"""Batches of sequences of unequal length: where to cut them, and their steps in other places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

# Rather than cut a batch once more, compute this many padded steps of one sequence.
CUT_COST = 256


def validate_lengths(lengths: Tensor | Sequence[int] | None, steps: int, batch: int) -> Tensor | None:
    """The lengths [B] as an int64 tensor on the CPU, or None where every sequence has all steps.

    Raises:
        ValueError: there are not as many as sequences, or one reaches outside 0..steps.
    """
    if lengths is None:
        return None
    lengths = torch.as_tensor(lengths, dtype=torch.long).cpu()
    if lengths.shape != (batch,):
        raise ValueError(f"lengths has shape {tuple(lengths.shape)}, the batch has {batch} sequences")
    if batch and not 0 <= int(lengths.min()) <= int(lengths.max()) <= steps:
        raise ValueError(f"lengths must lie between 0 and {steps}, the number of steps")
    return None if bool((lengths == steps).all()) else lengths


class Segment(NamedTuple):
    """Steps `start` to `end` of the first `rows` sequences."""

    start: int
    end: int
    rows: int


def plan_segments(lengths: Tensor) -> list[Segment]:
    """Cut sequences of falling lengths [B] over time, so that few padded steps and few cuts are left.

    A shortest path over the lengths that occur: from one cut to the next costs the padded steps between, of
    the sequences that are not over, and the cut.
    """
    ends, counts = lengths.unique(return_counts=True)  # rising
    ends, counts = ends[ends > 0], counts[ends > 0]
    alive = counts.flip(0).cumsum(0).flip(0)  # [K], sequences that reach each end
    starts = torch.cat([ends.new_zeros(1), ends])  # [K + 1], where segments may begin and end
    cost = [0.0] + [float("inf")] * len(ends)
    came: list[int] = [0] * (len(ends) + 1)
    for at in range(len(ends)):
        reach = (starts[at + 1 :] - starts[at]) * alive[at] + CUT_COST
        for to, price in enumerate((reach + cost[at]).tolist(), at + 1):
            if price < cost[to]:
                cost[to], came[to] = price, at
    segments = []
    to = len(ends)
    while to:
        at = came[to]
        segments.append(Segment(int(starts[at]), int(starts[to]), int(alive[at])))
        to = at
    return segments[::-1]


class GatherRows(torch.autograd.Function):
    """Rows `places` [N], each once, of [M, I], and zeros behind them: [rows, I]."""

    @staticmethod
    def forward(ctx: FunctionCtx, input: Tensor, places: Tensor, rows: int) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(places)
        ctx.rows = len(input)  # type: ignore[attr-defined]
        taken = input.new_zeros(rows, input.size(1))
        torch.index_select(input, 0, places, out=taken[: len(places)])
        return taken

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        (places,) = ctx.saved_tensors  # type: ignore[attr-defined]
        rows = gradient.new_zeros(ctx.rows, gradient.size(1))  # type: ignore[attr-defined]
        return rows.index_copy_(0, places, gradient[: len(places)]), None, None


class ScatterRows(torch.autograd.Function):
    """The other way: the first N rows to rows `places` [N] of [rows, H], the others 0."""

    @staticmethod
    def forward(ctx: FunctionCtx, input: Tensor, places: Tensor, rows: int) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(places)
        ctx.rows = len(input)  # type: ignore[attr-defined]
        return input.new_zeros(rows, input.size(1)).index_copy_(0, places, input[: len(places)])

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        (places,) = ctx.saved_tensors  # type: ignore[attr-defined]
        taken = gradient.new_zeros(ctx.rows, gradient.size(1))  # type: ignore[attr-defined]
        torch.index_select(gradient, 0, places, out=taken[: len(places)])
        return taken, None, None


class PermuteSteps(torch.autograd.Function):
    """Steps of a batch [T, B, I] in another order [T * B], one that is its own inverse."""

    @staticmethod
    def forward(ctx: FunctionCtx, input: Tensor, order: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(order)
        return input.flatten(0, 1).index_select(0, order).view_as(input)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (order,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return gradient.flatten(0, 1).index_select(0, order).view_as(gradient), None
