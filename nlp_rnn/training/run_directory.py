"""The directory that each fit leaves behind: `runs/NAME/1`, `runs/NAME/2`, ..."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from nlp_rnn.errors import UsageError

_LOCK_SECONDS = 10.0  # so long after a process was killed may its data workers hold its lock


def check_name(name: str) -> None:
    """Check that a run's name is the name of one folder.

    Raises:
        UsageError: it is not.
    """
    if name in (".", "..") or not name.strip() or any(sign in name for sign in "/\\\0"):
        raise UsageError(f"--name {name!r}: give a plain folder name, without / or ..")


def new_run_dir(runs: Path, name: str) -> Path:
    """Make a new directory, numbered one higher than the highest so far.

    Args:
        runs: folder of all runs.
        name: name of the run.

    Returns:
        The path of the new directory, `runs/name/NUMBER`.

    Raises:
        UsageError: it cannot be written.
    """
    folder = runs / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        number = 1 + max((int(path.name) for path in folder.iterdir() if path.name.isdecimal()), default=0)
        while True:
            try:
                (folder / str(number)).mkdir()
                break
            except FileExistsError:  # another run was faster
                number += 1
    except OSError as error:
        raise UsageError(
            f"run directory {folder}: cannot be written ({error.strerror}); set --runs"
        ) from error
    return folder / str(number)


@contextmanager
def locked(run_dir: Path) -> Iterator[None]:
    """Keep other processes from training in a run directory; the system ends this with the process.

    Raises:
        UsageError: another process is training in it.
    """
    lock = FileLock(run_dir / ".lock", timeout=_LOCK_SECONDS)
    try:
        lock.acquire()
    except Timeout:
        raise UsageError(
            f"{run_dir}: another process is training in this run directory; wait until it ends, or stop it"
        ) from None
    try:
        yield
    finally:
        lock.release()


def point_latest(run_dir: Path) -> None:
    """Make the link `latest` beside a run directory point to it."""
    link = run_dir.with_name(f".latest.{run_dir.name}")
    link.unlink(missing_ok=True)  # of a process that was killed
    link.symlink_to(run_dir.name)
    os.replace(link, run_dir.with_name("latest"))
