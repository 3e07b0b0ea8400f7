"""Int8 weights for answering on a CPU: a quarter of the size, and faster where weights are what takes time.

A weight matrix has one scale an output row, an embedding one a word. Activations are rounded to 8 bits as
they come (dynamic quantisation), each row by itself, so an answer does not depend on what shares its batch.
Bytes are multiplied by `torch._int_mm`, which torchao's int8 layers call too; torch's own `quantize_dynamic`
and the quantised tensors under it are deprecated (PyTorch issue 184982).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nlp_rnn.errors import UsageError
from nlp_rnn.models.layer import RecurrentLayer, State
from nlp_rnn.models.ragged import unequal

INT8 = "int8"
"""What config.json says under `weights`."""

M = TypeVar("M", bound=nn.Module)

_LARGEST = 127
# Activations become unsigned, with their zero here: processors multiply unsigned by signed bytes. Half of one
# more makes the cut of a conversion a rounding.
_ZERO = 128
_CENTRE = torch.tensor(_ZERO + 0.5)
# More rows at a time multiply no faster, and what comes of them outgrows the caches.
_ROWS = 256


def quantize(model: M) -> M:
    """Replace every embedding, linear and recurrent layer by one with int8 weights, in place.

    Raises:
        UsageError: the weights are int8 already, or a layer's kind has no int8 counterpart.
    """
    if is_quantized(model):
        raise UsageError("the weights are int8 already")
    for module in model.modules():
        if isinstance(module, RecurrentLayer) and not isinstance(module, nn.RNNBase):
            raise UsageError(f"{type(module).__name__} layers have no int8 weights: use rnn, gru or lstm")
    for name, child in list(model.named_children()):
        if isinstance(child, nn.Embedding):
            setattr(model, name, Int8Embedding(child.weight))
        elif isinstance(child, nn.Linear):
            setattr(model, name, Int8Linear(child.weight, child.bias))
        elif isinstance(child, nn.RNNBase):
            setattr(model, name, Int8Recurrent(child))
        else:
            quantize(child)
    return model.eval()


def is_quantized(model: nn.Module) -> bool:
    """Whether any layer has int8 weights."""
    return any(isinstance(module, _Int8) for module in model.modules())


class _Int8(nn.Module):
    """A matrix of whole numbers, which no gradient moves."""

    def __init__(self, weight: Tensor) -> None:
        """weight [N, K], kept as `int8` [N, K] and float `scale` [N]."""
        super().__init__()
        weight = weight.detach().float()
        scale = weight.abs().amax(1).clamp(min=torch.finfo(torch.float32).tiny) / _LARGEST
        rounded = (weight / scale[:, None]).round().clamp(-_LARGEST, _LARGEST).to(torch.int8)
        self.int8 = nn.Parameter(rounded, requires_grad=False)
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


class Int8Embedding(_Int8):
    """`nn.Embedding` with 8 bits a number."""

    def forward(self, ids: Tensor) -> Tensor:
        """[...] int64 ids -> [..., E]."""
        return F.embedding(ids, self.int8) * self.scale[ids].unsqueeze(-1)

    def extra_repr(self) -> str:
        return f"{self.int8.shape[0]}, {self.int8.shape[1]}"


class Int8Linear(_Int8):
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


class Int8Recurrent(_Int8):
    """An RNN, GRU or LSTM with int8 weights; called as the layers of `nlp_rnn.models.recurrent` are."""

    def __init__(self, layer: nn.RNNBase) -> None:
        nn.Module.__init__(self)
        self.cell = {"RNN_TANH": "rnn", "GRU": "gru", "LSTM": "lstm"}[layer.mode]
        self.input_size = layer.input_size
        self.hidden_size = layer.hidden_size
        self.num_layers = layer.num_layers
        self.bidirectional = layer.bidirectional
        self.state_tensors = 2 if self.cell == "lstm" else 1
        self.parts = nn.ModuleDict()
        for number in range(self.num_layers):
            for direction in self._directions():
                for part in ("ih", "hh"):
                    place = f"{part}_l{number}{direction}"
                    weight = getattr(layer, f"weight_{place}")
                    bias = getattr(layer, f"bias_{place}") if layer.bias else None
                    self.parts[place] = Int8Linear(weight, bias)
        self.training = False

    def _directions(self) -> tuple[str, ...]:
        return ("", "_reverse") if self.bidirectional else ("",)

    def initial_state(self, batch: int, like: Tensor) -> State:
        """A zero state for `batch` sequences, of the device and type of the float tensor `like`."""
        layers = self.num_layers * len(self._directions())
        return (like.new_zeros(layers, batch, self.hidden_size),) * self.state_tensors

    @torch.no_grad()
    def forward(
        self, input: Tensor, state: State | None = None, lengths: Tensor | Sequence[int] | None = None
    ) -> tuple[Tensor, State]:
        """Run over whole sequences.

        Args:
            input: [T, B, I], float.
            state: where to start, of numbers from -1 to 1 but for an LSTM's c; zeros if left out.
            lengths: [B] integers from 0 to T; every sequence has T steps if left out.

        Returns:
            The outputs [T, B, directions * H], zero behind each sequence's end, and the state at each
            sequence's own end. A sequence of length 0 ends in the state it began with.

        Raises:
            ValueError: `lengths` has another size than the batch, or reaches outside 0..T.
        """
        steps, batch = input.shape[:2]
        if state is None:
            state = self.initial_state(batch, input)
        lengths = unequal(lengths, steps, batch)
        if lengths is None:
            return self._run(input, state, [batch] * steps)
        # The longest first, so that those still running are always the first rows.
        ordered, order = lengths.sort(descending=True, stable=True)
        alive = (torch.arange(steps)[:, None] < ordered).sum(1).tolist()
        order, back = order.to(input.device), order.argsort().to(input.device)
        output, final = self._run(input[:, order], tuple(part[:, order] for part in state), alive)
        return output[:, back], tuple(part[:, back] for part in final)

    def outputs(
        self, input: Tensor, state: State | None = None, lengths: Tensor | Sequence[int] | None = None
    ) -> Tensor:
        """As `forward`, the outputs alone."""
        return self(input, state, lengths)[0]

    def stepwise(self) -> Callable[[Tensor, State], tuple[Tensor, State]]:
        """The same, one step a call: [B, I] and a state -> [B, H] and the state after it.

        Raises:
            ValueError: the layer is bidirectional.
        """
        if self.bidirectional:
            raise ValueError("a bidirectional layer cannot go step by step: it begins at both ends")

        def step(input: Tensor, state: State) -> tuple[Tensor, State]:
            output, state = self(input[None], state)
            return output[0], state

        return step

    def _run(self, input: Tensor, state: State, alive: list[int]) -> tuple[Tensor, State]:
        """`alive` falls from step to step; it says how many of the first rows each step is for."""
        step = _STEPS[self.cell]
        steps, batch = input.shape[:2]
        span = max(1, _ROWS // max(1, batch))  # steps whose inputs are multiplied at once
        hidden_states = state[0].clamp(-1, 1)
        finals: list[list[Tensor]] = []
        for number in range(self.num_layers):
            outputs = []
            for direction in self._directions():
                ih, hh = self.parts[f"ih_l{number}{direction}"], self.parts[f"hh_l{number}{direction}"]
                assert isinstance(ih, Int8Linear)
                assert isinstance(hh, Int8Linear)
                # What the step adds to the recurrent product at once, a GRU's reset gate keeps apart.
                more = hh.base if self.cell != "gru" else torch.zeros_like(hh.base)
                index = len(finals)
                now = [hidden_states[index].clone(), *(part[index].clone() for part in state[1:])]
                output = input.new_zeros(steps, batch, self.hidden_size)
                first = None
                for time in reversed(range(steps)) if direction else range(steps):
                    rows = alive[time]
                    if not rows:
                        continue
                    if first != time // span * span:
                        first = time // span * span
                        some = input[first : first + span, : alive[first]]
                        gates = ih.bounded(some, ih.base + more) if number else ih(some, ih.bias + more)
                    after = step(hh, gates[time - first, :rows], *(part[:rows] for part in now))
                    output[time, :rows] = after[0]
                    if rows == batch:
                        now = after
                    else:
                        for part, value in zip(now, after, strict=True):
                            part[:rows] = value
                finals.append(now)
                outputs.append(output)
            input = torch.cat(outputs, -1) if len(outputs) > 1 else outputs[0]
        return input, tuple(torch.stack(parts) for parts in zip(*finals, strict=True))

    def extra_repr(self) -> str:
        return (
            f"{self.cell}, {self.input_size}, {self.hidden_size}, num_layers={self.num_layers}, "
            f"bidirectional={self.bidirectional}"
        )


def _rnn(hh: Int8Linear, gates: Tensor, h: Tensor) -> list[Tensor]:
    return [hh.bounded(h, gates).tanh_()]


def _gru(hh: Int8Linear, gates: Tensor, h: Tensor) -> list[Tensor]:
    recurrent = hh.bounded(h)
    size = h.shape[-1]
    reset, update = (gates[:, : 2 * size] + recurrent[:, : 2 * size]).sigmoid_().chunk(2, -1)
    new = torch.addcmul(gates[:, 2 * size :], reset, recurrent[:, 2 * size :]).tanh_()
    return [torch.lerp(new, h, update)]


def _lstm(hh: Int8Linear, gates: Tensor, h: Tensor, c: Tensor) -> list[Tensor]:
    enter, forget, cell, leave = hh.bounded(h, gates).chunk(4, -1)
    c = torch.addcmul(forget.sigmoid_() * c, enter.sigmoid_(), cell.tanh_())
    return [leave.sigmoid_() * c.tanh(), c]


_STEPS: dict[str, Callable[..., list[Tensor]]] = {"rnn": _rnn, "gru": _gru, "lstm": _lstm}
