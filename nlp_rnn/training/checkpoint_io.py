"""How Lightning writes and reads the checkpoints of a run."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from pytorch_lightning.plugins import TorchCheckpointIO
from torch.serialization import MAP_LOCATION
from typing_extensions import override

from nlp_rnn.errors import UsageError
from nlp_rnn.storage.checkpoint import check_sums, read_checkpoint, write_checkpoint

LAST = "last.ckpt"
PREVIOUS = "previous.ckpt"


class SafeCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints whole or not at all, refuses damaged ones, and keeps the last but one.

    When `last.ckpt` is written, the one before it becomes `previous.ckpt`, unless it is damaged. So from the
    second save on there are two good checkpoints at any time.
    """

    @override
    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        if "://" in str(path):  # storage on the network, which has no files to rename
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        path = Path(path)
        earlier = path.with_name(f".{PREVIOUS}.tmp")
        try:
            earlier.unlink(missing_ok=True)  # of a process that was killed
            if path.is_symlink():  # of Lightning, to another checkpoint, which would be overwritten
                path.unlink()
            kept = path.name == LAST and _is_intact(path)
            if kept:
                _link(path, earlier)
            write_checkpoint(checkpoint, path)
            if kept:
                os.replace(earlier, path.with_name(PREVIOUS))
        finally:
            earlier.unlink(missing_ok=True)

    @override
    def load_checkpoint(
        self, path: str | Path, map_location: MAP_LOCATION = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        return read_checkpoint(Path(path), map_location)


def _is_intact(path: Path) -> bool:
    try:
        check_sums(path)
    except UsageError:  # also where there is none
        return False
    return True


def _link(path: Path, other: Path) -> None:
    try:
        os.link(path, other)
    except OSError:  # of file systems without hard links
        shutil.copyfile(path, other)
