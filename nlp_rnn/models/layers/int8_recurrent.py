"""Recurrent layers with int8 weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nlp_rnn.models.layers.base import RecurrentLayer, State
from nlp_rnn.models.layers.int8 import Int8Linear, Int8Weight
from nlp_rnn.models.layers.ragged import validate_lengths

# More rows at a time multiply no faster, and their products no longer fit the caches.
_ROWS = 256


@dataclass(frozen=True)
class Int8Step:
    """One step of a cell with int8 weights.

    Args:
        step: (hidden-to-hidden weights, gates [B, G * H] from the input, *state tensors [B, H]) -> new state
            tensors.
        separate_bias: whether `step` adds the recurrent bias itself, as a reset gate needs; else it is
            in `gates`.
    """

    step: Callable[..., list[Tensor]]
    separate_bias: bool = False


class Int8Recurrent(Int8Weight):
    """An RNN, GRU or LSTM with int8 weights; called as the layers of `nlp_rnn.models.recurrent` are."""

    def __init__(self, layer: RecurrentLayer, cell: str, step: Int8Step) -> None:
        """Quantize `layer`, whose cell is called `cell` and takes a step by `step`."""
        nn.Module.__init__(self)
        self.cell = cell
        self.step = step
        self.input_size = layer.input_size
        self.hidden_size = layer.hidden_size
        self.num_layers = layer.num_layers
        self.bidirectional = layer.bidirectional
        self.state_tensors = layer.state_tensors
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
        lengths = validate_lengths(lengths, steps, batch)
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
            raise ValueError("a bidirectional layer cannot run step by step: it reads from both ends")

        def step(input: Tensor, state: State) -> tuple[Tensor, State]:
            output, state = self(input[None], state)
            return output[0], state

        return step

    def _run(self, input: Tensor, state: State, alive: list[int]) -> tuple[Tensor, State]:
        """`alive` falls from step to step; it says how many of the first rows each step is for."""
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
                more = torch.zeros_like(hh.base) if self.step.separate_bias else hh.base
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
                    after = self.step.step(hh, gates[time - first, :rows], *(part[:rows] for part in now))
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


RNN_STEP = Int8Step(_rnn)
GRU_STEP = Int8Step(_gru, separate_bias=True)
LSTM_STEP = Int8Step(_lstm)
