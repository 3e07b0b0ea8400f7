"""A model as it is on disk: plain settings, texts and tensors. Nothing in it is ever unpickled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nlp_rnn.errors import UsageError
from nlp_rnn.lite.folders.folder import check_hashes, hash_model

_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int8)
_MAX_ITEMS = 1_000_000  # of a configuration


@dataclass(frozen=True)
class StoredModel:
    """A model as read from disk, not built yet."""

    config: dict[str, Any]
    """Its `task` (a name), `settings`, `processor`, and `weights` ("int8", or missing for floats)."""
    weights: dict[str, Tensor]
    config_file: Path
    """The file that `config` was read from."""
    weights_file: Path
    """The file that `weights` were read from; for a checkpoint the same."""


def check_plain(config: Any, where: Path) -> None:
    """Refuse a configuration from a pickle that JSON could not hold, or only in a huge file.

    Lists of a pickle may contain each other many times over, so that a small file stands for any number of
    items.

    Args:
        config: what should consist of dictionaries, lists, strings and numbers.
        where: its file, for messages.

    Raises:
        UsageError: it contains something else, or more than a million items.
    """
    pending, count = [config], 0
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending += [*value, *value.values()]
        elif isinstance(value, (list, tuple)):
            pending += value
        elif value is not None and not isinstance(value, (str, int, float)):
            raise UsageError(f"{where}: its settings contain more than plain values ({type(value).__name__})")
        count += 1
        if count + len(pending) > _MAX_ITEMS:
            raise UsageError(f"{where}: its settings contain more than {_MAX_ITEMS:,} items")


def checksums(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> dict[str, str]:
    """Hashes of what a model computes with, see `nlp_rnn.lite.folders.folder.hash_model`.

    Args:
        config: the configuration.
        weights: the tensors by name, on any device, of the dtypes in which they are stored.
    """
    return hash_model(config, map(_description, sorted(weights.items())))


def _description(item: tuple[str, Tensor]) -> tuple[str, str, list[int], Any]:
    """The name, the type, the shape and the bytes of a tensor."""
    name, value = item
    data = value.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
    return name, str(value.dtype), list(value.shape), data


def check_checksums(stored: StoredModel) -> None:
    """Refuse a model whose settings or weights were altered after it was saved, by accident or for a purpose.

    Args:
        stored: what was read, and fits together. Version 0.1 stored no checksums; checkpoints have others.

    Raises:
        UsageError: they were.
    """
    if "checksums" in stored.config:
        check_hashes(stored.config, checksums(stored.config, stored.weights), stored.config_file)


def check_weights(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], file: Path) -> None:
    """Refuse weights that do not fit a model.

    Args:
        weights: the tensors read, by name.
        expected: the tensors of the model, by name; their values do not matter.
        file: the file that the weights were read from, for messages.

    Raises:
        UsageError: a tensor is missing, unknown, of another shape or type, or contains NaN or infinity.
    """
    try:
        check_shapes(weights, expected)
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from None
    for name, value in weights.items():
        if value.dtype not in _DTYPES or value.layout != torch.strided:
            raise UsageError(f"{file}: tensor {name} is {value.dtype}, {value.layout}, which cannot be read")
        if value.untyped_storage().nbytes() < value.nbytes:  # one number for many elements
            raise UsageError(f"{file}: tensor {name} is larger than what is stored of it")
        if not torch.isfinite(value).all():
            raise UsageError(f"{file}: tensor {name} contains NaN or infinite values")


def check_shapes(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Refuse weights whose names, types or shapes are not those of a model.

    Args:
        weights: the tensors by name.
        expected: the tensors of the model, by name; their values do not matter.

    Raises:
        UsageError: a tensor is missing, unknown, or of another shape or type.
    """
    for name in sorted(set(expected) ^ set(weights)):
        raise UsageError(f"tensor {name} is {'missing' if name in expected else 'not part of this model'}")
    for name, value in weights.items():
        is_integer = not expected[name].is_floating_point()
        if not isinstance(value, Tensor) or (
            value.dtype != expected[name].dtype if is_integer else not value.is_floating_point()
        ):
            numbers = "8-bit integers" if is_integer else "floating-point numbers"
            raise UsageError(f"{name} is not a tensor of {numbers}")
        if value.shape != expected[name].shape:
            raise UsageError(
                f"tensor {name} has shape {list(value.shape)}, but settings and vocabulary require "
                f"{list(expected[name].shape)}"
            )
