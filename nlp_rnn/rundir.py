"""The directory that each fit leaves behind, and where programs may write at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nlp_rnn.errors import UsageError


def check_writable(folder: Path, flag: str) -> None:
    """See, without making anything, whether `folder` is or could become a folder to write in.

    Raises:
        UsageError: it could not; names the path that stands in the way.
    """
    folder = folder.absolute()
    existing = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not existing.is_dir():
        raise UsageError(f"{flag} {folder}: {existing} is not a folder; choose another place")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UsageError(f"{flag} {folder}: {existing} is not writable; choose another place")


def check_name(name: str) -> None:
    """See that a run's name is the name of one folder.

    Raises:
        UsageError: it is not.
    """
    if name in (".", "..") or not name.strip() or any(sign in name for sign in "/\\\0"):
        raise UsageError(f"--name {name!r}: give a plain folder name, without / or ..")


def new_run_dir(runs: Path, name: str) -> Path:
    """Make a fresh directory `runs/name/N`.

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


def point_latest(run_dir: Path) -> None:
    """Let the link `latest` beside a finished run lead to it."""
    link = run_dir.with_name(f".latest.{run_dir.name}")
    link.symlink_to(run_dir.name)
    os.replace(link, run_dir.with_name("latest"))


@contextmanager
def written_whole(out: Path) -> Iterator[Path]:
    """A file beside `out` to write, which takes its place at the end; after an error `out` is as before."""
    half = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        yield half
        os.replace(half, out)
    finally:
        half.unlink(missing_ok=True)
