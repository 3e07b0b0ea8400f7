"""The equations of the cells, one time step per call, so that all intermediate values can be inspected.

Slower than the layers themselves, with equal results. Every state and gate is a separate node of the autograd
graph, so its gradient can be computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from nlp_rnn.models.layers.base import State

Step = dict[str, Tensor]
"""The values of one layer in one direction at one step, by name, each [B, H].

`hidden` in every cell, `cell` in an LSTM, the gates, and the `candidate`: the new content before its gate.
The `update` gate follows its papers: near 1 it keeps the old state in a GRU (as in torch), but replaces it in
a MinGRU.
"""

Equations = Callable[[Tensor, State, Sequence[Tensor]], Step]
"""(input [B, I], state of tensors [B, H], the parameters of one layer and direction) -> the step."""


def rnn(input: Tensor, state: State, weights: Sequence[Tensor]) -> Step:
    """One step of Elman's network (Elman 1990)."""
    w_ih, w_hh, b_ih, b_hh = weights
    return {"hidden": torch.tanh(F.linear(input, w_ih, b_ih) + F.linear(state[0], w_hh, b_hh))}


def gru(input: Tensor, state: State, weights: Sequence[Tensor]) -> Step:
    """One step of a GRU (Cho et al. 2014), with the reset gate where torch has it."""
    w_ih, w_hh, b_ih, b_hh = weights
    (h,) = state
    r_in, z_in, n_in = F.linear(input, w_ih, b_ih).chunk(3, dim=-1)  # [B, H] each
    r_h, z_h, n_h = F.linear(h, w_hh, b_hh).chunk(3, dim=-1)
    reset, update = torch.sigmoid(r_in + r_h), torch.sigmoid(z_in + z_h)
    candidate = torch.tanh(n_in + reset * n_h)
    hidden = (1 - update) * candidate + update * h
    return {"hidden": hidden, "reset": reset, "update": update, "candidate": candidate}


def lstm(input: Tensor, state: State, weights: Sequence[Tensor]) -> Step:
    """One step of an LSTM (Hochreiter & Schmidhuber 1997) with a forget gate (Gers et al. 2000)."""
    w_ih, w_hh, b_ih, b_hh = weights
    h, c = state
    i, f, g, o = (F.linear(input, w_ih, b_ih) + F.linear(h, w_hh, b_hh)).chunk(4, dim=-1)  # [B, H] each
    i, f, g, o = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
    c = f * c + i * g
    return {"hidden": o * torch.tanh(c), "cell": c, "input": i, "forget": f, "output": o, "candidate": g}


def mingru(input: Tensor, state: State, weights: Sequence[Tensor]) -> Step:
    """One step of a MinGRU (Feng et al. 2024, section 3.1)."""
    z, candidate = F.linear(input, *weights).chunk(2, dim=-1)  # [B, H] each
    update = torch.sigmoid(z)
    return {
        "hidden": (1 - update) * state[0] + update * candidate,
        "update": update,
        "candidate": candidate,
    }


def minlstm(input: Tensor, state: State, weights: Sequence[Tensor]) -> Step:
    """One step of a MinLSTM (Feng et al. 2024, section 3.2)."""
    i, f, candidate = F.linear(input, *weights).chunk(3, dim=-1)  # [B, H] each
    i, f = torch.stack([F.logsigmoid(i), F.logsigmoid(f)]).softmax(0)  # divided by their sum
    return {"hidden": f * state[0] + i * candidate, "input": i, "forget": f, "candidate": candidate}
