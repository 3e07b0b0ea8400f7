"""Recurrent layers by their cells' equations, a step at a time, so that what is inside can be seen.

Slower than the layers themselves, and equal to them. Every state and gate is a node of its own in the graph
of gradients, so that one may ask for the gradient that reaches it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nlp_rnn.models.layer import RecurrentLayer, State
from nlp_rnn.models.ragged import unequal

Step = dict[str, Tensor]
"""What one layer computes in one direction at one step, by name, each [B, H].

`hidden` in every cell, `cell` where there is one, the gates, and the `candidate` that they let in.
An open update gate keeps the state in a GRU, as torch has it, and replaces it in a MinGRU.
"""

STATES = ("hidden", "cell")
"""What of a step is carried to the next; an LSTM has both."""


def _rnn(input: Tensor, state: State, weights: Sequence[Tensor]) -> Step:
    w_ih, w_hh, b_ih, b_hh = weights
    return {"hidden": torch.tanh(F.linear(input, w_ih, b_ih) + F.linear(state[0], w_hh, b_hh))}


def _gru(input: Tensor, state: State, weights: Sequence[Tensor]) -> Step:
    w_ih, w_hh, b_ih, b_hh = weights
    (h,) = state
    r_in, z_in, n_in = F.linear(input, w_ih, b_ih).chunk(3, dim=-1)  # [B, H] each
    r_h, z_h, n_h = F.linear(h, w_hh, b_hh).chunk(3, dim=-1)
    reset, update = torch.sigmoid(r_in + r_h), torch.sigmoid(z_in + z_h)
    candidate = torch.tanh(n_in + reset * n_h)
    hidden = (1 - update) * candidate + update * h
    return {"hidden": hidden, "reset": reset, "update": update, "candidate": candidate}


def _lstm(input: Tensor, state: State, weights: Sequence[Tensor]) -> Step:
    w_ih, w_hh, b_ih, b_hh = weights
    h, c = state
    i, f, g, o = (F.linear(input, w_ih, b_ih) + F.linear(h, w_hh, b_hh)).chunk(4, dim=-1)  # [B, H] each
    i, f, g, o = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
    c = f * c + i * g
    return {"hidden": o * torch.tanh(c), "cell": c, "input": i, "forget": f, "output": o, "candidate": g}


def _mingru(input: Tensor, state: State, weights: Sequence[Tensor]) -> Step:
    z, candidate = F.linear(input, *weights).chunk(2, dim=-1)  # [B, H] each
    update = torch.sigmoid(z)
    return {
        "hidden": (1 - update) * state[0] + update * candidate,
        "update": update,
        "candidate": candidate,
    }


def _minlstm(input: Tensor, state: State, weights: Sequence[Tensor]) -> Step:
    i, f, candidate = F.linear(input, *weights).chunk(3, dim=-1)  # [B, H] each
    i, f = torch.stack([F.logsigmoid(i), F.logsigmoid(f)]).softmax(0)  # each over their sum
    return {"hidden": f * state[0] + i * candidate, "input": i, "forget": f, "candidate": candidate}


EQUATIONS: dict[str, Callable[[Tensor, State, Sequence[Tensor]], Step]] = {
    "rnn": _rnn,
    "gru": _gru,
    "lstm": _lstm,
    "mingru": _mingru,
    "minlstm": _minlstm,
}


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
    name = type(layer).__name__.lower()
    if name not in EQUATIONS:
        raise ValueError(f"no equations for the cell {name}: there are those of {', '.join(EQUATIONS)}")
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
            step = EQUATIONS[name](x, own, weights)
            own = tuple(step[name] for name in STATES[: layer.state_tensors])
            steps.append(step)
        rows.append(steps[::-1] if backwards else steps)
        if index % directions == directions - 1:
            input = _output(rows[-directions:])
    return rows


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
        if unequal(lengths, *input.shape[:2]) is not None:
            raise ValueError("an unrolled layer takes sequences of one length")
        self.rows = unroll(self.layer, input, state)
        directions = 2 if self.bidirectional else 1
        ends = [
            steps[0 if index % directions == 1 else -1] for index, steps in enumerate(self.rows)
        ]  # the step that each row reads last
        final = (torch.stack([end[name] for end in ends]) for name in STATES[: self.layer.state_tensors])
        return _output(self.rows[-directions:]), tuple(final)

    def outputs(
        self, input: Tensor, state: State | None = None, lengths: Tensor | Sequence[int] | None = None
    ) -> Tensor:
        """As `forward`, the outputs alone."""
        return self(input, state, lengths)[0]
