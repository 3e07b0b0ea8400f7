"""Columns of numbers, in every format that holds them."""

import io
import json
import math
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_rnn.data import Corpus
from nlp_rnn.data.corpus.columns import LabelLists, Numbers, Texts, Words, select_columns
from nlp_rnn.data.corpus.tables import read_table
from nlp_rnn.errors import UsageError

NUMBER = {"x": Numbers(("x", "value"))}
PAIRS = {"features": Numbers(("features",)), "caption": ("caption",)}


def write(path, content):
    """A file with the columns of `content`, in the format that the path's extension says."""
    if path.suffix == ".parquet":
        pq.write_table(pa.table(content), path)
    elif path.suffix == ".npz":
        np.savez(path, **{name: np.array(column) for name, column in content.items()})
    elif path.suffix == ".jsonl":
        rows = zip(*content.values(), strict=True)
        path.write_text("".join(json.dumps(dict(zip(content, row, strict=True))) + "\n" for row in rows))
    else:
        between = "\t" if path.suffix == ".tsv" else ","
        rows = [content, *zip(*content.values(), strict=True)]
        path.write_text("".join(between.join(map(str, row)) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet", ".npz"])
@pytest.mark.parametrize("values", [[1.5, -2.0, 3e-7], [1, 2, 30]], ids=["floats", "whole"])
def test_numbers_come_out_as_they_are(tmp_path, suffix, values):
    table = read_table(write(tmp_path / f"a{suffix}", {"value": values, "other": values}), NUMBER)
    assert table.schema == pa.schema([("x", pa.float64())])
    assert table["x"].to_pylist() == values


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_no_digit_is_lost_in_a_csv(tmp_path_factory, values):
    path = write(tmp_path_factory.mktemp("csv") / "a.csv", {"x": values, "y": values})
    assert read_table(path, NUMBER)["x"].to_pylist() == values


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet", ".npz"])
def test_vectors_and_their_texts(tmp_path, suffix):
    images = [[[0.0, 0.5], [1.0, 0.25]], [[1.0, 1.0], [0.0, 0.0]]]  # laid end to end
    path = write(tmp_path / f"a{suffix}", {"features": images, "caption": ["one", "two"]})
    table = read_table(path, PAIRS)
    assert table["features"].type == pa.list_(pa.float32())
    assert table["features"].to_pylist() == [[0.0, 0.5, 1.0, 0.25], [1.0, 1.0, 0.0, 0.0]]
    assert table["caption"].to_pylist() == ["one", "two"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", {"x": [1, "", 3], "y": [0, 0, 0]}, "a.csv, row 2: column 'x' holds no value"),
        ("a.csv", {"x": [1, 2, "NA"], "y": [0, 0, 0]}, r"a.csv, row 3: column 'x' holds 'NA', not a number"),
        ("a.csv", {"x": ["1,5"], "y": [0]}, "a.csv, line 2: 2 fields expected"),
        ("a.csv", {"x": ["inf"], "y": [0]}, "a.csv, row 1: column 'x' holds 'inf', not a number"),
        ("a.parquet", {"x": [1.0, None]}, "a.parquet, row 2: column 'x' holds no value"),
        ("a.parquet", {"x": [1.0, math.nan]}, "a.parquet, row 2: column 'x' holds a number that is not"),
        ("a.npz", {"x": [math.inf, 2.0]}, "a.npz, row 1: column 'x' holds a number that is not finite"),
        ("a.csv", {"x": [1, "1e400"], "y": [0, 0]}, "a.csv, row 2: column 'x' holds a number that is not"),
        ("a.csv", {"x": ["١٢"], "y": [0]}, r"a.csv, row 1: column 'x' holds '١٢', not a number"),
        ("a.jsonl", {"x": [1, math.nan]}, "a.jsonl, row 2: column 'x' holds a number that is not finite"),
        ("a.jsonl", {"x": [1, 10**400]}, "a.jsonl, row 2: column 'x' holds a number that is not finite"),
        ("a.jsonl", {"x": [1, None]}, "a.jsonl, row 2: column 'x' holds no value"),
        ("a.jsonl", {"x": [True, False]}, "a.jsonl, row 1: column 'x' holds true or false"),
        ("a.jsonl", {"x": [1.5, True]}, "a.jsonl, row 2: column 'x' holds true or false"),
        ("a.jsonl", {"x": [[1.5], [[False]]]}, "a.jsonl, row 2: column 'x' holds true or false"),
        ("a.parquet", {"x": [True, False]}, "a.parquet: column 'x' holds bool, not numbers"),
        ("a.npz", {"x": [True, False]}, "a.npz: column 'x' holds bool, not numbers"),
        ("a.parquet", {"y": [1.0]}, "no column 'x' or 'value'; the columns are y"),
        ("a.csv", {"y": [1.0]}, "a.csv, line 1: no column x or value in the header 'y'"),
    ],
)
def test_missing_numbers_are_named(tmp_path, name, content, message):
    path = write(tmp_path / name, content)
    with pytest.raises(UsageError, match=message):
        Corpus(str(path)).load(NUMBER)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ([[1.0, None], [1.0, 2.0]], "row 1: column 'features' holds no value"),
        ([[1.0, 2.0], [math.nan, 2.0]], "row 2: column 'features' holds a number that is not finite"),
        (
            [[1.0, 2.0], [1.0, 1e39]],
            "row 2: column 'features' holds a number that is not finite, or too large",
        ),
        ([[[1.0, 2.0], None], [[1.0, 2.0], [3.0, 4.0]]], "row 1: column 'features' holds no value"),
        ([[[1.0, 2.0], [3.0, 4.0]], [[1.0], [2.0, 3.0, 4.0]]], "row 2: .* holds lists of unequal length"),
        ([[True], [False]], "holds list<.*bool>, not numbers"),
        ([[1.0, 2.0], None], "row 2: column 'features' holds no value"),
        (["red", "blue"], r"row 1: column 'features' holds 'red', not a number"),
        ([["red"], ["blue"]], "holds list<.*string>, not numbers"),
    ],
)
def test_missing_numbers_in_vectors_are_named(tmp_path, features, message):
    path = write(tmp_path / "a.parquet", {"features": features, "caption": ["one", "two"]})
    with pytest.raises(UsageError, match=message):
        Corpus(str(path)).load(PAIRS)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_whole_numbers_too_large_to_be_exact_are_rounded(tmp_path, suffix):
    path = write(tmp_path / f"a{suffix}", {"x": [2**53 + 1, -(2**62) - 1], "y": [0, 0]})
    assert read_table(path, NUMBER)["x"].to_pylist() == [2.0**53, -(2.0**62)]
    if suffix != ".csv":
        path = write(path, {"features": [[2**24 + 1, 3], [1700000001, 0]], "caption": ["a", "b"]})
        assert read_table(path, PAIRS)["features"].to_pylist() == [[2.0**24, 3], [1700000000, 0]]


