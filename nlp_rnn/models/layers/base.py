"""What every recurrent layer offers, whole sequences in one call, and its twin that takes one step a call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from nlp_rnn.models.layers.dropout import Dropout

State = tuple[Tensor, ...]
"""Recurrent state: always a tuple, of one tensor (RNN, GRU, MinGRU, MinLSTM: h) or two (LSTM: h, c).

Each is [num_layers * directions, B, H].
"""


class Stepwise(nn.Module):
    """Unidirectional layers, one step a call, over the very parameters of the layer that made it.

    Dropout between its layers is drawn anew at each step, and the weights are never dropped: the masks of
    `locked` and `weight_dropout` are those of whole sequences.
    """

    def __init__(self, cells: Sequence[nn.Module], dropout: float) -> None:
        super().__init__()
        self.cells = nn.ModuleList(cells)
        self.dropout = Dropout(dropout)

    def forward(self, input: Tensor, state: State) -> tuple[Tensor, State]:
        """[B, I], state of [num_layers, B, H] each -> outputs [B, H] and the state after this step."""
        finals: list[State] = []
        for number, cell in enumerate(self.cells):
            if number:
                input = self.dropout(input)
            final = cell(
                input, state[0][number] if len(state) == 1 else tuple(part[number] for part in state)
            )
            finals.append(final if isinstance(final, tuple) else (final,))
            input = finals[-1][0]
        return input, tuple(torch.stack(parts) for parts in zip(*finals, strict=True))


class RecurrentLayer(nn.Module):
    """What the layers of the cells table share; each says how it runs and what one of its cells is."""

    state_tensors = 1

    input_size: int
    hidden_size: int
    num_layers: int
    dropout: float
    bidirectional: bool
    locked: bool
    weight_dropout: float
    all_weights: Any  # of each layer and direction, its parameters in the order of a cell's

    def forward(
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
        return self._run(input, state, lengths, exact_state=True)

    def outputs(
        self, input: Tensor, state: State | None = None, lengths: Tensor | Sequence[int] | None = None
    ) -> Tensor:
        """As `forward`, the outputs alone: cheaper where lengths differ."""
        return self._run(input, state, lengths, exact_state=False)[0]

    def initial_state(self, batch: int, like: Tensor) -> State:
        """A zero state for `batch` sequences, of the device and type of the float tensor `like`."""
        layers = self.num_layers * (2 if self.bidirectional else 1)
        return (like.new_zeros(layers, batch, self.hidden_size),) * self.state_tensors

    def stepwise(self) -> Stepwise:
        """The same layers, one step a call, always in the mode (training or not) that this one is in.

        Both have the same parameters, not equal ones: what trains, loads or converts one does so to both.
        Where parameters are put in the place of others (`load_state_dict(assign=True)`, to or from the device
        "meta"), ask again.

        Raises:
            ValueError: the layer is bidirectional, so that its first output needs the last input.
        """
        if self.bidirectional:
            raise ValueError("a bidirectional layer cannot go step by step: it begins at both ends")
        twin: Stepwise | None = self.__dict__.get("_twin")
        if twin is None:
            sizes = [self.input_size] + [self.hidden_size] * (self.num_layers - 1)
            twin = Stepwise([self._new_cell(size) for size in sizes], self.dropout).train(self.training)
            self.__dict__["_twin"] = twin  # no submodule: it would print, and have keys of its own
        for cell, weights in zip(twin.cells, self.all_weights, strict=True):
            for name, weight in zip([*cell._parameters], weights, strict=True):
                cell._parameters[name] = weight
        return twin

    def train(self, mode: bool = True) -> Self:
        """Set the mode (training or not), the twin's too."""
        if "_twin" in self.__dict__:
            self.__dict__["_twin"].train(mode)
        return super().train(mode)

    def __getstate__(self) -> dict[str, Any]:
        """What is copied and pickled: all but the twin, which a copy makes of its own parameters."""
        state = super().__getstate__()  # type: ignore[misc]
        return {name: value for name, value in state.items() if name != "_twin"}

    def extra_repr(self) -> str:
        usual = {
            "num_layers": 1,
            "dropout": 0,
            "bidirectional": False,
            "locked": False,
            "weight_dropout": 0,
        }
        values = {name: getattr(self, name) for name in usual}
        shown = [f"{name}={value}" for name, value in values.items() if value != usual[name]]
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *shown])

    def _run(
        self, input: Tensor, state: State | None, lengths: Tensor | Sequence[int] | None, exact_state: bool
    ) -> tuple[Tensor, State]:
        raise NotImplementedError  # pragma: no cover

    def _new_cell(self, input_size: int) -> nn.Module:
        """One step of one layer, its parameters yet to be put in: [B, I], [B, H] -> [B, H]."""
        raise NotImplementedError  # pragma: no cover
