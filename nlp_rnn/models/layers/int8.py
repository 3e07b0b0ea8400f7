"""Int8 weights for inference on a CPU: a quarter of the size, and faster for large weights.

A weight matrix has one scale per output row, an embedding one per word. Activations are rounded to 8 bits at
run time (dynamic quantization), each row with a scale of its own, so an answer does not depend on the rest of
its batch. Bytes are multiplied by `torch._int_mm`, which torchao's int8 layers call too; torch's own
`quantize_dynamic` and its quantized tensors are deprecated (PyTorch issue 184982).
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn
from typing_extensions import override

from nlp_rnn.errors import UsageError
from nlp_rnn.models.layers.embedding import lookup

_MAX_INT8 = 127
# Processors multiply unsigned by signed bytes. So activations are unsigned, and this byte stands for 0.
_ZERO_POINT = 128
# Conversion to bytes truncates; with half a unit more it rounds.
_ROUNDING_ZERO_POINT = torch.tensor(_ZERO_POINT + 0.5)


class Int8Weight(nn.Module):
    """A weight matrix in 8 bits that cannot be trained, kept as `int8` [N, K] and a float `scale` [N].

    Args:
        weight: [N, K], float.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        weight = weight.detach().float()
        scale = weight.abs().amax(1).clamp(min=torch.finfo(torch.float32).tiny) / _MAX_INT8
        int8 = (weight / scale[:, None]).round().clamp(-_MAX_INT8, _MAX_INT8).to(torch.int8)
        self.int8 = nn.Parameter(int8, requires_grad=False)
        self.scale = nn.Parameter(scale, requires_grad=False)
        self.training = False

    @property
    def weight(self) -> Tensor:
        """The matrix [N, K] in float, rounded to what the 8 bits hold."""
        return _refuse_gradients(self.int8 * self.scale[:, None])

    @override
    def train(self, mode: bool = True) -> Self:
        if mode:
            _refuse_training()
        return super().train(mode)


def _refuse_training(gradient: Tensor | None = None) -> None:
    raise UsageError("int8 weights cannot be trained: train the model that they were made from")


def _refuse_gradients(output: Tensor) -> Tensor:
    """Return `output` itself; backpropagation through it raises UsageError."""
    if torch.is_grad_enabled():
        output.requires_grad_().register_hook(_refuse_training)
    return output


class Int8Embedding(Int8Weight):
    """`nn.Embedding` with int8 weights.

    Args:
        weight: [V, E], float.
    """

    def forward(self, ids: Tensor) -> Tensor:
        """[...] int64 ids -> [..., E]."""
        return lookup(ids, self.int8) * self.scale[ids].unsqueeze(-1)

    @override
    def extra_repr(self) -> str:
        return f"{self.int8.shape[0]}, {self.int8.shape[1]}"


class Int8Linear(Int8Weight):
    """`nn.Linear` with int8 weights and int8 inputs.

    Args:
        weight: [N, K], float.
        bias: [N], float; zeros if None.

    Attributes:
        base: [N], what `bounded` adds the product to: the bias and a correction for the zero point.
    """

    base: Tensor
    _bounded_scale: Tensor
    _zero_point_offset: Tensor

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__(weight)
        bias = weight.new_zeros(len(weight)) if bias is None else bias
        self.bias = nn.Parameter(bias.detach().float().clone(), requires_grad=False)
        for name in ("base", "_bounded_scale", "_zero_point_offset"):
            self.register_buffer(name, None, persistent=False)
        self._float_weight: Tensor | None = None
        self._derive_buffers()
        self.register_load_state_dict_post_hook(_after_load)  # type: ignore[no-untyped-call]

    def forward(self, input: Tensor, bias: Tensor | None = None) -> Tensor:
        """Multiply and add the bias; each row is scaled by its largest absolute value.

        Args:
            input: [..., K], float.
            bias: [N], used in place of the layer's own.

        Returns:
            [..., N], float.
        """
        input = input.detach()
        input_scale = input.abs().amax(-1, keepdim=True).div_(_MAX_INT8)  # [..., 1]
        input_scale = input_scale.clamp_(min=torch.finfo(input_scale.dtype).tiny)
        product = self._product((input / input_scale).add_(_ROUNDING_ZERO_POINT))
        torch.addcmul(self._zero_point_offset, product, self.scale, out=product)
        torch.addcmul(self.bias if bias is None else bias, product, input_scale, out=product)
        return _refuse_gradients(product)

    def bounded(self, input: Tensor, base: Tensor | None = None) -> Tensor:
        """As `forward`, for inputs from -1 to 1, such as recurrent layers' outputs: they share one scale.

        Args:
            input: [..., K], float.
            base: [..., N], what the product is added to: a tensor that includes `self.base`, or that
                itself if left out.

        Returns:
            [..., N], float.
        """
        product = self._product(torch.add(_ROUNDING_ZERO_POINT, input, alpha=_MAX_INT8))
        return torch.addcmul(self.base if base is None else base, product, self._bounded_scale, out=product)

    def _product(self, input: Tensor) -> Tensor:
        """Truncate [..., K], from 0 to below 256, to bytes and multiply: a new float tensor [..., N]."""
        rows = input.flatten(0, -2).to(torch.uint8, memory_format=torch.contiguous_format)
        if self._use_int_mm and rows.is_cpu:
            product = torch._int_mm(rows, self.int8.t()).float()
        else:
            if self._float_weight is None or self._float_weight.device != rows.device:
                self._float_weight = self.int8.float()
            product = rows.float() @ self._float_weight.t()
        return product.view(*input.shape[:-1], len(self.int8))

    def _derive_buffers(self) -> None:
        """Compute what follows from the weights: the corrections for the zero point, and how to multiply."""
        sums = self.int8.sum(1, dtype=torch.int32)
        self._bounded_scale = self.scale / _MAX_INT8
        self._zero_point_offset = sums * self.scale * -_ZERO_POINT
        self.base = self.bias + sums * self._bounded_scale * -_ZERO_POINT
        self._float_weight = None
        self._use_int_mm = _can_use_int_mm(self.int8)

    @property
    def in_features(self) -> int:
        """K, as that of the linear layer."""
        return self.int8.shape[1]

    @override
    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.int8.shape[0]}"


def _after_load(layer: nn.Module, _: object) -> None:
    assert isinstance(layer, Int8Linear)
    layer._derive_buffers()


def _can_use_int_mm(weight: Tensor) -> bool:
    """Whether `torch._int_mm` is fast and correct for these weights [N, K].

    It is slow without VNNI instructions. With other instructions oneDNN's sums overflow (PyTorch issue
    136746), and earlier versions of torch accept no unsigned bytes. The test multiplies the largest bytes,
    which give the largest sums.
    """
    if not weight.is_cpu or not getattr(torch.cpu, "_is_vnni_supported", bool)():
        return False
    try:
        product = torch._int_mm(weight.new_full((16, weight.shape[1]), 255, dtype=torch.uint8), weight.t())
    except RuntimeError:
        return False
    return bool((product == weight.sum(1, dtype=torch.int32) * 255).all())
