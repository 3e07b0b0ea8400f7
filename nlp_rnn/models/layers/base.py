"""The base class of all recurrent layers, and their stepwise form: one time step per call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from typing_extensions import override

from nlp_rnn.errors import UsageError
from nlp_rnn.models.layers.dropout import Dropout
from nlp_rnn.models.layers.ragged import NOT_TRACEABLE

State = tuple[Tensor, ...]
"""Recurrent state: always a tuple of tensors, the hidden state first.

A GRU has one tensor (h), an LSTM two (h, c). Each is [num_layers * directions, B, H].
"""


class Stepwise(nn.Module):
    """Unidirectional layers that take one time step per call, with the parameters of another layer.

    `RecurrentLayer.stepwise` makes it. Dropout between layers is sampled anew at each step. The masks of
    `locked` and `weight_dropout` belong to whole sequences, so they are not applied here.

    Args:
        cells: one cell per layer: (input [B, I], hidden state [B, H]) -> new hidden state. A cell with
            several state tensors takes and returns a tuple of them.
        dropout: probability of dropout between layers.
    """

    def __init__(self, cells: Sequence[nn.Module], dropout: float) -> None:
        super().__init__()
        self.cells = nn.ModuleList(cells)
        self.dropout = Dropout(dropout)

    def forward(self, input: Tensor, state: State) -> tuple[Tensor, State]:
        """Run one time step.

        Args:
            input: [B, I], float.
            state: tensors of [num_layers, B, H].

        Returns:
            The outputs [B, H] and the state after this step.
        """
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


class RecurrentLayer(nn.Module):
    """Base class of recurrent layers: a stack of layers of one cell, in one or both directions.

    A subclass implements `_run` (whole sequences) and `_new_cell` (one step of one layer), and sets
    `state_tensors` and the attributes below. Sequences of a batch may differ in length. Padding behind a
    sequence's end, and the other sequences of the batch, must not change its answer.

    Attributes:
        state_tensors: number of tensors in the state.
        all_weights: for each layer and direction its parameters, in the order of a cell's parameters.
    """

    state_tensors = 1

    input_size: int
    hidden_size: int
    num_layers: int
    dropout: float
    bidirectional: bool
    locked: bool
    weight_dropout: float
    all_weights: Any

    def forward(
        self, input: Tensor, state: State | None = None, lengths: Tensor | Sequence[int] | None = None
    ) -> tuple[Tensor, State]:
        """Run over whole sequences.

        Args:
            input: [T, B, I], float.
            state: the initial state; zeros if left out.
            lengths: [B] integers from 0 to T, best on the CPU; every sequence has T steps if left out.

        Returns:
            The outputs [T, B, directions * H], zero behind each sequence's end, and the state at each
            sequence's own end. A sequence of length 0 ends in its initial state.

        Raises:
            ValueError: `lengths` has another size than the batch, or values outside 0..T.
        """
        return self._run(input, state, lengths, exact_state=True)

    def outputs(
        self, input: Tensor, state: State | None = None, lengths: Tensor | Sequence[int] | None = None
    ) -> Tensor:
        """As `forward`, but return the outputs only: cheaper where lengths differ."""
        return self._run(input, state, lengths, exact_state=False)[0]

    def initial_state(self, batch: int, like: Tensor) -> State:
        """A zero state for `batch` sequences, on the device and in the dtype of the float tensor `like`."""
        layers = self.num_layers * (2 if self.bidirectional else 1)
        return (like.new_zeros(layers, batch, self.hidden_size),) * self.state_tensors

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
            stepwise = Stepwise([self._new_cell(size) for size in sizes], self.dropout).train(self.training)
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
            "dropout": 0,
            "bidirectional": False,
            "locked": False,
            "weight_dropout": 0,
        }
        values = {name: getattr(self, name) for name in defaults}
        changed = [f"{name}={value}" for name, value in values.items() if value != defaults[name]]
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *changed])

    def _run(
        self, input: Tensor, state: State | None, lengths: Tensor | Sequence[int] | None, exact_state: bool
    ) -> tuple[Tensor, State]:
        """Implement `forward`; without `exact_state` only the outputs need to be right."""
        raise NotImplementedError  # pragma: no cover

    def _new_cell(self, input_size: int) -> nn.Module:
        """One step of one layer, see `Stepwise`; its parameters are replaced by this layer's."""
        raise NotImplementedError  # pragma: no cover
