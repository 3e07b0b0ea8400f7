"""The matrix products that a training step cannot do without, from the real lengths of its sequences."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from benchmarks.ours import Lengths
from nlp_rnn.tasks import Task


@dataclass(frozen=True)
class Product:
    """[rows, inner] x [inner, outer], and the two products of its backward pass.

    Args:
        parts: rows, in parts that are computed one after the other: one of a recurrence's steps each.
        inner, outer: the weight's sizes.
        constant: whether nobody asks for the gradient of the first part: a zero state.
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


def layer_products(rnn: Any, lengths: Tensor, constant: bool = True) -> list[Product]:
    """Those of a recurrent layer, such as `nn.LSTM`; padding is not computed.

    Args:
        rnn: the layer.
        lengths: [B], the steps of each sequence.
        constant: whether it starts from a state that is no model's.
    """
    # How many sequences are still running at each step.
    running = tuple(int((lengths > step).sum()) for step in range(int(lengths.max())))
    directions = 2 if rnn.bidirectional else 1
    outer = rnn.weight_hh_l0.size(0)
    products = []
    for layer in range(rnn.num_layers):
        inner = directions * rnn.hidden_size if layer else rnn.input_size
        for _ in range(directions):
            products.append(Product((sum(running),), inner, outer))
            products.append(Product(running, rnn.hidden_size, outer, constant))
    return products


def task_products(task: Task, lengths: Lengths) -> list[Product]:
    """All of a training step's, for a batch of these lengths."""
    model: Any = task.model
    if task.name == "translation":
        targets = lengths["target_lengths"]
        products = layer_products(model.encoder.rnn, lengths["lengths"])
        products += layer_products(model.decoder.rnn, targets, constant=False)
        last, rows = model.decoder.fc_out, int(targets.sum())
    else:
        products = layer_products(model.rnn, lengths["lengths"])
        last, rows = model.fc_out, len(lengths["lengths"])
        if task.name == "tagging":
            rows = int(lengths["lengths"].sum())
            if "character_lengths" in lengths:
                products += layer_products(model.word_encoder.rnn, lengths["character_lengths"])
    return [*products, Product((rows,), last.in_features, last.out_features)]


def flops_per_row(task: Task, batches: Iterable[Lengths]) -> float:
    """Floating-point operations that training costs, a row of these batches."""
    flops = rows = 0
    for lengths in batches:
        flops += sum(product.flops for product in task_products(task, lengths))
        rows += len(lengths["lengths"])
    return flops / max(1, rows)
