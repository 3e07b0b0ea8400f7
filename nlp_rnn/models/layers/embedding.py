"""Embedding with a clear error for ids outside of the vocabulary."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override


class Embedding(nn.Embedding):
    """`torch.nn.Embedding`, which says which ids are out of range.

    On a GPU nothing is caught: CUDA stops the process itself.
    """

    @override
    def forward(self, ids: Tensor) -> Tensor:
        """[...] int64 ids -> [..., E].

        Raises:
            ValueError: an id is outside of the vocabulary.
        """
        return lookup(ids, self.weight)


def lookup(ids: Tensor, weight: Tensor) -> Tensor:
    """Rows [..., E] of a matrix [V, E] by their ids [...].

    Raises:
        ValueError: an id is outside 0..V - 1.
    """
    try:
        return F.embedding(ids, weight)
    except IndexError as error:
        low, high = int(ids.min()), int(ids.max())
        raise ValueError(
            f"ids must lie between 0 and {len(weight) - 1}, as the vocabulary's do, not {low} and {high}"
        ) from error
