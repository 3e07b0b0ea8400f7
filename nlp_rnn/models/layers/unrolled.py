"""Recurrent layers run step by step by their cells' equations, so that all gates can be inspected."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from typing_extensions import override

from nlp_rnn.errors import UsageError
from nlp_rnn.models.layers.base import RecurrentLayer, SequenceLayer, State
from nlp_rnn.models.layers.cells import CELLS, cell_name
from nlp_rnn.models.layers.equations import Equations, Step


def unroll(layer: RecurrentLayer, input: Tensor, state: State | None = None) -> list[list[Step]]:
    """Compute every state and gate of a layer over sequences of one length, without dropout.

    Args:
        layer: layers of a cell in `CELLS`.
        input: [T, B, I], float.
        state: the initial state; zeros if left out.

    Returns:
        One list per layer and direction, in torch's order (layer 0 forward, layer 0 backward, layer 1
        forward, ...), of T steps, in the order of the input in both directions.

    Raises:
        UsageError: the cell has no equations.
        ValueError: there are no steps.
    """
    unrolled = Unrolled(layer)
    unrolled(input, state)
    return unrolled.rows


def _equations(layer: RecurrentLayer) -> tuple[Equations, tuple[str, ...]]:
    """The equations of a layer's cell, and the names of its state tensors."""
    name = cell_name(layer)
    cell = CELLS.get(name)
    if cell is None or cell.equations is None:
        supported = ", ".join(known for known, cell in CELLS.items() if cell.equations is not None)
        raise UsageError(f"the cell {name} has no equations to inspect: use one of {supported}")
    return cell.equations, cell.states


def gates(layer: RecurrentLayer, input: Tensor, state: State | None = None) -> dict[str, Tensor]:
    """As `unroll`, each state and gate as one tensor [T, num_layers * directions, B, H]."""
    return stacked(unroll(layer, input, state))


def stacked(rows: list[list[Step]]) -> dict[str, Tensor]:
    """Stack the results of `unroll` to tensors [T, num_layers * directions, B, H], by name."""
    return {
        name: torch.stack([torch.stack([step[name] for step in steps]) for steps in rows], dim=1)
        for name in rows[0][0]
    }


def _output(rows: list[list[Step]]) -> Tensor:
    """The outputs [T, B, directions * H] of one layer, from the steps of its directions."""
    return torch.stack(
        [torch.cat([step["hidden"] for step in steps], dim=-1) for steps in zip(*rows, strict=True)]
    )


class Unrolled(SequenceLayer):
    """A recurrent layer run step by step. It can take the layer's place in a model; the answers are the same.

    Args:
        layer: layers of a cell in `CELLS`.
        edit: changes a step before the next one reads it: (index of the layer and direction, step) -> step.

    Attributes:
        rows: the states and gates of the last call, see `unroll`.

    Raises:
        UsageError: the cell has no equations.
    """

    def __init__(self, layer: RecurrentLayer, edit: Callable[[int, Step], Step] | None = None) -> None:
        super().__init__()
        self._edit = edit
        self._equations, self._state_names = _equations(layer)
        self._copy_sizes(layer)
        self.layer = layer
        self.rows: list[list[Step]] = []

    @override
    def _run(
        self, input: Tensor, state: State, lengths: Tensor | None, exact_state: bool
    ) -> tuple[Tensor, State]:
        if lengths is not None:
            raise ValueError("an unrolled layer needs sequences of one length")
        if len(input) == 0:
            raise ValueError("there are no steps to run")
        directions = 2 if self.bidirectional else 1
        self.rows, finals = [], []
        for index, weights in enumerate(self.layer.all_weights):
            current = tuple(tensor[index] for tensor in state)
            backwards = index % directions == 1
            steps = []
            for x in input.flip(0) if backwards else input:
                step = self._equations(x, current, weights)
                if self._edit is not None:
                    step = self._edit(index, step)
                current = tuple(step[name] for name in self._state_names)
                steps.append(step)
            self.rows.append(steps[::-1] if backwards else steps)
            finals.append(current)
            if index % directions == directions - 1:
                input = _output(self.rows[-directions:])
        return input, tuple(torch.stack(tensors) for tensors in zip(*finals, strict=True))
