"""Cross-entropy over a large vocabulary, without the logits of all tokens in memory."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from nlp_rnn.models.layers.kernels import round_up

# Logits held at a time, 64 MiB of float32: with fewer rows the matrix products slow down.
_LOGITS = 1 << 24


def linear_cross_entropy(
    input: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, label_smoothing: float = 0.0
) -> Tensor:
    """`cross_entropy(linear(input, weight, bias), labels)`, a few rows at a time.

    Where gradients are wanted they are made on the way, from the logits that are at hand, so that no logit is
    kept or computed twice. Under autocast the products are in its type; sums over the vocabulary and over
    rows are in float32.

    Args:
        input: [N, H], float.
        weight: [V, H].
        bias: [V].
        labels: [N] int64, each from 0 to V - 1.
        label_smoothing: share of probability spread over all V labels (Szegedy et al. 2016).

    Returns:
        The mean over the N rows, a float32 scalar; 0 where there are none.
    """
    dtype = input.dtype
    if torch.is_autocast_enabled(input.device.type):
        dtype = torch.get_autocast_dtype(input.device.type)
    learns = torch.is_grad_enabled() and any(part.requires_grad for part in (input, weight, bias))
    with torch.autocast(input.device.type, enabled=False):
        return _LinearCrossEntropy.apply(input, weight, bias, labels, label_smoothing, dtype, learns)


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: FunctionCtx,
        input: Tensor,
        weight: Tensor,
        bias: Tensor,
        labels: Tensor,
        smoothing: float,
        dtype: torch.dtype,
        learns: bool,
    ) -> Tensor:
        count, classes = len(input), len(weight)
        total = input.new_zeros((), dtype=torch.float32)
        low_weight, low_bias = weight.to(dtype), bias.to(dtype)
        if learns:
            d_input = torch.empty_like(input, dtype=dtype)
            d_weight = torch.zeros_like(weight)
            d_bias = torch.zeros_like(bias, dtype=torch.float32)
        parts = -(-count * classes // _LOGITS) or 1
        for number in range(parts):
            part = slice(count * number // parts, count * (number + 1) // parts)
            at = labels[part, None]
            low_input = input.new_zeros(round_up(len(at)), input.size(1), dtype=dtype)
            low_input[: len(at)] = input[part]
            product = torch.addmm(low_bias, low_input, low_weight.t())
            logits = product[: len(at)]  # [n, V]
            likely = logits.gather(1, at).float().sum()
            total -= (1 - smoothing) * likely
            if smoothing:
                total -= smoothing / classes * logits.sum(1).float().sum()
            top = logits.amax(1, keepdim=True)
            odds = logits.sub_(top).exp_()
            mass = odds.sum(1, keepdim=True).float()  # summed in float32; `sum(dtype=)` would copy all first
            total += (mass.log() + top).sum()
            if learns:
                # Probabilities less targets: the gradient with respect to the logits.
                error = odds.mul_(mass.reciprocal().to(dtype))
                if smoothing:
                    error -= smoothing / classes
                error[torch.arange(len(at), device=at.device), at[:, 0]] -= 1 - smoothing
                product[len(at) :] = 0
                d_input[part] = (product @ low_weight)[: len(at)]
                if dtype == torch.float32:
                    d_weight.addmm_(product.t(), low_input)
                else:
                    d_weight += product.t() @ low_input
                d_bias += error.sum(0)
        if learns:
            ctx.save_for_backward(d_input, d_weight, d_bias.to(bias.dtype))
            ctx.count = max(1, count)  # type: ignore[attr-defined]
        return total / max(1, count)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        scale = gradient / ctx.count  # type: ignore[attr-defined]
        gradients = tuple(part.mul_(scale) for part in ctx.saved_tensors)  # type: ignore[attr-defined]
        return *gradients, None, None, None, None
