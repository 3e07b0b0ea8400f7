"""The ONNX graphs of an exported folder: which files they are, and their checksums."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..files import read_bytes
from .folder import CONFIG, require_inside

_GRAPHS = ("model.onnx", "encoder.onnx", "decoder_step.onnx")


def holds_graphs(folder: Path) -> bool:
    """Whether a folder holds the graphs that `nlp-rnn export --format onnx` writes."""
    return any((folder / name).exists() for name in _GRAPHS)


def graph_checksums(graphs: Mapping[str, bytes]) -> dict[str, str]:
    """What the configuration of an exported folder states as `graphs`: file name -> SHA-256."""
    return {name: hashlib.sha256(data).hexdigest() for name, data in graphs.items()}


def check_graphs(config: Mapping[str, Any], folder: Path, root: Path) -> None:
    """Refuse other graphs than those that were exported with the configuration, if it states their checksums.

    Raises:
        UsageError: names the file.
    """
    stated = config.get("graphs", {})
    if not isinstance(stated, Mapping) or not {*stated} <= {*_GRAPHS}:
        raise UsageError(f"{folder / CONFIG}: its graphs are none that nlp-rnn export writes; export again")
    for name, checksum in stated.items():
        data = read_bytes(require_inside(folder / name, root))
        if graph_checksums({name: data})[name] != checksum:
            raise UsageError(
                f"{folder / name}: not the graph that was exported with this folder, by its checksum; "
                "export the model again"
            )
