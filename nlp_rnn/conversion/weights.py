"""Reading tensors by name from the files that other code writes. Nothing is unpickled but tensors."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.files import open_bytes
from nlp_rnn.storage.checkpoint import read_checkpoint

_WRAPPERS = ("module.", "model.", "_orig_mod.")  # of DataParallel, Lightning and torch.compile


def read_state(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a file that torch or safetensors wrote.

    Args:
        path: a state dict, or a checkpoint that holds one.

    Returns:
        Tensors by name, as float32; the prefixes of wrappers are removed.

    Raises:
        UsageError: it cannot be read, or holds no state dict.
    """
    if path.suffix == ".safetensors":
        try:
            with open_bytes(path):
                tensors = load_file(path)
        except (SafetensorError, ValueError) as error:
            raise UsageError(f"{path}: damaged or not a safetensors file ({error})") from error
    else:
        tensors = _state_dict(_load(path), path)
    for prefix in _WRAPPERS:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    for name, value in tensors.items():
        if not value.is_floating_point() or not bool(value.isfinite().all()):
            raise UsageError(f"{path}: {name} holds other values than finite floating-point numbers")
    return {name: value.float() for name, value in tensors.items()}


def _load(path: Path) -> Any:
    with open_bytes(path) as file:
        if zipfile.is_zipfile(file):
            try:
                return read_checkpoint(path)
            except UsageError as error:
                if not isinstance(error.__cause__, pickle.UnpicklingError):
                    raise
                raise _whole_model(path) from error
        file.seek(0)
        try:  # the format before torch 1.6
            return torch.load(file, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise _whole_model(path) from error
        except Exception as error:  # RuntimeError, EOFError and others
            raise UsageError(f"{path}: damaged, or not written by torch ({type(error).__name__})") from error


def _whole_model(path: Path) -> UsageError:
    return UsageError(
        f"{path}: refused: it holds more than tensors, such as a whole model; write its weights alone, with "
        "torch.save(model.state_dict(), PATH)"
    )


def _state_dict(loaded: Any, path: Path) -> dict[str, Tensor]:
    """The state dict that a file holds, which may be one of several values in it."""
    if _is_state(loaded):
        return dict(loaded)
    states = {str(name): value for name, value in loaded.items() if _is_state(value)} if loaded else {}
    for name in ("state_dict", "model_state_dict", "model"):
        if name in states:
            return dict(states[name])
    if len(states) != 1:
        raise UsageError(f"{path}: holds no state dict: write one with torch.save(model.state_dict(), PATH)")
    return dict(next(iter(states.values())))


def _is_state(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in value.items())
    )


def take(state: dict[str, Tensor], *prefixes: str) -> list[dict[str, Tensor]]:
    """Divide a state dict into the parts of a model.

    Args:
        state: tensors by name.
        prefixes: of the parts, each with its dot.

    Returns:
        Per prefix the tensors of its part, without the prefix.

    Raises:
        UsageError: a part has no tensors, or a tensor belongs to no part.
    """
    parts = [{n.removeprefix(p): t for n, t in state.items() if n.startswith(p)} for p in prefixes]
    missing = [prefix for prefix, part in zip(prefixes, parts, strict=True) if not part]
    others = [name for name in state if not name.startswith(prefixes)]
    if missing or others:
        unlike = (
            f"it has no {join_names(prefix.rstrip('.') for prefix in missing)}"
            if missing
            else f"{join_names(others)} is not part of such a model"
        )
        raise UsageError(f"{unlike}; its tensors are {join_names(state)}")
    return parts
