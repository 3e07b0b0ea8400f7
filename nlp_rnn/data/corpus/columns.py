"""Selects columns of a table and converts them to text, numbers, or lists of these."""

import logging
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nlp_rnn.data.corpus.spool import convert_chunks
from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.files import shorten
from nlp_rnn.lite.text.numbers import NUMBER

log = logging.getLogger(__name__)

Columns = Mapping[str, tuple[str, ...]]
"""Canonical name -> names to accept in the data, in order of preference."""


class Words(tuple[str, ...]):
    """The names of a column whose rows are lists of text."""


class Sentences(Words):
    """The names of a column whose rows are lists of words, or text that its reader splits into words."""


class Texts(tuple[str, ...]):
    """The names of a column whose rows are text or lists of text."""


class LabelLists(Texts):
    """The names of a column whose rows are any number of labels: lists, or text with a separator.

    The separator is found in the first table that has one. It is that of all other tables which are read with
    the same names, so that all splits of a corpus have the same.
    """

    def __init__(self, names: Iterable[str], separators: list[str] | None = None) -> None:
        self.separators: list[str] = [] if separators is None else separators
        """The separator, once it is found."""

    def __new__(cls, names: Iterable[str], separators: list[str] | None = None) -> Self:
        """A tuple of the names."""
        return super().__new__(cls, names)


class Numbers(tuple[str, ...]):
    """The names of a column whose rows are numbers or lists of numbers."""


class Vectors(Numbers):
    """The names of a column whose rows are lists of numbers, all of one length."""


class MissingColumnError(UsageError):
    """Data does not have a column that is wanted."""


# What Python, NumPy and JSON print for a list of texts; then for such lists, empty ones and nothing; and for
# lists and sets of any labels, and nothing.
_PRINTED_TEXTS = r"""(?s)^\s*\[\s*['"].*['"]\s*\]\s*$"""
_ONLY_TEXTS = r"""(?s)^\s*(\[\s*['"].*['"]\s*\]|\[\s*\])?\s*$"""
_ONLY_LABELS = r"""(?s)^\s*(\[\s*['"].*['"]\s*\]|\[[^\[\]]*\]|\{[^{}]*\})?\s*$"""
_SEPARATED = r"[\[{].*[,'\"]"


def by_canonical_name(columns: Columns) -> Columns:
    """Return the columns to select from a table that already has the canonical names."""
    return {
        name: LabelLists((name,), names.separators) if isinstance(names, LabelLists) else type(names)((name,))
        for name, names in columns.items()
    }


def matching_columns(available: Sequence[str], columns: Columns) -> dict[str, str]:
    """Find the columns that canonical names stand for, as far as they exist.

    Names are compared as they are, then without regard to case, white space around them and the two ways in
    which Unicode writes some letters.

    Args:
        available: the columns that exist. A nested column `translation.de` also matches `de`.
        columns: canonical name -> names to accept.

    Returns:
        Canonical name -> existing column.
    """
    candidates = _candidates(available, columns)
    return {canonical: names[0] for canonical, names in candidates.items() if names}


def _candidates(available: Sequence[str], columns: Columns) -> dict[str, list[str]]:
    """Canonical name -> the existing columns that answer to it equally well."""
    by_rank: list[dict[str, list[str]]] = [{}, {}, {}, {}]
    for name in available:
        field = name.rpartition(".")[2]
        keys = (name, field, column_key(name), column_key(field))
        for by_name, key in zip(by_rank, keys, strict=True):
            by_name.setdefault(key, []).append(name)
    as_is, nested, by_key, nested_by_key = by_rank
    candidates = {}
    for canonical, accepted in columns.items():
        found = [as_is.get(name) or nested.get(name, []) for name in accepted]
        wanted = map(column_key, accepted)
        found += [by_key.get(key) or nested_by_key.get(key, []) for key in wanted]
        candidates[canonical] = next(filter(None, found), [])
    return candidates


