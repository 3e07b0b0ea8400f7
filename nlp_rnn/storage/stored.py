"""A model as it is on disk: plain settings, texts and tensors. Nothing in it is ever unpickled."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nlp_rnn.data.processor import hash_state
from nlp_rnn.errors import UsageError
from nlp_rnn.files import read_bytes

FORMAT_VERSION = 1
"""The version of the configuration in checkpoints and model folders."""

_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int8)
_MAX_TEXT = 2**30  # bytes of a JSON file
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


def check_version(config: Mapping[str, Any], where: Path) -> None:
    """Refuse a configuration that this version cannot read.

    Args:
        config: the configuration.
        where: its file, for messages.

    Raises:
        UsageError: it has no format version, or a newer one.
    """
    version = config.get("format_version")
    if type(version) is not int or version < 1:
        raise UsageError(f"{where}: not a model of nlp_rnn: it has no format_version")
    if version > FORMAT_VERSION:
        raise UsageError(
            f"{where}: format version {version} is newer than the newest that can be read "
            f"({FORMAT_VERSION}): upgrade nlp_rnn"
        )


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


def check_fingerprint(config: Mapping[str, Any], where: Path) -> None:
    """Refuse a configuration whose tokenizers, labels or other processor settings are those of another model.

    Args:
        config: the configuration, from which a processor can be made. Version 0.1 stored no fingerprint.
        where: its file, for messages.

    Raises:
        UsageError: they are.
    """
    actual = hash_state(config["processor"])
    if config.get("fingerprint", actual) != actual:
        raise UsageError(
            f"{where}: the tokenizers, labels or processor settings are not those that the model was trained "
            f"with (hash {actual}, not {config['fingerprint']}): use the files of one model, unchanged"
        )


def checksums(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> dict[str, str]:
    """Hashes of what a model computes with: its settings, which `fingerprint` leaves out, and its weights.

    Args:
        config: the configuration.
        weights: the tensors by name, on any device, of the dtypes in which they are stored.
    """
    more = [config[name] for name in ("class", "model", "data_columns") if name in config]
    settings = json.dumps([config["task"], config["settings"], config.get("weights"), *more], sort_keys=True)
    digest = hashlib.sha256()
    for name, value in sorted(weights.items()):
        digest.update(f"{name} {value.dtype} {list(value.shape)}\n".encode())
        digest.update(value.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return {"settings": hashlib.sha256(settings.encode()).hexdigest(), "weights": digest.hexdigest()}


def check_checksums(stored: StoredModel) -> None:
    """Refuse a model whose settings or weights were altered after it was saved, by accident or for a purpose.

    Args:
        stored: what was read, and fits together. Version 0.1 stored no checksums; checkpoints have others.

    Raises:
        UsageError: they were.
    """
    expected = stored.config.get("checksums")
    if expected is None:
        return
    for part, actual in checksums(stored.config, stored.weights).items():
        if not isinstance(expected, dict) or expected.get(part) != actual:
            raise UsageError(
                f"{stored.config_file}: the {part} were altered after the model was saved (their checksum is "
                'another): use the files of one model, unchanged; if you mean the change, delete "checksums" '
                "from this file"
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


def require_inside(path: Path, root: Path) -> Path:
    """The path, unless it leads out of the folder `root`, as a link may.

    Raises:
        UsageError: it does.
    """
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        raise UsageError(f"{path}: points outside the model folder; nothing was read")
    return path


def read_text(path: Path, root: Path) -> str:
    """The text of a file inside the folder `root`.

    Raises:
        UsageError: it cannot be read, leads out of the folder, or is not UTF-8.
    """
    with suppress(OSError):  # which is reported below
        if (size := path.stat().st_size) > _MAX_TEXT:
            raise UsageError(f"{path}: {size:,} bytes, more than the {_MAX_TEXT:,} that are read")
    try:
        return read_bytes(require_inside(path, root)).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 (byte offset {error.start})") from error


def read_json(path: Path, root: Path) -> dict[str, Any]:
    """The object in a JSON file inside the folder `root`.

    Raises:
        UsageError: it cannot be read, leads out of the folder, or is no JSON object.
    """
    text = read_text(path, root)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not valid JSON ({error})") from error
    if not isinstance(value, dict):
        raise UsageError(f"{path}: not the configuration of a model folder")
    return value
