"""Replacing a folder so that there is a whole one at every moment, whatever happens to the process."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nlp_rnn.files import flush, temporary_beside
from nlp_rnn.lite.folders.folder import folder_aside

_CURRENT_FOLDER = -100  # AT_FDCWD of Linux
_SWAP = 2  # RENAME_EXCHANGE of Linux, and RENAME_SWAP of macOS


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Write a folder whole or not at all. At no moment is there none where there was one.

    Where the system cannot swap two folders in one step, the old one is for a moment at the place that
    `current_folder` knows of.

    Args:
        target: the folder to write. After an error it is as it was before.

    Yields:
        The path of an empty folder beside it, which replaces `target` at the end.
    """
    old = folder_aside(target)
    if old.exists() and not target.exists():  # a process was killed between the two renames below
        old.rename(target)
    with temporary_beside(target, folder=True) as new:
        yield new
        for path in new.iterdir():
            flush(path)
        flush(new)
        if not target.exists():
            new.rename(target)
        elif not swap(new, target):
            shutil.rmtree(old, ignore_errors=True)
            target.rename(old)
            try:
                new.rename(target)
            except OSError:
                old.rename(target)
                raise
            shutil.rmtree(old, ignore_errors=True)
        flush(target.parent)


def swap(first: Path, second: Path) -> bool:
    """Exchange two files or folders of one file system in one step.

    Returns:
        Whether the system could; if not, nothing has changed.
    """
    names = os.fsencode(first), os.fsencode(second)
    try:
        system = ctypes.CDLL(None)
        if sys.platform == "darwin":
            return bool(system.renamex_np(*names, _SWAP) == 0)
        return bool(system.renameat2(_CURRENT_FOLDER, names[0], _CURRENT_FOLDER, names[1], _SWAP) == 0)
    except (AttributeError, TypeError):  # another system, or an old one
        return False
