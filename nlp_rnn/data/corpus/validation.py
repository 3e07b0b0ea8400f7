"""Validation of rows: missing values, lists of unequal length, spellings of labels, unknown labels."""

from __future__ import annotations

import logging
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nlp_rnn.data.corpus.spool import (
    convert_chunks,
    joined_array,
    numbered_chunks,
    row_numbers,
    table_chunks,
)
from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.files import shorten

log = logging.getLogger(__name__)

Split = tuple[str, pa.Table]
"""What messages call a split, and its rows with canonical columns."""

_HASHES_SORTED = 1 << 18  # about, at once
_HASHES_AT_ONCE = 1 << 16
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
    found = pc.unique(_items(table.column(labels))).to_pylist()
    spellings = {label: _spelling(label) for label in found if label is not None}
    if is_list(table, labels):
        spellings = {key: UNTAGGED if label == "-100" else label for key, label in spellings.items()}
    if all(label == spelling for label, spelling in spellings.items()):
        return table

    def normalize(values: pa.Array, _: int) -> pa.Array:
        if pa.types.is_list(values.type):
            sizes = pc.fill_null(pc.list_value_length(values), 0).to_numpy()
            offsets = pa.array(np.concatenate([[0], np.cumsum(sizes)]), pa.int32())
            items = normalize(pc.list_flatten(values), 0)
            return pa.ListArray.from_arrays(offsets, items, mask=values.is_null())
        encoded = values.dictionary_encode()
        names = [None if label is None else spellings[label] for label in encoded.dictionary.to_pylist()]
        return pa.array(names, pa.string()).take(encoded.indices)

    normalized = convert_chunks(table.column(labels), normalize)
    return table.set_column(table.column_names.index(labels), labels, normalized)