def test_whole_numbers_of_json_beyond_64_bits(tmp_path):
    path = write(tmp_path / "a.jsonl", {"x": [2**70, 2**53 + 1, 1.5]})
    assert read_table(path, NUMBER)["x"].to_pylist() == [2.0**70, 2.0**53, 1.5]


@pytest.mark.parametrize("dtype", [">f8", ">f4", "f2", "g", ">i4", "u1"])
def test_numbers_of_any_width_and_byte_order(tmp_path, dtype):
    features = np.arange(6).reshape(3, 2).astype(dtype)
    extra = np.zeros(1, "i4,c8")  # nobody asks for it
    path = tmp_path / "a.npz"
    np.savez(path, features=features, caption=["a", "b", "c"], value=features[:, 1], extra=extra)
    assert read_table(path, PAIRS)["features"].to_pylist() == [[0, 1], [2, 3], [4, 5]]
    assert read_table(path, NUMBER)["x"].to_pylist() == [1, 3, 5]


def test_rows_shared_by_train_and_test_are_found_among_vectors_too(tmp_path, caplog):
    rows = {"features": [[1.0, 2.0], [3.0, 4.0]], "caption": ["one", "two"]}
    for split in ("train", "test"):
        write(tmp_path / f"{split}.parquet", rows)
    Corpus(str(tmp_path)).load(PAIRS)
    assert "2 test row(s) are also in train" in caplog.text


def _archive(members, encrypted=False, broken=False):
    """A zip file's bytes."""
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        content = bytearray(file.getvalue())
    if encrypted:  # as the flags say, here and in the directory
        content[6] |= 1
        content[content.index(b"PK\1\2") + 8] |= 1
    if broken:  # the first block's kind: there is none such
        content[30 + len(next(iter(members)))] = 0xFF
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a file of NumPy", "damaged"),
        (b"", "damaged"),
        (np.lib.format.MAGIC_PREFIX, "damaged"),
        ({"features": np.zeros((0, 4)), "caption": ["one"]}, "features 0, caption 1"),
        ({"features": 1.0, "caption": "one"}, "features 0, caption 0"),
        ({"features": [[1.0], [2.0]], "caption": ["one"]}, "features 2, caption 1; give each the same"),
        ({"features": [[1.0]], "caption": [{"of": "Python"}]}, "with Python objects"),
        ({"features": 1.0, "caption": ["one"]}, "features 0, caption 1"),
        ({"features": np.ones((1, 2), "c8"), "caption": ["one"]}, "'features': complex64; give numbers"),
        ({"features": np.ones(1, "i4,f4"), "caption": ["one"]}, "'features': .* give numbers or text"),
        ({"features": np.ones(1, "M8[s]"), "caption": ["one"]}, r"'features': datetime64\[s\]; give numbers"),
        ({"features": [[1.0]], "caption": ["\ud800"]}, "'caption': .*surrogate"),
        ({"features": [[1.0]], "text": ["one"]}, "no column 'caption'; the columns are features, text"),
        (_archive({"features.npy": b"1", "caption.npy": b"1"}), "features 0, caption 0"),
        (_archive({"features": b"1", "caption": b"1"}), "features 0, caption 0"),
        (_archive({"features.npy": b"1", "caption.npy": b"1"}, encrypted=True), "damaged.*encrypted"),
        (_archive({"features.npy": b"1" * 99, "caption.npy": b"1"}, broken=True), "damaged"),
    ],
    ids=range(17),  # an archive's bytes hold the time it was made
)
def test_numpy_files_that_are_none(tmp_path, content, message):
    path = tmp_path / "a.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        write(path, content)
    with pytest.raises(UsageError, match=f"a.npz.* {message}"):
        read_table(path, PAIRS)


