"""Dropout whose random numbers cost little.

torch draws one Bernoulli variable at a time from its generator, a tenth of a recurrent model's training step
on a CPU. Here 16 random bits decide about an element, from a stream of NumPy's SFC64 that torch's generator
seeds anew at each call: what is seeded, saved and restored is torch's generator, as ever.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

_LEVELS = 1 << 16


class Dropout(nn.Dropout):
    """`torch.nn.Dropout` (Srivastava et al. 2014), by `dropout`."""

    def __init__(self, p: float = 0.5, locked: bool = False) -> None:
        super().__init__(p)
        self.locked = locked

    def forward(self, input: Tensor) -> Tensor:
        return dropout(input, self.p, self.training, self.locked)

    def extra_repr(self) -> str:
        return super().extra_repr() + (", locked=True" if self.locked else "")


def dropout(input: Tensor, p: float, training: bool = True, locked: bool = False) -> Tensor:
    """Zero each element with probability `p`, to the nearest 1/65536, and scale the others by 1 / (1 - p).

    With `locked` the same elements at every step of [T, B, F], one draw for each of [B, F] (Gal & Ghahramani
    2016).
    """
    threshold = round(p * _LEVELS)
    if not training or threshold == 0:
        return input
    if locked:
        return input * dropout(input.new_ones(input.shape[1:]), p)
    if input.device.type != "cpu" or threshold == _LEVELS:
        return F.dropout(input, p)
    return _Dropout.apply(input, threshold)


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, input: Tensor, threshold: int) -> Tensor:  # type: ignore[override]
        seed = int(torch.randint(2**63 - 1, ()))
        words = np.random.SFC64(seed).random_raw(-(-input.numel() // 4))
        bits = torch.from_numpy(words.view(np.int16))[: input.numel()].view(input.shape)
        keep = bits >= threshold - _LEVELS // 2
        ctx.save_for_backward(keep)
        ctx.scale = _LEVELS / (_LEVELS - threshold)  # type: ignore[attr-defined]
        return torch.mul(input, keep).mul_(ctx.scale)  # type: ignore[attr-defined]

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (keep,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return torch.mul(gradient, keep).mul_(ctx.scale), None  # type: ignore[attr-defined]