def _items(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column, or what its lists hold one after another."""
    if not pa.types.is_list(column.type):
        return column
    return pa.chunked_array([pc.list_flatten(chunk) for chunk in column.chunks], column.type.value_type)


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
    sizes: dict[str, np.ndarray] = {}  # the lengths of lists; else whether there is a value
    for name in table.column_names:
        sizes[name] = np.zeros(table.num_rows, np.int32 if is_list(table, name) else bool)
        for start, values in numbered_chunks(table.column(name)):
            size, missing = _sizes(values, keep_all)
            if missing.any():
                row = start + int(missing.argmax()) + 1
                raise UsageError(f"{where}, row {row}: column {name!r} holds no value (null); fill it in")
            sizes[name][start : start + len(size)] = size
    lists = [name for name in sizes if is_list(table, name)]
    if labels is not None and lists == [labels]:
        sizes[labels] = np.ones(table.num_rows, bool)  # a text may have no label
    complete = np.ones(table.num_rows, bool)
    for size in sizes.values():
        complete &= size > 0
    first, *others = lists or [""]
    for name in others:
        differs = (sizes[first] != sizes[name]) & complete
        if differs.any():
            row = int(differs.argmax())
            counts = f"{sizes[first][row]} {first} but {sizes[name][row]} {name}"
            raise UsageError(f"{where}, row {row + 1}: {counts}; give the same number of both")
    warn_untagged(where, table, labels)
    if keep_all or complete.all():
        return row_numbers(table.num_rows)
    counts = ", ".join(f"{name} in {(size == 0).sum():,}" for name, size in sizes.items() if not size.all())
    log.warning(
        "%s: left out %d of %d row(s) with an empty column: %s",
        where, (~complete).sum(), len(complete), counts,
    )  # fmt: skip
    return np.flatnonzero(complete)


def _sizes(values: pa.Array, keep_all: bool) -> tuple[np.ndarray, np.ndarray]:
    """The number of items or, but for lists, of characters of each row; and whether it lacks a value."""
    is_numeric = pa.types.is_floating(getattr(values.type, "value_type", values.type))
    missing = values.is_null().to_numpy(zero_copy_only=False) & (is_numeric or keep_all)
    if pa.types.is_list(values.type):
        is_null = pc.list_flatten(values).is_null()
        missing[pc.list_parent_indices(values).filter(is_null).to_numpy()] = True
        return pc.fill_null(pc.list_value_length(values), 0).to_numpy(), missing
    if is_numeric:
        return np.ones(len(values), np.int64), missing
    return pc.fill_null(pc.utf8_length(pc.utf8_trim_whitespace(values)), 0).to_numpy(), missing


def warn_untagged(where: str, table: pa.Table, labels: str | None) -> None:
    """Warn of words without a tag, with their number.

    Args:
        where: what messages call the table.
        table: rows with canonical columns.
        labels: column of labels, if there is one.
    """
    if labels is not None and is_list(table, labels):
        chunks = _items(table.column(labels)).chunks
        if untagged := sum(pc.sum(pc.equal(items, UNTAGGED)).as_py() or 0 for items in chunks):
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
    known = set(label_names(train, labels)) - {UNTAGGED}
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
        for label in label_names(table, labels):
            if label not in known | {UNTAGGED}:
                row = pc.index(table.column(labels), label).as_py() + 1
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
        assert labels is not None
        hashes, codes = row_hashes(train.drop_columns([labels])), encode_labels(train, labels)[0]
        if ambiguous := _count_ambiguous(hashes, codes):
            log.warning("%s: %d text(s) have more than one label in train", where, ambiguous)
        del codes
    whole = row_hashes(train) if others else np.zeros(0, np.int64)
    for name, (where, table) in others.items():
        in_train = are_in(row_hashes(table), whole)
        if shared := in_train.sum():
            log.warning("%s: %d %s row(s) are also in train", where, shared, name)
        if with_label:
            is_known = are_in(row_hashes(table.drop_columns([labels])), hashes)
            if relabeled := (is_known & ~in_train).sum():
                log.warning("%s: %d text(s) of %s are in train with another label", where, relabeled, name)


def are_in(some: np.ndarray, many: np.ndarray) -> np.ndarray:
    """Whether each of some values is among many, which are neither sorted nor copied."""
    values, places = np.unique(some, return_inverse=True)
    found = np.zeros(len(values), bool)
    for start in range(0, len(many) if len(values) else 0, _HASHES_AT_ONCE):
        part = many[start : start + _HASHES_AT_ONCE]
        nearest = np.searchsorted(values, part).clip(max=len(values) - 1)
        found[nearest[values[nearest] == part]] = True
    return found[places]


def _count_ambiguous(hashes: np.ndarray, codes: np.ndarray) -> int:
    """The number of different hashes [N] that occur with several codes [N]."""
    count, parts = 0, 1 + len(hashes) // _HASHES_SORTED
    for part in range(parts):  # so that only a part of them is sorted at once
        places = [
            start + np.flatnonzero(hashes[start : start + _HASHES_AT_ONCE] % parts == part)
            for start in range(0, len(hashes), _HASHES_AT_ONCE)
        ]
        rows = np.concatenate(places) if places else np.zeros(0, np.int64)
        rows = rows[np.argsort(hashes[rows])]
        equal = np.diff(hashes[rows]) == 0
        differ = equal & (np.diff(codes[rows]) != 0)
        groups = np.cumsum(~equal)
        count += len(np.unique(groups[differ]))
    return count


def is_list(table: pa.Table, column: str) -> bool:
    """Return whether the rows of a column are lists."""
    return bool(pa.types.is_list(table.schema.field(column).type))


def label_names(table: pa.Table, column: str) -> list[str]:
    """The labels of a column in order of first occurrence."""
    names: list[str] = pc.unique(_items(table.column(column))).to_pylist()
    return names


def encode_labels(table: pa.Table, column: str) -> tuple[np.ndarray, list[str]]:
    """Number the labels of a column of one label per row in order of first occurrence.

    Returns:
        [rows] int32, the number of each row's label; the label of each number.
    """
    names = label_names(table, column)
    return joined_array(_label_codes(table, column, names), table.num_rows, np.int32), names


def _label_codes(table: pa.Table, column: str, names: list[str]) -> Iterator[np.ndarray]:
    """The number of each row's label among the names, part by part."""
    number_of = {name: number for number, name in enumerate(names)}
    for _, values in numbered_chunks(table.column(column)):
        encoded = values.dictionary_encode()
        numbers = np.array([number_of[name] for name in encoded.dictionary.to_pylist()], np.int32)
        yield numbers[encoded.indices.to_numpy()]


def rows_covering_labels(table: pa.Table, labels: str, order: np.ndarray) -> np.ndarray:
    """Return rows that together have every label: for each label, its first row in `order`.

    Args:
        table: the rows.
        labels: column of labels.
        order: [rows] a permutation of the row numbers.
    """
    numbers = {name: number for number, name in enumerate(label_names(table, labels))}
    first = np.full(len(numbers), len(order))
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    for start, values in numbered_chunks(table.column(labels)):
        rows = np.arange(len(values))
        if pa.types.is_list(values.type):
            rows = pc.list_parent_indices(values).to_numpy()
            values = pc.list_flatten(values)
        encoded = values.dictionary_encode()
        codes = np.array([numbers[name] for name in encoded.dictionary.to_pylist()], np.int64)
        np.minimum.at(first, codes[encoded.indices.to_numpy()], places[start + rows])
    covering: np.ndarray = order[np.unique(first)]
    return covering


def row_hashes(table: pa.Table) -> np.ndarray:
    """Return one int64 per row; those of equal rows are equal, and others hardly ever (1 in 2 ** 64)."""
    hashes = (
        np.fromiter(map(hash, row_keys(part).to_pylist()), np.int64, len(part))
        for _, part in table_chunks(table)
    )
    return joined_array(hashes, table.num_rows, np.int64)


def row_keys(table: pa.Table) -> pa.ChunkedArray:
    """Return one text per row; equal rows have equal texts."""
    texts = []
    for name in table.column_names:
        if is_list(table, name):
            texts.append(pc.binary_join(table.column(name).cast(pa.list_(pa.string())), "\x1f"))
        else:
            texts.append(table.column(name).cast(pa.string()))
    return pc.binary_join_element_wise(*texts, "\x1e")
