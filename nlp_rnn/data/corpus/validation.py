"""Validation of rows: missing values, lists of unequal length, spellings of labels, unknown labels."""

from __future__ import annotations

import logging
import math
import re
import unicodedata
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.files import shorten

log = logging.getLogger(__name__)

Split = tuple[str, pa.Table]
"""What messages call a split, and its rows with canonical columns."""

_FEW_ROWS = 10  # with which each row may well have a label of its own

UNTAGGED = "_"
"""The UPOS tag of a word without a tag in CoNLL-U. It is not a label."""


def has_hidden_labels(name: str, split: Split, labels: str | None) -> bool:
    """Return whether a split's labels are all missing, as in test splits with secret labels (-1).

    Args:
        name: train, validation or test. The labels of train are never hidden.
        split: the rows.
        labels: column of labels, if there is one.
    """
    where, table = split
    if labels is None or name == "train" or table.num_rows == 0 or is_list(table, labels):
        return False
    if any(label not in (None, "-1") for label in pc.unique(table.column(labels)).to_pylist()):
        return False
    log.warning("%s: dropped, its labels are all missing or -1", where)
    return True


# A number with a decimal point or an exponent, and without leading zeros, which codes have.
_DECIMAL = re.compile(r"[+-]?(?=\.?[0-9])(0|[1-9][0-9]*)?(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?")
# Integers may have more digits than a float holds, as ids do.
_INTEGER = re.compile(r"([+-]?(0|[1-9][0-9]{,300}))(\.0*)?")
_BOOLEANS = ("true", "false")


def normalize_labels(table: pa.Table, labels: str | None) -> pa.Table:
    """Give equal labels one spelling, whatever the format that they come from.

    White space around them is removed, letters are composed (NFC), integral numbers are written without
    decimals (1.0 becomes 1), booleans as true and false. In lists, -100 becomes `UNTAGGED`.

    Args:
        table: rows with canonical columns.
        labels: column of labels, if there is one.
    """
    if labels is None:
        return table
    values = table.column(labels).combine_chunks()
    items = pc.list_flatten(values) if is_list(table, labels) else values
    encoded = items.dictionary_encode()
    spellings = [_spelling(label) for label in encoded.dictionary.to_pylist()]
    if is_list(table, labels):
        spellings = [UNTAGGED if label == "-100" else label for label in spellings]
    if spellings == encoded.dictionary.to_pylist():
        return table
    normalized = pa.array(spellings, pa.string()).take(encoded.indices)
    if is_list(table, labels):
        normalized = pa.ListArray.from_arrays(values.offsets, normalized, mask=values.is_null())
    return table.set_column(table.column_names.index(labels), labels, normalized)


def _spelling(label: str) -> str:
    label = unicodedata.normalize("NFC", label).strip()
    if label.lower() in _BOOLEANS:
        return label.lower()
    if integer := _INTEGER.fullmatch(label):
        return str(int(integer[1]))
    if _DECIMAL.fullmatch(label) and math.isfinite(number := float(label)):
        return str(int(number)) if number == int(number) and abs(number) < 2**53 else repr(number)
    return label


def validate_rows(where: str, table: pa.Table, labels: str | None, keep_all: bool = False) -> np.ndarray:
    """Check rows, and find those with text, words and a label; one warning counts the others.

    Args:
        where: what messages call the table.
        table: rows with canonical columns.
        labels: column of labels, if there is one.
        keep_all: for series, which must not have gaps: text without a value is an error too, and blank text
            is kept.

    Returns:
        The numbers of the rows to use, in order.

    Raises:
        UsageError: a number, or one item of a list, has no value; or a row's lists differ in
            length.
    """
    sizes, lists = {}, {}
    for name in table.column_names:
        values = table.column(name).combine_chunks()
        is_numeric = pa.types.is_floating(getattr(values.type, "value_type", values.type))
        missing = values.is_null().to_numpy(zero_copy_only=False) & (is_numeric or keep_all)
        if is_list(table, name):
            is_null = pc.list_flatten(values).is_null()
            missing[pc.list_parent_indices(values).filter(is_null).to_numpy()] = True
            lists[name] = pc.fill_null(pc.list_value_length(values), 0)
            sizes[name] = lists[name].to_numpy()
        elif is_numeric:
            sizes[name] = np.ones(len(values), np.int64)
        else:
            sizes[name] = pc.fill_null(pc.utf8_length(pc.utf8_trim_whitespace(values)), 0).to_numpy()
        if missing.any():
            raise UsageError(
                f"{where}, row {missing.argmax() + 1}: column {name!r} holds no value (null); fill it in"
            )
    if labels in lists and len(lists) == 1:
        sizes[labels] = np.ones(table.num_rows, np.int64)  # a text may have no label
    complete = np.all([size > 0 for size in sizes.values()], axis=0)
    first, *others = lists or [""]
    for name in others:
        differs = pc.not_equal(lists[first], lists[name]).to_numpy(zero_copy_only=False) & complete
        if differs.any():
            row = int(differs.argmax())
            counts = f"{lists[first][row]} {first} but {lists[name][row]} {name}"
            raise UsageError(f"{where}, row {row + 1}: {counts}; give the same number of both")
    warn_untagged(where, table, labels)
    if keep_all or complete.all():
        return np.arange(table.num_rows)
    counts = ", ".join(f"{name} in {(size == 0).sum():,}" for name, size in sizes.items() if not size.all())
    log.warning(
        "%s: left out %d of %d row(s) with an empty column: %s",
        where, (~complete).sum(), len(complete), counts,
    )  # fmt: skip
    return np.flatnonzero(complete)


