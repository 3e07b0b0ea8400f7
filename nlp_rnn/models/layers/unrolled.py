"""Recurrent layers run step by step by their cells' equations, so that all gates can be inspected."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nlp_rnn.errors import UsageError
from nlp_rnn.models.layers.base import RecurrentLayer, State
from nlp_rnn.models.layers.cells import CELLS, cell_name
from nlp_rnn.models.layers.equations import Equations, Step
from nlp_rnn.models.layers.ragged import validate_lengths


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
    equations, state_names = _equations(layer)
    if len(input) == 0:
        raise ValueError("there are no steps to run")
    if state is None:
        state = layer.initial_state(input.size(1), input)
    directions = 2 if layer.bidirectional else 1
    rows: list[list[Step]] = []
    for index, weights in enumerate(layer.all_weights):
        current = tuple(tensor[index] for tensor in state)
        backwards = index % directions == 1
        steps = []
        for x in input.flip(0) if backwards else input:
            step = equations(x, current, weights)
            current = tuple(step[name] for name in state_names)
            steps.append(step)
        rows.append(steps[::-1] if backwards else steps)
        if index % directions == directions - 1:
            input = _output(rows[-directions:])
    return rows


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


class Unrolled(nn.Module):
    """A recurrent layer run by `unroll`. It can take the layer's place in a model; the answers are the same.

    Args:
        layer: layers of a cell in `CELLS`.

    Attributes:
        rows: the result of `unroll` in the last call.
    """

    def __init__(self, layer: RecurrentLayer) -> None:
        super().__init__()
        self.layer = layer
        self.bidirectional = layer.bidirectional
        self.rows: list[list[Step]] = []

    def forward(
        self, input: Tensor, state: State | None = None, lengths: Tensor | Sequence[int] | None = None
    ) -> tuple[Tensor, State]:
        """Run over whole sequences of one length; see `RecurrentLayer.forward`.

        Raises:
            UsageError: the cell has no equations.
            ValueError: the sequences differ in length, or there are no steps.
        """
        if validate_lengths(lengths, *input.shape[:2]) is not None:
            raise ValueError("an unrolled layer needs sequences of one length")
        self.rows = unroll(self.layer, input, state)
        directions = 2 if self.bidirectional else 1
        last = [steps[0 if index % directions == 1 else -1] for index, steps in enumerate(self.rows)]
        _, state_names = _equations(self.layer)
        final = (torch.stack([step[name] for step in last]) for name in state_names)
        return _output(self.rows[-directions:]), tuple(final)

    def outputs(
        self, input: Tensor, state: State | None = None, lengths: Tensor | Sequence[int] | None = None
    ) -> Tensor:
        """As `forward`, but return the outputs only."""
        outputs: Tensor = self(input, state, lengths)[0]
        return outputs
