"""What a model is on disk: plain settings, texts and tensors. Nothing in it is ever unpickled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nlp_rnn.errors import UsageError

FORMAT_VERSION = 1
"""Of what stands beside the weights, in checkpoints and model folders."""


@dataclass(frozen=True)
class StoredModel:
    """A model as read from disk, not built yet."""

    config: dict[str, Any]
    """The name of its `task`, its `settings`, its `processor`, and how its `weights` are stored."""
    weights: dict[str, Tensor]
    config_file: Path
    """Where `config` was read; a checkpoint holds both."""
    weights_file: Path


def check_version(config: Mapping[str, Any], where: Path) -> None:
    """Refuse a configuration that this version cannot read.

    Raises:
        UsageError: it has no format version, or a newer one.
    """
    version = config.get("format_version")
    if not isinstance(version, int):
        raise UsageError(f"{where}: not a model of nlp_rnn: it has no format_version")
    if version > FORMAT_VERSION:
        raise UsageError(
            f"{where}: format {version} is newer than this version reads ({FORMAT_VERSION}): upgrade nlp_rnn"
        )


def check_weights(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], file: Path) -> None:
    """Refuse weights that do not fit a model.

    Args:
        weights: the tensors read, by name.
        expected: the model's own tensors, whose values do not matter.
        file: where the weights were read.

    Raises:
        UsageError: a tensor is missing, unknown, of another shape or type, or holds NaN or infinity.
    """
    for name in sorted(set(expected) ^ set(weights)):
        problem = "missing" if name in expected else "not part of this model"
        raise UsageError(f"{file}: tensor {name} is {problem}")
    for name, value in weights.items():
        whole = not expected[name].is_floating_point()
        if not isinstance(value, Tensor) or (
            value.dtype != expected[name].dtype if whole else not value.is_floating_point()
        ):
            kind = "8-bit whole" if whole else "floating-point"
            raise UsageError(f"{file}: {name} is no tensor of {kind} numbers")
        if value.shape != expected[name].shape:
            raise UsageError(
                f"{file}: tensor {name} has shape {list(value.shape)}, but settings and vocabulary ask for "
                f"{list(expected[name].shape)}"
            )
        if not torch.isfinite(value).all():
            raise UsageError(f"{file}: tensor {name} holds NaN or infinite values")
