"""Which checkpoint of a run training resumes from: the newest that is not damaged."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from nlp_rnn.errors import UsageError
from nlp_rnn.storage.checkpoint import DamagedCheckpointError, read_checkpoint


class GoodCheckpoint(NamedTuple):
    """A checkpoint that training can resume from."""

    path: Path
    reason: str
    """One line for people: which it is, and why it is none of the others."""


def newest_good(folder: Path) -> GoodCheckpoint:
    """The checkpoint in a folder that was trained longest, and is not damaged.

    Args:
        folder: the folder of a run's checkpoints.

    Raises:
        UsageError: it has none; the message says what is wrong with each.
    """
    good: list[tuple[int, int, Path]] = []
    refused: list[str] = []  # what is wrong with each of the others
    for path in sorted(folder.glob("[!.]*.ckpt")):
        try:
            checkpoint = read_checkpoint(path)
            if "loops" not in checkpoint:
                raise UsageError(f"{path}: holds weights only")
            good.append((int(checkpoint["global_step"]), path.stat().st_mtime_ns, path))
        except UsageError as error:
            refused.append(str(error).removeprefix(f"{folder}/"))
    good.sort(reverse=True)
    if not good:
        reasons = "; ".join(refused) or "there is none"
        raise UsageError(f"{folder}: no checkpoint to resume from: {reasons}; begin a new run")
    (step, _, path), *older = good
    steps = ", ".join(f"{other.name} (step {other_step})" for other_step, _, other in older)
    parts = [f"{path} (step {step})", *([f"older: {steps}"] if steps else [])]
    return GoodCheckpoint(path, "; ".join([*parts, *(f"passed over: {reason}" for reason in refused)]))


def good_or_newest(path: Path) -> GoodCheckpoint:
    """A checkpoint; or, if it is damaged, the newest good one in the same folder.

    Args:
        path: a .ckpt file.

    Raises:
        UsageError: it is damaged and its folder has no good one, or it is not a checkpoint.
    """
    try:
        read_checkpoint(path)
    except DamagedCheckpointError as error:
        try:
            return newest_good(path.parent)
        except UsageError:
            raise error from None
    return GoodCheckpoint(path, str(path))
