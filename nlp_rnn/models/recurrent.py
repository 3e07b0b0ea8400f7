"""Recurrent layers that know how long each sequence is.

`CELLS` names them. Each is the torch layer of the same name, with the same weights and the same printout,
that also takes the lengths of its sequences: what follows a sequence's end never reaches its answer, in
either direction, and the final state is the one at each sequence's own end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

State = tuple[Tensor, ...]
"""Recurrent state: always a tuple, of one tensor (RNN, GRU: h) or two (LSTM: h, c).

Each is [num_layers * directions, B, H].
"""

# Added to a gate before its sigmoid, this makes it exactly 0 or 1 in every floating-point type.
_SATURATED = 1e4


class _LengthAware(nn.RNNBase):
    """What the three layers share; each names its cell's function and how many tensors its state has."""

    state_tensors = 1

    def forward(  # type: ignore[override]
        self, input: Tensor, state: State | None = None, lengths: Tensor | Sequence[int] | None = None
    ) -> tuple[Tensor, State]:
        """Run over whole sequences.

        Args:
            input: [T, B, I], float.
            state: where to start; zeros if left out.
            lengths: [B] integers from 0 to T, best on the CPU; every sequence has T steps if left out.

        Returns:
            The outputs [T, B, directions * H], zero behind each sequence's end, and the state at each
            sequence's own end. A sequence of length 0 ends in the state it began with.

        Raises:
            ValueError: `lengths` has another size than the batch, or reaches outside 0..T.
        """
        steps, batch = input.shape[:2]
        if state is None:
            state = self.initial_state(batch, input)
        if lengths is not None:
            lengths = torch.as_tensor(lengths, dtype=torch.long)
            if lengths.shape != (batch,):
                raise ValueError(f"lengths has shape {tuple(lengths.shape)}, the batch has {batch} sequences")
            if batch and not 0 <= int(lengths.min()) <= int(lengths.max()) <= steps:
                raise ValueError(f"lengths must lie between 0 and {steps}, the number of steps")
        if steps == 0 or batch == 0:
            width = self.hidden_size * (2 if self.bidirectional else 1)
            return input.new_zeros(steps, batch, width), state
        if lengths is None or bool((lengths == steps).all()):
            output, final = super().forward(input, state if self.state_tensors > 1 else state[0])
            return output, final if isinstance(final, tuple) else (final,)
        # cuDNN has kernels for packed sequences; on a CPU packing is many times slower than computing the
        # padding too (PyTorch issue 149194).
        run = self._run_packed if input.is_cuda else self._run_padded
        return run(input, state, lengths)

    def initial_state(self, batch: int, like: Tensor) -> State:
        """A zero state for `batch` sequences, of the device and type of the float tensor `like`."""
        layers = self.num_layers * (2 if self.bidirectional else 1)
        return (like.new_zeros(layers, batch, self.hidden_size),) * self.state_tensors

    def _run_packed(self, input: Tensor, state: State, lengths: Tensor) -> tuple[Tensor, State]:
        lengths = lengths.cpu()
        packed = pack_padded_sequence(input, lengths.clamp(min=1), enforce_sorted=False)
        output, final = super().forward(packed, state if self.state_tensors > 1 else state[0])
        output, _ = pad_packed_sequence(output, total_length=input.size(0))
        final = final if isinstance(final, tuple) else (final,)
        alive = (lengths > 0).to(input.device)[:, None]  # [B, 1]
        final = tuple(torch.where(alive, new, old) for new, old in zip(final, state, strict=True))
        return output * alive, final

    def _run_padded(self, input: Tensor, state: State, lengths: Tensor) -> tuple[Tensor, State]:
        """A layer and a direction at a time, over the padding too, whose effect is then taken out."""
        steps = input.size(0)
        lengths = lengths.to(input.device)
        time = torch.arange(steps, device=input.device)[:, None]  # [T, 1]
        inside = (time < lengths).unsqueeze(-1)  # [T, B, 1]
        # Each sequence back to front in its own place; the padding stays behind it.
        mirror = torch.where(time < lengths, lengths - 1 - time, time).unsqueeze(-1)  # [T, B, 1]
        last = (lengths - 1).clamp(min=0)[None, :, None]  # [1, B, 1]
        directions = 2 if self.bidirectional else 1

        layer_input = input
        finals = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                layer_input = F.dropout(layer_input, self.dropout, self.training)
            outputs = []
            for direction in range(directions):
                index = layer * directions + direction
                start = tuple(part[index : index + 1] for part in state)
                steps_in = layer_input
                if direction:
                    steps_in = layer_input.gather(0, mirror.expand_as(layer_input))
                output, final = self._run_layer(steps_in, start, index, ~inside)
                hidden = output.gather(0, last.expand(1, -1, output.size(-1)))
                hidden = torch.where(lengths[None, :, None] > 0, hidden, start[0])
                finals.append((hidden, *final[1:]))
                if direction:
                    output = output.gather(0, mirror.expand_as(output))
                outputs.append(output)
            layer_input = torch.cat(outputs, dim=-1) if directions > 1 else outputs[0]
            layer_input = layer_input * inside
        return layer_input, tuple(torch.cat(parts) for parts in zip(*finals, strict=True))

    def _run_layer(self, input: Tensor, state: State, index: int, padding: Tensor) -> tuple[Tensor, State]:
        """One layer in one direction: [T, B, I] -> [T, B, H], and the state after the last step."""
        raise NotImplementedError  # pragma: no cover


