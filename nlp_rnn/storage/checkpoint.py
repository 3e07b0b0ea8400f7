"""Reading and writing a Lightning checkpoint so that damage is always found.

A checkpoint is a zip archive, in which torch stores a CRC-32 checksum of each tensor and of the
other values. torch does not check them when it reads; this does, for checkpoints of all versions.
"""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch.serialization import MAP_LOCATION

from nlp_rnn.errors import UsageError
from nlp_rnn.files import atomic_write, open_bytes


class DamagedCheckpointError(UsageError):
    """A checkpoint is truncated or altered: an earlier one may be good."""


def read_checkpoint(path: Path, map_location: MAP_LOCATION = "cpu") -> dict[str, Any]:
    """Read a checkpoint: tensors and plain values only; nothing else in it is unpickled.

    Args:
        path: a .ckpt file.
        map_location: the device of the tensors, as for `torch.load`.

    Raises:
        DamagedCheckpointError: it is truncated, or a checksum is wrong.
        UsageError: there is no such file, or it is no checkpoint, or holds other things too.
    """
    check_sums(path)
    with open_bytes(path) as file:
        try:
            checkpoint = torch.load(file, map_location=map_location, weights_only=True)
        except pickle.UnpicklingError as error:
            raise UsageError(
                f"{path}: refused: not a checkpoint, or it contains more than tensors and plain values"
            ) from error
        except Exception as error:  # RuntimeError, EOFError, OSError and others
            raise DamagedCheckpointError(
                f"{path}: damaged or not a checkpoint ({type(error).__name__})"
            ) from error
    return checkpoint if isinstance(checkpoint, dict) else {}


def write_checkpoint(checkpoint: dict[str, Any], path: Path) -> None:
    """Write a checkpoint whole or not at all; the folder is made if it does not exist.

    Args:
        checkpoint: tensors and plain values by name.
        path: the .ckpt file; after an error it is as it was before.

    Raises:
        UsageError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        try:
            torch.save(checkpoint, file)
        except RuntimeError as error:
            # Of a write that fails, or that a signal ends, torch reports only an unexpected position.
            if error.__context__ is not None:
                raise error.__context__ from None
            raise


def check_sums(path: Path) -> None:
    """Check the checksum of each part of a checkpoint.

    Raises:
        DamagedCheckpointError: the file is empty or truncated, or a checksum is wrong.
        UsageError: there is no such file, or it cannot be read.
    """
    with open_bytes(path) as file:
        if not file.read(1):
            raise DamagedCheckpointError(f"{path}: empty; its writing was cut off")
        try:
            with zipfile.ZipFile(file) as archive:
                if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
                    # Or one altered bit says so: an earlier checkpoint may be good.
                    raise DamagedCheckpointError(f"{path}: refused: compressed, which torch never does")
                damaged = archive.testzip()
        except UsageError:
            raise
        except Exception as error:  # BadZipFile, and many others where single bytes are altered
            raise DamagedCheckpointError(
                f"{path}: refused: damaged, or not a checkpoint ({error})"
            ) from error
    if damaged is not None:
        raise DamagedCheckpointError(f"{path}: damaged: the checksum of {damaged} is wrong")
