"""The equations of Keras's recurrent layers, on its own arrays: what an import is compared with.

x is the input of a step [I], h the state [H], c the cell [H]; W is `kernel`, U `recurrent_kernel`, b `bias`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

Arrays = Mapping[str, Tensor]


def simple_rnn(inputs: Tensor, arrays: Arrays) -> Tensor:
    """H = tanh(W x + U h + b): [T, I] -> [T, H]."""
    state = torch.zeros(arrays["recurrent_kernel"].shape[0])
    outputs = []
    for x in inputs:
        state = torch.tanh(x @ arrays["kernel"] + state @ arrays["recurrent_kernel"] + arrays["bias"])
        outputs.append(state)
    return torch.stack(outputs)


def lstm(inputs: Tensor, arrays: Arrays) -> Tensor:
    """Gates i, f, candidate, o: c = f c + i candidate, h = o tanh(c): [T, I] -> [T, H]."""
    hidden = cell = torch.zeros(arrays["recurrent_kernel"].shape[0])
    outputs = []
    for x in inputs:
        sums = x @ arrays["kernel"] + hidden @ arrays["recurrent_kernel"] + arrays["bias"]
        i, f, candidate, o = sums.chunk(4)
        cell = f.sigmoid() * cell + i.sigmoid() * candidate.tanh()
        hidden = o.sigmoid() * cell.tanh()
        outputs.append(hidden)
    return torch.stack(outputs)


def gru(inputs: Tensor, arrays: Arrays) -> Tensor:
    """Gates z, r, candidate, with reset_after: h = z h + (1 - z) candidate: [T, I] -> [T, H]."""
    hidden = torch.zeros(arrays["recurrent_kernel"].shape[0])
    input_bias, recurrent_bias = arrays["bias"]
    outputs = []
    for x in inputs:
        of_input = (x @ arrays["kernel"] + input_bias).chunk(3)
        of_state = (hidden @ arrays["recurrent_kernel"] + recurrent_bias).chunk(3)
        z, r = (of_input[0] + of_state[0]).sigmoid(), (of_input[1] + of_state[1]).sigmoid()
        candidate = torch.tanh(of_input[2] + r * of_state[2])
        hidden = z * hidden + (1 - z) * candidate
        outputs.append(hidden)
    return torch.stack(outputs)


EQUATIONS = {"SimpleRNN": simple_rnn, "GRU": gru, "LSTM": lstm}
