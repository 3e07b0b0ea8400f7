"""Dropout with cheap random numbers.

On a CPU, torch samples one Bernoulli variable at a time from its generator, which takes a tenth of a
recurrent model's training step. Here 16 random bits decide about each element. They come from NumPy's SFC64
generator, which is seeded from torch's generator at each call, so seeding, saving and restoring torch's
generator works as usual.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from nlp_rnn.models.layers.autograd import Function

_LEVELS = 1 << 16  # values of 16 random bits


class Dropout(nn.Dropout):
    """`torch.nn.Dropout` (Srivastava et al. 2014), computed by the function `dropout`.

    Args:
        p: probability that an element is zeroed.
        locked: use one mask for all time steps.
    """

    def __init__(self, p: float = 0.5, locked: bool = False) -> None:
        super().__init__(p)
        self.locked = locked

    @override
    def forward(self, input: Tensor) -> Tensor:
        return dropout(input, self.p, self.training, self.locked)

    @override
    def extra_repr(self) -> str:
        return super().extra_repr() + (", locked=True" if self.locked else "")


def dropout(input: Tensor, p: float, training: bool = True, locked: bool = False) -> Tensor:
    """Zero each element with probability `p` and scale the others by 1 / (1 - p).

    Args:
        input: any shape, float; [T, B, F] with `locked`.
        p: the probability, from 0 to 1; on a CPU it is rounded to a multiple of 1/65536.
        training: return the input as it is if false.
        locked: use one mask [B, F] for all time steps (Gal & Ghahramani 2016).

    Returns:
        A tensor of the shape of `input`.

    Raises:
        ValueError: `p` is outside 0..1.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"the probability of dropout must be from 0 to 1, not {p}")
    threshold = round(p * _LEVELS)
    if not training or threshold == 0:
        return input
    if locked:
        return input * dropout(input.new_ones(input.shape[1:]), p)
    if input.device.type != "cpu" or threshold == _LEVELS:
        return F.dropout(input, p)
    output: Tensor = _Dropout.apply(input, threshold)
    return output


class _Dropout(Function):
    @staticmethod
    def forward(ctx: Any, input: Tensor, threshold: int) -> Tensor:
        seed = int(torch.randint(2**63 - 1, ()))
        words = np.random.SFC64(seed).random_raw(-(-input.numel() // 4))
        bits = torch.from_numpy(words.view(np.int16))[: input.numel()].view(input.shape)
        keep = bits >= threshold - _LEVELS // 2
        ctx.save_for_backward(keep)
        ctx.scale = _LEVELS / (_LEVELS - threshold)
        return torch.mul(input, keep).mul_(ctx.scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (keep,) = ctx.saved_tensors
        return torch.mul(gradient, keep).mul_(ctx.scale), None
