"""Recurrent layers of torch: their sizes from their tensors, and the layers themselves as a reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nlp_rnn.errors import UsageError, join_names

_CELLS: dict[int, tuple[str, Callable[..., nn.RNNBase]]] = {
    1: ("rnn", nn.RNN),
    3: ("gru", nn.GRU),
    4: ("lstm", nn.LSTM),
}
"""Gates -> name and layer."""


@dataclass(frozen=True)
class Recurrent:
    """Recurrent layers, as `nn.RNN`, `nn.GRU` and `nn.LSTM` store them.

    Args:
        cell: a name in `CELLS`.
        input_size: I.
        hidden_size: H, per direction.
        num_layers: number of layers.
        bidirectional: whether they read backwards too.
        tensors: the weights and biases, by torch's names.
    """

    cell: str
    input_size: int
    hidden_size: int
    num_layers: int
    bidirectional: bool
    tensors: dict[str, Tensor]

    @property
    def settings(self) -> dict[str, str | int]:
        """The arguments of a task that these layers determine, but for the directions."""
        return {"cell": self.cell, "hidden_dim": self.hidden_size, "num_layers": self.num_layers}

    def layers(self) -> nn.RNNBase:
        """The layers, made by torch alone."""
        layer_class = next(layer for name, layer in _CELLS.values() if name == self.cell)
        layers = layer_class(
            self.input_size, self.hidden_size, self.num_layers, bidirectional=self.bidirectional
        )
        layers.load_state_dict(self.tensors)
        return layers.eval()


def recurrent(tensors: Mapping[str, Tensor], name: str) -> Recurrent:
    """Read the sizes of recurrent layers from their tensors.

    Args:
        tensors: by torch's names, `weight_ih_l0` and so on; layers without biases get biases of zero.
        name: what messages call the layers.

    Raises:
        UsageError: they are no such layers.
    """
    try:
        (rows, input_size), hidden_size = tensors["weight_ih_l0"].shape, tensors["weight_hh_l0"].shape[1]
    except (KeyError, ValueError):
        raise UsageError(f"{name}: no recurrent layers of torch; it has {join_names(tensors)}") from None
    gates = rows // hidden_size
    if gates not in _CELLS or rows % hidden_size:
        raise UsageError(
            f"{name}: weight_ih_l0 has {rows} rows for {hidden_size} units: of no cell that is known"
        )
    num_layers = 1
    while f"weight_ih_l{num_layers}" in tensors:
        num_layers += 1
    bidirectional = "weight_ih_l0_reverse" in tensors
    cell, layer_class = _CELLS[gates]
    with torch.device("meta"):
        expected = layer_class(input_size, hidden_size, num_layers, bidirectional=bidirectional).state_dict()
    if all(key.startswith("weight") for key in tensors):
        biases = {key: torch.zeros(value.shape) for key, value in expected.items() if key.startswith("bias")}
        tensors = {**tensors, **biases}
    if {key: tuple(value.shape) for key, value in tensors.items()} != {
        key: tuple(value.shape) for key, value in expected.items()
    }:
        wrong = sorted(
            key
            for key in {*tensors, *expected}
            if key not in tensors or key not in expected or tensors[key].shape != expected[key].shape
        )
        raise UsageError(f"{name}: no {cell} of {num_layers} layer(s): {join_names(wrong)} do not fit")
    return Recurrent(cell, input_size, hidden_size, num_layers, bidirectional, dict(tensors))
