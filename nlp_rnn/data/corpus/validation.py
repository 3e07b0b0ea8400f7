"""What is wrong with rows, found before they are used; tables have canonical columns of text."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nlp_rnn.errors import UsageError

log = logging.getLogger(__name__)

Split = tuple[str, pa.Table]
"""What messages call a split, and its rows."""

UNTAGGED = "_"
"""The tag of a word without one in CoNLL-U: no label."""


def has_hidden_labels(name: str, split: Split, labels: str | None) -> bool:
    """Whether a split has no labels, like public test splits whose labels are kept secret (all -1)."""
    where, table = split
    if labels is None or name == "train" or table.num_rows == 0 or is_list(table, labels):
        return False
    if any(label not in (None, "-1") for label in pc.unique(table.column(labels)).to_pylist()):
        return False
    log.warning("%s: dropped, its labels are all missing or -1", where)
    return True


def validate_rows(where: str, table: pa.Table, labels: str | None) -> pa.Table:
    """The table, less rows with a blank column; UsageError for null and for lists of unequal length."""
    sizes, lists = {}, {}
    for name in table.column_names:
        values = table.column(name).combine_chunks()
        missing = values.is_null().to_numpy(zero_copy_only=False)
        if is_list(table, name):
            holes = pc.list_flatten(values).is_null()
            missing[pc.list_parent_indices(values).filter(holes).to_numpy()] = True
            sizes[name] = lists[name] = pc.list_value_length(values)
        elif pa.types.is_floating(values.type):
            sizes[name] = pa.array(np.ones(len(values)))
        else:
            sizes[name] = pc.utf8_length(pc.utf8_trim_whitespace(values))
        if missing.any():
            raise UsageError(
                f"{where}, row {missing.argmax() + 1}: column {name!r} holds no value (null); fill it in"
            )
    first, *others = lists or [""]
    for name in others:
        differ = pc.not_equal(lists[first], lists[name]).to_numpy(zero_copy_only=False)
        if differ.any():
            row = int(differ.argmax())
            counts = f"{lists[first][row]} {first} but {lists[name][row]} {name}"
            raise UsageError(f"{where}, row {row + 1}: {counts}; give one each")
    if labels is not None and not is_list(table, labels):
        return table
    full = np.all([size.to_numpy() > 0 for size in sizes.values()], axis=0)
    if not full.all():
        log.warning("%s: dropped %d row(s) in which a column is empty", where, (~full).sum())
    return table.filter(pa.array(full))


def check_labels(splits: Mapping[str, Split], labels: str) -> None:
    """At least two labels in train, and none elsewhere that train lacks."""
    where, train = splits["train"]
    known = set(encode_labels(train, labels)[1]) - {UNTAGGED}
    if len(known) < 2:
        raise UsageError(
            f"{where}: all {labels} in train are {', '.join(known) or UNTAGGED}; give two or more"
        )
    for where, table in splits.values():  # train passes by itself
        codes, names, rows = encode_labels(table, labels)
        for code, label in enumerate(names):
            if label not in known | {UNTAGGED}:
                row = rows[np.argmax(codes == code)] + 1
                some = ", ".join(sorted(known)[:20])
                raise UsageError(f"{where}, row {row}: label {label!r} is never seen in train ({some})")


def is_list(table: pa.Table, column: str) -> bool:
    return pa.types.is_list(table.schema.field(column).type)


def encode_labels(table: pa.Table, column: str) -> tuple[np.ndarray, list[str], np.ndarray]:
    """(code of each label [N], label of each code, row of each label [N]); N > rows if labels are in lists"""
    values = table.column(column).combine_chunks()
    rows = np.arange(len(values))
    if is_list(table, column):
        rows = pc.list_parent_indices(values).to_numpy()
        values = pc.list_flatten(values)
    encoded = values.dictionary_encode()
    return encoded.indices.to_numpy(), encoded.dictionary.to_pylist(), rows


def rows_covering_labels(table: pa.Table, labels: str, order: np.ndarray) -> np.ndarray:
    """Rows that together hold every label: of each label the row that comes first in `order`."""
    codes, names, rows = encode_labels(table, labels)
    first = np.full(len(names), len(order))
    np.minimum.at(first, codes, np.argsort(order)[rows])
    return order[np.unique(first)]


def row_keys(table: pa.Table) -> pa.ChunkedArray:
    """One text a row, equal for equal rows."""
    texts = []
    for name in table.column_names:
        if is_list(table, name):
            texts.append(pc.binary_join(table.column(name).cast(pa.list_(pa.string())), "\x1f"))
        else:
            texts.append(table.column(name).cast(pa.string()))
    return pc.binary_join_element_wise(*texts, "\x1e")