class RNN(_LengthAware, nn.RNN):  # type: ignore[misc]
    """Elman's network: h' = tanh(W_ih x + b_ih + W_hh h + b_hh) (Elman 1990)."""

    def _run_layer(self, input: Tensor, state: State, index: int, padding: Tensor) -> tuple[Tensor, State]:
        weights: list[Tensor] = [*self.all_weights[index]]
        output, final = torch.rnn_tanh(input, state[0], weights, True, 1, 0.0, self.training, False, False)
        return output, (final,)


class GRU(_LengthAware, nn.GRU):  # type: ignore[misc]
    """Gated recurrent unit (Cho et al. 2014), with torch's placing of the reset gate."""

    def _run_layer(self, input: Tensor, state: State, index: int, padding: Tensor) -> tuple[Tensor, State]:
        weights: list[Tensor] = [*self.all_weights[index]]
        output, final = torch.gru(input, state[0], weights, True, 1, 0.0, self.training, False, False)
        return output, (final,)


class LSTM(_LengthAware, nn.LSTM):  # type: ignore[misc]
    """Long short-term memory (Hochreiter & Schmidhuber 1997) with a forget gate (Gers et al. 2000)."""

    state_tensors = 2

    def _run_layer(self, input: Tensor, state: State, index: int, padding: Tensor) -> tuple[Tensor, State]:
        # The fused kernel gives h of every step but c of the last alone. One more input, 1 in the padding
        # and 0 elsewhere, shuts the input gate and opens the forget gate there: c stays as it was at the
        # sequence's end.
        w_ih, *others = self.all_weights[index]
        gates = w_ih.new_tensor([-_SATURATED, _SATURATED, 0.0, 0.0])  # input, forget, cell, output
        hold = gates.repeat_interleave(self.hidden_size)[:, None]  # [4H, 1]
        input = torch.cat([input, padding.to(input.dtype)], dim=-1)  # [T, B, I + 1]
        weights = [torch.cat([w_ih, hold], dim=1), *others]
        output, h, c = torch.lstm(input, state, weights, True, 1, 0.0, self.training, False, False)
        return output, (h, c)


CELLS: dict[str, Callable[..., _LengthAware]] = {"rnn": RNN, "gru": GRU, "lstm": LSTM}


def recurrent_layer(
    cell: str, input_size: int, hidden_size: int, num_layers: int, dropout: float, bidirectional: bool = False
) -> _LengthAware:
    """A layer of the cells table, by name; `dropout` acts between layers, so not on one alone.

    Raises:
        ValueError: there is no cell of that name.
    """
    if cell not in CELLS:
        raise ValueError(f"unknown cell {cell!r}: use one of {', '.join(CELLS)}")
    between = dropout if num_layers > 1 else 0.0
    return CELLS[cell](input_size, hidden_size, num_layers, dropout=between, bidirectional=bidirectional)
