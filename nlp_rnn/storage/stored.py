"""A model as it is on disk: plain settings, texts and tensors. Nothing in it is ever unpickled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nlp_rnn.errors import UsageError

FORMAT_VERSION = 1
"""The version of the configuration in checkpoints and model folders."""


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


def check_version(config: Mapping[str, Any], where: Path) -> None:
    """Refuse a configuration that this version cannot read.

    Args:
        config: the configuration.
        where: its file, for messages.

    Raises:
        UsageError: it has no format version, or a newer one.
    """
    version = config.get("format_version")
    if not isinstance(version, int):
        raise UsageError(f"{where}: not a model of nlp_rnn: it has no format_version")
    if version > FORMAT_VERSION:
        raise UsageError(
            f"{where}: format version {version} is newer than the newest that can be read "
            f"({FORMAT_VERSION}): upgrade nlp_rnn"
        )


def check_weights(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], file: Path) -> None:
    """Refuse weights that do not fit a model.

    Args:
        weights: the tensors read, by name.
        expected: the tensors of the model, by name; their values do not matter.
        file: the file that the weights were read from, for messages.

    Raises:
        UsageError: a tensor is missing, unknown, of another shape or type, or contains NaN or infinity.
    """
    for name in sorted(set(expected) ^ set(weights)):
        problem = "missing" if name in expected else "not part of this model"
        raise UsageError(f"{file}: tensor {name} is {problem}")
    for name, value in weights.items():
        is_integer = not expected[name].is_floating_point()
        if not isinstance(value, Tensor) or (
            value.dtype != expected[name].dtype if is_integer else not value.is_floating_point()
        ):
            numbers = "8-bit integers" if is_integer else "floating-point numbers"
            raise UsageError(f"{file}: {name} is not a tensor of {numbers}")
        if value.shape != expected[name].shape:
            raise UsageError(
                f"{file}: tensor {name} has shape {list(value.shape)}, but settings and vocabulary require "
                f"{list(expected[name].shape)}"
            )
        if not torch.isfinite(value).all():
            raise UsageError(f"{file}: tensor {name} contains NaN or infinite values")
