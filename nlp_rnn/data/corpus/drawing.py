"""Drawing splits from the rows of train, and the record of which row is in which split."""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nlp_rnn.data.corpus.splits import SPLITS, take_rows
from nlp_rnn.data.corpus.spool import numbered_chunks, table_chunks
from nlp_rnn.data.corpus.validation import (
    encode_labels,
    is_list,
    row_hashes,
    row_keys,
    rows_covering_labels,
    warn_shared_rows,
)
from nlp_rnn.errors import UsageError

log = logging.getLogger(__name__)

_CODES = {name: code for code, name in enumerate(SPLITS, 1)}
"""What stands for each split in `Drawn`; 0 for none."""

_SHIFTS = np.arange(0, 8, 2, dtype=np.uint8)  # of the codes in a byte


@dataclass(frozen=True)
class Drawn:
    """Which rows of a table are in which split, where splits were drawn from it.

    It is stored with a model, so that the rows that were held out are found again whatever way they were
    drawn.
    """

    source: str
    """The name of the file or dataset."""
    content: str
    """The SHA-256 hash (hex) of the rows, see `content_hash`."""
    rows: int
    """The number of rows of the table, those that are in no split included."""
    codes: str
    """What split each row is in: four rows per byte, compressed (zlib) and as text (base64)."""

    @classmethod
    def of(cls, source: str, content: str, num_rows: int, splits: Mapping[str, np.ndarray]) -> Self:
        """Make the record.

        Args:
            source: the name of the file or dataset.
            content: hash of the table.
            num_rows: number of rows of the table.
            splits: the numbers of the rows of each split.
        """
        codes = np.zeros(-(-num_rows // 4) * 4, np.uint8)
        for name, rows in splits.items():
            codes[rows] = _CODES[name]
        packed = np.bitwise_or.reduce(codes.reshape(-1, 4) << _SHIFTS, axis=1)
        return cls(source, content, num_rows, base64.b64encode(zlib.compress(packed.tobytes())).decode())

    @classmethod
    def from_state(cls, state: Any) -> Self:
        """Make it from the fields, which may come from a stranger's model folder.

        Raises:
            UsageError: they are not what they should be.
        """
        types = {"source": str, "content": str, "rows": int, "codes": str}
        if (
            not isinstance(state, dict)
            or {name: type(value) for name, value in state.items()} != types
            or not re.fullmatch("[0-9a-f]{64}", state["content"])
            or state["rows"] < 0
        ):
            raise UsageError("drawn must be source, content, rows and codes, as a fit stores them; delete it")
        return cls(**state)

    def split_rows(self) -> dict[str, np.ndarray]:
        """The numbers of the rows of each split that has any, in order.

        Raises:
            UsageError: the codes are damaged.
        """
        size = -(-self.rows // 4)
        try:
            packed = zlib.decompressobj().decompress(base64.b64decode(self.codes, validate=True), size + 1)
        except (zlib.error, binascii.Error, ValueError):
            packed = b""
        if len(packed) != size:
            raise UsageError("the model's record of the rows it was trained on (drawn) is damaged; delete it")
        numbers = ((np.frombuffer(packed, np.uint8)[:, None] >> _SHIFTS) & 3).ravel()[: self.rows]
        found = {name: np.flatnonzero(numbers == code) for name, code in _CODES.items()}
        return {name: rows for name, rows in found.items() if len(rows)}


def differ(one: Drawn | None, other: Drawn | None) -> bool:
    """Return whether two records put rows of the same data into different splits."""
    if one is None or other is None or (one.content, one.rows) != (other.content, other.rows):
        return False
    parts, others = one.split_rows(), other.split_rows()
    return parts.keys() != others.keys() or not all(np.array_equal(parts[n], others[n]) for n in parts)


def content_hash(table: pa.Table, labels: str | None) -> str:
    """The SHA-256 hash (hex) of all rows but their labels, whatever file or object they were read from."""
    digest = hashlib.sha256(str(table.num_rows).encode())
    for name in (name for name in table.column_names if name != labels):
        column = table.column(name)
        if _is_numeric(column.type):
            if is_list(table, name):
                for _, chunk in numbered_chunks(column):
                    digest.update(pc.fill_null(pc.list_value_length(chunk), -1).to_numpy().tobytes())
            for _, chunk in numbered_chunks(column):
                values = pc.list_flatten(chunk) if is_list(table, name) else chunk
                digest.update(values.to_numpy(zero_copy_only=False).tobytes())
        else:
            for _, part in table_chunks(table.select([name])):
                keys = pc.fill_null(row_keys(part), "")
                digest.update("\x1d".join([*keys.to_pylist(), ""]).encode())
        digest.update(b"\x1c")
    return digest.hexdigest()


def _is_numeric(arrow_type: pa.DataType) -> bool:
    return bool(pa.types.is_floating(getattr(arrow_type, "value_type", arrow_type)))


def number_groups(where: str, values: pa.ChunkedArray) -> np.ndarray:
    """Number the different values of a column of text; each row without a value is a group of its own.

    Args:
        where: what messages call the table.
        values: [rows] the column.

    Returns:
        [rows] the number of each row's group, from 0.
    """
    groups = row_hashes(pa.table({"": pc.fill_null(values, "")}))
    parts = [pc.equal(pc.utf8_trim_whitespace(chunk), "") for _, chunk in numbered_chunks(values)]
    blank = pc.fill_null(pa.chunked_array(parts, pa.bool_()), True).to_numpy()
    groups = _by_occurrence(groups)
    groups[blank] = len(groups) + np.arange(blank.sum())
    if blank.any():
        log.warning("%s: %d row(s) have no group (corpus.group); each is by itself", where, blank.sum())
    numbers: np.ndarray = np.unique(groups, return_inverse=True)[1]
    return numbers


def draw_splits(
    where: str,
    train: pa.Table,
    labels: str | None,
    fractions: Mapping[str, float],
    seed: int,
    groups: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Draw evaluation splits from the rows of train.

    The rows of a group stay together. Without groups, where test is drawn too, rows that are equal but for
    their label do, unless there are so few different ones that the splits would be of another size.

    Args:
        where: what messages call the rows.
        train: the rows.
        labels: column of labels; with one per row the splits are stratified. Each label stays in train.
        fractions: the fraction of the rows that each split gets; validation comes first.
        seed: seed of the drawing.
        groups: [rows] the number of each row's group.

    Returns:
        The numbers of the rows of each split and of train, in order. Test may be missing.

    Raises:
        UsageError: there are too few rows.
    """
    equal = _equal_rows(train, labels)
    together = equal if groups is None and "test" in fractions else groups
    splits = _draw(train, labels, fractions, seed, together)
    wanted = {name: fraction * train.num_rows for name, fraction in fractions.items()}
    misfit = any(
        name not in splits or abs(len(splits[name]) - rows) > rows / 2 + 1 for name, rows in wanted.items()
    )
    if equal is not None and together is equal and misfit:
        together = None
        splits = _draw(train, labels, fractions, seed, None)
    if equal is not None and together is not equal:
        inputs = train if labels is None else train.drop_columns([labels])
        warn_shared_rows({name: (where, take_rows(inputs, rows)) for name, rows in splits.items()}, None)
    for name in (name for name in fractions if name not in splits):
        what = f"{train.num_rows} rows" if groups is None else f"{len(np.unique(groups))} groups"
        message = f"{where}: {what} are too few to sample a {name} split from"
        if name == "validation":
            raise UsageError(message)
        log.warning("there is no test split: %s", message)
    return splits


def _draw(
    train: pa.Table,
    labels: str | None,
    fractions: Mapping[str, float],
    seed: int,
    groups: np.ndarray | None,
) -> dict[str, np.ndarray]:
    """As `draw_splits`; a split is missing where there are too few rows or groups."""
    # What the drawing depends on.
    train = pa.table({"": pa.nulls(len(train))}) if labels is None else train.select([labels])
    rest, splits = np.arange(train.num_rows), {}
    for name, fraction in fractions.items():
        own_seed = seed if name == "validation" else (seed, _CODES[name])
        size = max(1, round(fraction * train.num_rows))
        part = None if groups is None else groups[rest]
        drawn = draw_rows(take_rows(train, rest), labels, size, own_seed, part)
        if drawn.any():
            splits[name], rest = rest[drawn], rest[~drawn]
    return splits | {"train": rest}


def draw_rows(
    table: pa.Table,
    labels: str | None,
    size: int,
    seed: int | Sequence[int],
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """Sample about `size` rows such that every label is also among the others.

    Args:
        table: the rows.
        labels: column of labels; with one per row the sample is stratified, of groups by the commonest label.
        size: number of rows to sample; of groups at least one, and else right to within half the largest.
        seed: seed of the sampling.
        groups: [rows] the number of each row's group, whose rows stay together; None if each is by itself.

    Returns:
        [rows] whether each row is sampled; none is if the others need all.
    """
    numbers = np.arange(table.num_rows) if groups is None else np.unique(groups, return_inverse=True)[1]
    sizes = np.bincount(numbers)
    order = np.random.default_rng(seed).permutation(len(sizes))
    by_group = np.argsort(np.argsort(order)[numbers], kind="stable")
    kept = rows_covering_labels(table, labels, by_group) if labels is not None else by_group[:1]
    pool = order[~np.isin(order, numbers[kept])]
    if labels is not None and not is_list(table, labels):
        codes, names = encode_labels(table, labels)
        pairs, counts = np.unique(numbers * len(names) + codes, return_counts=True)
        pairs = pairs[np.argsort(counts, kind="stable")]
        label_of = np.zeros(len(sizes), np.int64)
        label_of[pairs // len(names)] = pairs % len(names)  # the commonest, which comes last
        pool = pool[np.argsort(label_of[pool], kind="stable")]
    # In an order that is sorted by label and random within each label, a group is taken as soon as more than
    # half of it is due. Of single rows, each label's part is right to within one row.
    total = int(sizes[pool].sum())
    due, taken = 0, []
    for group, rows in zip(pool.tolist(), sizes[pool].tolist(), strict=True):
        due += min(size, total) * rows
        if 2 * due > total * rows:
            due -= total * rows
            taken.append(group)
    if len(pool) and not taken:
        taken = [pool[sizes[pool].argmin()]]
    chosen = np.zeros(len(sizes), bool)
    chosen[taken] = True
    return chosen[numbers]


def _equal_rows(table: pa.Table, labels: str | None) -> np.ndarray | None:
    """Number rows by what they hold beside labels; None if all differ, or hold numbers."""
    inputs = table if labels is None else table.drop_columns([labels])
    if any(_is_numeric(field.type) for field in inputs.schema):
        return None
    hashes = row_hashes(inputs)
    different = len(np.unique(hashes))
    return None if different == len(hashes) else _by_occurrence(hashes)


def _by_occurrence(values: np.ndarray) -> np.ndarray:
    """Number values [N] in the order in which they occur first."""
    _, first, places = np.unique(values, return_index=True, return_inverse=True)
    numbers = np.empty(len(first), np.int64)
    numbers[np.argsort(first)] = np.arange(len(first))
    return numbers[places]
