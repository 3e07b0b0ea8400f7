"""Linear and embedding layers, with float or int8 weights."""

from __future__ import annotations

from typing import Protocol

import numpy as np

_MAX_INT8 = np.float32(127)
# Int8 weights multiply bytes, in which this one stands for 0. Conversion truncates, and so with half a unit
# more it rounds.
_ZERO_POINT = 128
_ROUNDING = np.float32(_ZERO_POINT + 0.5)


class Layer(Protocol):
    """A function of arrays, such as a linear layer."""

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """[..., K] float32 -> [..., N] float32."""


class Linear:
    """W x + b.

    Args:
        weight: [N, K] float32.
        bias: [N] float32; none if left out.
    """

    def __init__(self, weight: np.ndarray, bias: np.ndarray | None = None) -> None:
        self.weight = weight
        self.bias = bias

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """[..., K] -> [..., N]."""
        outputs: np.ndarray = inputs @ self.weight.T
        if self.bias is not None:
            outputs += self.bias
        return outputs


class Int8Linear:
    """W x + b with int8 weights and inputs, as `nlp_rnn.models.layers.int8.Int8Linear` computes it.

    Args:
        weight: [N, K] int8.
        scale: [N] float32, of each row of the weights.
        bias: [N] float32.
    """

    def __init__(self, weight: np.ndarray, scale: np.ndarray, bias: np.ndarray) -> None:
        self.bias = bias
        self._weight = weight.astype(np.float32)  # which libraries multiply much faster than bytes
        self._scale = scale
        sums = self._weight.sum(1)
        self._bounded_scale = scale / _MAX_INT8
        self._zero_point_offset = sums * scale * -_ZERO_POINT
        self.base = bias + sums * self._bounded_scale * -_ZERO_POINT

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """[..., K] -> [..., N]; each row is scaled by its largest absolute value."""
        return self.scaled(inputs, self.bias)

    def scaled(self, inputs: np.ndarray, bias: np.ndarray) -> np.ndarray:
        """As a call, with another bias [N]."""
        scale = np.abs(inputs).max(-1, keepdims=True) / _MAX_INT8
        scale = np.maximum(scale, np.finfo(np.float32).tiny)
        product = self._product(inputs / scale + _ROUNDING) * self._scale + self._zero_point_offset
        outputs: np.ndarray = product * scale + bias
        return outputs

    def bounded(self, inputs: np.ndarray, base: np.ndarray | None = None) -> np.ndarray:
        """As a call, for inputs from -1 to 1, such as recurrent layers' outputs: they share one scale.

        Args:
            inputs: [..., K].
            base: [..., N], what the product is added to; it includes `self.base`, or is that if left out.
        """
        product = self._product(inputs * _MAX_INT8 + _ROUNDING)
        outputs: np.ndarray = product * self._bounded_scale + (self.base if base is None else base)
        return outputs

    def _product(self, inputs: np.ndarray) -> np.ndarray:
        """Truncate [..., K], from 0 to below 256, to bytes and multiply: [..., N]."""
        product: np.ndarray = np.floor(inputs) @ self._weight.T
        return product


class Embedding:
    """Rows of a matrix by their numbers.

    Args:
        rows: [V, E] float32, or int8 with a `scale`.
        scale: [V] float32, of each row.
    """

    def __init__(self, rows: np.ndarray, scale: np.ndarray | None = None) -> None:
        self._rows = rows
        self._scale = scale

    def __call__(self, ids: np.ndarray) -> np.ndarray:
        """[...] int64 -> [..., E] float32."""
        rows: np.ndarray = self._rows[ids]
        return rows if self._scale is None else rows * self._scale[ids][..., None]

    @property
    def weight(self) -> np.ndarray:
        """The whole matrix, [V, E] float32."""
        return self._rows if self._scale is None else self._rows * self._scale[:, None]


def sigmoid(values: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), which no value makes overflow."""
    gates: np.ndarray = np.tanh(0.5 * values)
    gates *= 0.5
    gates += 0.5
    return gates


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities over the last dimension: float32, or float64 if the logits are."""
    probabilities: np.ndarray = np.exp(logits - logits.max(-1, keepdims=True))
    probabilities /= probabilities.sum(-1, keepdims=True)
    return probabilities


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """The logarithms of probabilities over the last dimension."""
    with np.errstate(invalid="ignore", divide="ignore"):  # -inf is the logit of what is impossible
        shifted = logits - logits.max(-1, keepdims=True)
        log_probs: np.ndarray = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return log_probs
