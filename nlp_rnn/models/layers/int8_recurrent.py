"""Recurrent layers with int8 weights: one time step of each cell, and the loop over them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from typing_extensions import override

from nlp_rnn.models.layers.base import RecurrentLayer, SequenceLayer, State
from nlp_rnn.models.layers.int8 import Int8Linear, Int8Weight

# The inputs of this many rows are multiplied at once. More are no faster, and do not fit the caches.
_MAX_ROWS = 256


@dataclass(frozen=True)
class Int8Step:
    """One time step of a cell with int8 weights.

    Args:
        step: (hidden-to-hidden weights, input's part of the gates [B, G * H], *state tensors [B, H]) -> new
            state tensors.
        separate_bias: whether `step` adds the recurrent bias itself, as a cell with a reset gate must; if
            false, the gates include it.
    """

    step: Callable[..., list[Tensor]]
    separate_bias: bool = False


class Int8Recurrent(SequenceLayer, Int8Weight):
    """A recurrent layer with int8 weights. The hidden values of an initial state are from -1 to 1.

    Args:
        layer: the float layer, with parameters named as torch's.
        cell: the name of its cell.
        step: one time step of that cell.
    """

    def __init__(self, layer: RecurrentLayer, cell: str, step: Int8Step) -> None:
        nn.Module.__init__(self)
        self.cell = cell
        self.step = step
        self._copy_sizes(layer)
        self.parts = nn.ModuleDict()
        for number in range(self.num_layers):
            for direction in self._directions():
                for source in ("ih", "hh"):
                    name = f"{source}_l{number}{direction}"
                    weight = getattr(layer, f"weight_{name}")
                    bias = getattr(layer, f"bias_{name}") if layer.bias else None
                    self.parts[name] = Int8Linear(weight, bias)
        self.training = False

    def _directions(self) -> tuple[str, ...]:
        return ("", "_reverse") if self.bidirectional else ("",)

    @override
    @torch.no_grad()
    def _run(
        self, input: Tensor, state: State, lengths: Tensor | None, exact_state: bool
    ) -> tuple[Tensor, State]:
        steps, batch = input.shape[:2]
        if lengths is None:
            return self._run_sorted(input, state, [batch] * steps)
        # Longest first, so that the sequences still running are always the first rows.
        sorted_lengths, order = lengths.sort(descending=True, stable=True)
        alive = (torch.arange(steps)[:, None] < sorted_lengths).sum(1).tolist()
        order, inverse = order.to(input.device), order.argsort().to(input.device)
        output, final = self._run_sorted(input[:, order], tuple(tensor[:, order] for tensor in state), alive)
        return output[:, inverse], tuple(tensor[:, inverse] for tensor in final)

    def stepwise(self) -> Callable[[Tensor, State], tuple[Tensor, State]]:
        """The same layers, one time step per call: (input [B, I], state) -> (output [B, H], new state).

        Raises:
            ValueError: the layer is bidirectional, so its first output needs the last input.
        """
        if self.bidirectional:
            raise ValueError("a bidirectional layer cannot run step by step: it reads from both ends")

        def step(input: Tensor, state: State) -> tuple[Tensor, State]:
            output, state = self(input[None], state)
            return output[0], state

        return step

    def _run_sorted(self, input: Tensor, state: State, alive: list[int]) -> tuple[Tensor, State]:
        """Run over sequences sorted by descending length; `alive` [T] is the number of rows of each step."""
        steps, batch = input.shape[:2]
        chunk = max(1, _MAX_ROWS // max(1, batch))  # steps whose inputs are multiplied at once
        hidden = state[0].clamp(-1, 1)
        finals: list[list[Tensor]] = []
        for number in range(self.num_layers):
            outputs = []
            for direction in self._directions():
                ih, hh = self.parts[f"ih_l{number}{direction}"], self.parts[f"hh_l{number}{direction}"]
                assert isinstance(ih, Int8Linear)
                assert isinstance(hh, Int8Linear)
                recurrent_base = torch.zeros_like(hh.base) if self.step.separate_bias else hh.base
                index = len(finals)
                current = [hidden[index].clone(), *(tensor[index].clone() for tensor in state[1:])]
                output = input.new_zeros(steps, batch, self.hidden_size)
                chunk_start = None
                for time in reversed(range(steps)) if direction else range(steps):
                    rows = alive[time]
                    if not rows:
                        continue
                    if chunk_start != time // chunk * chunk:
                        chunk_start = time // chunk * chunk
                        inputs = input[chunk_start : chunk_start + chunk, : alive[chunk_start]]
                        # The outputs of the layer below are from -1 to 1.
                        gates = (
                            ih.bounded(inputs, ih.base + recurrent_base)
                            if number
                            else ih(inputs, ih.bias + recurrent_base)
                        )
                    step_state = (tensor[:rows] for tensor in current)
                    new = self.step.step(hh, gates[time - chunk_start, :rows], *step_state)
                    output[time, :rows] = new[0]
                    if rows == batch:
                        current = new
                    else:
                        for tensor, value in zip(current, new, strict=True):
                            tensor[:rows] = value
                finals.append(current)
                outputs.append(output)
            input = torch.cat(outputs, -1) if len(outputs) > 1 else outputs[0]
        return input, tuple(torch.stack(tensors) for tensors in zip(*finals, strict=True))

    @override
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
    candidate = torch.addcmul(gates[:, 2 * size :], reset, recurrent[:, 2 * size :]).tanh_()
    return [torch.lerp(candidate, h, update)]


def _lstm(hh: Int8Linear, gates: Tensor, h: Tensor, c: Tensor) -> list[Tensor]:
    i, f, g, o = hh.bounded(h, gates).chunk(4, -1)
    c = torch.addcmul(f.sigmoid_() * c, i.sigmoid_(), g.tanh_())
    return [o.sigmoid_() * c.tanh(), c]


RNN_STEP = Int8Step(_rnn)
GRU_STEP = Int8Step(_gru, separate_bias=True)
LSTM_STEP = Int8Step(_lstm)
