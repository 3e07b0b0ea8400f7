"""Recurrent layers by their cells' equations, a step at a time, so that what is inside can be seen.

Slower than the layers themselves, and equal to them. Every state and gate is a node of its own in the graph
of gradients, so that one may ask for the gradient that reaches it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from nlp_rnn.models.layers.base import State

Step = dict[str, Tensor]
"""What one layer computes in one direction at one step, by name, each [B, H].

`hidden` in every cell, `cell` where there is one, the gates, and the `candidate` that they let in.
An open update gate keeps the state in a GRU, as torch has it, and replaces it in a MinGRU.
"""

Equations = Callable[[Tensor, State, Sequence[Tensor]], Step]
"""(input [B, I], state, weights) -> the step."""


def rnn(input: Tensor, state: State, weights: Sequence[Tensor]) -> Step:
    w_ih, w_hh, b_ih, b_hh = weights
    return {"hidden": torch.tanh(F.linear(input, w_ih, b_ih) + F.linear(state[0], w_hh, b_hh))}


def gru(input: Tensor, state: State, weights: Sequence[Tensor]) -> Step:
    w_ih, w_hh, b_ih, b_hh = weights
    (h,) = state
    r_in, z_in, n_in = F.linear(input, w_ih, b_ih).chunk(3, dim=-1)  # [B, H] each
    r_h, z_h, n_h = F.linear(h, w_hh, b_hh).chunk(3, dim=-1)
    reset, update = torch.sigmoid(r_in + r_h), torch.sigmoid(z_in + z_h)
    candidate = torch.tanh(n_in + reset * n_h)
    hidden = (1 - update) * candidate + update * h
    return {"hidden": hidden, "reset": reset, "update": update, "candidate": candidate}


def lstm(input: Tensor, state: State, weights: Sequence[Tensor]) -> Step:
    w_ih, w_hh, b_ih, b_hh = weights
    h, c = state
    i, f, g, o = (F.linear(input, w_ih, b_ih) + F.linear(h, w_hh, b_hh)).chunk(4, dim=-1)  # [B, H] each
    i, f, g, o = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
    c = f * c + i * g
    return {"hidden": o * torch.tanh(c), "cell": c, "input": i, "forget": f, "output": o, "candidate": g}


def mingru(input: Tensor, state: State, weights: Sequence[Tensor]) -> Step:
    z, candidate = F.linear(input, *weights).chunk(2, dim=-1)  # [B, H] each
    update = torch.sigmoid(z)
    return {
        "hidden": (1 - update) * state[0] + update * candidate,
        "update": update,
        "candidate": candidate,
    }


def minlstm(input: Tensor, state: State, weights: Sequence[Tensor]) -> Step:
    i, f, candidate = F.linear(input, *weights).chunk(3, dim=-1)  # [B, H] each
    i, f = torch.stack([F.logsigmoid(i), F.logsigmoid(f)]).softmax(0)  # each over their sum
    return {"hidden": f * state[0] + i * candidate, "input": i, "forget": f, "candidate": candidate}
