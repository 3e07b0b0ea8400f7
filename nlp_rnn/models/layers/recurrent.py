"""torch's own recurrent layers (RNN, GRU, LSTM), made aware of each sequence's length.

They are subclasses of torch's layers, with the same parameters and the same printout, and also take the
lengths of the sequences. Padding never changes a sequence's outputs, in either direction, and the final state
is the one at each sequence's own end.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from typing_extensions import override

from nlp_rnn.models.layers.base import RecurrentLayer, State
from nlp_rnn.models.layers.checks import validate_sizes
from nlp_rnn.models.layers.devices import autocast_is_right, to_device
from nlp_rnn.models.layers.dropout import dropout
from nlp_rnn.models.layers.kernels import lstm_layer, round_up
from nlp_rnn.models.layers.ragged import (
    GatherRows,
    PermuteSteps,
    ScatterRows,
    Segment,
    plan_segments,
)

# Added to a gate before its sigmoid, this makes it exactly 0 or 1 in every floating-point dtype.
_SATURATED = 1e4

# From this hidden size on, the kernel of `kernels` trains an LSTM in bfloat16 faster than torch's.
_MIN_HIDDEN = 512

# That kernel is faster where the number of sequences in a step is a multiple of this.
_BATCH_MULTIPLE = 16


class _LengthAware(RecurrentLayer, nn.RNNBase):
    """Base class of the three layers; a subclass names its cell and torch's function for whole sequences."""

    cell: type[nn.Module]
    kernel: Callable[..., tuple[Tensor, ...]]

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
        validate_sizes(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        if not 0.0 <= weight_dropout <= 1.0:
            raise ValueError(f"weight_dropout must lie between 0 and 1, not {weight_dropout}")
        # The next __init__ is nn.RNN's, nn.GRU's or nn.LSTM's, which mypy takes for nn.RNNBase's.
        super().__init__(
            input_size,  # type: ignore[arg-type]
            hidden_size,
            num_layers,
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
        )
        self.locked = locked
        self.weight_dropout = weight_dropout

    @override
    def _run(
        self, input: Tensor, state: State, lengths: Tensor | None, exact_state: bool
    ) -> tuple[Tensor, State]:
        steps, batch = input.shape[:2]
        if steps == 0 or batch == 0 or (lengths is not None and not lengths.any()):
            width = self.hidden_size * (2 if self.bidirectional else 1)
            return input.new_zeros(steps, batch, width), state
        drops_weights = self.training and self.weight_dropout > 0
        if (
            steps == 1
            and lengths is None
            and not (input.is_cuda or torch.is_grad_enabled() or self.bidirectional or drops_weights)
        ):
            output, state = self.stepwise().step(input[0], state)
            return output[None], state
        run = self._run_cudnn if input.is_cuda else self._run_layers
        if lengths is None:
            return run(input, state, None, exact_state)
        sorted_lengths, order = lengths.sort(descending=True, stable=True)
        inverse = to_device(order.argsort(), input.device)
        order = to_device(order, input.device)
        input, state = input[:, order], tuple(tensor[:, order] for tensor in state)
        output, final = run(input, state, sorted_lengths, exact_state)
        return output[:, inverse], tuple(tensor[:, inverse] for tensor in final)

    def _run_cudnn(
        self, input: Tensor, state: State, lengths: Tensor | None, exact_state: bool
    ) -> tuple[Tensor, State]:
        """As `_run_layers`, with cuDNN's kernels for packed sequences: in one call, if masks allow it."""
        if torch.is_autocast_enabled(input.device.type) and not autocast_is_right(input.device):
            dtype = self.all_weights[0][0].dtype
            with torch.autocast(input.device.type, enabled=False):
                state = tuple(tensor.to(dtype) for tensor in state)
                return self._run_cudnn(input.to(dtype), state, lengths, exact_state)
        in_one_call = not (self.training and (self.weight_dropout or (self.locked and self.dropout)))
        weights = [weight for layer in self.all_weights for weight in layer]
        if lengths is None:
            if not in_one_call:
                return self._run_layers(input, state, None, exact_state)
            return self._kernel(input, state, weights, None, self.num_layers, self.dropout)
        packed = pack_padded_sequence(input, lengths.clamp(min=1))
        if in_one_call:
            sizes = packed.batch_sizes
            data, final = self._kernel(packed.data, state, weights, sizes, self.num_layers, self.dropout)
            packed = PackedSequence(data, sizes)
        else:
            packed, final = self._run_packed_layers(packed, state)
        output, _ = pad_packed_sequence(packed, total_length=input.size(0))
        if not lengths.all():
            alive = to_device(lengths > 0, input.device)[:, None]  # [B, 1]
            final = tuple(torch.where(alive, new, old) for new, old in zip(final, state, strict=True))
        return output, final

    def _run_packed_layers(self, packed: PackedSequence, state: State) -> tuple[PackedSequence, State]:
        """Run one layer at a time, with the masks of `locked` and `weight_dropout` where they are set."""
        directions = 2 if self.bidirectional else 1
        data, sizes = packed.data, packed.batch_sizes
        sequences = to_device(torch.cat([torch.arange(size) for size in sizes.tolist()]), data.device)
        finals: list[State] = []
        for first in range(0, self.num_layers * directions, directions):
            if first:
                data = self._drop_packed(data, sequences, state[0].size(1))
            weights = [
                weight for index in range(first, first + directions) for weight in self._weights(index)
            ]
            start = tuple(tensor[first : first + directions] for tensor in state)
            data, final = self._kernel(data, start, weights, sizes)
            finals.append(final)
        state = tuple(torch.cat(tensors) for tensors in zip(*finals, strict=True))
        return PackedSequence(data, sizes), state

    def _drop_packed(self, packed: Tensor, sequences: Tensor, batch: int) -> Tensor:
        """Dropout of packed rows [N, I]; row n belongs to `sequences[n]`, the rows behind are zero."""
        if not (self.locked and self.training and self.dropout):
            return dropout(packed, self.dropout, self.training)
        masks = dropout(packed.new_ones(batch, packed.size(1)), self.dropout)
        return packed * F.pad(masks[sequences], (0, 0, 0, len(packed) - len(sequences)))

    def _run_layers(
        self, input: Tensor, state: State, lengths: Tensor | None, exact_state: bool
    ) -> tuple[Tensor, State]:
        """Run one layer at a time, over sequences sorted by descending length.

        On a CPU, packed sequences are many times slower than computing some padded steps too (PyTorch issue
        149194) and removing their effect.
        """
        directions = 2 if self.bidirectional else 1
        if lengths is not None:
            segments = plan_segments(lengths)
            time = torch.arange(input.size(0))[:, None]  # [T, 1]
            # The order that reverses each sequence within its own steps; padding stays behind it.
            mirror = torch.where(time < lengths, lengths - 1 - time, time)  # [T, B]
            mirror = mirror * input.size(1) + torch.arange(input.size(1))
            mirror = to_device(mirror.flatten(), input.device)
        finals: list[State] = []
        for layer in range(self.num_layers):
            if layer:
                input = dropout(input, self.dropout, self.training, self.locked)
            first = layer * directions
            start = tuple(tensor[first : first + directions] for tensor in state)
            weights = [self._weights(first + direction) for direction in range(directions)]
            if lengths is None:
                input, final = self._kernel(input, start, [w for direction in weights for w in direction])
                finals.append(final)
                continue
            outputs = []
            for direction in range(directions):
                output, final = self._run_segments(
                    PermuteSteps.apply(input, mirror) if direction else input,
                    tuple(tensor[direction : direction + 1] for tensor in start),
                    weights=weights[direction],
                    segments=segments,
                    lengths=lengths,
                    exact_state=exact_state,
                )
                outputs.append(PermuteSteps.apply(output, mirror) if direction else output)
                finals.append(final)
            input = torch.cat(outputs, dim=-1) if directions > 1 else outputs[0]
        return input, tuple(torch.cat(tensors) for tensors in zip(*finals, strict=True))

    def _weights(self, index: int) -> list[Tensor]:
        """The parameters of one layer and direction, with weight dropout in training.

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
        """Run one layer in one direction: [T, B, I] -> [T, B, H]; outputs behind an end are undefined."""
        batch = input.size(1)
        next_rows = [segment.rows for segment in segments[1:]] + [0]
        outputs = []
        ended = [tuple(tensor[:, segments[0].rows :] for tensor in state)]  # shortest sequences first
        for segment, remaining in zip(segments, next_rows, strict=True):
            rows = segment.rows
            output, state = self._kernel_to_ends(
                input[segment.start : segment.end, :rows],
                tuple(tensor[:, :rows] for tensor in state),
                weights=weights,
                lengths=(lengths[:rows] - segment.start).clamp(max=segment.end - segment.start),
                exact_state=exact_state,
            )
            ended.append(tuple(tensor[:, remaining:] for tensor in state))
            outputs.append(F.pad(output, (0, 0, 0, batch - rows)))
        rest = input.size(0) - segments[-1].end
        if rest:
            outputs.append(outputs[0].new_zeros(rest, batch, self.hidden_size))
        output = torch.cat(outputs) if len(outputs) > 1 else outputs[0]
        return output, tuple(torch.cat(tensors, dim=1) for tensors in zip(*reversed(ended), strict=True))

    def _kernel_to_ends(
        self, input: Tensor, state: State, weights: list[Tensor], lengths: Tensor, exact_state: bool
    ) -> tuple[Tensor, State]:
        """Run one layer in one direction; the state is the one after `lengths` [B] steps, 1 to T."""
        output, final = self._kernel(input, state, weights)
        if bool((lengths < input.size(0)).any()):
            last = (lengths - 1).to(output.device)[None, :, None].expand(1, -1, output.size(-1))
            final = (output.gather(0, last), *final[1:])
        return output, final

    def _kernel(
        self,
        input: Tensor,
        state: State,
        weights: list[Tensor],
        sizes: Tensor | None = None,
        num_layers: int = 1,
        dropout: float = 0.0,
    ) -> tuple[Tensor, State]:
        """Run layers in all directions that `weights` has.

        Args:
            input: [T, B, I], or [N, I], the steps of a packed sequence.
            state: tensors of [num_layers * directions, B, H].
            weights: the parameters of each layer and direction.
            sizes: [T], the number of rows of each step of a packed sequence.
            num_layers: the number of layers.
            dropout: the probability of dropout between them.

        Returns:
            The outputs [..., directions * H] of each input, and the state after the last step.
        """
        if torch.is_autocast_enabled(input.device.type) and not autocast_is_right(input.device):
            dtype = weights[0].dtype
            with torch.autocast(input.device.type, enabled=False):
                state = tuple(tensor.to(dtype) for tensor in state)
                return self._kernel(input.to(dtype), state, weights, sizes, num_layers, dropout)
        start = state if self.state_tensors > 1 else state[0]
        options = (weights, True, num_layers, dropout, self.training, len(weights) > 4 * num_layers)
        if sizes is None:
            output, *final = self.kernel(input, start, *options, False)
        else:
            output, *final = self.kernel(input, sizes, start, *options)
        return output, tuple(final)

    @override
    def _new_cell(self, input_size: int) -> nn.Module:
        return self.cell(input_size, self.hidden_size, device="meta")


class RNN(_LengthAware, nn.RNN):  # type: ignore[misc]
    """Elman's network: h' = tanh(W_ih x + b_ih + W_hh h + b_hh) (Elman 1990)."""

    cell = nn.RNNCell
    kernel = staticmethod(torch.rnn_tanh)


class GRU(_LengthAware, nn.GRU):  # type: ignore[misc]
    """Gated recurrent unit (Cho et al. 2014), with the reset gate where torch has it."""

    cell = nn.GRUCell
    kernel = staticmethod(torch.gru)


class LSTM(_LengthAware, nn.LSTM):  # type: ignore[misc]
    """Long short-term memory (Hochreiter & Schmidhuber 1997) with a forget gate (Gers et al. 2000)."""

    cell = nn.LSTMCell
    kernel = staticmethod(torch.lstm)
    state_tensors = 2

    @override
    def _kernel_to_ends(
        self, input: Tensor, state: State, weights: list[Tensor], lengths: Tensor, exact_state: bool
    ) -> tuple[Tensor, State]:
        padding = torch.arange(input.size(0))[:, None, None] >= lengths[:, None]  # [T, B, 1]
        if exact_state and bool(padding.any()):
            # The fused kernel returns h of every step, but c of the last step only. So add an input that is 1
            # in the padding and 0 elsewhere. It closes the input gate and opens the forget gate, and c keeps
            # its value from the sequence's end.
            w_ih, *rest = weights
            gates = w_ih.new_tensor([-_SATURATED, _SATURATED, 0.0, 0.0])  # input, forget, cell, output
            hold = gates.repeat_interleave(self.hidden_size)[:, None]  # [4H, 1]
            weights = [torch.cat([w_ih, hold], dim=1), *rest]
            input = torch.cat([input, padding.to(input)], dim=-1)  # [T, B, I + 1]
        return super()._kernel_to_ends(input, state, weights, lengths, exact_state)

    @override
    def _run_layers(
        self, input: Tensor, state: State, lengths: Tensor | None, exact_state: bool
    ) -> tuple[Tensor, State]:
        bfloat16 = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
        wide = self.hidden_size >= _MIN_HIDDEN
        if not (bfloat16 and wide and torch.is_grad_enabled() and input.device.type == "cpu"):
            return super()._run_layers(input, state, lengths, exact_state)
        return self._run_packed(input, state, lengths, exact_state)

    def _run_packed(
        self, input: Tensor, state: State, lengths: Tensor | None, exact_state: bool
    ) -> tuple[Tensor, State]:
        """As `_run_layers`, by the kernel of `kernels`."""
        steps, batch = input.shape[:2]
        directions = 2 if self.bidirectional else 1
        if lengths is None:
            sizes = [batch] * steps
        else:
            alive = (lengths > torch.arange(steps)[:, None]).sum(1)
            if not (exact_state or self.bidirectional):
                # A few sequences run past their end. Read backwards, they would begin there, and bring a
                # state of padding into their own steps.
                alive = (-(-alive // _BATCH_MULTIPLE) * _BATCH_MULTIPLE).clamp(max=batch)
            sizes = alive[alive > 0].tolist()
        indices = torch.cat([step * batch + torch.arange(size) for step, size in enumerate(sizes)])
        packed = GatherRows.apply(input.flatten(0, 1), indices, round_up(len(indices)))
        finals: list[State] = []
        for layer in range(self.num_layers):
            if layer:
                packed = self._drop_packed(packed, indices % batch, batch)
            outputs = []
            for direction in range(directions):
                index = layer * directions + direction
                h, c = (tensor[index] for tensor in state)
                output, h, c = lstm_layer(
                    packed, h, c, self._weights(index), sizes, backwards=bool(direction)
                )
                outputs.append(output)
                finals.append((h, c))
            packed = torch.cat(outputs, dim=-1) if directions > 1 else outputs[0]
        output = ScatterRows.apply(packed, indices, steps * batch).view(steps, batch, -1)
        return output, tuple(torch.stack(tensors) for tensors in zip(*finals, strict=True))
