"""The weights of a model folder as arrays: a reader of safetensors files, and the checks of what is in them.

The library's own reader for NumPy knows no bfloat16, and takes as long to import as the rest of a short run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UsageError
from ..files import read_bytes
from .folder import hash_model, read_header

# The types of safetensors that models are stored in: as torch calls them, and the bytes of a number.
_TYPES = {
    "F16": ("torch.float16", 2),
    "BF16": ("torch.bfloat16", 2),
    "F32": ("torch.float32", 4),
    "F64": ("torch.float64", 8),
    "I8": ("torch.int8", 1),
}
_ARRAYS = {"F16": "<f2", "BF16": "<u2", "F32": "<f4", "F64": "<f8", "I8": "i1"}


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as it is in the file."""

    type: str
    """Its type as safetensors calls it."""
    shape: list[int]
    data: memoryview
    """The bytes of its numbers."""

    @property
    def is_int8(self) -> bool:
        """Whether its numbers are 8-bit integers rather than floating-point numbers."""
        return self.type == "I8"

    def array(self) -> np.ndarray:
        """Its numbers: int8, or float32 whatever type they are stored in."""
        stored = np.frombuffer(self.data, _ARRAYS[self.type]).reshape(self.shape)
        if self.is_int8:
            return stored
        if self.type == "BF16":  # the upper half of a float32
            return (stored.astype(np.uint32) << 16).view(np.float32)
        with np.errstate(over="ignore"):  # found by the check that numbers are finite
            return stored.astype(np.float32)


def read_tensors(path: Path, root: Path) -> dict[str, StoredTensor]:
    """Read the tensors of a safetensors file inside the folder `root`.

    Raises:
        UsageError: the file cannot be read, leads out of the folder, or is damaged.
    """
    header, start = read_header(path, root)
    data = memoryview(read_bytes(path))[start:]
    header.pop("__metadata__", None)
    tensors, places = {}, []
    try:
        for name, entry in header.items():
            kind, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
            if kind not in _TYPES:
                raise UsageError(f"{path}: tensor {name} is {kind}, which cannot be read")
            sizes = [*shape, begin, end]
            if any(type(size) is not int or size < 0 for size in sizes):
                raise ValueError(f"tensor {name} has no proper sizes")
            count = 1
            for size in shape:
                count *= size
            if end - begin != count * _TYPES[kind][1]:
                raise ValueError(f"tensor {name} has another size than its shape")
            tensors[name] = StoredTensor(kind, shape, data[begin:end])
            places.append((begin, end))
        # Each byte belongs to one tensor.
        ends = [0, *(end for _, end in sorted(places))]
        if [begin for begin, _ in sorted(places)] != ends[:-1] or ends[-1] != len(data):
            raise ValueError("its tensors leave gaps, overlap, or end elsewhere than the file")
    except UsageError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path}: damaged or not a safetensors file ({error})") from error
    return tensors


def model_hashes(config: Mapping[str, Any], tensors: Mapping[str, StoredTensor]) -> dict[str, str]:
    """What `nlp_rnn.lite.folders.folder.hash_model` says of a configuration and tensors."""
    named = sorted(tensors.items())
    return hash_model(config, ((n, _TYPES[t.type][0], t.shape, t.data) for n, t in named))


class Tensors:
    """The tensors of a model, each of which one of its layers takes.

    Args:
        stored: by name.
        file: where they were read from, for messages.
    """

    def __init__(self, stored: Mapping[str, StoredTensor], file: Path) -> None:
        self._stored = dict(stored)
        self._file = file

    def take(self, name: str, *shape: int, is_int8: bool = False) -> np.ndarray:
        """The numbers of a tensor, float32 or int8.

        Args:
            name: its name.
            shape: the shape that settings and vocabulary require.
            is_int8: whether it must hold 8-bit integers.

        Raises:
            UsageError: it is missing, of another shape or type, or has NaN or infinite values.
        """
        tensor = self._stored.pop(name, None)
        if tensor is None:
            raise UsageError(f"{self._file}: tensor {name} is missing")
        if tensor.is_int8 != is_int8:
            numbers = "8-bit integers" if is_int8 else "floating-point numbers"
            raise UsageError(f"{self._file}: {name} is not a tensor of {numbers}")
        if tensor.shape != list(shape):
            raise UsageError(
                f"{self._file}: tensor {name} has shape {tensor.shape}, but settings and vocabulary require "
                f"{list(shape)}"
            )
        array = tensor.array()
        if not is_int8 and not np.isfinite(array).all():
            raise UsageError(f"{self._file}: tensor {name} contains NaN or infinite values")
        return array

    def check_all_taken(self) -> None:
        """Refuse tensors that no layer has taken.

        Raises:
            UsageError: names one.
        """
        for name in sorted(self._stored):
            raise UsageError(f"{self._file}: tensor {name} is not part of this model")
