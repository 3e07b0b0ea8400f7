"""Reading and writing files: what is wrong with one is said in a line that names it."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from .errors import RunError, UsageError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_FULL_DISK = (errno.ENOSPC, errno.EDQUOT)


def open_bytes(path: str | Path) -> BinaryIO:
    """Open a regular file for reading.

    Raises:
        UsageError: the path is missing, unreadable, or not a regular file.
    """
    path = Path(path)
    with read_errors(path):
        if path.is_dir():
            raise UsageError(f"{path}: is a directory; give a file")
        if path.exists() and not path.is_file():  # reading a FIFO would block forever
            raise UsageError(f"{path}: is not a regular file (a pipe, socket or device); give a file")
        return path.open("rb")


@contextmanager
def read_errors(path: str | Path) -> Iterator[None]:
    """Turn an OSError while finding or reading a file or folder into one line that names it."""
    try:
        yield
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"{path}: cannot be read ({reason}); check its permissions") from None


def read_bytes(path: str | Path) -> bytes:
    """Read all bytes of a regular file.

    Raises:
        UsageError: the path is missing, unreadable, or not a regular file.
    """
    with open_bytes(path) as file, read_errors(path):
        return file.read()


def shorten(text: str) -> str:
    """Quote a text for a message, at most 30 characters of it."""
    return repr(text if len(text) <= 30 else text[:30] + "…")


def check_not_read(out: str | Path, read: str | Path, flag: str) -> None:
    """Check that a file to write is not one that is read too, by whatever name or link.

    Args:
        out: the output file; - stands for standard output, which nothing is known of.
        read: the file that is read; a folder stands for all files in it, and - for standard input.
        flag: the command-line option that names the output, for the message.

    Raises:
        UsageError: it is.
    """
    out, path, from_standard = Path(out), Path(read), str(read) == "-"
    is_same = False
    with suppress(OSError, ValueError):  # a file that is not there is not the other one
        if str(out) != "-" and out.is_file():
            places = [0] if from_standard else path.iterdir() if path.is_dir() else [path]
            is_same = any(os.path.samestat(out.stat(), os.stat(place)) for place in places)
    if is_same:
        name = "standard input" if from_standard else read
        raise UsageError(f"{flag} {out}: would replace {name}, which is read; choose another place")


def cannot_write(what: object, error: OSError, remedy: str = "") -> UsageError | RunError:
    """The exception for an error while writing.

    Args:
        what: what is written, as the user names it.
        error: the error.
        remedy: the end of the message.
    """
    return system_error(f"{what}: cannot be written ({error.strerror or error}){remedy}", error)


def system_error(message: str, error: OSError) -> UsageError | RunError:
    """The exception for an error of the system, which says `message`: a full disk is no one's mistake."""
    return RunError(message) if error.errno in _FULL_DISK else UsageError(message)


def discard_output() -> None:
    """Discard what is still to be printed; else the interpreter would try again at exit, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def temporary_beside(target: Path, folder: bool = False) -> Iterator[Path]:
    """Make an empty temporary file or folder beside `target`; remove it at the end.

    It is locked until the process ends, however it ends. Those without a lock are left over from processes
    that were killed, and are removed first.

    Args:
        target: a file or folder, which need not exist.
        folder: whether to make a folder.

    Yields:
        The path of the temporary file or folder.
    """
    leftover = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{8}}\.tmp")
    for path in target.parent.iterdir():
        if leftover.fullmatch(path.name):
            _remove_unlocked(path)
    with ExitStack() as locked:
        while True:
            temporary = target.with_name(f".{target.name}.{os.urandom(4).hex()}.tmp")
            temporary.mkdir() if folder else temporary.touch(exist_ok=False)
            with suppress(OSError):  # of file systems without locks
                locked.enter_context(_lock(temporary, wait=True))
            if temporary.exists():  # else another process took it for a leftover before it was locked
                break
        try:
            yield temporary
        finally:
            _remove(temporary)


@contextmanager
def _lock(path: Path, wait: bool) -> Iterator[None]:
    """Lock a file or folder; the system releases the lock when the process ends.

    Raises:
        OSError: another process has the lock, or the file system has none.
    """
    if fcntl is None:
        raise OSError("this system has no locks")
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _remove_unlocked(path: Path) -> None:
    with suppress(OSError), _lock(path, wait=False):
        _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        import shutil  # which imports all compressions

        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
