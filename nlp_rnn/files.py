"""Reading a file as bytes and as lines.

Text stays what it is: UTF-8, a byte-order mark stripped, lines ending at "\\n" only ("\\r\\n" equals "\\n";
a bare "\\r", U+2028, U+0085 or form feed is white space inside a line).
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
    """A regular file opened for reading; UsageError says what is wrong with any other path."""
    path = Path(path)
    try:
        if path.is_dir():
            raise UsageError(f"{path}: is a directory; give a file")
        if path.exists() and not path.is_file():  # reading a FIFO would wait for ever
            raise UsageError(f"{path}: is not a regular file (a pipe, socket or device); give a file")
        return path.open("rb")
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None


def read_bytes(path: str | Path) -> bytes:
    """All bytes of a regular file; UsageError says what is wrong with any other path."""
    with open_bytes(path) as file:
        return file.read()


def read_lines(path: str | Path) -> list[str]:
    """The lines of a UTF-8 text file, without their ends.

    NUL characters are kept and counted in one warning. Raises UsageError for a path that is not a readable
    file and, with line and byte offset, for invalid UTF-8.
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
    return repr(text if len(text) <= 30 else text[:30] + "…")


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


@contextmanager
def atomic_write(out: Path) -> Iterator[Path]:
    """A file beside `out` to write, which takes its place at the end; after an error `out` is as before."""
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, out)
    finally:
        temporary.unlink(missing_ok=True)
