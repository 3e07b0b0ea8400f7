"""What is made from a corpus once, kept on disk by the hash of all it was made from."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from nlp_rnn.errors import UsageError

logger = logging.getLogger(__name__)

_MANIFEST = "manifest.json"


def cache_root() -> Path:
    """`NLP_RNN_CACHE`, or `nlp_rnn` in the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "nlp_rnn"
    return Path(os.environ.get("NLP_RNN_CACHE") or default).expanduser()


def cached_folder(key: str, build: Callable[[Path], None]) -> Path:
    """The folder that `build` filled for `key`, filled now if it is not there or damaged.

    Several processes may ask at once: one builds, the others wait for it. A folder appears under its name
    only when it is whole.

    Raises:
        UsageError: the cache cannot be written.
    """
    root = cache_root()
    folder = root / key
    lock = FileLock(root / f"{key}.lock")
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise UsageError(
            f"cache folder {root}: cannot be written ({error.strerror}); set NLP_RNN_CACHE to another"
        ) from error
    try:
        if folder.exists() and not _intact(folder):
            logger.warning("the cached data in %s is damaged: making it anew", folder)
            shutil.rmtree(folder)
        if not folder.exists():
            _make(folder, build)
    finally:
        lock.release()
    return folder


def _make(folder: Path, build: Callable[[Path], None]) -> None:
    for left in folder.parent.glob(f"{folder.name}.half.*"):  # by a process that was killed
        shutil.rmtree(left)
    half_made = Path(tempfile.mkdtemp(prefix=f"{folder.name}.half.", dir=folder.parent))
    try:
        build(half_made)
        (half_made / _MANIFEST).write_text(json.dumps(_digests(half_made)))
        half_made.rename(folder)
    finally:
        shutil.rmtree(half_made, ignore_errors=True)


def _digests(folder: Path) -> dict[str, str]:
    digests = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != _MANIFEST:
            with path.open("rb") as file:
                digests[str(path.relative_to(folder))] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


def _intact(folder: Path) -> bool:
    try:
        return json.loads((folder / _MANIFEST).read_text()) == _digests(folder)
    except (OSError, ValueError):
        return False
