"""Cross-entropy over a large vocabulary, without the logits of all tokens in memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nlp_rnn.models.layers.autograd import Function, first_derivative_only
from nlp_rnn.models.layers.kernels import round_up

# At most about this many logits are in memory, 64 MiB of float32. With fewer, the matrix products slow down.
_MAX_LOGITS = 1 << 24


def rows_per_chunk(classes: int) -> int:
    """How many rows of logits of `classes` classes are in memory at once."""
    return max(1, _MAX_LOGITS // classes)


def linear_cross_entropy(
    input: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, label_smoothing: float = 0.0
) -> Tensor:
    """Compute `cross_entropy(linear(input, weight, bias), labels)`, a few rows at a time.

    If gradients are needed, they are computed in the same pass from the logits in memory, so that no logit is
    kept or computed twice. Under autocast the matrix products are in its dtype; sums over the vocabulary and
    over rows are in float32, or in float64 if `input` is.

    Args:
        input: [N, H], float.
        weight: [V, H].
        bias: [V].
        labels: [N] int64, each from 0 to V - 1.
        label_smoothing: fraction of the probability spread over all V labels (Szegedy et al. 2016).

    Returns:
        The mean over the N rows, a scalar in the dtype of the sums; 0 if N is 0.
    """
    dtype = input.dtype
    if torch.is_autocast_enabled(input.device.type):
        dtype = torch.get_autocast_dtype(input.device.type)
    with_gradients = torch.is_grad_enabled() and any(x.requires_grad for x in (input, weight, bias))
    with torch.autocast(input.device.type, enabled=False):
        loss: Tensor = _LinearCrossEntropy.apply(
            input, weight, bias, labels, label_smoothing, dtype, with_gradients
        )
    return loss


class _LinearCrossEntropy(Function):
    @staticmethod
    def forward(
        ctx: Any,
        input: Tensor,
        weight: Tensor,
        bias: Tensor,
        labels: Tensor,
        smoothing: float,
        dtype: torch.dtype,
        with_gradients: bool,
    ) -> Tensor:
        count, classes = len(input), len(weight)
        exact = torch.promote_types(dtype, torch.float32)
        total = input.new_zeros((), dtype=exact)
        low_weight, low_bias = weight.to(dtype), bias.to(dtype)
        if with_gradients:
            d_input = torch.empty_like(input, dtype=dtype)
            d_weight = torch.zeros_like(weight)
            d_bias = torch.zeros_like(bias, dtype=exact)
        chunks = -(-count * classes // _MAX_LOGITS) or 1
        for number in range(chunks):
            chunk = slice(count * number // chunks, count * (number + 1) // chunks)
            targets = labels[chunk, None]  # [n, 1]
            rows = len(targets)
            low_input = input.new_zeros(round_up(rows), input.size(1), dtype=dtype)
            low_input[:rows] = input[chunk]
            product = torch.addmm(low_bias, low_input, low_weight.t())
            logits = product[:rows]  # [n, V]
            target_logits = logits.gather(1, targets).to(exact).sum()
            total -= (1 - smoothing) * target_logits
            if smoothing:
                total -= smoothing / classes * logits.sum(1).to(exact).sum()
            highest = logits.amax(1, keepdim=True)
            exponentials = logits.sub_(highest).exp_()
            # `sum(dtype=)` would copy all of it first.
            normalizer = exponentials.sum(1, keepdim=True).to(exact)
            total += (normalizer.log() + highest).sum()
            if with_gradients:
                # Probabilities minus targets: the gradient with respect to the logits.
                error = exponentials.mul_(normalizer.reciprocal().to(dtype))
                if smoothing:
                    error -= smoothing / classes
                error[torch.arange(rows, device=targets.device), targets[:, 0]] -= 1 - smoothing
                product[rows:] = 0
                d_input[chunk] = (product @ low_weight)[:rows]
                if d_weight.dtype == dtype:
                    d_weight.addmm_(product.t(), low_input)
                else:
                    d_weight += product.t() @ low_input
                d_bias += error.sum(0)
        if with_gradients:
            ctx.save_for_backward(d_input, d_weight, d_bias.to(bias.dtype))
            ctx.count = max(1, count)
        return total / max(1, count)

    @staticmethod
    @first_derivative_only("use torch's cross_entropy of all logits")
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        scale = gradient / ctx.count
        gradients = tuple(saved * scale for saved in ctx.saved_tensors)
        return *gradients, None, None, None, None
