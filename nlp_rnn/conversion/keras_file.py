"""Reading the layers of a Keras model from its files: .keras, .h5 and safetensors. Nothing in them is run."""

from __future__ import annotations

import json
import re
import zipfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.files import open_bytes

_MAX_VALUES = 2**29  # of one array
_MAX_BYTES = 2**32  # of a part of a .keras file
_CONTAINER = r"model_weights|layers|(sequential|functional|model)(_\d+)?"  # what layers are inside of
_ROLES = ("embeddings", "kernel", "recurrent_kernel", "bias")


@dataclass(frozen=True)
class KerasLayer:
    """A layer that has weights, or pools.

    Args:
        kind: the name of its class; that of the inner layer for Bidirectional and TimeDistributed.
        config: its settings; empty if the file has none, and Keras's defaults are assumed.
        arrays: by direction ("" or "backward"), then by Keras's name of the array.
        bidirectional: whether it reads backwards too.
        merge_mode: how the two directions are joined.
        backward_config: settings of the layer that reads backwards, where they were given.
    """

    kind: str
    config: dict[str, Any]
    arrays: dict[str, dict[str, np.ndarray]]
    bidirectional: bool = False
    merge_mode: str | None = "concat"
    backward_config: dict[str, Any] = field(default_factory=dict)


def read_keras(path: Path) -> tuple[list[KerasLayer], bool]:
    """Read the layers of a sequential Keras model.

    Args:
        path: .keras, .h5, .weights.h5, or safetensors whose names are paths such as `lstm/lstm_cell/kernel`.

    Returns:
        The layers in the order in which they compute, and whether the file holds their settings. Without
        these the order is told by the layers' names.

    Raises:
        UsageError: it cannot be read, or is no such model.
    """
    if path.suffix == ".safetensors":
        try:
            with open_bytes(path):
                arrays = load_file(path)
        except (SafetensorError, ValueError) as error:
            raise UsageError(f"{path}: damaged or not a safetensors file ({error})") from error
        return _unsorted({re.sub(r"\.", "/", name): value for name, value in arrays.items()}, path), False
    with open_bytes(path) as file:
        if zipfile.is_zipfile(file):
            return _read_zip(file, path), True
        file.seek(0)
        arrays, config = _read_h5(file, path)
    if config is None:
        return _unsorted(arrays, path), False
    return _configured(config, _groups(arrays, path), by_name=True, path=path), True


def _read_zip(file: BinaryIO, path: Path) -> list[KerasLayer]:
    try:
        with zipfile.ZipFile(file) as archive:
            if any(part.file_size > _MAX_BYTES for part in archive.infolist()):
                raise UsageError(f"{path}: larger than the {_MAX_BYTES:,} bytes that are read")
            config = json.loads(archive.read("config.json"))
            weights = BytesIO(archive.read("model.weights.h5"))
    except UsageError:
        raise
    except Exception as error:  # KeyError, BadZipFile, zlib.error, RuntimeError where it is encrypted, ...
        raise UsageError(f"{path}: damaged, or not a model of Keras 3 ({error})") from error
    arrays, _ = _read_h5(weights, path)
    return _configured(config, _groups(arrays, path), by_name=False, path=path)


def _read_h5(file: BinaryIO, path: Path) -> tuple[dict[str, np.ndarray], Any]:
    """The arrays of an HDF5 file by their paths, and the settings of the model if it has them."""
    try:
        import h5py
    except ModuleNotFoundError:
        raise UsageError(f"{path}: reading it needs h5py: pip install 'nlp-rnn[keras]'") from None
    arrays: dict[str, np.ndarray] = {}

    def visit(name: str, item: Any) -> None:  # h5py follows no links here, which may lead to other files
        if not isinstance(item, h5py.Dataset):
            return
        if item.external or item.is_virtual or item.dtype.kind not in "fiu" or prod(item.shape) > _MAX_VALUES:
            raise UsageError(f"{path}: {name} is no array of numbers in this file")
        arrays[name] = np.asarray(item)

    try:
        with h5py.File(file, "r") as opened:
            opened.visititems(visit)
            config = opened.attrs.get("model_config")
    except UsageError:
        raise
    except Exception as error:  # OSError, RuntimeError, KeyError and others, for damaged files
        raise UsageError(f"{path}: damaged, or not a model of Keras ({error})") from error
    if config is None:
        return arrays, None
    try:
        return arrays, json.loads(config)
    except (ValueError, TypeError, RecursionError) as error:
        raise UsageError(f"{path}: its model_config is not valid JSON ({error})") from error


