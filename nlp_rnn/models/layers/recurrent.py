"""Recurrent layers that know how long each sequence is.

`CELLS` names them. Those that torch has too are its layers, with the same weights and the same printout, that
also take the lengths of their sequences: what follows a sequence's end never reaches its answer, in either
direction, and the final state is the one at each sequence's own end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nlp_rnn.models.layers.base import RecurrentLayer, State
from nlp_rnn.models.layers.dropout import dropout
from nlp_rnn.models.layers.kernels import lstm_layer, round_up
from nlp_rnn.models.layers.ragged import (
    GatherRows,
    PermuteSteps,
    ScatterRows,
    Segment,
    plan_segments,
    validate_lengths,
)

# Added to a gate before its sigmoid, this makes it exactly 0 or 1 in every floating-point type.
_SATURATED = 1e4


# From this hidden size on, our own kernel trains an LSTM in bfloat16 faster than torch's.
_WIDE = 512
_ROWS_A_STEP = 16


class _LengthAware(RecurrentLayer, nn.RNNBase):  # type: ignore[misc]
    """What the layers that torch has too share; each names its cell and its kernel."""

    cell: type[nn.Module]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        bidirectional: bool = False,
        locked: bool = False,
        weight_dropout: float = 0.0,
    ) -> None:
        if not 0.0 <= weight_dropout <= 1.0:
            raise ValueError(f"weight_dropout must lie between 0 and 1, not {weight_dropout}")
        options: dict[str, Any] = {"dropout": dropout, "bidirectional": bidirectional}
        super().__init__(input_size, hidden_size, num_layers, **options)  # type: ignore[arg-type]
        self.locked = locked
        self.weight_dropout = weight_dropout

    def _run(
        self, input: Tensor, state: State | None, lengths: Tensor | Sequence[int] | None, exact_state: bool
    ) -> tuple[Tensor, State]:
        steps, batch = input.shape[:2]
        if state is None:
            state = self.initial_state(batch, input)
        lengths = validate_lengths(lengths, steps, batch)
        if steps == 0 or batch == 0 or (lengths is not None and not lengths.any()):
            width = self.hidden_size * (2 if self.bidirectional else 1)
            return input.new_zeros(steps, batch, width), state
        dropped = self.training and self.weight_dropout > 0
        if input.is_cuda and not dropped and not (self.training and self.locked and self.dropout):
            return self._run_cudnn(input, state, lengths)
        if steps == 1 and lengths is None and not (torch.is_grad_enabled() or self.bidirectional or dropped):
            output, state = self.stepwise()(input[0], state)
            return output[None], state
        if lengths is None:
            return self._run_layers(input, state, None, exact_state)
        ordered, order = lengths.sort(descending=True, stable=True)
        back = order.argsort().to(input.device)
        order = order.to(input.device)
        input, state = input[:, order], tuple(part[:, order] for part in state)
        output, final = self._run_layers(input, state, ordered, exact_state)
        return output[:, back], tuple(part[:, back] for part in final)

    def _run_cudnn(self, input: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        """All layers in one call; cuDNN has kernels for packed sequences."""
        start = state if self.state_tensors > 1 else state[0]
        if lengths is None:
            output, final = super(RecurrentLayer, self).forward(input, start)
            return output, final if isinstance(final, tuple) else (final,)
        packed = pack_padded_sequence(input, lengths.clamp(min=1), enforce_sorted=False)
        output, final = super(RecurrentLayer, self).forward(packed, start)
        output, _ = pad_packed_sequence(output, total_length=input.size(0))
        final = final if isinstance(final, tuple) else (final,)
        alive = (lengths > 0).to(input.device)[:, None]  # [B, 1]
        final = tuple(torch.where(alive, new, old) for new, old in zip(final, state, strict=True))
        return output * alive, final

    def _run_layers(
        self, input: Tensor, state: State, lengths: Tensor | None, exact_state: bool
    ) -> tuple[Tensor, State]:
        """A layer at a time, over sequences that are sorted by falling length.

        On a CPU packing is many times slower than computing some padding too (PyTorch issue 149194), whose
        effect is then taken out.
        """
        directions = 2 if self.bidirectional else 1
        if lengths is not None:
            segments = plan_segments(lengths)
            time = torch.arange(input.size(0))[:, None]  # [T, 1]
            inside = (time < lengths).unsqueeze(-1).to(input.device)  # [T, B, 1]
            # Each sequence back to front in its own place; the padding stays behind it.
            mirror = torch.where(time < lengths, lengths - 1 - time, time)  # [T, B]
            mirror = (mirror * input.size(1) + torch.arange(input.size(1))).flatten().to(input.device)
        finals: list[State] = []
        for layer in range(self.num_layers):
            if layer:
                input = dropout(input, self.dropout, self.training, self.locked)
            first = layer * directions
            start = tuple(part[first : first + directions] for part in state)
            weights = [self._weights(first + direction) for direction in range(directions)]
            if lengths is None:
                input, final = self._kernel(input, start, [w for each in weights for w in each])
                finals.append(final)
                continue
            outputs = []
            for direction in range(directions):
                own = tuple(part[direction : direction + 1] for part in start)
                steps_in = PermuteSteps.apply(input, mirror) if direction else input
                output, final = self._run_segments(
                    steps_in, own, weights[direction], segments, lengths, exact_state
                )
                outputs.append(PermuteSteps.apply(output, mirror) if direction else output)
                finals.append(final)
            input = torch.cat(outputs, dim=-1) if directions > 1 else outputs[0]
            input = input * inside
        return input, tuple(torch.cat(parts) for parts in zip(*finals, strict=True))

    def _weights(self, index: int) -> list[Tensor]:
        """Those of one layer and direction for one call; in training some recurrent ones are dropped.

        DropConnect (Wan et al. 2013) on the hidden-to-hidden matrix, as in the AWD-LSTM (Merity et al. 2018).
        """
        w_ih, w_hh, *biases = self.all_weights[index]
        return [w_ih, dropout(w_hh, self.weight_dropout, self.training), *biases]

    def _run_segments(
        self,
        input: Tensor,
        state: State,
        weights: list[Tensor],
        segments: list[Segment],
        lengths: Tensor,
        exact_state: bool,
    ) -> tuple[Tensor, State]:
        """One layer in one direction: [T, B, I] -> [T, B, H], what is behind an end being of no meaning."""
        batch = input.size(1)
        alive = [segment.rows for segment in segments[1:]] + [0]
        outputs = []
        ended = [tuple(part[:, segments[0].rows :] for part in state)]  # shortest sequences first
        for segment, going in zip(segments, alive, strict=True):
            rows = segment.rows
            part_in = input[segment.start : segment.end, :rows]
            own_lengths = (lengths[:rows] - segment.start).clamp(max=segment.end - segment.start)
            state = tuple(part[:, :rows] for part in state)
            output, state = self._kernel_to_ends(part_in, state, weights, own_lengths, exact_state)
            ended.append(tuple(part[:, going:] for part in state))
            outputs.append(F.pad(output, (0, 0, 0, batch - rows)))
        rest = input.size(0) - segments[-1].end
        if rest:
            outputs.append(outputs[0].new_zeros(rest, batch, self.hidden_size))
        output = torch.cat(outputs) if len(outputs) > 1 else outputs[0]
        return output, tuple(torch.cat(parts, dim=1) for parts in zip(*reversed(ended), strict=True))

    def _kernel_to_ends(
        self, input: Tensor, state: State, weights: list[Tensor], lengths: Tensor, exact_state: bool
    ) -> tuple[Tensor, State]:
        """One layer in one direction, and the state after `lengths` [B] steps, 1 to T."""
        output, final = self._kernel(input, state, weights)
        if bool((lengths < input.size(0)).any()):
            last = (lengths - 1).to(output.device)[None, :, None].expand(1, -1, output.size(-1))
            final = (output.gather(0, last), *final[1:])
        return output, final

    def _kernel(self, input: Tensor, state: State, weights: list[Tensor]) -> tuple[Tensor, State]:
        """One layer, in as many directions as there are weights for: [T, B, I] -> [T, B, directions * H]."""
        raise NotImplementedError  # pragma: no cover

    def _new_cell(self, input_size: int) -> nn.Module:
        return self.cell(input_size, self.hidden_size, device="meta")


class RNN(_LengthAware, nn.RNN):  # type: ignore[misc]
    """Elman's network: h' = tanh(W_ih x + b_ih + W_hh h + b_hh) (Elman 1990)."""

    cell = nn.RNNCell

    def _kernel(self, input: Tensor, state: State, weights: list[Tensor]) -> tuple[Tensor, State]:
        both = len(weights) > 4
        output, final = torch.rnn_tanh(input, state[0], weights, True, 1, 0.0, self.training, both, False)
        return output, (final,)


class GRU(_LengthAware, nn.GRU):  # type: ignore[misc]
    """Gated recurrent unit (Cho et al. 2014), with torch's placing of the reset gate."""

    cell = nn.GRUCell

    def _kernel(self, input: Tensor, state: State, weights: list[Tensor]) -> tuple[Tensor, State]:
        both = len(weights) > 4
        output, final = torch.gru(input, state[0], weights, True, 1, 0.0, self.training, both, False)
        return output, (final,)