def column_key(name: str) -> str:
    """Return what names of columns are compared by, where they are not the same text."""
    return unicodedata.normalize("NFC", name).strip().casefold()


def match_columns(available: Sequence[str], columns: Columns, where: str) -> dict[str, str]:
    """Find the column that each canonical name stands for, as `matching_columns` does.

    Args:
        available: the columns that exist.
        columns: canonical name -> names to accept.
        where: what messages call the table.

    Returns:
        Canonical name -> existing column.

    Raises:
        UsageError: a column is missing, or several answer to its name.
    """
    candidates = _candidates(available, columns)
    for canonical, accepted in columns.items():
        if len(candidates[canonical]) > 1:
            found = join_names(map(repr, candidates[canonical]))
            named = "name one of them, or " if len(set(candidates[canonical])) > 1 else ""
            raise UsageError(
                f"{where}: several columns could be {canonical!r}: {found}; {named}rename all but one"
            )
        if not candidates[canonical]:
            wanted = " or ".join(map(repr, accepted))
            raise MissingColumnError(f"{where}: no column {wanted}; the columns are {join_names(available)}")
    return {canonical: names[0] for canonical, names in candidates.items()}


def select_columns(table: pa.Table, columns: Columns, where: str) -> pa.Table:
    """Select, rename and convert columns.

    Numbers become float64, lists of numbers lists of float32; inner lists must have one length and are
    joined. Blank text becomes null, and so does a row with an inner list that is null.

    All else becomes text: class labels their names (-1 becomes null), integers and integral floats their
    digits, booleans "true" and "false"; null stays null. Text where lists of words are wanted (`Words`, not
    `Sentences`) is split at white space. The fields of a struct such as `translation: {de, en}` are columns.

    Args:
        table: any table.
        columns: canonical name -> names to accept; the type of the names says what the column must hold.
        where: what messages call the table.

    Returns:
        A table with the canonical columns.

    Raises:
        UsageError: a column is missing or holds something else.
    """
    class_names = _class_names(table.schema)
    table = table.flatten()
    selected = {}
    for name, column in match_columns(table.column_names, columns, where).items():
        values, names = table.column(column), columns[name]
        is_numeric = isinstance(names, Numbers)
        try:
            if is_numeric:
                if isinstance(names, Vectors) and not _is_any_list(values.type):
                    raise UsageError(f"{where}: column {column!r} holds {values.type}, not lists of numbers")
                to_numbers = partial(_as_numbers, column=f"column {column!r}", where=where)
                selected[name] = convert_chunks(values, to_numbers)
                if isinstance(names, Vectors):
                    _check_equal_lengths(selected[name], f"column {column!r}", where)
            else:
                _check_text_type(values.type, names, f"column {column!r}", where)
                text = _text_column(values, class_names.get(column))
                if isinstance(names, (Words, LabelLists)) and not _is_any_list(text.type):
                    _check_not_printed(text, names, f"column {column!r}", where)
                if isinstance(names, LabelLists):
                    separator = _separator(text, names, where)
                    text = convert_chunks(text, partial(_label_lists, separator=separator))
                elif (
                    isinstance(names, Words)
                    and not isinstance(names, Sentences)
                    and not _is_any_list(text.type)
                ):
                    text = convert_chunks(text, _split_words)
                selected[name] = text
        except pa.ArrowException:
            expected = "numbers" if is_numeric else "text or labels"
            raise UsageError(f"{where}: column {column!r} holds {values.type}, not {expected}") from None
    return pa.table(selected)


_SEPARATORS = "|;,"


def _separator(labels: pa.ChunkedArray, names: LabelLists, where: str) -> str | None:
    """What stands between the labels of a column of text; None if nothing does."""
    if _is_any_list(labels.type):
        return None
    if names.separators:
        return names.separators[0]
    separator = next(
        (
            mark
            for mark in _SEPARATORS
            if any(pc.any(pc.match_substring(chunk, mark)).as_py() for chunk in labels.chunks)
        ),
        None,
    )
    if separator is not None:
        names.separators.append(separator)
        log.warning(
            "%s: labels are read as lists with %r between the labels; if one label may hold it, give lists "
            "(JSON or Parquet)", where, separator,
        )  # fmt: skip
    return separator


