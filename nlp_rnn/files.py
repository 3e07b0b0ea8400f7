r"""Read files as bytes or lines, and write files atomically.

Text is UTF-8; a byte-order mark is removed. Lines end at "\n" or "\r\n" only: a bare "\r", U+2028, U+0085
or form feed is white space inside a line.
"""

import hashlib
import logging
import math
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nlp_rnn.errors import UsageError, printable
from nlp_rnn.lite.files import cannot_write as cannot_write
from nlp_rnn.lite.files import check_not_read as check_not_read
from nlp_rnn.lite.files import discard_output as discard_output
from nlp_rnn.lite.files import open_bytes as open_bytes
from nlp_rnn.lite.files import read_bytes as read_bytes
from nlp_rnn.lite.files import read_errors as read_errors
from nlp_rnn.lite.files import shorten as shorten
from nlp_rnn.lite.files import system_error as system_error
from nlp_rnn.lite.files import temporary_beside as temporary_beside

log = logging.getLogger(__name__)


def file_hash(path: str | Path) -> str:
    """Return the SHA-256 hash (hex) of a regular file's bytes, which need not fit into memory.

    Raises:
        UsageError: the path is missing, unreadable, or not a regular file.
    """
    digest = hashlib.sha256()
    with open_bytes(path) as file, read_errors(path):
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def decode_lines(data: bytes, name: str, encoding: str = "utf-8") -> list[str]:
    """Decode text into lines, without their line ends.

    NUL characters are kept; one warning counts them.

    Args:
        data: the text; a byte-order mark is removed.
        name: what messages call the text.
        encoding: the name of an encoding that Python knows.

    Raises:
        UnicodeDecodeError: the text is in another encoding.
    """
    text = data.decode(encoding).removeprefix("\ufeff")
    if nuls := text.count("\0"):
        log.warning("%s: kept %d NUL character(s) as text", name, nuls)
    if not text:
        return []
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]


def standard_json(value: Any) -> Any:
    """A value with None in place of NaN and infinity, which standard JSON does not have."""
    if isinstance(value, dict):
        return {name: standard_json(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [standard_json(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def check_writable(folder: Path, flag: str) -> None:
    """Check that `folder` can be written to, or created. Nothing is left in it.

    Args:
        folder: the output folder.
        flag: the command-line option that names it, for the message.

    Raises:
        UsageError: it cannot; the message names the path that prevents it.
        RunError: the disk is full.
    """
    folder = folder.absolute()
    with _places(folder, flag):
        existing = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
        if not existing.is_dir():
            raise UsageError(f"{flag} {folder}: {existing} is not a folder; choose another place")
        # Permissions do not tell: there are places where the system lets nobody make a file.
        with tempfile.TemporaryDirectory(prefix=".", dir=existing):
            pass


def check_output(out: Path, flag: str) -> None:
    """Check that the file `out` can be written. No temporary file is left.

    Args:
        out: the output file, which may be a device or a pipe.
        flag: the command-line option that names it, for the message.

    Raises:
        UsageError: it cannot.
        RunError: the disk is full.
    """
    out = out.absolute()
    with _places(out, flag):
        if out.is_dir():
            raise UsageError(f"{flag} {out}: is a directory; give a file")
        if out.is_file() or not out.exists():
            check_writable(Path(os.path.realpath(out)).parent, flag)  # where a link points to


@contextmanager
def _places(path: Path, flag: str) -> Iterator[None]:
    """Turn an OSError, such as that of a name that the system does not allow, into one line."""
    if "\0" in str(path):
        raise UsageError(f"{flag} {path}: has a NUL character; choose another place")
    try:
        with suppress(FileNotFoundError, NotADirectoryError):
            os.lstat(path)
        yield
    except OSError as error:
        raise cannot_write(f"{flag} {path}", error, "; choose another place") from error


@contextmanager
def atomic_write(out: Path) -> Iterator[Path]:
    """Write a file whole or not at all, whether the writer fails, is killed, or fills the disk.

    A link is followed. What is there but is no regular file, such as a pipe or a device, is written to.

    Args:
        out: the file to write. After an error it is as it was before.

    Yields:
        The path of an empty temporary file in the same folder, which replaces `out` at the end.

    Raises:
        UsageError: `out` is a folder, or cannot be written; other errors of the body pass through.
        RunError: the disk is full.
    """
    target = Path(os.path.realpath(out))
    if target.is_dir():
        raise UsageError(f"{out}: is a directory; give a file")
    if target.exists() and not target.is_file():
        with write_errors(out, target):
            yield target
        return
    with write_errors(out, target), temporary_beside(target) as temporary:
        yield temporary
        flush(temporary)
        os.replace(temporary, target)
        flush(target.parent)


@contextmanager
def write_errors(out: Path, target: Path) -> Iterator[None]:
    """Turn an OSError while writing, for example on a full disk, into one line that names the output.

    Args:
        out: the output, as the user names it.
        target: the same, absolute; errors that name a file elsewhere pass through.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.filename is not None:
            path = Path(os.fspath(error.filename))
            if target.parent not in (path, path.parent):
                raise
        raise cannot_write(out, error) from error


@contextmanager
def printing() -> Iterator[None]:
    """Turn an error of standard output, for example on a full disk, into one line; flush it at the end."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.filename is not None:
            raise
        discard_output()
        raise cannot_write("standard output", error) from error


def printed(text: str) -> str:
    """A text as it is printed: a terminal gets no control characters but tabs and line breaks."""
    if not sys.stdout.isatty():
        return text
    return "".join(part if part in "\n\t" else printable(part) for part in re.split("([\n\t])", text))


def flush(path: Path) -> None:
    """Wait until a file's content, or the names in a folder, are on the disk."""
    if path.is_dir():
        with suppress(OSError):  # of systems that do not open or flush folders
            _flush(path, os.O_RDONLY)
    else:
        _flush(path, os.O_RDWR)


def _flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
