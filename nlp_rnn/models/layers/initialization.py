"""First biases for long memory: chrono initialisation (Tallec & Ollivier 2018, section 2)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nlp_rnn.models.layers.base import RecurrentLayer
from nlp_rnn.models.layers.cells import CELLS, cell_name


@torch.no_grad()
def chrono_init_(layer: RecurrentLayer, longest: float) -> None:
    """Set a layer's gate biases, in place, for dependencies of up to `longest` steps.

    Each unit draws a time u from U(1, longest - 1); the gate that keeps its state begins with the bias log u
    and the one that lets new in with -log u. It then forgets at the rate 1 / (1 + u). Where there are two
    biases the first is set, and the second is 0.

    Raises:
        ValueError: the layer has no such gates, or `longest` is below 2 or not finite.
    """
    name = cell_name(layer)
    forget_gate, input_gate = (
        (CELLS[name].forget_gate, CELLS[name].input_gate) if name in CELLS else (None,) * 2
    )
    if forget_gate is None and input_gate is None:
        raise ValueError(f"the cell {name} has no gates that keep a state")
    if not 2 <= longest < math.inf:
        raise ValueError(f"longest must be a finite number of steps, at least 2, not {longest}")
    for _, *parameters in layer.all_weights:
        biases: list[Tensor] = [part.view(-1, layer.hidden_size) for part in parameters if part.dim() == 1]
        times = torch.empty_like(biases[0][0]).uniform_(1, longest - 1).log()
        for gate, sign in ((forget_gate, 1), (input_gate, -1)):
            if gate is not None:
                biases[0][gate] = sign * times
                for other in biases[1:]:
                    other[gate] = 0
