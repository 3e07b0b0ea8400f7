r"""Read files as bytes or lines, and write files atomically.

Text is UTF-8; a byte-order mark is removed. Lines end at "\n" or "\r\n" only: a bare "\r", U+2028, U+0085
or form feed is white space inside a line.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from nlp_rnn.errors import UsageError

log = logging.getLogger(__name__)


def open_bytes(path: str | Path) -> BinaryIO:
    """Open a regular file for reading.

    Raises:
        UsageError: the path is missing, unreadable, or not a regular file.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise UsageError(f"{path}: is a directory; give a file")
        if path.exists() and not path.is_file():  # reading a FIFO would block forever
            raise UsageError(f"{path}: is not a regular file (a pipe, socket or device); give a file")
        return path.open("rb")
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None


def read_bytes(path: str | Path) -> bytes:
    """Read all bytes of a regular file.

    Raises:
        UsageError: the path is missing, unreadable, or not a regular file.
    """
    with open_bytes(path) as file:
        return file.read()


def read_lines(path: str | Path) -> list[str]:
    """Read the lines of a UTF-8 text file, without their line ends.

    NUL characters are kept; one warning counts them.

    Raises:
        UsageError: the path is not a readable file, or the text is not UTF-8 (with line and byte offset).
    """
    data = read_bytes(path)
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"{path}, line {line}: invalid UTF-8 at byte offset {error.start} of the file; convert the file"
        ) from None
    if nuls := text.count("\0"):
        log.warning("%s: kept %d NUL character(s) as text", path, nuls)
    if not text:
        return []
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]


def shorten(text: str) -> str:
    """Quote a text for a message, at most 30 characters of it."""
    return repr(text if len(text) <= 30 else text[:30] + "…")


def check_writable(folder: Path, flag: str) -> None:
    """Check that `folder` can be written to, or created. Nothing is created.

    Args:
        folder: the output folder.
        flag: the command-line option that names it, for the message.

    Raises:
        UsageError: it cannot; the message names the path that prevents it.
    """
    folder = folder.absolute()
    existing = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not existing.is_dir():
        raise UsageError(f"{flag} {folder}: {existing} is not a folder; choose another place")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UsageError(f"{flag} {folder}: {existing} is not writable; choose another place")


@contextmanager
def atomic_write(out: Path) -> Iterator[Path]:
    """Write a file whole or not at all.

    Args:
        out: the file to write. After an error it is as it was before.

    Yields:
        The path of a temporary file in the same folder, which replaces `out` at the end.
    """
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, out)
    finally:
        temporary.unlink(missing_ok=True)
