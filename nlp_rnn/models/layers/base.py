"""The base classes of all recurrent layers, and their stepwise form: one time step per call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from typing_extensions import override

from nlp_rnn.errors import UsageError
from nlp_rnn.models.layers.checks import (
    NOT_TRACEABLE,
    refuse_tracing,
    validate_dtypes,
    validate_input,
    validate_lengths,
    validate_state,
)
from nlp_rnn.models.layers.devices import to_device
from nlp_rnn.models.layers.dropout import Dropout

State = tuple[Tensor, ...]
"""Recurrent state: always a tuple of tensors, the hidden state first.

A GRU has one tensor (h), an LSTM two (h, c). Each is [num_layers * directions, B, H].
"""


class SequenceLayer(nn.Module):
    """Base class of what runs over whole sequences as a recurrent layer: it checks what it is called with.

    A subclass implements `_run` and sets the attributes below.

    Attributes:
        state_tensors: number of tensors in the state.
        batch_first: whether inputs and outputs are [B, T, ...] in place of [T, B, ...]; states are not.
    """

    state_tensors = 1
    batch_first = False

    input_size: int
    hidden_size: int
    num_layers: int
    bidirectional: bool

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: State | Tensor | None = None,
        lengths: Tensor | Sequence[int] | None = None,
    ) -> tuple[Tensor | PackedSequence, State]:
        """Run over whole sequences.

        What `input` holds behind a sequence's end is not read, be it NaN, and its gradient is zero.

        Args:
            input: [T, B, I], float, or packed sequences.
            hx: the initial state, its only tensor if it has one only; zeros if left out.
            lengths: [B] integers from 0 to T, best on the CPU; every sequence has T steps if left out.

        Returns:
            The outputs [T, B, directions * H], zero behind each sequence's end, or packed as the input; and
            the state at each sequence's own end. A sequence of length 0 ends in its initial state.

        Raises:
            ValueError: an argument has a wrong shape or dtype, or `lengths` has values outside 0..T.
        """
        if isinstance(input, PackedSequence):
            return self._call_packed(input, hx, lengths)
        return self._call(input, hx, lengths, exact_state=True)

    def outputs(
        self,
        input: Tensor,
        hx: State | Tensor | None = None,
        lengths: Tensor | Sequence[int] | None = None,
    ) -> Tensor:
        """As `forward`, but return the outputs only: cheaper where lengths differ."""
        return self._call(input, hx, lengths, exact_state=False)[0]

    def initial_state(self, batch: int, like: Tensor) -> State:
        """A zero state for `batch` sequences, on the device and in the dtype of the float tensor `like`."""
        return (like.new_zeros(self._state_shape(batch)),) * self.state_tensors

    def _copy_sizes(self, layer: SequenceLayer) -> None:
        """Set all attributes of this class as `layer` has them."""
        self.input_size = layer.input_size
        self.hidden_size = layer.hidden_size
        self.num_layers = layer.num_layers
        self.bidirectional = layer.bidirectional
        self.state_tensors = layer.state_tensors
        self.batch_first = layer.batch_first

    def _state_shape(self, batch: int) -> tuple[int, int, int]:
        return self.num_layers * (2 if self.bidirectional else 1), batch, self.hidden_size

    def _call(
        self,
        input: Tensor,
        hx: State | Tensor | None,
        lengths: Tensor | Sequence[int] | None,
        exact_state: bool,
    ) -> tuple[Tensor, State]:
        refuse_tracing()
        shape = validate_input(input, "BT" if self.batch_first else "TB", self.input_size)
        if self.batch_first:
            input = input.transpose(0, 1)
            shape = input.shape
        steps, batch, _ = shape
        if hx is None:
            state = self.initial_state(batch, input)
        else:
            state = validate_state(hx, self.state_tensors, self._state_shape(batch))
        if steps > 1 and self._parameters:  # else left to torch: a single step must be cheap
            weight = cast(Tensor, next(iter(self._parameters.values())))
            validate_dtypes(input, state, weight)
        if lengths is not None:
            lengths = validate_lengths(lengths, steps, batch)
        if lengths is None:
            output, state = self._run(input, state, None, exact_state)
        else:
            # Filled, not multiplied by 0, in which NaN and infinite values and gradients would remain.
            padding = (torch.arange(steps)[:, None] >= lengths).unsqueeze(-1)  # [T, B, 1]
            padding = to_device(padding, input.device)
            output, state = self._run(input.masked_fill(padding, 0), state, lengths, exact_state)
            output = output.masked_fill(padding, 0)
        return output.transpose(0, 1) if self.batch_first else output, state

    def _call_packed(
        self, packed: PackedSequence, hx: State | Tensor | None, lengths: object
    ) -> tuple[PackedSequence, State]:
        if lengths is not None:
            raise ValueError("packed sequences have lengths of their own: leave out `lengths`")
        padded, own_lengths = pad_packed_sequence(packed, self.batch_first)
        output, state = self._call(padded, hx, own_lengths, exact_state=True)
        if packed.sorted_indices is not None:
            output = output.index_select(0 if self.batch_first else 1, packed.sorted_indices)
            own_lengths = own_lengths[packed.sorted_indices.cpu()]
        data = pack_padded_sequence(output, own_lengths, self.batch_first).data
        return PackedSequence(data, *packed[1:]), state

    def _run(
        self, input: Tensor, state: State, lengths: Tensor | None, exact_state: bool
    ) -> tuple[Tensor, State]:
        """Implement `forward`; the arguments are checked.

        Args:
            input: [T, B, I], zero behind each sequence's end; T and B may be 0.
            state: the initial state, a tuple of `state_tensors` tensors [num_layers * directions, B, H].
            lengths: [B] int64 on the CPU; None where every sequence has T steps.
            exact_state: whether the state must be right; otherwise only the outputs need to be.

        Returns:
            The outputs [T, B, directions * H], where those behind a sequence's end are undefined but finite,
            and the state at each sequence's end.
        """
        raise NotImplementedError  # pragma: no cover


class Stepwise(nn.Module):
    """Unidirectional layers that take one time step per call, with the parameters of another layer.

    `RecurrentLayer.stepwise` makes it. Dropout between layers is sampled anew at each step. The masks of
    `locked` and `weight_dropout` belong to whole sequences, so they are not applied here.

    Args:
        cells: one cell per layer: (input [B, I], hidden state [B, H]) -> new hidden state. A cell with
            several state tensors takes and returns a tuple of them.
        layer: the other layer.
    """

    def __init__(self, cells: Sequence[nn.Module], layer: RecurrentLayer) -> None:
        super().__init__()
        self.cells = nn.ModuleList(cells)
        self.dropout = Dropout(layer.dropout)
        self.input_size = layer.input_size
        self.hidden_size = layer.hidden_size
        self.num_layers = layer.num_layers
        self.state_tensors = layer.state_tensors

    def forward(self, input: Tensor, state: State | Tensor) -> tuple[Tensor, State]:
        """Run one time step.

        Args:
            input: [B, I], float.
            state: tensors of [num_layers, B, H].

        Returns:
            The outputs [B, H] and the state after this step.

        Raises:
            ValueError: an argument has a wrong shape or dtype.
        """
        batch, _ = validate_input(input, "B", self.input_size)
        shape = (self.num_layers, batch, self.hidden_size)
        return self.step(input, validate_state(state, self.state_tensors, shape))

    def step(self, input: Tensor, state: State) -> tuple[Tensor, State]:
        """As `forward`, without checks."""
        finals: list[State] = []
        for number, cell in enumerate(self.cells):
            if number:
                input = self.dropout(input)
            final = cell(
                input, state[0][number] if len(state) == 1 else tuple(tensor[number] for tensor in state)
            )
            finals.append(final if isinstance(final, tuple) else (final,))
            input = finals[-1][0]
        return input, tuple(torch.stack(tensors) for tensors in zip(*finals, strict=True))


class RecurrentLayer(SequenceLayer):
    """Base class of recurrent layers: a stack of layers of one cell, in one or both directions.

    A subclass implements `_run` (whole sequences) and `_new_cell` (one step of one layer), and sets
    `state_tensors` and the attributes below. Sequences of a batch may differ in length. Padding behind a
    sequence's end, and the other sequences of the batch, must not change its answer.

    Attributes:
        all_weights: for each layer and direction its parameters, in the order of a cell's parameters.
    """

    dropout: float
    locked: bool
    weight_dropout: float
    all_weights: Any

    def stepwise(self) -> Stepwise:
        """The same layers, one time step per call, always in the same mode (training or not) as this module.

        Both share the same parameter objects: training, loading or converting one changes the other too.
        Where parameters are replaced by others (`load_state_dict(assign=True)`, to or from the device
        "meta"), call `stepwise` again.

        Raises:
            ValueError: the layer is bidirectional, so its first output needs the last input.
        """
        if self.bidirectional:
            raise ValueError("a bidirectional layer cannot run step by step: it reads from both ends")
        stepwise: Stepwise | None = self.__dict__.get("_stepwise")
        if stepwise is None:
            sizes = [self.input_size] + [self.hidden_size] * (self.num_layers - 1)
            stepwise = Stepwise([self._new_cell(size) for size in sizes], self).train(self.training)
            self.__dict__["_stepwise"] = stepwise  # not a submodule, which would print and have keys
        for cell, weights in zip(stepwise.cells, self.all_weights, strict=True):
            for name, weight in zip([*cell._parameters], weights, strict=True):
                cell._parameters[name] = weight
        return stepwise

    @override
    def train(self, mode: bool = True) -> Self:
        if "_stepwise" in self.__dict__:
            self.__dict__["_stepwise"].train(mode)
        return super().train(mode)

    def __prepare_scriptable__(self) -> Self:
        """Refuse `torch.jit.script`, which calls this.

        Raises:
            UsageError: always.
        """
        raise UsageError(NOT_TRACEABLE)

    def __getstate__(self) -> dict[str, Any]:
        """What is copied and pickled: all but the stepwise form, for a copy makes its own."""
        state: dict[str, Any] = super().__getstate__()  # type: ignore[no-untyped-call]
        return {name: value for name, value in state.items() if name != "_stepwise"}

    @override
    def extra_repr(self) -> str:
        defaults = {
            "num_layers": 1,
            "batch_first": False,
            "dropout": 0,
            "bidirectional": False,
            "locked": False,
            "weight_dropout": 0,
        }
        values = {name: getattr(self, name) for name in defaults}
        changed = [f"{name}={value}" for name, value in values.items() if value != defaults[name]]
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *changed])

    def _new_cell(self, input_size: int) -> nn.Module:
        """One step of one layer, see `Stepwise`; its parameters are replaced by this layer's."""
        raise NotImplementedError  # pragma: no cover