def _groups(arrays: Mapping[str, np.ndarray], file: Path) -> dict[str, dict[str, dict[str, np.ndarray]]]:
    """Arrays by layer, direction and name, from paths of all versions of Keras.

    Raises:
        UsageError: weights are quantized, or not finite.
    """
    groups: dict[str, dict[str, dict[str, np.ndarray]]] = defaultdict(lambda: defaultdict(dict))
    for path, value in arrays.items():
        parts = [part.split(":")[0] for part in path.split("/")]
        while len(parts) > 1 and re.fullmatch(_CONTAINER, parts[0]):
            del parts[0]
        if "optimizer" in parts[0] or not parts[1:]:
            continue
        role = parts[-1]
        if role.isdigit():  # Keras 3 numbers the arrays of a layer
            outer = ("embeddings",) if "embedding" in parts[0] else ("kernel", "bias")
            roles = _ROLES[1:] if "cell" in parts else outer
            role = roles[int(role)] if int(role) < len(roles) else role
        backward = any(part.startswith("backward_") for part in parts)
        if role in _ROLES:
            if value.dtype.kind != "f":  # whole numbers, of which each has a scale
                raise UsageError(f"{file}: {path} is quantized: import the model as it was before")
            if not np.isfinite(value).all():
                raise UsageError(f"{file}: {path} has NaN or infinite values")
            groups[parts[0]]["backward" if backward else ""][role] = value.astype(np.float32)
    return groups


def _configured(
    config: Any, groups: Mapping[str, dict[str, dict[str, np.ndarray]]], by_name: bool, path: Path
) -> list[KerasLayer]:
    """The layers that settings name, with their arrays.

    Args:
        config: of the model.
        groups: arrays by layer.
        by_name: whether layers are stored by the names that they have, rather than by class and number.
        path: the file, for messages.
    """
    try:
        items = config["config"]["layers"] if isinstance(config["config"], Mapping) else config["config"]
        layers = []
        seen: dict[str, int] = defaultdict(int)
        before = ""  # the name of the layer before this one
        for item in items:
            nodes = item.get("inbound_nodes") or []  # of a functional model: how each layer was called
            if len(nodes) > 1 or (before and nodes and _sources(nodes) != {before}):
                raise UsageError(
                    f"{path}: {item['class_name']} does not read the layer before it alone, once"
                )
            before = item["config"]["name"] if nodes or not before else before
            kind, settings = item["class_name"], item["config"]
            stem = _snake_case(kind)
            number = seen[stem]
            seen[stem] += 1
            name = settings["name"] if by_name else f"{stem}_{number}" if number else stem
            inner = settings["layer"] if kind in ("Bidirectional", "TimeDistributed") else item
            layers.append(
                KerasLayer(
                    inner["class_name"],
                    inner["config"],
                    groups.get(name, {}),
                    kind == "Bidirectional",
                    settings.get("merge_mode", "concat"),
                    (settings.get("backward_layer") or {}).get("config", {}),
                )
            )
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path}: not the settings of a sequential Keras model ({error!r})") from error
    return layers


def _sources(value: Any) -> set[str]:
    """The names of the layers whose outputs a layer reads, from its `inbound_nodes`."""
    if isinstance(value, Mapping):
        if value.get("class_name") == "__keras_tensor__":  # Keras 3
            return {value["config"]["keras_history"][0]}
        value = list(value.values())
    if not isinstance(value, list):
        return set()
    if len(value) >= 3 and [type(part) for part in value[:3]] == [str, int, int]:  # Keras 2
        return {value[0]}.union(*map(_sources, value[3:]))
    return set().union(*map(_sources, value))


def _unsorted(arrays: Mapping[str, np.ndarray], path: Path) -> list[KerasLayer]:
    """The layers of a file without settings: the kind by the arrays, the order by the names' numbers."""
    layers = []
    for name, group in _groups(arrays, path).items():
        kind = _kind(group.get("", {}))
        number = int(match[0]) if (match := re.search(r"\d+$", name)) else 0
        order = (kind != "Embedding", kind == "Dense", number)
        layers.append((order, KerasLayer(kind, {}, group, "backward" in group)))
    if not layers:
        raise UsageError(f"{path}: holds no layers of Keras; its arrays are {join_names(arrays)}")
    return [layer for _, layer in sorted(layers, key=lambda pair: pair[0])]


def _kind(arrays: Mapping[str, np.ndarray]) -> str:
    """The class of a layer with these arrays."""
    if "recurrent_kernel" not in arrays:
        return "Embedding" if "embeddings" in arrays else "Dense"
    units, width = arrays["recurrent_kernel"].shape
    return {1: "SimpleRNN", 3: "GRU", 4: "LSTM"}.get(width // units, f"a cell of {width // units} gates")


def _snake_case(name: str) -> str:
    """As Keras names the groups of its files."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