def warn_untagged(where: str, table: pa.Table, labels: str | None) -> None:
    """Warn of words without a tag, with their number.

    Args:
        where: what messages call the table.
        table: rows with canonical columns.
        labels: column of labels, if there is one.
    """
    if labels is not None and is_list(table, labels):
        items = pc.list_flatten(table.column(labels).combine_chunks())
        if untagged := pc.sum(pc.equal(items, UNTAGGED)).as_py():
            log.warning("%s: %d word(s) without a tag (_ or -100) are left out of scoring", where, untagged)


def check_labels(splits: Mapping[str, Split], labels: str) -> None:
    """Check that train has at least two labels and, with one label per row, all labels of the other splits.

    Args:
        splits: the splits by canonical name.
        labels: column of labels, one label or a list of labels per row.

    Raises:
        UsageError: it has not; the message has the row and the label.
    """
    where, train = splits["train"]
    known = set(encode_labels(train, labels)[1]) - {UNTAGGED}
    if len(known) < 2:
        only = shorten(next(iter(known), UNTAGGED))
        raise UsageError(f"{where}: every {labels} in train is {only}; give two or more")
    if not is_list(train, labels) and len(known) > max(_FEW_ROWS, train.num_rows / 2):
        log.warning(
            "%s: %d different labels in %d rows of train, which are hardly labels: is %s the right column?",
            where, len(known), train.num_rows, labels,
        )  # fmt: skip
    if is_list(train, labels):
        return  # an unknown label among others counts as an error of the model
    for where, table in splits.values():  # train has its own labels
        codes, names, rows = encode_labels(table, labels)
        for code, label in enumerate(names):
            if label not in known | {UNTAGGED}:
                row = rows[np.argmax(codes == code)] + 1
                raise UsageError(
                    f"{where}, row {row}: label {shorten(label)} is never seen in train; "
                    f"known: {join_names(sorted(known))}"
                )


def warn_shared_rows(splits: Mapping[str, Split], labels: str | None) -> None:
    """Warn of rows of validation and test that are also in train, and of texts with several labels.

    Args:
        splits: the splits by canonical name.
        labels: column of labels, if there is one.
    """
    where, train = splits["train"]
    others = {name: split for name, split in splits.items() if name != "train"}
    with_label = labels is not None and not is_list(train, labels)
    if with_label:
        texts = train.drop_columns([labels])
        pairs = pa.table({"text": row_keys(texts), "label": train[labels]})
        counts = pairs.group_by("text").aggregate([("label", "count_distinct")])["label_count_distinct"]
        if ambiguous := pc.sum(pc.greater(counts, 1)).as_py():
            log.warning("%s: %d text(s) have more than one label in train", where, ambiguous)
    for name, (where, table) in others.items():
        in_train = pc.is_in(row_keys(table), row_keys(train))
        if shared := pc.sum(in_train).as_py():
            log.warning("%s: %d %s row(s) are also in train", where, shared, name)
        if with_label:
            is_known = pc.is_in(row_keys(table.drop_columns([labels])), row_keys(texts))
            if relabeled := pc.sum(pc.and_not(is_known, in_train)).as_py():
                log.warning("%s: %d text(s) of %s are in train with another label", where, relabeled, name)


def is_list(table: pa.Table, column: str) -> bool:
    """Return whether the rows of a column are lists."""
    return bool(pa.types.is_list(table.schema.field(column).type))


def encode_labels(table: pa.Table, column: str) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Number the labels of a column in order of first occurrence.

    Returns:
        [N] the number of each label; the label of each number; [N] the row of each label. N is the number of
        labels in all rows.
    """
    values = table.column(column).combine_chunks()
    rows = np.arange(len(values))
    if is_list(table, column):
        rows = pc.list_parent_indices(values).to_numpy()
        values = pc.list_flatten(values)
    encoded = values.dictionary_encode()
    return encoded.indices.to_numpy(), encoded.dictionary.to_pylist(), rows


def rows_covering_labels(table: pa.Table, labels: str, order: np.ndarray) -> np.ndarray:
    """Return rows that together have every label: for each label, its first row in `order`.

    Args:
        table: the rows.
        labels: column of labels.
        order: [rows] a permutation of the row numbers.
    """
    codes, names, rows = encode_labels(table, labels)
    first = np.full(len(names), len(order))
    np.minimum.at(first, codes, np.argsort(order)[rows])
    covering: np.ndarray = order[np.unique(first)]
    return covering


def row_keys(table: pa.Table) -> pa.ChunkedArray:
    """Return one text per row; equal rows have equal texts."""
    texts = []
    for name in table.column_names:
        if is_list(table, name):
            texts.append(pc.binary_join(table.column(name).cast(pa.list_(pa.string())), "\x1f"))
        else:
            texts.append(table.column(name).cast(pa.string()))
    return pc.binary_join_element_wise(*texts, "\x1e")
