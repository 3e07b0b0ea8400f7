"""An LSTM layer in bfloat16 on a CPU, over sequences of different lengths without padded steps.

torch's own kernel (oneDNN) adds to the gradient of the weights at every step, which is slow for a wide layer.
Here the gate gradients of all steps are kept, and the gradient of the weights is one matrix product at the
end. Matrix products are in the low precision; gates, cell state and sums are in float32.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor

from nlp_rnn.models.layers.autograd import Function, first_derivative_only

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input

# oneDNN compiles and keeps a program for each new size of a matrix product, so sizes are multiples of this.
_ROWS_MULTIPLE = 128


def round_up(rows: int) -> int:
    """The number of rows, rounded up so that few different sizes of matrix products occur."""
    return -(-rows // _ROWS_MULTIPLE) * _ROWS_MULTIPLE


def lstm_layer(
    input: Tensor,
    h: Tensor,
    c: Tensor,
    weights: list[Tensor],
    sizes: list[int],
    backwards: bool,
    dtype: torch.dtype = torch.bfloat16,
) -> tuple[Tensor, Tensor, Tensor]:
    """One layer in one direction over packed sequences, sorted by descending length.

    Args:
        input: [N, I], step after step; each step has one row per sequence that reaches it. Rows behind the
            sum of `sizes` belong to no step and must be zero.
        h: [B, H], the initial hidden state.
        c: [B, H], the initial cell state.
        weights: w_ih [4H, I], w_hh [4H, H], b_ih [4H], b_hh [4H]; gates in torch's order.
        sizes: [T], the number of sequences that reach each step; never increasing.
        backwards: start at each sequence's last step.
        dtype: of the matrix products and the outputs.

    Returns:
        The outputs [N, H], with zeros behind the sum of `sizes`, and h and c [B, H] at each sequence's end.
    """
    with torch.autocast("cpu", enabled=False):
        results: tuple[Tensor, Tensor, Tensor] = _LSTMLayer.apply(
            input, h, c, *weights, sizes, backwards, dtype
        )
    return results


class _LSTMLayer(Function):
    @staticmethod
    def forward(
        ctx: Any,
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
        # [N, 4H], first the part from the input, after each step its gates
        gates = torch.addmm((b_ih + b_hh).to(dtype), input, w_ih.t())
        count = len(input)
        # [N, H] each: h before each step, h after it, tanh of c after it
        h_before, output, all_tanh_c = (input.new_zeros(count, width) for _ in range(3))
        c_before = torch.empty(count, width)
        h, c = h.to(dtype, copy=True), c.to(torch.float32, copy=True)
        work = torch.empty(len(h), 4 * width)
        small = torch.empty(len(h), width)
        for start, end in _steps(sizes, backwards):
            rows = end - start
            step_gates, low_gates = work[:rows], gates[start:end]  # float32; low precision
            step_h, step_c, tanh_c = h[:rows], c[:rows], small[:rows]
            h_before[start:end] = step_h
            c_before[start:end] = step_c
            step_gates.copy_(low_gates.addmm_(step_h, w_hh.t()))
            step_gates[:, 2 * width : 3 * width].mul_(2)  # tanh(x) = 2 sigmoid(2x) - 1, which is faster
            low_gates.copy_(step_gates.sigmoid_())
            i, f, g, o = step_gates.chunk(4, 1)
            step_c.mul_(f).addcmul_(i, g, value=2).sub_(i)
            torch.mul(step_c, 2, out=tanh_c).sigmoid_().mul_(2).sub_(1)
            all_tanh_c[start:end] = tanh_c
            output[start:end] = step_h.copy_(tanh_c.mul_(o))
        ctx.save_for_backward(input, w_ih, w_hh, gates, h_before, c_before, all_tanh_c)
        ctx.steps = list(_steps(sizes, not backwards))
        ctx.types = (*types, b_ih.dtype)
        return output, h, c.to(types[2])

    @staticmethod
    @first_derivative_only("run the LSTM without autocast to bfloat16")
    def backward(ctx: Any, d_output: Tensor, d_h: Tensor, d_c: Tensor) -> tuple[Tensor | None, ...]:
        input, w_ih, w_hh, gates, h_before, c_before, all_tanh_c = ctx.saved_tensors
        width = w_hh.size(1)
        d_h, d_c = d_h.to(torch.float32, copy=True), d_c.to(torch.float32, copy=True)
        d_gates = torch.zeros_like(gates)
        work, d_work = torch.empty(len(d_h), 4 * width), torch.empty(len(d_h), 4 * width)
        small, d_small = torch.empty(len(d_h), width), torch.empty(len(d_h), width)
        for start, end in ctx.steps:
            rows = end - start
            step_gates, step_d_gates, step_d_h, step_d_c = work[:rows], d_work[:rows], d_h[:rows], d_c[:rows]
            tanh_c, d_tanh = small[:rows], d_small[:rows]
            step_gates.copy_(gates[start:end])
            i, f, g, o = step_gates.chunk(4, 1)
            d_i, d_f, d_g, d_o = step_d_gates.chunk(4, 1)
            step_d_h.add_(d_output[start:end])
            tanh_c.copy_(all_tanh_c[start:end])
            torch.mul(step_d_h, tanh_c, out=d_o)
            torch.mul(step_d_h, o, out=d_tanh)
            step_d_c.add_(_tanh_backward(d_tanh, tanh_c, grad_input=d_tanh))
            torch.mul(step_d_c, g, out=d_i).mul_(2).sub_(step_d_c)
            torch.mul(step_d_c, c_before[start:end], out=d_f)
            torch.mul(step_d_c, i, out=d_g).mul_(4)
            step_d_c.mul_(f)
            low_d_gates = d_gates[start:end].copy_(
                _sigmoid_backward(step_d_gates, step_gates, grad_input=step_d_gates)
            )
            step_d_h.copy_(low_d_gates @ w_hh)
        to_input, to_h, to_c, to_weights = ctx.types
        d_gates_t = d_gates.t()
        d_bias = d_gates.sum(0).to(to_weights)
        return (
            (d_gates @ w_ih).to(to_input),
            d_h.to(to_h),
            d_c.to(to_c),
            (d_gates_t @ input).to(to_weights),
            (d_gates_t @ h_before).to(to_weights),
            d_bias,
            d_bias,
            None,
            None,
            None,
        )


def _steps(sizes: list[int], backwards: bool) -> list[tuple[int, int]]:
    """(start, end) of the rows of each step, in the order of reading."""
    steps = list(pairwise(accumulate(sizes, initial=0)))
    return steps[::-1] if backwards else steps
