"""Minimal recurrent layers: their gates see the input only, so all time steps are computed at once.

Feng et al. (2024), "Were RNNs All We Needed?": if the gates do not see the state, a cell is a weighted mean
of the previous state and a candidate, h_t = (1 - z_t) h_{t-1} + z_t c_t. Such steps can be combined in any
grouping, so a parallel scan over time computes them.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from nlp_rnn.models.layers.autograd import Function
from nlp_rnn.models.layers.base import RecurrentLayer, State
from nlp_rnn.models.layers.checks import validate_sizes
from nlp_rnn.models.layers.devices import to_device
from nlp_rnn.models.layers.dropout import dropout

# Each round of the scan combines this many steps into one.
_CHUNK = 8


class _MinimalLayer(RecurrentLayer):
    """Base class of both layers; a subclass sets the number of gates and implements `gate`."""

    num_gates: int

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        bidirectional: bool = False,
        locked: bool = False,
        weight_dropout: float = 0.0,
        batch_first: bool = False,
    ) -> None:
        super().__init__()
        validate_sizes(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        if not 0 <= dropout <= 1:
            raise ValueError(f"dropout must be from 0 to 1, not {dropout}")
        if weight_dropout:
            raise ValueError(
                f"{type(self).__name__} has no hidden-to-hidden weights: leave weight_dropout at 0"
            )
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.dropout = dropout
        self.bidirectional = bidirectional
        self.locked = locked
        self.weight_dropout = weight_dropout
        self.batch_first = batch_first
        bound = 1 / math.sqrt(hidden_size)
        for layer, suffix in self._layers_and_suffixes():
            size = hidden_size * (2 if bidirectional else 1) if layer else input_size
            for name, shape in (("weight", (size,)), ("bias", ())):
                values = torch.empty(self.num_gates * hidden_size, *shape).uniform_(-bound, bound)
                self.register_parameter(f"{name}_ih_l{layer}{suffix}", nn.Parameter(values))

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """Weight [num_gates * H, I] and bias [num_gates * H] of each layer and direction.

        The parameters have the names that they have in torch's layers.
        """
        return [
            [getattr(self, f"{name}_ih_l{layer}{suffix}") for name in ("weight", "bias")]
            for layer, suffix in self._layers_and_suffixes()
        ]

    def _layers_and_suffixes(self) -> list[tuple[int, str]]:
        suffixes = ("", "_reverse") if self.bidirectional else ("",)
        return [(layer, suffix) for layer in range(self.num_layers) for suffix in suffixes]

    @staticmethod
    def gate(projected: Tensor) -> tuple[Tensor, Tensor]:
        """Compute z and c, [..., H] each, from W x + b, [..., num_gates * H]."""
        raise NotImplementedError  # pragma: no cover

    @override
    def _new_cell(self, input_size: int) -> nn.Module:
        return _MinimalCell(self, input_size)

    @override
    def _run(
        self, input: Tensor, state: State, lengths: Tensor | None, exact_state: bool
    ) -> tuple[Tensor, State]:
        steps, batch = input.shape[:2]
        directions = 2 if self.bidirectional else 1
        if steps == 0 or batch == 0:
            return input.new_zeros(steps, batch, directions * self.hidden_size), state
        if steps == 1 and lengths is None and not (torch.is_grad_enabled() or self.bidirectional):
            output, state = self.stepwise().step(input[0], state)
            return output[None], state
        if lengths is not None:
            padding = (torch.arange(steps)[:, None] >= lengths).unsqueeze(-1)  # [T, B, 1]
            padding = to_device(padding, input.device)
        finals = []
        weights = self.all_weights
        for layer in range(self.num_layers):
            if layer:
                input = dropout(input, self.dropout, self.training, self.locked)
            outputs = []
            for backwards in range(directions):
                index = layer * directions + backwards
                z, c = self.gate(F.linear(input, *weights[index]))
                if lengths is not None:
                    z = z.masked_fill(padding, 0)  # keep the state
                output = linear_recurrence(z, c, state[0][index], bool(backwards))
                finals.append(output[0 if backwards else -1])
                outputs.append(output)
            input = torch.cat(outputs, dim=-1) if directions > 1 else outputs[0]
        return input, (torch.stack(finals),)


class _MinimalCell(nn.Module):
    """One time step of one layer, with the parameters of that layer."""

    weight_ih: Tensor
    bias_ih: Tensor

    def __init__(self, layer: _MinimalLayer, input_size: int) -> None:
        super().__init__()
        self.gate = layer.gate
        self.title = f"{type(layer).__name__}Cell"
        self.sizes = f"{input_size}, {layer.hidden_size}"
        self.register_parameter("weight_ih", None)
        self.register_parameter("bias_ih", None)

    def forward(self, input: Tensor, h: Tensor) -> Tensor:
        """[B, I], [B, H] -> [B, H]."""
        z, c = self.gate(F.linear(input, self.weight_ih, self.bias_ih))
        return torch.lerp(h, c.to(h), z.to(h))

    @override
    def _get_name(self) -> str:
        return self.title

    @override
    def extra_repr(self) -> str:
        return self.sizes


class MinGRU(_MinimalLayer):
    """z = sigmoid(W_z x + b_z), c = W_h x + b_h (Feng et al. 2024, section 3.1).

    The gates are in the order z, c. The arguments are those of `recurrent_layer`.
    """

    num_gates = 2

    @staticmethod
    @override
    def gate(projected: Tensor) -> tuple[Tensor, Tensor]:
        z, c = projected.chunk(2, -1)
        return z.sigmoid(), c


class MinLSTM(_MinimalLayer):
    """f = sigmoid(W_f x + b_f), i likewise, z = i / (f + i), c = W_h x + b_h (Feng et al. 2024, section 3.2).

    The gates are in the order i, f, c, as in torch's LSTM. The arguments are those of `recurrent_layer`.
    """

    num_gates = 3

    @staticmethod
    @override
    def gate(projected: Tensor) -> tuple[Tensor, Tensor]:
        i, f, c = projected.chunk(3, -1)
        # i / (f + i), computed from the logarithms of both: they do not underflow.
        return (F.logsigmoid(i) - F.logsigmoid(f)).sigmoid(), c


def linear_recurrence(z: Tensor, c: Tensor, start: Tensor, backwards: bool = False) -> Tensor:
    """Compute h_t = (1 - z_t) h_{t-1} + z_t c_t for all t by a parallel scan.

    Args:
        z: [T, B, H], float, the weight of the candidate.
        c: [T, B, H], float, the candidate.
        start: [B, H], float, the state before the first step.
        backwards: go from the last step to the first.

    Returns:
        h [T, B, H], in the widest of the three dtypes.
    """
    dtype = torch.promote_types(torch.promote_types(z.dtype, c.dtype), start.dtype)
    h: Tensor = _LinearRecurrence.apply(z.to(dtype), c.to(dtype), start.to(dtype), backwards)
    return h


class _LinearRecurrence(Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, c: Tensor, start: Tensor, backwards: bool) -> Tensor:
        h = z * c
        _scan(1 - z, h, start, backwards)
        ctx.save_for_backward(z, c, start, h)
        ctx.backwards = backwards
        return h

    @staticmethod
    def backward(ctx: Any, d_h: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        z, c, start, h = ctx.saved_tensors
        keep = 1 - z
        d_z = c.clone(memory_format=torch.contiguous_format)
        # Each step passes its gradient on to the step before it: a scan in the other direction.
        if ctx.backwards:
            total = _Scan.apply(keep[:-1], d_h, False)
            d_z[:-1] -= h[1:]
            first = -1
        else:
            total = _Scan.apply(keep[1:], d_h, True)
            d_z[1:] -= h[:-1]
            first = 0
        d_z[first] -= start
        return d_z.mul_(total), total * z, keep[first] * total[first], None


class _Scan(Function):
    """h_t = values_t + keep_{t-1} h_{t-1}, for values [T, ...] and keep [T - 1, ...]; h_0 is values_0.

    Backwards it is h_t = values_t + keep_t h_{t+1}. Its gradient is a scan too, in the other direction.
    """

    @staticmethod
    def forward(ctx: Any, keep: Tensor, values: Tensor, backwards: bool) -> Tensor:
        h = values.clone(memory_format=torch.contiguous_format)
        if backwards:
            _scan(keep, h[:-1], h[-1], True)
        else:
            _scan(keep, h[1:], h[0], False)
        ctx.save_for_backward(keep, h)
        ctx.backwards = backwards
        return h

    @staticmethod
    def backward(ctx: Any, d_h: Tensor) -> tuple[Tensor, Tensor, None]:
        keep, h = ctx.saved_tensors
        total = _Scan.apply(keep, d_h, not ctx.backwards)
        d_keep = total[:-1] * h[1:] if ctx.backwards else total[1:] * h[:-1]
        return d_keep, total, None


def _scan(keep: Tensor, values: Tensor, start: Tensor, backwards: bool) -> None:
    """values_t += keep_t values_{t-1} for all t of [T, ...], in place; `start` precedes the first.

    Each chunk of steps is combined into one step. The chunks are scanned by the same method, and the results
    start the steps within each chunk. The number of operations grows with log T. Nothing is divided, so a
    product that underflows to 0 does no harm.
    """
    steps = len(values)
    if steps < 2 * _CHUNK:
        for step in reversed(range(steps)) if backwards else range(steps):
            start = values[step].addcmul_(keep[step], start)
        return
    count = steps // _CHUNK
    rest = steps - count * _CHUNK  # the steps that fill no chunk come last in the scan
    in_chunks, remaining = (
        (slice(rest, None), slice(rest)) if backwards else (slice(steps - rest), slice(steps - rest, None))
    )
    k, v = (tensor[in_chunks].unflatten(0, (count, _CHUNK)) for tensor in (keep, values))
    order = range(_CHUNK)[::-1] if backwards else range(_CHUNK)
    product, total = k[:, order[0]].clone(), v[:, order[0]].clone()
    for step in order[1:]:
        torch.addcmul(v[:, step], k[:, step], total, out=total)
        product.mul_(k[:, step])
    _scan(product, total, start, backwards)
    before = torch.cat([total[1:], start[None]] if backwards else [start[None], total[:-1]])
    for step in order:
        before = v[:, step].addcmul_(k[:, step], before)
    _scan(keep[remaining], values[remaining], before[0 if backwards else -1], backwards)
