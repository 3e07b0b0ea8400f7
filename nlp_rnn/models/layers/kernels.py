"""An LSTM layer in bfloat16 on a CPU, over sequences of unequal length without a padded step.

torch's own kernel (oneDNN) adds to the gradient of the weights at every step, which a wide layer pays for
dearly. Here all steps' gate gradients are kept and the weights' is one matrix product at the end. Products
are in the low type; gates, cell state and sums in float32.
"""

from __future__ import annotations

from itertools import accumulate, pairwise

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input

# For each new size of a matrix product oneDNN compiles a program, and keeps it.
_MULTIPLE = 128


def round_up(rows: int) -> int:
    """So many rows that few sizes of matrix products occur."""
    return -(-rows // _MULTIPLE) * _MULTIPLE


def lstm_layer(
    input: Tensor,
    h: Tensor,
    c: Tensor,
    weights: list[Tensor],
    sizes: list[int],
    backwards: bool,
    dtype: torch.dtype = torch.bfloat16,
) -> tuple[Tensor, Tensor, Tensor]:
    """One layer in one direction over packed sequences, sorted by falling length.

    Args:
        input: [N, I], step by step, of each the sequences that have it; what N is above the sum of `sizes`,
            rows at the end that must be zero, belongs to no step.
        h, c: [B, H], the state each sequence starts from.
        weights: w_ih [4H, I], w_hh [4H, H], b_ih [4H], b_hh [4H]; gates in torch's order.
        sizes: [T], how many sequences have each step; never rising.
        backwards: start at each sequence's last step.
        dtype: of the matrix products and the outputs.

    Returns:
        The outputs [N, H], zero at the end likewise, and h and c [B, H] after each sequence's last step.
    """
    with torch.autocast("cpu", enabled=False):
        return _LSTMLayer.apply(input, h, c, *weights, sizes, backwards, dtype)


class _LSTMLayer(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: FunctionCtx,
        input: Tensor,
        h: Tensor,
        c: Tensor,
        w_ih: Tensor,
        w_hh: Tensor,
        b_ih: Tensor,
        b_hh: Tensor,
        sizes: list[int],
        backwards: bool,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor, Tensor]:
        width, types = w_hh.size(1), (input.dtype, h.dtype, c.dtype)
        input, w_ih, w_hh = input.to(dtype), w_ih.to(dtype), w_hh.to(dtype)
        gates = torch.addmm((b_ih + b_hh).to(dtype), input, w_ih.t())  # [N, 4H], later what they were
        count = len(input)
        before, output, squashed = (input.new_zeros(count, width) for _ in range(3))  # h, h after, tanh c
        c_before = torch.empty(count, width)
        h, c = h.to(dtype, copy=True), c.to(torch.float32, copy=True)
        work = torch.empty(len(h), 4 * width)
        small = torch.empty(len(h), width)
        for start, end in _steps(sizes, backwards):
            alive = end - start
            low, now, own_h, own_c, tanh_c = (
                gates[start:end],
                work[:alive],
                h[:alive],
                c[:alive],
                small[:alive],
            )
            before[start:end] = own_h
            c_before[start:end] = own_c
            now.copy_(low.addmm_(own_h, w_hh.t()))
            now[:, 2 * width : 3 * width].mul_(2)  # tanh(x) = 2 sigmoid(2x) - 1, which is faster
            low.copy_(now.sigmoid_())
            i, f, g, o = now.chunk(4, 1)
            own_c.mul_(f).addcmul_(i, g, value=2).sub_(i)
            torch.mul(own_c, 2, out=tanh_c).sigmoid_().mul_(2).sub_(1)
            squashed[start:end] = tanh_c
            output[start:end] = own_h.copy_(tanh_c.mul_(o))
        ctx.save_for_backward(input, w_ih, w_hh, gates, before, c_before, squashed)
        ctx.steps = list(_steps(sizes, not backwards))  # type: ignore[attr-defined]
        ctx.types = (*types, b_ih.dtype)  # type: ignore[attr-defined]
        return output, h, c.to(types[2])

    @staticmethod
    @once_differentiable
    def backward(  # type: ignore[override]
        ctx: FunctionCtx, d_output: Tensor, d_h: Tensor, d_c: Tensor
    ) -> tuple[Tensor | None, ...]:
        input, w_ih, w_hh, gates, before, c_before, squashed = ctx.saved_tensors  # type: ignore[attr-defined]
        width = w_hh.size(1)
        d_h, d_c = d_h.to(torch.float32, copy=True), d_c.to(torch.float32, copy=True)
        d_gates = torch.zeros_like(gates)
        work, gradient = torch.empty(len(d_h), 4 * width), torch.empty(len(d_h), 4 * width)
        small, small_too = torch.empty(len(d_h), width), torch.empty(len(d_h), width)
        for start, end in ctx.steps:  # type: ignore[attr-defined]
            alive = end - start
            now, d_now, own_h, own_c = work[:alive], gradient[:alive], d_h[:alive], d_c[:alive]
            tanh_c, d_tanh = small[:alive], small_too[:alive]
            now.copy_(gates[start:end])
            i, f, g, o = now.chunk(4, 1)
            d_i, d_f, d_g, d_o = d_now.chunk(4, 1)
            own_h.add_(d_output[start:end])
            tanh_c.copy_(squashed[start:end])
            torch.mul(own_h, tanh_c, out=d_o)
            torch.mul(own_h, o, out=d_tanh)
            own_c.add_(_tanh_backward(d_tanh, tanh_c, grad_input=d_tanh))
            torch.mul(own_c, g, out=d_i).mul_(2).sub_(own_c)
            torch.mul(own_c, c_before[start:end], out=d_f)
            torch.mul(own_c, i, out=d_g).mul_(4)
            own_c.mul_(f)
            d_low = d_gates[start:end].copy_(_sigmoid_backward(d_now, now, grad_input=d_now))
            own_h.copy_(d_low @ w_hh)
        to_input, to_h, to_c, to_weights = ctx.types  # type: ignore[attr-defined]
        across = d_gates.t()
        d_bias = d_gates.sum(0).to(to_weights)
        return (
            (d_gates @ w_ih).to(to_input),
            d_h.to(to_h),
            d_c.to(to_c),
            (across @ input).to(to_weights),
            (across @ before).to(to_weights),
            d_bias,
            d_bias,
            None,
            None,
            None,
        )


def _steps(sizes: list[int], backwards: bool) -> list[tuple[int, int]]:
    """The rows of each step, in the order of reading."""
    steps = list(pairwise(accumulate(sizes, initial=0)))
    return steps[::-1] if backwards else steps
