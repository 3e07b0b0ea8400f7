"""What the columns of a table come out as: text or lists of text; numbers or lists of numbers."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nlp_rnn.data.corpus.numbers import NUMBER
from nlp_rnn.errors import UsageError
from nlp_rnn.files import shorten

Columns = Mapping[str, tuple[str, ...]]  # canonical name -> names to accept in the data, best first


class Words(tuple[str, ...]):
    """The names of a column whose rows are lists of text, where others hold text."""


class Texts(tuple[str, ...]):
    """The names of a column that holds text or lists of it."""


class Numbers(tuple[str, ...]):
    """The names of a column that holds numbers, or lists of them."""


class Vectors(Numbers):
    """The names of a column whose rows are lists of equally many numbers."""


def by_canonical_name(columns: Columns) -> Columns:
    """For a table that has the canonical names already."""
    return {name: type(names)((name,)) for name, names in columns.items()}


def pick(available: Sequence[str], columns: Columns, where: str) -> dict[str, str]:
    """canonical name -> column that exists; a nested `translation.de` also goes by its last part."""
    short = {name.rpartition(".")[2]: name for name in reversed(available)} | {
        name: name for name in available
    }
    picked = {}
    for canonical, accepted in columns.items():
        found = [short[name] for name in accepted if name in short]
        if not found:
            wanted = " or ".join(map(repr, accepted))
            raise UsageError(f"{where}: no column {wanted}; the columns are {', '.join(available)}")
        picked[canonical] = found[0]
    return picked


def select_columns(table: pa.Table, columns: Columns, where: str) -> pa.Table:
    """The wanted columns of any table, renamed, each one text; or lists of text, or numbers, where asked for.

    Of numbers: float64, or lists of float32, inner lists of one length laid end to end; blank text becomes
    null, and so does a row with an inner list that is null.
    Of text: class labels become their names (-1 becomes null), integers and integral floats their digits,
    booleans "0" and "1"; null stays null. A struct such as `translation: {de, en}` offers its fields as
    columns.
    """
    class_names = _class_names(table.schema)
    table = table.flatten()
    picked = pick(table.column_names, columns, where)
    wanted = {}
    for name, column in picked.items():
        values = table.column(column).combine_chunks()
        numbers = isinstance(columns[name], Numbers)
        try:
            if numbers:
                if isinstance(columns[name], Vectors) and not _is_any_list(values.type):
                    raise UsageError(f"{where}: column {column!r} holds {values.type}, not lists of numbers")
                wanted[name] = _as_numbers(values, f"column {column!r}", where)
                if isinstance(columns[name], Vectors):
                    _check_even(wanted[name], f"column {column!r}", where)
            else:
                _check_listed(values.type, columns[name], f"column {column!r}", where)
                wanted[name] = _as_text(values, class_names.get(column))
        except pa.ArrowException:
            what = "numbers" if numbers else "text or labels"
            raise UsageError(f"{where}: column {column!r} holds {values.type}, not {what}") from None
    return pa.table(wanted)


def _as_numbers(values: pa.Array, column: str, where: str) -> pa.Array:
    missing = values.is_null().to_numpy(zero_copy_only=False)
    row = np.arange(len(values))  # of each item, the one it stands in
    items, is_list = values, _is_any_list(values.type)
    while _is_any_list(items.type):
        sizes = pc.list_value_length(items)
        known = sizes.drop_null()
        if items is not values and len(known):
            differ = pc.fill_null(pc.not_equal(sizes, known[0]), False).to_numpy(zero_copy_only=False)
            if differ.any():
                at = row[differ.argmax()] + 1
                raise UsageError(f"{where}, row {at}: {column} holds lists of unequal length")
        missing[row[items.is_null().to_numpy(zero_copy_only=False)]] = True
        row = np.repeat(row, pc.fill_null(sizes, 0).to_numpy())
        items = pc.list_flatten(items)
    if pa.types.is_boolean(items.type):
        raise UsageError(f"{where}: {column} holds {values.type}, not numbers; write 0 and 1")
    if not is_list and (pa.types.is_string(items.type) or pa.types.is_large_string(items.type)):
        trimmed = pc.utf8_trim_whitespace(items)
        items = pc.if_else(pc.equal(trimmed, ""), None, trimmed)
        for number, text in enumerate(items.to_pylist(), 1):
            if text is not None and not NUMBER.fullmatch(text):
                raise UsageError(f"{where}, row {number}: {column} holds {shorten(text)}, not a number")
    # Not safe: whole numbers that a float cannot hold are rounded.
    items = items.cast(pa.float32() if is_list else pa.float64(), safe=False)
    endless = pc.fill_null(pc.invert(pc.is_finite(items)), False).to_numpy(zero_copy_only=False)
    if endless.any():
        at = row[endless.argmax()] + 1
        raise UsageError(f"{where}, row {at}: {column} holds a number that is not finite, or too large")
    if not is_list:
        return items
    kept = ~missing[row]  # a null has no items
    items, counts = items.filter(pa.array(kept)), np.bincount(row[kept], minlength=len(values))
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), items, mask=pa.array(missing))


def _check_even(values: pa.Array, column: str, where: str) -> None:
    """UsageError unless all lists but null are of one length."""
    counts = pc.list_value_length(values)
    known = counts.drop_null()
    if len(known):
        differ = pc.fill_null(pc.not_equal(counts, known[0]), False).to_numpy(zero_copy_only=False)
        if differ.any():
            row = int(differ.argmax())
            raise UsageError(
                f"{where}, row {row + 1}: {column} holds {counts[row]} numbers, {known[0]} before; "
                "give equally many in all rows"
            )


def _check_listed(kind: pa.DataType, names: tuple[str, ...], column: str, where: str) -> None:
    """UsageError unless a column holds lists where it must, and no lists where it must not."""
    if not _is_any_list(kind):
        if isinstance(names, Words):
            raise UsageError(
                f"{where}: {column} holds {kind}, not lists of words; "
                "give JSON lines or Parquet with lists, or CoNLL-U"
            )
    elif not isinstance(names, (Words, Texts)):
        raise UsageError(f"{where}: {column} holds lists, not text or labels; give one a row")
    elif _is_any_list(kind.value_type):
        raise UsageError(f"{where}: {column} holds lists of lists, not lists of words")


def _is_any_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """The names of the class label columns, from the metadata that `datasets` writes."""
    if b"huggingface" not in (schema.metadata or {}):
        return {}
    from datasets import ClassLabel, Features  # late: most tables, and no prediction, ever need it

    names = {}
    for column, feature in Features.from_arrow_schema(schema).items():
        feature = feature[0] if isinstance(feature, list) else getattr(feature, "feature", feature)
        if isinstance(feature, ClassLabel):
            names[column] = feature.names
    return names


def _as_text(values: pa.Array, class_names: list[str] | None) -> pa.Array:
    kind = values.type
    if _is_any_list(kind):
        ends = np.cumsum(pc.fill_null(pc.list_value_length(values), 0).to_numpy(), dtype=np.int32)
        offsets = pa.array(np.concatenate([np.zeros(1, np.int32), ends]))
        items = _as_text(pc.list_flatten(values), class_names)
        return pa.ListArray.from_arrays(offsets, items, mask=values.is_null())
    if pa.types.is_dictionary(kind):
        values = values.dictionary_decode()
    elif pa.types.is_integer(kind) and class_names:
        known = pc.if_else(pc.greater_equal(values, 0), values, None)
        return pa.array(class_names, pa.string()).take(known)
    elif pa.types.is_floating(kind):
        values = pc.if_else(pc.is_nan(values), None, values)
        if pc.all(pc.equal(values, pc.round(values))).as_py() is not False:
            values = values.cast(pa.int64())
    elif pa.types.is_boolean(kind):
        values = values.cast(pa.int8())
    return values.cast(pa.string())
