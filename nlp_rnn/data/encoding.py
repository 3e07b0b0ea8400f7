"""Encoding the rows of a split, part by part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from nlp_rnn.data.corpus.spool import spooled
from nlp_rnn.data.labels import UnknownLabelError
from nlp_rnn.data.processor import Processor
from nlp_rnn.data.report import check_seen
from nlp_rnn.data.rows import Rows
from nlp_rnn.data.types import Dataset
from nlp_rnn.lite.text.notices import collect_warnings

_MAX_UNSEEN = 0.5  # of the labels of a split; with more, it is hardly the right column

_ROWS_PER_PART = 1000  # encoded at once


def encode(rows: Dataset, processor: Processor) -> pa.Table:
    """Encode a split.

    Args:
        rows: canonical columns.
        processor: encodes the rows.

    Returns:
        The processor's `features`, and those of its `texts` that the split has.

    Raises:
        UsageError: a row cannot be encoded.
    """
    schema = encoded_schema(rows, processor)
    with collect_warnings():
        table = spooled(encode_parts(rows, processor, schema), schema)
    check_known(Rows(table), processor)
    return table


def encoded_schema(rows: Dataset, processor: Processor) -> pa.Schema:
    """The columns of encoded rows, see `encode`."""
    names = list(processor.encode(rows[:0]))
    arrow = rows.with_format("arrow")[:0].schema
    texts = [arrow.field(name) for name in processor.texts if name in arrow.names]
    return pa.schema([*((name, processor.features[name]) for name in names), *texts])


def encode_parts(rows: Dataset, processor: Processor, schema: pa.Schema) -> Iterator[pa.Table]:
    """Encode a split as `encode` does, part by part.

    Args:
        rows: canonical columns.
        processor: encodes the rows.
        schema: of the parts, from `encoded_schema`.

    Raises:
        UsageError: a row cannot be encoded.
    """
    columns = rows.with_format("arrow")
    for start in range(0, len(rows), _ROWS_PER_PART):
        part = slice(start, start + _ROWS_PER_PART)
        try:
            encoded: dict[str, Any] = processor.encode(rows[part])
        except UnknownLabelError as error:
            raise error.after(start) from None
        if any(name not in encoded for name in schema.names):
            texts = columns[part]
            encoded |= {name: texts[name].combine_chunks() for name in schema.names if name not in encoded}
        yield pa.table(encoded, schema)


def check_known(rows: Rows, processor: Processor) -> None:
    """Refuse encoded rows with several labels each, of which most are unknown.

    Raises:
        UsageError: they are.
    """
    if "label_ids" in rows.names:
        check_seen(rows, processor, _MAX_UNSEEN)