@pytest.mark.parametrize(
    ("names", "values", "message"),
    [
        (("x",), [["a", "b"]], "column 'x' holds lists, not text or labels; give one per row"),
        (("x",), [[1, 2]], "column 'x' holds lists, not text or labels"),
        (Words(("x",)), [1, 2], "column 'x' holds int64, not words; give lists of text"),
        (Words(("x",)), [[["a"], ["b"]]], "column 'x' holds lists of lists, not lists of words"),
        (Texts(("x",)), [[["a"], ["b"]]], "column 'x' holds lists of lists, not lists of words"),
    ],
)
@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_lists_are_required_or_refused(tmp_path, suffix, names, values, message):
    with pytest.raises(UsageError, match=message):
        read_table(write(tmp_path / f"a{suffix}", {"x": values}), {"x": names})


@pytest.mark.parametrize("value", ["a b", ["a", "b"]])
def test_texts_may_be_lists(tmp_path, value):
    path = write(tmp_path / "a.parquet", {"x": [value]})
    assert read_table(path, {"x": Texts(("x",))})["x"].to_pylist() == [value]


@pytest.mark.parametrize("names", [None, "", (), [], (None,)])
def test_a_column_without_a_name(names):
    with pytest.raises(UsageError, match="no column is named for x; name one"):
        Corpus("hello").load({"x": names})


@pytest.mark.parametrize(
    ("available", "found"),
    [
        (["text", "x", "text"], "'text', 'text'; rename all"),
        (["Text", " TEXT"], "'Text', ' TEXT'; name one of them, or rename all"),
        (["a.text", "b.text"], "'a.text', 'b.text'; name one of them, or rename all"),
    ],
)
def test_columns_that_could_be_the_same_are_refused(available, found):
    table = pa.table([["a"]] * len(available), names=available)
    with pytest.raises(UsageError) as error:
        select_columns(table, {"text": ("text",)}, "a.parquet")
    assert f"a.parquet: several columns could be 'text': {found}" in str(error.value)


def test_a_column_of_just_the_name_comes_before_similar_ones():
    table = pa.table([["a"], ["b"], ["c"]], names=["Text", "x.text", "text"])
    assert select_columns(table, {"text": ("text",)}, "a").to_pydict() == {"text": ["c"]}


@pytest.mark.parametrize("text", ["['the', 'dog']", '["the", "dog"]', "['the' 'dog']"])
def test_printed_lists_are_not_split_into_words(text):
    with pytest.raises(UsageError, match=r"holds lists printed as text, such as .*; save it as JSON"):
        select_columns(pa.table({"tokens": [text]}), {"tokens": Words(("tokens",))}, "a.csv")
    with pytest.raises(UsageError, match=r"holds lists printed as text"):
        select_columns(pa.table({"tokens": ["[]", text, ""]}), {"tokens": Words(("tokens",))}, "a.csv")
    kept = select_columns(pa.table({"tokens": ["[ a ]", text]}), {"tokens": Words(("tokens",))}, "a.csv")
    assert kept["tokens"][0].as_py() == ["[", "a", "]"]


def test_blank_text_has_no_words():
    table = pa.table({"tokens": ["a  b", "", " ", None]})
    words = select_columns(table, {"tokens": Words(("tokens",))}, "a.csv")["tokens"]
    assert words.to_pylist() == [["a", "b"], [], [], None]


@pytest.mark.parametrize(
    "cells",
    [["['a', 'b']", "[]", ""], ['["a"]', '["a", "b"]'], ["[1, 2]", "[1]", None], ["{'a', 'b'}", "{'a'}"]],
)
def test_printed_lists_are_not_split_into_labels(cells):
    columns = {"labels": LabelLists(("labels",))}
    with pytest.raises(
        UsageError, match=r"lists printed as text, such as .*; save it as JSON or Parquet, or"
    ):
        select_columns(pa.table({"labels": cells}), columns, "a.csv")
    kept = select_columns(pa.table({"labels": ["[a]|[b]", "[b]"]}), columns, "a.csv")
    assert kept["labels"].to_pylist() == [["[a]", "[b]"], ["[b]"]]
