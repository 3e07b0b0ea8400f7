"""Streams: datasets of which nobody has all rows, such as those of the hub in streaming mode."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from nlp_rnn.data.corpus import spool
from nlp_rnn.errors import RunError, UsageError, one_line

log = logging.getLogger(__name__)

_REPORTED = 1_000_000  # rows, after each of which a message says how far a stream was read


def is_stream(data: Any) -> bool:
    """Return whether data is a `datasets.IterableDataset`."""
    return hasattr(data, "with_format") and hasattr(data, "features") and not hasattr(data, "__len__")


def draw_stream(stream: Any, limit: int | None, where: str) -> pa.Table:
    """Read the first rows of a stream, in bounded memory.

    Args:
        stream: a `datasets.IterableDataset`.
        limit: the maximum number of rows; None to read to the end.
        where: what messages call the stream.

    Returns:
        All of its columns.

    Raises:
        UsageError: the stream fails, or its rows are of types that do not go together.
    """
    if limit is None and not _states_its_size(stream):
        log.warning(
            "%s: read to its end, which may never come; corpus.max_examples stops after as many rows", where
        )
    stream = stream if limit is None else stream.take(limit)
    try:
        rows = spool.spooled(_parts(stream.with_format("arrow"), where), pa.schema([]))
    except (UsageError, RunError):
        raise
    except Exception as error:  # of the network, of many libraries, and of the user's own generator
        raise UsageError(f"{where}: cannot be read: {one_line(error)}") from error
    metadata = None if stream.features is None else stream.features.arrow_schema.metadata
    return rows.replace_schema_metadata(metadata)  # which has the names of classes


def _parts(stream: Any, where: str) -> Iterator[pa.Table]:
    count = 0
    for part in stream.iter(spool.CHUNK_ROWS):
        yield part.replace_schema_metadata(None)
        if (count + len(part)) // _REPORTED > count // _REPORTED:
            log.info("%s: %s rows so far", where, f"{count + len(part):,}")
        count += len(part)


def _states_its_size(stream: Any) -> bool:
    splits = stream.info.splits or {}
    return stream.split is not None and str(stream.split) in splits
