"""The recurrent cells, one time step each, with float or int8 weights.

A cell computes in two parts: `project` what depends on the input alone, for many steps at once; and `step`
the rest. See `nlp_rnn.models.layers.cells` for the equations and their sources.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ..errors import UsageError
from ..folders.tensors import Tensors
from .linear import Int8Linear, sigmoid

State = tuple[np.ndarray, ...]
"""Recurrent state: arrays of [num_layers, rows, H], the hidden state first; of one layer [rows, H]."""


class Cell(Protocol):
    """One layer in one direction."""

    def project(self, inputs: np.ndarray) -> np.ndarray:
        """[N, I] float32 -> the input's part of the gates, [N, G]."""

    def step(self, gates: np.ndarray, state: State) -> State:
        """[B, G], arrays [B, H] -> new arrays [B, H]."""


class _FloatCell:
    """Base of cells with hidden-to-hidden weights.

    The gates with a sigmoid are put first, and their weights halved: a sigmoid is a tanh of half its
    argument, so that one call computes all gates.
    """

    order: tuple[int, ...]
    """The gates in the order of computation, by their place in the weights."""
    sigmoids: int = 0
    """How many of the first ones have a sigmoid."""

    def __init__(self, tensors: Tensors, prefix: str, suffix: str, inputs: int, hidden: int) -> None:
        size = len(self.order) * hidden
        weights = [
            tensors.take(f"{prefix}weight_{name}_{suffix}", size, width)
            for name, width in (("ih", inputs), ("hh", hidden))
        ]
        weights += [tensors.take(f"{prefix}bias_{name}_{suffix}", size) for name in ("ih", "hh")]
        rows = np.concatenate([np.arange(gate * hidden, (gate + 1) * hidden) for gate in self.order])
        w_ih, w_hh, b_ih, b_hh = (part[rows] for part in weights)
        for part in (w_ih, w_hh, b_ih, b_hh):
            part[: self.sigmoids * hidden] *= 0.5
        self.hidden = hidden
        self.w_ih, self.w_hh = np.ascontiguousarray(w_ih.T), np.ascontiguousarray(w_hh.T)
        self.b_ih, self.b_hh = self.biases(b_ih, b_hh)

    def biases(self, b_ih: np.ndarray, b_hh: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What is added to the input's part, and what to the state's part."""
        return b_ih + b_hh, np.zeros_like(b_hh)

    def project(self, inputs: np.ndarray) -> np.ndarray:
        gates: np.ndarray = inputs.dot(self.w_ih)
        gates += self.b_ih
        return gates


class _RNN(_FloatCell):
    """h' = tanh(W x + U h + b)."""

    order = (0,)

    def step(self, gates: np.ndarray, state: State) -> State:
        hidden = state[0].dot(self.w_hh)
        hidden += gates
        return (np.tanh(hidden, hidden),)


class _GRU(_FloatCell):
    """The gates are in the order r, z, n."""

    order = (0, 1, 2)
    sigmoids = 2

    def biases(self, b_ih: np.ndarray, b_hh: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return b_ih, b_hh  # the reset gate multiplies the state's part with its bias

    def step(self, gates: np.ndarray, state: State) -> State:
        (h,) = state
        recurrent = h.dot(self.w_hh)
        recurrent += self.b_hh
        size = 2 * self.hidden
        both, candidate = recurrent[:, :size], recurrent[:, size:]
        both += gates[:, :size]
        np.tanh(both, both)
        both *= 0.5
        both += 0.5
        candidate *= both[:, : self.hidden]  # the reset gate
        candidate += gates[:, size:]
        np.tanh(candidate, candidate)
        kept = h - candidate
        kept *= both[:, self.hidden :]  # the update gate
        kept += candidate
        return (kept,)


class _LSTM(_FloatCell):
    """The gates are in the order i, f, g, o in the weights; they are computed as i, f, o, g."""

    order = (0, 1, 3, 2)
    sigmoids = 3

    def step(self, gates: np.ndarray, state: State) -> State:
        h, c = state
        size = self.hidden
        computed = h.dot(self.w_hh)
        computed += gates
        np.tanh(computed, computed)
        sigmoids = computed[:, : 3 * size]
        sigmoids *= 0.5
        sigmoids += 0.5
        c = computed[:, size : 2 * size] * c
        new = computed[:, 3 * size :]
        new *= computed[:, :size]
        c += new
        h = np.tanh(c)
        h *= computed[:, 2 * size : 3 * size]
        return h, c


class _MinimalCell:
    """Base of cells whose gates see the input only: h' = h + z (c - h)."""

    gates: int

    def __init__(self, tensors: Tensors, prefix: str, suffix: str, inputs: int, hidden: int) -> None:
        self.hidden = hidden
        self.w_ih = tensors.take(f"{prefix}weight_ih_{suffix}", self.gates * hidden, inputs)
        self.b_ih = tensors.take(f"{prefix}bias_ih_{suffix}", self.gates * hidden)

    def step(self, gates: np.ndarray, state: State) -> State:
        z, c = gates[:, : self.hidden], gates[:, self.hidden :]
        return (state[0] + z * (c - state[0]),)


class _MinGRU(_MinimalCell):
    """z = sigmoid(W x + b); the gates are in the order z, c."""

    gates = 2

    def project(self, inputs: np.ndarray) -> np.ndarray:
        gates: np.ndarray = inputs @ self.w_ih.T + self.b_ih
        gates[:, : self.hidden] = sigmoid(gates[:, : self.hidden])
        return gates


class _MinLSTM(_MinimalCell):
    """z = i / (f + i), both sigmoids; the gates are in the order i, f, c."""

    gates = 3

    def project(self, inputs: np.ndarray) -> np.ndarray:
        gates = inputs @ self.w_ih.T + self.b_ih
        i, f = gates[:, : self.hidden], gates[:, self.hidden : 2 * self.hidden]
        # By logarithms, which do not underflow.
        z = sigmoid(np.logaddexp(np.float32(0), -f) - np.logaddexp(np.float32(0), -i))
        return np.concatenate([z, gates[:, 2 * self.hidden :]], 1)


class _Int8Cell:
    """Base of cells with int8 weights, as `nlp_rnn.models.layers.int8_recurrent` computes them."""

    gates: int
    separate_bias = False

    def __init__(self, tensors: Tensors, prefix: str, suffix: str, inputs: int, hidden: int) -> None:
        self.hidden = hidden
        size = self.gates * hidden
        self.ih, self.hh = (
            take_int8(tensors, f"{prefix}parts.{name}_{suffix}", size, width)
            for name, width in (("ih", inputs), ("hh", hidden))
        )
        self._recurrent_base = np.zeros_like(self.hh.base) if self.separate_bias else self.hh.base
        self._is_first = suffix.startswith("l0")

    def project(self, inputs: np.ndarray) -> np.ndarray:
        if self._is_first:
            return self.ih.scaled(inputs, self.ih.bias + self._recurrent_base)
        return self.ih.bounded(inputs, self.ih.base + self._recurrent_base)  # outputs of the layer below


class _Int8RNN(_Int8Cell):
    """See `_RNN`."""

    gates = 1

    def step(self, gates: np.ndarray, state: State) -> State:
        return (np.tanh(self.hh.bounded(state[0], gates)),)


class _Int8GRU(_Int8Cell):
    """See `_GRU`."""

    gates = 3
    separate_bias = True

    def step(self, gates: np.ndarray, state: State) -> State:
        (h,) = state
        recurrent = self.hh.bounded(h)
        size = 2 * self.hidden
        both = sigmoid(gates[:, :size] + recurrent[:, :size])
        reset, update = both[:, : self.hidden], both[:, self.hidden :]
        candidate = np.tanh(gates[:, size:] + reset * recurrent[:, size:])
        return (candidate + update * (h - candidate),)


class _Int8LSTM(_Int8Cell):
    """See `_LSTM`."""

    gates = 4

    def step(self, gates: np.ndarray, state: State) -> State:
        h, c = state
        i, f, g, o = np.split(self.hh.bounded(h, gates), 4, -1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c


def take_int8(tensors: Tensors, name: str, outputs: int, inputs: int) -> Int8Linear:
    """A linear layer with int8 weights."""
    return Int8Linear(
        tensors.take(f"{name}.int8", outputs, inputs, is_int8=True),
        tensors.take(f"{name}.scale", outputs),
        tensors.take(f"{name}.bias", outputs),
    )


_CELLS: dict[str, tuple[type[_RNN | _GRU | _LSTM | _MinGRU | _MinLSTM], int]] = {
    "rnn": (_RNN, 1),
    "gru": (_GRU, 1),
    "lstm": (_LSTM, 2),
    "mingru": (_MinGRU, 1),
    "minlstm": (_MinLSTM, 1),
}
_INT8_CELLS: dict[str, type[_Int8RNN | _Int8GRU | _Int8LSTM]] = {
    "rnn": _Int8RNN,
    "gru": _Int8GRU,
    "lstm": _Int8LSTM,
}


def find_cell(name: object, is_int8: bool) -> tuple[type[Cell], int]:
    """The class of a cell, and the number of its state arrays.

    Args:
        name: what the settings of a model say.
        is_int8: whether its weights are int8.

    Raises:
        UsageError: there is no such cell here.
    """
    known = _INT8_CELLS if is_int8 else _CELLS
    if not isinstance(name, str) or name not in known:
        weights = " with int8 weights" if is_int8 else ""
        raise UsageError(
            f"the cell {name!r}{weights} needs torch: answer with nlp_rnn; without torch there are "
            f"{', '.join(known)}"
        )
    found, state_arrays = _CELLS[name]
    return _INT8_CELLS[name] if is_int8 else found, state_arrays
