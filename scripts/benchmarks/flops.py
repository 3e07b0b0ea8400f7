"""The matrix products that a training step needs at least, from the real lengths of its sequences."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from benchmarks.counting import Lengths
from nlp_rnn.tasks.base import Task


@dataclass(frozen=True)
class MatrixProduct:
    """[rows, inner] x [inner, outer], and the two products of its backward pass.

    Args:
        parts: rows of each part; parts are computed one after the other, such as the steps of a recurrence.
        inner: rows of the weight.
        outer: columns of the weight.
        constant: whether the input of the first part needs no gradient, such as a zero state.
    """

    parts: tuple[int, ...]
    inner: int
    outer: int
    constant: bool = False

    @property
    def flops(self) -> int:
        """Floating-point operations, forward and backward."""
        rows = 3 * sum(self.parts) - (self.parts[0] if self.constant and self.parts else 0)
        return 2 * rows * self.inner * self.outer


def layer_products(rnn: Any, lengths: Tensor, constant: bool = True) -> list[MatrixProduct]:
    """List the products of a recurrent layer, such as `nn.LSTM`; padding is not computed.

    Args:
        rnn: the layer.
        lengths: [B], the number of steps of each sequence.
        constant: whether the initial state needs no gradient.
    """
    # The number of sequences that have not ended, at each step.
    active = tuple(int((lengths > step).sum()) for step in range(int(lengths.max())))
    directions = 2 if rnn.bidirectional else 1
    outer = rnn.weight_hh_l0.size(0)
    products = []
    for layer in range(rnn.num_layers):
        inner = directions * rnn.hidden_size if layer else rnn.input_size
        for _ in range(directions):
            products.append(MatrixProduct((sum(active),), inner, outer))
            products.append(MatrixProduct(active, rnn.hidden_size, outer, constant))
    return products


def training_products(task: Task, lengths: Lengths) -> list[MatrixProduct]:
    """List all products of a training step on a batch of these lengths."""
    model: Any = task.model
    if task.name == "translation":
        target_lengths = lengths["target_lengths"]
        products = layer_products(model.encoder.rnn, lengths["lengths"])
        products += layer_products(model.decoder.rnn, target_lengths, constant=False)
        fc_out, rows = model.decoder.fc_out, int(target_lengths.sum())
    else:
        products = layer_products(model.rnn, lengths["lengths"])
        fc_out, rows = model.fc_out, len(lengths["lengths"])
        if task.name == "tagging":
            rows = int(lengths["lengths"].sum())
            if "character_lengths" in lengths:
                products += layer_products(model.word_encoder.rnn, lengths["character_lengths"])
    return [*products, MatrixProduct((rows,), fc_out.in_features, fc_out.out_features)]


def flops_per_row(task: Task, batches: Iterable[Lengths]) -> float:
    """Average floating-point operations per row in training on these batches."""
    flops = rows = 0
    for lengths in batches:
        flops += sum(product.flops for product in training_products(task, lengths))
        rows += len(lengths["lengths"])
    return flops / max(1, rows)