def _label_lists(values: pa.Array, _: int, separator: str | None) -> pa.Array:
    """Lists of labels, also of text with a separator between the labels; empty where there is nothing."""
    if _is_any_list(values.type):
        ends = np.cumsum(pc.fill_null(pc.list_value_length(values), 0).to_numpy(), dtype=np.int32)
        offsets = pa.array(np.concatenate([np.zeros(1, np.int32), ends]))
        return pa.ListArray.from_arrays(offsets, pc.list_flatten(values))  # without null
    texts = pc.fill_null(values, "").to_pylist()
    lists = [text.split(separator) if separator else [text] for text in texts]
    return pa.array(
        [[label.strip() for label in labels if label.strip()] for labels in lists], pa.list_(pa.string())
    )


def _text_column(values: pa.ChunkedArray, class_names: list[str] | None) -> pa.ChunkedArray:
    if values.type == pa.string():
        return values
    integral = all(_is_integral(chunk) for chunk in values.chunks)
    return convert_chunks(values, lambda chunk, _: _as_text(chunk, class_names, integral))


def _is_integral(values: pa.Array) -> bool:
    """Whether an array, or what its lists hold, has no number with decimals."""
    while _is_any_list(values.type):
        values = pc.list_flatten(values)
    if not pa.types.is_floating(values.type):
        return True
    values = pc.if_else(pc.is_nan(values), None, values)
    return pc.all(pc.equal(values, pc.round(values))).as_py() is not False


def _check_not_printed(text: pa.ChunkedArray, names: tuple[str, ...], column: str, where: str) -> None:
    """Raise UsageError if texts are nothing but lists as Python or JSON print them."""
    is_labels = isinstance(names, LabelLists)
    only, printed = (_ONLY_LABELS, _SEPARATED) if is_labels else (_ONLY_TEXTS, _PRINTED_TEXTS)
    if not all(pc.all(pc.match_substring_regex(chunk, only)).as_py() for chunk in text.chunks):
        return
    lists = text.filter(pc.match_substring_regex(text, printed))
    if len(lists):
        raise UsageError(
            f"{where}: {column} holds lists printed as text, such as {shorten(lists[0].as_py())}; save it as "
            f"JSON or Parquet, or as text with {'|' if is_labels else 'spaces'} between the items"
        )


def _split_words(text: pa.Array, _: int) -> pa.Array:
    trimmed = pc.utf8_trim_whitespace(text)
    words = pc.utf8_split_whitespace(trimmed)
    return pc.if_else(pc.equal(trimmed, ""), pa.scalar([], words.type), words)


def _as_numbers(values: pa.Array, start: int, column: str, where: str) -> pa.Array:
    missing = values.is_null().to_numpy(zero_copy_only=False)
    row = np.arange(len(values))  # of each item, counted from `start`
    items, is_list = values, _is_any_list(values.type)
    while _is_any_list(items.type):
        sizes = pc.list_value_length(items)
        if items is not values and (index := _first_unequal(sizes)) is not None:
            number = start + row[index] + 1
            raise UsageError(f"{where}, row {number}: {column} holds lists of unequal length")
        missing[row[items.is_null().to_numpy(zero_copy_only=False)]] = True
        row = np.repeat(row, pc.fill_null(sizes, 0).to_numpy())
        items = pc.list_flatten(items)
    if pa.types.is_boolean(items.type):
        raise UsageError(f"{where}: {column} holds {values.type}, not numbers; write 0 and 1")
    if not is_list and (pa.types.is_string(items.type) or pa.types.is_large_string(items.type)):
        trimmed = pc.utf8_trim_whitespace(items)
        items = pc.if_else(pc.equal(trimmed, ""), None, trimmed)
        for number, text in enumerate(items.to_pylist(), start + 1):
            if text is not None and not NUMBER.fullmatch(text):
                raise UsageError(f"{where}, row {number}: {column} holds {shorten(text)}, not a number")
    # With safe=False, integers that a float cannot represent are rounded.
    items = items.cast(pa.float32() if is_list else pa.float64(), safe=False)
    not_finite = pc.fill_null(pc.invert(pc.is_finite(items)), False).to_numpy(zero_copy_only=False)
    if not_finite.any():
        number = start + row[not_finite.argmax()] + 1
        raise UsageError(f"{where}, row {number}: {column} holds a number that is not finite, or too large")
    if not is_list:
        return items
    kept = ~missing[row]  # null rows have no items
    items, counts = items.filter(pa.array(kept)), np.bincount(row[kept], minlength=len(values))
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), items, mask=pa.array(missing))


