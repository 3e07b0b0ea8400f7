"""Layers made of the tensors of a model folder, float or int8 as these are."""

from __future__ import annotations

from ..folders.tensors import Tensors
from .cells import find_cell, take_int8
from .linear import Embedding, Int8Linear, Linear
from .recurrent import Recurrent


class Builder:
    """Makes layers, each of which takes its tensors.

    Args:
        tensors: the tensors of the model.
        is_int8: whether the layers have int8 weights.
    """

    def __init__(self, tensors: Tensors, is_int8: bool = False) -> None:
        self.tensors = tensors
        self.is_int8 = is_int8

    def linear(self, name: str, outputs: int, inputs: int, bias: bool = True) -> Linear | Int8Linear:
        """A linear layer, [..., inputs] -> [..., outputs]."""
        if self.is_int8:
            return take_int8(self.tensors, name, outputs, inputs)
        weight = self.tensors.take(f"{name}.weight", outputs, inputs)
        return Linear(weight, self.tensors.take(f"{name}.bias", outputs) if bias else None)

    def embedding(self, name: str, size: int, dim: int) -> Embedding:
        """An embedding of `size` ids."""
        if self.is_int8:
            rows = self.tensors.take(f"{name}.int8", size, dim, is_int8=True)
            return Embedding(rows, self.tensors.take(f"{name}.scale", size))
        return Embedding(self.tensors.take(f"{name}.weight", size, dim))

    def output(
        self, prefix: str, outputs: int, inputs: int, tied: Embedding | None = None
    ) -> Linear | Int8Linear:
        """The output layer of a model that writes, whose weights may be those of an embedding.

        Args:
            prefix: of the names of its tensors.
            outputs: the number of ids.
            inputs: the size of its input.
            tied: the embedding; None if the layer has weights of its own.
        """
        if tied is None:
            return self.linear(f"{prefix}fc_out", outputs, inputs)
        return Linear(tied.weight, self.tensors.take(f"{prefix}bias", outputs))

    def recurrent(
        self, prefix: str, cell: str, inputs: int, hidden: int, layers: int, bidirectional: bool = False
    ) -> Recurrent:
        """Recurrent layers.

        Args:
            prefix: of the names of their tensors.
            cell: the name of the cell.
            inputs: the size of the input.
            hidden: the size of the state, per direction.
            layers: the number of layers.
            bidirectional: whether to read backward too.

        Raises:
            UsageError: there is no such cell here.
        """
        found, state_arrays = find_cell(cell, self.is_int8)
        suffixes = ("", "_reverse") if bidirectional else ("",)
        make = found  # its constructor is the same for all cells
        cells = [
            [
                make(  # type: ignore[call-arg]
                    self.tensors,
                    prefix,
                    f"l{layer}{suffix}",
                    hidden * len(suffixes) if layer else inputs,
                    hidden,
                )
                for suffix in suffixes
            ]
            for layer in range(layers)
        ]
        return Recurrent(cells, hidden, state_arrays, bounded=self.is_int8)
