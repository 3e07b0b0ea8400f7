"""Write the answers to a large table as a folder of Parquet files; an interrupted run resumes there."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from nlp_rnn.errors import UsageError
from nlp_rnn.files import atomic_write, cannot_write, open_bytes, read_bytes
from nlp_rnn.inference.table_input import TableInput, find_columns
from nlp_rnn.inference.table_output import ParquetWriter, check_names
from nlp_rnn.inference.tables import answer_chunk, answer_columns
from nlp_rnn.lite.pipelines import BasePipeline
from nlp_rnn.storage.stored import checksums

log = logging.getLogger(__name__)

# Programs that read a folder of Parquet files leave out names that begin with "_" or ".".
_MANIFEST = "_manifest.json"
_COMPLETE = "_SUCCESS"


def answer_in_shards(
    answerer: BasePipeline,
    table: TableInput,
    folder: Path,
    rows: int,
    scores: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Write a table with the answers to its rows, as Parquet files of equally many rows.

    Each file is written whole. The same call after an interruption goes on behind the last whole file, so
    that each row is answered once, and ends with the same files as an undisturbed one.

    Args:
        answerer: the model.
        table: the rows.
        folder: where to write; a new or empty folder, or one that the same call has begun.
        rows: the rows of a file, which are held in memory.
        scores: whether to write the probability of each class too.
        settings: what else the answers depend on.

    Raises:
        UsageError: the folder holds other files, was begun with another model, table or settings, or cannot
            be written; or another process writes it.
    """
    found = find_columns(table)
    check_names(table, ".parquet")
    columns = answer_columns(answerer.task, table, scores)
    manifest = {
        "model": _hash_model(answerer),
        "table": _hash_file(table.path),
        "settings": {**(settings or {}), "reads": found, "columns": [*table.names, *columns], "rows": rows},
    }
    _check_begun(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise UsageError(f"{folder}: another process is writing to it; wait until it ends") from None
    except OSError as error:
        raise cannot_write(f"--output {folder}", error, "; choose another place") from error
    with lock:
        _check_manifest(folder, manifest)
        if (folder / _COMPLETE).exists():
            log.warning("%s: is complete already", folder)
            return
        done = _count_whole(folder, rows)
        written = 0
        for number, chunk in enumerate(table.chunks(rows)):
            if number >= done:
                answers = answer_chunk(answerer, table, found, chunk)
                with atomic_write(_shard(folder, number)) as temporary:
                    writer = ParquetWriter(temporary, table.schema, columns)
                    writer.write(chunk, answers)
                    writer.close()
            written = number + 1
        if not written:  # so that the folder has the columns
            with atomic_write(_shard(folder, 0)) as temporary:
                ParquetWriter(temporary, table.schema, columns).close()
        with atomic_write(folder / _COMPLETE):
            pass


def _shard(folder: Path, number: int) -> Path:
    return folder / f"part-{number:05d}.parquet"


def _count_whole(folder: Path, rows: int) -> int:
    """The number of files from the first on that are whole and have all of their rows."""
    number = 0
    try:
        while pq.read_metadata(_shard(folder, number)).num_rows == rows:
            number += 1
    except (OSError, pa.ArrowException):  # there is none, or it is damaged
        pass
    return number


def _check_begun(folder: Path) -> None:
    """Raise UsageError if a folder holds other files than those of `answer_in_shards`."""
    if not folder.is_dir() or (folder / _MANIFEST).exists():
        return
    if any(not entry.name.startswith(".") for entry in folder.iterdir()):
        raise UsageError(f"--output {folder}: holds other files; give a new folder")


def _check_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Store what a folder is begun with, or compare it."""
    path = folder / _MANIFEST
    _check_begun(folder)
    if not path.exists():
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        return
    try:
        begun = json.loads(read_bytes(path))
    except ValueError:
        begun = None
    for part, value in manifest.items():
        if not isinstance(begun, dict) or begun.get(part) != value:
            what = part.removesuffix("s")
            raise UsageError(
                f"--output {folder}: was begun with another {what}; give the same, or a new folder"
            )


def _hash_model(answerer: BasePipeline) -> dict[str, Any]:
    task = answerer.task
    models = [checksums(one.stored(), one.model.state_dict()) for one in task.members or (task,)]
    hashes = {"models": models} if task.members else models[0]
    return {**hashes, "processor": task.processor.fingerprint}


def _hash_file(path: Path) -> str:
    digest = hashlib.sha256()
    with open_bytes(path) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
