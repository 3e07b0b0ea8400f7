"""A disk cache: folders named by a hash of everything that their content depends on."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from nlp_rnn.files import cannot_write

logger = logging.getLogger(__name__)

_MANIFEST = "manifest.json"


def cache_root() -> Path:
    """Return the cache folder: `NLP_RNN_CACHE`, or `nlp_rnn` in the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "nlp_rnn"
    return Path(os.environ.get("NLP_RNN_CACHE") or default).expanduser()


def cached_folder(key: str, build: Callable[[Path], None]) -> Path:
    """Return the cached folder of a key; build it first if it is missing or damaged.

    Several processes may call this at once: one builds, the others wait. A folder gets its final name only
    when it is complete.

    Args:
        key: the folder's name, a hash of everything that its content depends on.
        build: writes the content into the empty folder that it is called with.

    Raises:
        UsageError: the cache folder cannot be written to.
        RunError: the disk is full.
    """
    root = cache_root()
    folder = root / key
    lock = FileLock(root / f"{key}.lock")
    with _write_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        with _write_errors(root):
            if folder.exists() and not _is_intact(folder):
                logger.warning("the cached data in %s is damaged: rebuilding it", folder)
                shutil.rmtree(folder) if folder.is_dir() else folder.unlink()
        if not folder.exists():
            with _write_errors(root, building=True):
                _create(folder, build)
    finally:
        lock.release()
    return folder


@contextmanager
def _write_errors(root: Path, building: bool = False) -> Iterator[None]:
    """Turn an OSError in the cache folder into one line; of those while building, only a full disk."""
    try:
        yield
    except OSError as error:
        if building and error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise cannot_write(f"cache folder {root}", error, "; set NLP_RNN_CACHE to another") from error


def _create(folder: Path, build: Callable[[Path], None]) -> None:
    prefix = f"{folder.name}.tmp."
    for leftover in folder.parent.glob(f"{prefix}*"):  # of a process that was killed
        shutil.rmtree(leftover)
    temporary = Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
    try:
        build(temporary)
        (temporary / _MANIFEST).write_text(json.dumps(_digests(temporary)))
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 (hex) of each file, by relative path."""
    digests = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != _MANIFEST:
            with path.open("rb") as file:
                digests[str(path.relative_to(folder))] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


def _is_intact(folder: Path) -> bool:
    try:
        manifest: dict[str, str] = json.loads((folder / _MANIFEST).read_text())
        return manifest == _digests(folder)
    except (OSError, ValueError):
        return False
