"""Every shape in which JSON holds a table is read alike."""

import json

import pyarrow as pa
import pytest

from nlp_rnn.data.corpus.columns import Words
from nlp_rnn.data.corpus.tables import read_table
from nlp_rnn.errors import UsageError

COLUMNS = {"text": ("text",), "label": ("label",)}
RECORDS = [{"text": "good", "label": 1, "id": 5}, {"text": "b\nad", "label": 0, "id": 6}]
COLUMN_LISTS = {name: [record[name] for record in RECORDS] for name in RECORDS[0]}
SHAPES = {
    "lines": "".join(json.dumps(record) + "\n" for record in RECORDS),
    "array": json.dumps(RECORDS),
    "indented": json.dumps(RECORDS, indent=2),
    "columns": json.dumps({name: dict(enumerate(values)) for name, values in COLUMN_LISTS.items()}),
    "lists": json.dumps(COLUMN_LISTS, indent=1),
    "split": json.dumps(
        {"columns": list(COLUMN_LISTS), "index": [0, 1], "data": [list(r.values()) for r in RECORDS]}
    ),
    "index": json.dumps(dict(enumerate(RECORDS))),
    "field": json.dumps({"version": 1, "notes": ["x"], "data": RECORDS}, indent=4),
    "nested": json.dumps([{"id": 1, "content": record} for record in RECORDS]),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(folder, shape):
    path = folder({"a.json": SHAPES[shape]})
    assert read_table(f"{path}/a.json", COLUMNS).to_pydict() == {
        "text": ["good", "b\nad"],
        "label": ["1", "0"],
    }


def test_a_row_with_more_values_than_names_is_refused(folder):
    path = folder({"a.json": json.dumps({"columns": ["text", "label"], "data": [["a", 1], ["b", 0, 2]]})})
    with pytest.raises(UsageError, match=r"a.json, row 2: 2 values expected \('text', 'label'\), 3 found"):
        read_table(f"{path}/a.json", COLUMNS)


def test_fields_of_one_name_in_several_objects_are_told_apart(folder):
    records = [{"user": {"Text": f"user {i}"}, "post": {"text": f"post {i}"}, "label": i} for i in range(3)]
    path = f"{folder({'a.jsonl': ''.join(json.dumps(record) + chr(10) for record in records)})}/a.jsonl"
    for name in ("user.text", "post.text"):
        table = read_table(path, {**COLUMNS, "text": (name,)})
        assert table["text"].to_pylist() == [f"{name[:4]} {i}" for i in range(3)]
    assert read_table(path, COLUMNS)["text"][0].as_py() == "post 0"  # the same case
    with pytest.raises(UsageError, match=r"'user.Text', 'post.text'; name one of them"):
        read_table(path, {**COLUMNS, "text": ("TEXT",)})


TAGS = {"tokens": Words(("tokens",)), "upos": Words(("upos",))}
SENTENCES = [{"tokens": ["a", "b"], "upos": ["X", "Y"]}, {"tokens": ["c"], "upos": ["X"]}]


@pytest.mark.parametrize(
    "content",
    [
        "".join(json.dumps(row) + "\n" for row in SENTENCES),
        json.dumps(SENTENCES, indent=1),
        json.dumps({name: [row[name] for row in SENTENCES] for name in TAGS}),
    ],
)
def test_lists_of_words(folder, content):
    table = read_table(f"{folder({'a.json': content})}/a.json", TAGS)
    assert table.to_pylist() == SENTENCES


def test_one_line_with_lists_is_one_row_of_words(folder):
    table = read_table(f"{folder({'a.json': json.dumps(SENTENCES[0])})}/a.json", TAGS)
    assert table == pa.Table.from_pylist(SENTENCES[:1], schema=table.schema)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": 1, "b": "x"}', "an object with the fields 'a', 'b', but no table; give one object per line"),
        ('{"text": ["a", "b"], "label": [1]}', "columns of unequal length, in rows text 2, label 1"),
        ('{"x": [{"text": "a"}], "y": [{"text": "b"}]}', "fields x, y hold rows; keep one"),
        ("[1, 2]", "row 1: a JSON object expected, found '1'"),
        ('[{"text": "a"}]', "row 1: no column 'label'; the columns are text"),
        ('"text"', "is no table; give one object per line"),
        ('[{"text": "a"', "line 1: not JSON"),
        ("{" + ", ".join(f'"column {i}": [1]' for i in range(9_000)) + "}", "8,980 more"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(folder, content, message):
    path = folder({"a.json": content})
    with pytest.raises(UsageError) as error:
        read_table(f"{path}/a.json", COLUMNS)
    assert message in str(error.value)
    assert len(str(error.value).replace(path, "")) < 1_000


@pytest.mark.parametrize(
    "missing", ['{"text": "c"}', '{"text": "c", "label": null}', '{"text": "c", "label": NaN}']
)
@pytest.mark.parametrize("first", [True, False])
def test_missing_values(folder, missing, first):
    lines = ['{"text": "a", "label": "1"}', missing]
    path = folder({"a.jsonl": "\n".join(reversed(lines) if first else lines)})
    labels = read_table(f"{path}/a.jsonl", COLUMNS)["label"].to_pylist()
    assert labels == ([None, "1"] if first else ["1", None])


def test_no_row_of_names_and_rows_is_lost(folder):
    path = folder({"a.json": '{"columns": ["text", "label"], "data": [["a", 0], "x"]}'})
    with pytest.raises(UsageError, match="row 2: a JSON object expected, found '\"x\"'"):
        read_table(f"{path}/a.json", COLUMNS)
