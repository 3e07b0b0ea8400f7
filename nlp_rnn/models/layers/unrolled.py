"""Recurrent layers run a step at a time by their cells' equations, so that what is inside can be seen."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nlp_rnn.models.layers.base import RecurrentLayer, State
from nlp_rnn.models.layers.cells import CELLS, Cell, cell_name
from nlp_rnn.models.layers.equations import Step
from nlp_rnn.models.layers.ragged import validate_lengths


def unroll(layer: RecurrentLayer, input: Tensor, state: State | None = None) -> list[list[Step]]:
    """All that a layer computes over sequences of one length; its dropout is left out.

    Args:
        layer: of the cells table.
        input: [T, B, I], float.
        state: where to start; zeros if left out.

    Returns:
        A list for each layer of depth and direction, in torch's order (layer 0 forward, layer 0 backward,
        layer 1 forward ...), of T steps, in the order of the input in both directions.

    Raises:
        ValueError: there are no equations for the cell, or no steps.
    """
    cell = _with_equations(layer)
    assert cell.equations is not None
    if len(input) == 0:
        raise ValueError("there are no steps to run")
    if state is None:
        state = layer.initial_state(input.size(1), input)
    directions = 2 if layer.bidirectional else 1
    rows: list[list[Step]] = []
    for index, weights in enumerate(layer.all_weights):
        own = tuple(part[index] for part in state)
        backwards = index % directions == 1
        steps = []
        for x in input.flip(0) if backwards else input:
            step = cell.equations(x, own, weights)
            own = tuple(step[name] for name in cell.states)
            steps.append(step)
        rows.append(steps[::-1] if backwards else steps)
        if index % directions == directions - 1:
            input = _output(rows[-directions:])
    return rows


def _with_equations(layer: RecurrentLayer) -> Cell:
    name = cell_name(layer)
    if name not in CELLS or CELLS[name].equations is None:
        able = ", ".join(known for known, cell in CELLS.items() if cell.equations is not None)
        raise ValueError(f"the cell {name} has no equations to show: there are those of {able}")
    return CELLS[name]


def gates(layer: RecurrentLayer, input: Tensor, state: State | None = None) -> dict[str, Tensor]:
    """As `unroll`, each state and gate as one tensor [T, num_layers * directions, B, H]."""
    return stacked(unroll(layer, input, state))


def stacked(rows: list[list[Step]]) -> dict[str, Tensor]:
    """What `unroll` gives as tensors [T, num_layers * directions, B, H], by name."""
    return {
        name: torch.stack([torch.stack([step[name] for step in steps]) for steps in rows], dim=1)
        for name in rows[0][0]
    }


def _output(rows: list[list[Step]]) -> Tensor:
    """[T, B, directions * H] of one layer's directions."""
    return torch.stack(
        [torch.cat([step["hidden"] for step in steps], dim=-1) for steps in zip(*rows, strict=True)]
    )


class Unrolled(nn.Module):
    """A layer of the cells table, run by `unroll`, that keeps in `rows` what it computed last.

    It takes the layer's place in a model, which then answers as before.

    Raises:
        ValueError: in a call, of sequences of unequal lengths.
    """

    def __init__(self, layer: RecurrentLayer) -> None:
        super().__init__()
        self.layer = layer
        self.bidirectional = layer.bidirectional
        self.rows: list[list[Step]] = []

    def forward(
        self, input: Tensor, state: State | None = None, lengths: Tensor | Sequence[int] | None = None
    ) -> tuple[Tensor, State]:
        """[T, B, I] -> outputs [T, B, directions * H] and the final state."""
        if validate_lengths(lengths, *input.shape[:2]) is not None:
            raise ValueError("an unrolled layer takes sequences of one length")
        self.rows = unroll(self.layer, input, state)
        directions = 2 if self.bidirectional else 1
        ends = [
            steps[0 if index % directions == 1 else -1] for index, steps in enumerate(self.rows)
        ]  # the step that each row reads last
        states = _with_equations(self.layer).states
        final = (torch.stack([end[name] for end in ends]) for name in states)
        return _output(self.rows[-directions:]), tuple(final)

    def outputs(
        self, input: Tensor, state: State | None = None, lengths: Tensor | Sequence[int] | None = None
    ) -> Tensor:
        """As `forward`, the outputs alone."""
        return self(input, state, lengths)[0]
