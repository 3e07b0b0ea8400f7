"""Reading files: what is wrong with one is said in a line that names it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .errors import UsageError


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
