"""Int8 weights for answering on a CPU: a quarter of the size, and faster where weights are what takes time.

A weight matrix has one scale an output row, an embedding one a word. Activations are rounded to 8 bits as
they come (dynamic quantisation), each row by itself, so an answer does not depend on what shares its batch.
Bytes are multiplied by `torch._int_mm`, which torchao's int8 layers call too; torch's own `quantize_dynamic`
and the quantised tensors under it are deprecated (PyTorch issue 184982).
"""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nlp_rnn.errors import UsageError

M = TypeVar("M", bound=nn.Module)

_LARGEST = 127
# Activations become unsigned, with their zero here: processors multiply unsigned by signed bytes. Half of one
# more makes the cut of a conversion a rounding.
_ZERO = 128
_CENTRE = torch.tensor(_ZERO + 0.5)


class Int8Weight(nn.Module):
    """A matrix of whole numbers, which no gradient moves."""

    def __init__(self, weight: Tensor) -> None:
        """weight [N, K], kept as `int8` [N, K] and float `scale` [N]."""
        super().__init__()
        weight = weight.detach().float()
        scale = weight.abs().amax(1).clamp(min=torch.finfo(torch.float32).tiny) / _LARGEST
        round_up = (weight / scale[:, None]).round().clamp(-_LARGEST, _LARGEST).to(torch.int8)
        self.int8 = nn.Parameter(round_up, requires_grad=False)
        self.scale = nn.Parameter(scale, requires_grad=False)
        self.training = False

    @property
    def weight(self) -> Tensor:
        """The matrix [N, K] that stands for the one it was made from, float."""
        return _unlearnable(self.int8 * self.scale[:, None])

    def train(self: M, mode: bool = True) -> M:
        if mode:
            _refuse()
        return super().train(mode)


def _refuse(gradient: Tensor | None = None) -> None:
    raise UsageError("int8 weights only answer: train the model that they were made from")


def _unlearnable(output: Tensor) -> Tensor:
    """The same; a gradient that comes back to it is refused."""
    if torch.is_grad_enabled():
        output.requires_grad_().register_hook(_refuse)
    return output


class Int8Embedding(Int8Weight):
    """`nn.Embedding` with 8 bits a number."""

    def forward(self, ids: Tensor) -> Tensor:
        """[...] int64 ids -> [..., E]."""
        return F.embedding(ids, self.int8) * self.scale[ids].unsqueeze(-1)

    def extra_repr(self) -> str:
        return f"{self.int8.shape[0]}, {self.int8.shape[1]}"


class Int8Linear(Int8Weight):
    """`nn.Linear` with 8 bits a number, in the weights and on the way in."""

    base: Tensor
    _step: Tensor
    _offset: Tensor

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """weight [N, K], bias [N]."""
        super().__init__(weight)
        bias = weight.new_zeros(len(weight)) if bias is None else bias
        self.bias = nn.Parameter(bias.detach().float().clone(), requires_grad=False)
        for name in ("base", "_step", "_offset"):
            self.register_buffer(name, None, persistent=False)
        self._float: Tensor | None = None
        self._derive()
        self.register_load_state_dict_post_hook(_loaded)

    def forward(self, input: Tensor, bias: Tensor | None = None) -> Tensor:
        """[..., K] -> [..., N], each row rounded by its largest number; `bias` [N] in place of its own."""
        input = input.detach()
        unit = input.abs().amax(-1, keepdim=True).div_(_LARGEST)  # [..., 1]
        unit = unit.clamp_(min=torch.finfo(unit.dtype).tiny)
        product = self._product((input / unit).add_(_CENTRE))
        torch.addcmul(self._offset, product, self.scale, out=product)
        torch.addcmul(self.bias if bias is None else bias, product, unit, out=product)
        return _unlearnable(product)

    def bounded(self, input: Tensor, base: Tensor | None = None) -> Tensor:
        """The same of numbers from -1 to 1, as recurrent layers give, with no largest to look for.

        `base` [..., N] is what the product is added to: `self.base`, or what holds it.
        """
        product = self._product(torch.add(_CENTRE, input, alpha=_LARGEST))
        return torch.addcmul(self.base if base is None else base, product, self._step, out=product)

    def _product(self, input: Tensor) -> Tensor:
        """[..., K] from 0 to below 256, cut to whole numbers, times those of the weights: float, fresh."""
        rows = input.flatten(0, -2).to(torch.uint8, memory_format=torch.contiguous_format)
        if self._fast and rows.is_cpu:
            product = torch._int_mm(rows, self.int8.t()).float()
        else:
            if self._float is None or self._float.device != rows.device:
                self._float = self.int8.float()
            product = rows.float() @ self._float.t()
        return product.view(*input.shape[:-1], len(self.int8))

    def _derive(self) -> None:
        """What follows from the weights: what the zero at 128 adds, and how to multiply."""
        sums = self.int8.sum(1, dtype=torch.int32)
        self._step = self.scale / _LARGEST
        self._offset = sums * self.scale * -_ZERO
        self.base = self.bias + sums * self._step * -_ZERO
        self._float = None
        self._fast = _multiplies(self.int8)

    def extra_repr(self) -> str:
        return f"in_features={self.int8.shape[1]}, out_features={self.int8.shape[0]}"


def _loaded(layer: nn.Module, _: object) -> None:
    assert isinstance(layer, Int8Linear)
    layer._derive()


def _multiplies(weight: Tensor) -> bool:
    """Whether `torch._int_mm` is fast for these weights [N, K], and right.

    It is slow without VNNI instructions; oneDNN's sums overflow where it takes others (PyTorch issue 136746);
    earlier versions take no unsigned bytes. The sums are largest where every byte is.
    """
    if not weight.is_cpu or not getattr(torch.cpu, "_is_vnni_supported", bool)():
        return False
    try:
        product = torch._int_mm(weight.new_full((16, weight.shape[1]), 255, dtype=torch.uint8), weight.t())
    except RuntimeError:
        return False
    return bool((product == weight.sum(1, dtype=torch.int32) * 255).all())