def _check_equal_lengths(values: pa.ChunkedArray, column: str, where: str) -> None:
    """Raise UsageError unless all lists, except null, have one length."""
    sizes = pc.list_value_length(values).combine_chunks()
    if (row := _first_unequal(sizes)) is not None:
        raise UsageError(
            f"{where}, row {row + 1}: {column} holds {sizes[row]} numbers, {sizes.drop_null()[0]} before; "
            "give the same number of numbers in all rows"
        )


def _first_unequal(sizes: pa.Array) -> int | None:
    """The index of the first size that differs from the first one, null ignored; None if there is none."""
    not_null = sizes.drop_null()
    if not len(not_null):
        return None
    differs = pc.fill_null(pc.not_equal(sizes, not_null[0]), False).to_numpy(zero_copy_only=False)
    return int(differs.argmax()) if differs.any() else None


def _check_text_type(arrow_type: pa.DataType, names: tuple[str, ...], column: str, where: str) -> None:
    """Raise UsageError unless a column holds lists or no lists, as the type of its names requires."""
    if not _is_any_list(arrow_type):
        if isinstance(names, Words):
            if pa.types.is_string(arrow_type) or pa.types.is_large_string(arrow_type):
                return  # which is split at white space
            raise UsageError(f"{where}: {column} holds {arrow_type}, not words; give lists of text")
    elif not isinstance(names, (Words, Texts)):
        raise UsageError(f"{where}: {column} holds lists, not text or labels; give one per row")
    elif _is_any_list(arrow_type.value_type):
        raise UsageError(f"{where}: {column} holds lists of lists, not lists of words")


def _is_any_list(arrow_type: pa.DataType) -> bool:
    is_type = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(check(arrow_type) for check in is_type)


def _class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """The class names of each column of class labels, from the metadata that `datasets` writes."""
    if b"huggingface" not in (schema.metadata or {}):
        return {}
    from datasets import ClassLabel, Features  # slow to import, and rarely needed

    names = {}
    for column, feature in Features.from_arrow_schema(schema).items():
        feature = feature[0] if isinstance(feature, list) else getattr(feature, "feature", feature)
        if isinstance(feature, ClassLabel):
            names[column] = feature.names
    return names


def _as_text(values: pa.Array, class_names: list[str] | None, integral: bool) -> pa.Array:
    arrow_type = values.type
    if _is_any_list(arrow_type):
        ends = np.cumsum(pc.fill_null(pc.list_value_length(values), 0).to_numpy(), dtype=np.int32)
        offsets = pa.array(np.concatenate([np.zeros(1, np.int32), ends]))
        items = _as_text(pc.list_flatten(values), class_names, integral)
        return pa.ListArray.from_arrays(offsets, items, mask=values.is_null())
    if pa.types.is_dictionary(arrow_type):
        values = values.dictionary_decode()
    elif pa.types.is_integer(arrow_type) and class_names:
        ids = pc.if_else(pc.greater_equal(values, 0), values, None)
        return pa.array(class_names, pa.string()).take(ids)
    elif pa.types.is_floating(arrow_type):
        values = pc.if_else(pc.is_nan(values), None, values)
        if integral:
            values = values.cast(pa.int64())
    return values.cast(pa.string())