class LSTM(_LengthAware, nn.LSTM):  # type: ignore[misc]
    """Long short-term memory (Hochreiter & Schmidhuber 1997) with a forget gate (Gers et al. 2000)."""

    cell = nn.LSTMCell
    state_tensors = 2

    def _kernel(self, input: Tensor, state: State, weights: list[Tensor]) -> tuple[Tensor, State]:
        both = len(weights) > 4
        output, h, c = torch.lstm(input, state, weights, True, 1, 0.0, self.training, both, False)
        return output, (h, c)

    def _kernel_to_ends(
        self, input: Tensor, state: State, weights: list[Tensor], lengths: Tensor, exact_state: bool
    ) -> tuple[Tensor, State]:
        padding = torch.arange(input.size(0))[:, None, None] >= lengths[:, None]  # [T, B, 1]
        if exact_state and bool(padding.any()):
            # The fused kernel gives h of every step but c of the last alone. One more input, 1 in the padding
            # and 0 elsewhere, shuts the input gate and opens the forget gate there: c stays as it was at the
            # sequence's end.
            w_ih, *others = weights
            gates = w_ih.new_tensor([-_SATURATED, _SATURATED, 0.0, 0.0])  # input, forget, cell, output
            hold = gates.repeat_interleave(self.hidden_size)[:, None]  # [4H, 1]
            weights = [torch.cat([w_ih, hold], dim=1), *others]
            input = torch.cat([input, padding.to(input)], dim=-1)  # [T, B, I + 1]
        return super()._kernel_to_ends(input, state, weights, lengths, exact_state)

    def _run_layers(
        self, input: Tensor, state: State, lengths: Tensor | None, exact_state: bool
    ) -> tuple[Tensor, State]:
        low = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
        if not (low and torch.is_grad_enabled() and self.hidden_size >= _WIDE and input.device.type == "cpu"):
            return super()._run_layers(input, state, lengths, exact_state)
        steps, batch = input.shape[:2]
        directions = 2 if self.bidirectional else 1
        if lengths is None:
            sizes = [batch] * steps
        else:
            alive = (lengths > torch.arange(steps)[:, None]).sum(1)
            if not exact_state:  # a few that are over may go on
                alive = (-(-alive // _ROWS_A_STEP) * _ROWS_A_STEP).clamp(max=batch)
            sizes = alive[alive > 0].tolist()
        places = torch.cat([step * batch + torch.arange(size) for step, size in enumerate(sizes)])
        packed = GatherRows.apply(input.flatten(0, 1), places, round_up(len(places)))
        finals: list[State] = []
        for layer in range(self.num_layers):
            if layer:
                packed = self._drop_packed(packed, places % batch, batch)
            outputs = []
            for direction in range(directions):
                index = layer * directions + direction
                h, c = (part[index] for part in state)
                output, h, c = lstm_layer(
                    packed, h, c, self._weights(index), sizes, backwards=bool(direction)
                )
                outputs.append(output)
                finals.append((h, c))
            packed = torch.cat(outputs, dim=-1) if directions > 1 else outputs[0]
        output = ScatterRows.apply(packed, places, steps * batch).view(steps, batch, -1)
        if lengths is not None and not exact_state:
            output = output * (torch.arange(steps)[:, None] < lengths).unsqueeze(-1)
        return output, tuple(torch.stack(parts) for parts in zip(*finals, strict=True))

    def _drop_packed(self, packed: Tensor, sequences: Tensor, batch: int) -> Tensor:
        """Dropout of [N, I], row n that of sequence `sequences[n]`; rows behind those are zero."""
        if not (self.locked and self.training and self.dropout):
            return dropout(packed, self.dropout, self.training)
        masks = dropout(packed.new_ones(batch, packed.size(1)), self.dropout)
        return packed * F.pad(masks[sequences], (0, 0, 0, len(packed) - len(sequences)))
