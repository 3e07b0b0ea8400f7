"""Weights of a page: matrices in 8 bits with one scale per row, all else in float32, as text in base64."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from nlp_rnn.models.layers.int8 import Int8Weight
from nlp_rnn.tasks.base import Task


def pack_weights(weights: Mapping[str, Tensor]) -> tuple[list[list[Any]], str]:
    """Write tensors one behind the other.

    Args:
        weights: float tensors by name. Matrices [N, K] are rounded, see `Int8Weight`.

    Returns:
        Per tensor its name, rows and columns, where a vector has 0 rows; and the bytes of all in base64: of
        a vector float32 [N], of a matrix float32 scales [N] and int8 [N, K], all little-endian.
    """
    entries: list[list[Any]] = []
    parts: list[bytes] = []
    for name, weight in weights.items():
        if weight.dim() == 2:
            rounded = Int8Weight(weight)
            entries.append([name, *weight.shape])
            parts += [_bytes(rounded.scale), rounded.int8.numpy().tobytes()]
        else:
            entries.append([name, 0, weight.numel()])
            parts.append(_bytes(weight.flatten()))
    return entries, base64.b64encode(b"".join(parts)).decode()


def round_weights(task: Task) -> Task:
    """A copy of a task whose matrices hold what those of the page do, to compare the page with."""
    rounded = deepcopy(task)
    with torch.no_grad():
        for weight in rounded.model.parameters():
            if weight.dim() == 2:
                weight.copy_(Int8Weight(weight).weight)
    return rounded.eval()


def _bytes(weight: Tensor) -> bytes:
    return weight.detach().float().numpy().astype("<f4").tobytes()
