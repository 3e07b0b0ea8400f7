"""Chrono initialization: gate biases for long memory (Tallec & Ollivier 2018, section 2)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nlp_rnn.models.layers.base import RecurrentLayer
from nlp_rnn.models.layers.cells import CELLS, cell_name


@torch.no_grad()
def chrono_init_(layer: RecurrentLayer, longest: float) -> None:
    """Set a layer's gate biases, in place, for dependencies of up to `longest` steps.

    For each unit, u is sampled from U(1, longest - 1). The bias of the forget gate becomes log u and that of
    the input gate -log u, so the unit forgets at the rate 1 / (1 + u). Where there are two bias vectors, the
    first is set and the second is 0.

    Args:
        layer: layers of a cell in `CELLS` that has a forget gate or an input gate.
        longest: number of steps, at least 2.

    Raises:
        ValueError: the cell has neither gate, or `longest` is below 2 or not finite.
    """
    name = cell_name(layer)
    cell = CELLS.get(name)
    if cell is None or (cell.forget_gate is None and cell.input_gate is None):
        raise ValueError(f"the cell {name} has no gates that keep a state")
    if not 2 <= longest < math.inf:
        raise ValueError(f"longest must be a finite number of steps, at least 2, not {longest}")
    for _, *parameters in layer.all_weights:
        biases: list[Tensor] = [bias.view(-1, layer.hidden_size) for bias in parameters if bias.dim() == 1]
        log_times = torch.empty_like(biases[0][0]).uniform_(1, longest - 1).log()
        for gate, sign in ((cell.forget_gate, 1), (cell.input_gate, -1)):
            if gate is not None:
                biases[0][gate] = sign * log_times
                for second_bias in biases[1:]:
                    second_bias[gate] = 0
