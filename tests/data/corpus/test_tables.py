import csv
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_rnn.data.corpus.columns import Texts, Words
from nlp_rnn.data.corpus.tables import read_table
from nlp_rnn.errors import UsageError

COLUMNS = {"text": ("text", "sentence"), "label": ("label",)}


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def rows(table: pa.Table) -> list[tuple[str, ...]]:
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        pytest.param("a.tsv", "good\t1\nbad\t0\n", [("good", "1"), ("bad", "0")], id="no header"),
        pytest.param("a.tsv", "label\tid\tsentence\n1\t7\tgood\n", [("good", "1")], id="header"),
        pytest.param("a.tsv", "good\t1\n\nbad\t0\n\n", [("good", "1"), ("bad", "0")], id="empty lines"),
        pytest.param("a.tsv", "\t1\n", [("", "1")], id="empty text"),
        pytest.param("a.tsv", "", [], id="empty TSV"),
        pytest.param("a.tsv", "text\tlabel\n", [], id="header alone"),
        pytest.param("a.jsonl", "", [], id="empty JSON"),
        pytest.param("a.conllu", "", None, id="columns that CoNLL-U has not"),
        pytest.param("a.tsv", "text\tlabel\r\na\t1\r\n", [("a", "1")], id="CRLF, TSV"),
        pytest.param("a.csv", 'text,label\r\n"a\r\nb",1\r\n', [("a\nb", "1")], id="CRLF, CSV"),
        pytest.param("a.csv", "\ufefftext,label\na,1\n", [("a", "1")], id="byte-order mark, CSV"),
        pytest.param(
            "a.csv", "a\rb\u2028c\x85\0,1\n", [("a\rb\u2028c\x85\0", "1")], id="separators and NUL, CSV"
        ),
        pytest.param("a.csv", '"a, ""b""\nc",1\nd,0\n', [('a, "b"\nc', "1"), ("d", "0")], id="CSV quotes"),
        pytest.param("a.csv", "x" * 1_000_000 + ",1\n", [("x" * 1_000_000, "1")], id="long line, CSV"),
        pytest.param(
            "a.tsv", '"a\t1\nb "\t0\n"c"\t1\n', [('"a', "1"), ('b "', "0"), ('"c"', "1")], id="stray quote"
        ),
        pytest.param(
            "a.tsv", "NA\t1\nnull\t1\nnan\t007\n", [("NA", "1"), ("null", "1"), ("nan", "007")], id="12"
        ),
        pytest.param(
            "a.csv",
            "NA,1\n,1\nnan,1.0\n",
            [("NA", "1"), ("", "1"), ("nan", "1.0")],
            id="words for nothing, CSV",
        ),
        pytest.param(
            "a.jsonl",
            '{"text": "NA", "label": 1, "more": {}}\n\n{"label": 0, "text": "null"}\n',
            [("NA", "1"), ("null", "0")],
            id="words for nothing, JSON",
        ),
        pytest.param("a.json", '{"text": "a", "label": true}\n', [("a", "true")], id="boolean"),
        pytest.param("a.jsonl", '{"text": 5, "label": 2.0}\n', [("5", "2")], id="integral float"),
        pytest.param("a.jsonl", '{"text": "a", "label": 0.5}\n', [("a", "0.5")], id="float"),
        pytest.param("a.jsonl", '{"x": {"text": "a"}, "label": "y"}\n', [("a", "y")], id="nested"),
        pytest.param("a.jsonl", '{"text": "a", "label": null}\n', [("a", None)], id="null stays null"),
    ],
)
def test_read_table(tmp_path, name, content, expected):
    path = write(tmp_path, name, content)
    if expected is None:
        with pytest.raises(
            UsageError,
            match=r"no column 'label'; the columns are id, tokens, lemma, upos, xpos, feats, .*text",
        ):
            read_table(path, COLUMNS)
        return
    table = read_table(path, COLUMNS)
    assert table.column_names == ["text", "label"]
    assert table.schema.types == [pa.string(), pa.string()]
    assert rows(table) == expected


def test_cells_that_span_lines_are_counted(tmp_path, caplog):
    content = 'text,label\ngood,1\n"a\nb",1\nx,"bad,0\nfine,1\ndull,0"\nlast,0\n'
    path = write(tmp_path, "a.csv", content)
    assert len(rows(read_table(path, COLUMNS))) == 4
    assert [record.message for record in caplog.records] == [
        f"{path}: 2 cell(s) span several lines, the first in line 3; if that is not meant, look for a stray "
        "quote there"
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("a.csv", ",".join(f"column{i:05}" + "x" * 99 for i in range(9999)), id="header"),
        pytest.param("a.tsv", "text\tlabel\n" + "\t".join("x" * 99 for _ in range(9999)), id="fields"),
        pytest.param("a.jsonl", "{" + ",".join(f'"{i:099}": 1' for i in range(9999)) + "}", id="columns"),
        pytest.param(
            "a.jsonl", '{"text": "a", "label": 1}\n{"text": "a", "label": "%s"}' % ("x" * 99999), id="cell"
        ),
        pytest.param("a.jsonl", '{"text": "a", "label": {"%s": [1]}}' % ("x" * 99999), id="nested name"),
        pytest.param("a.conllu", "1\t" + "x" * 9999 + "\n", id="CoNLL-U"),
        pytest.param("a.conllu", "x" * 9999 + "\t_" * 9 + "\n", id="word ID"),
        pytest.param("a.conllu", "9" * 9999 + "-1" + "\t_" * 9 + "\n", id="range"),
    ],
)
def test_messages_are_short(tmp_path, name, content):
    path = write(tmp_path, name, content)
    with pytest.raises(UsageError) as error:
        read_table(path, COLUMNS)
    assert len(str(error.value).replace(str(path), "")) < 1000


def test_an_empty_line_of_a_single_column_is_an_empty_text(tmp_path):
    for name in ("a.tsv", "a.csv"):
        table = read_table(write(tmp_path, name, "text\na\n\nb\n"), {"text": ("text",)})
        assert rows(table) == [("a",), ("",), ("b",)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        pytest.param("a.tsv", "a\t1\nb\n", "line 2: 2 fields expected .*, 1 found", id="too few"),
        pytest.param("a.tsv", "a\t1\nb\t0\t0\n", "line 2: 2 fields expected .*, 3 found", id="too many"),
        pytest.param("a.csv", 'text,label\n"a\nb",1\nc\n', "line 4: 2 fields expected .*, 1 found", id="CSV"),
        pytest.param(
            "a.tsv",
            "phrase\tLabel\nb\t0\n",
            "line 1: no column 'text' or 'sentence'; the columns are phrase, Label",
            id="header",
        ),
        pytest.param(
            "a.csv",
            "comment,lable\ngood,1\n",
            "line 1: no column text or sentence, label in the header 'comment', 'lable'",
            id="misspelled header",
        ),
        pytest.param(
            "a.tsv",
            "a\tb\tc\n",
            "line 1: no column text or sentence, label in the header 'a', 'b', 'c' .*corpus.columns",
            id="no header",
        ),
        pytest.param(
            "a.jsonl",
            '{"text": "a", "label": 1}\n{"text": "a", "tag": 1}\n',
            "line 2: no column 'label'; the columns are text, tag",
            id="JSON",
        ),
        pytest.param("a.csv", 'a,1\n"b\n', r"line 2: not CSV \(unexpected end of data\)", id="open quote"),
        pytest.param("a.jsonl", '{"text": "a"', "line 1: not JSON", id="broken JSON"),
        pytest.param("a.json", "[\n1\n]", "row 1: a JSON object expected, found '1'", id="array of numbers"),
        pytest.param("a.jsonl", '["text"]', "line 1: a JSON object expected", id="JSON list"),
        pytest.param(
            "a.jsonl",
            '{"text": "\\ud800", "label": 1}',
            "a.jsonl, line 1, column 'text': half of a surrogate pair",
            id="surrogate",
        ),
        pytest.param(
            "a.jsonl",
            '{"text": "a", "label": 1}\n{"text": "a", "label": "b"}\n',
            "column 'label': .*'b'",
            id="mixed types",
        ),
        pytest.param("a.parquet", "no Parquet", "a.parquet: damaged or not Parquet", id="damaged Parquet"),
        pytest.param("a.txt", "a", "unknown format '.txt'", id="unknown format"),
    ],
)
def test_read_table_refuses(tmp_path, name, content, message):
    path = write(tmp_path, name, content)
    with pytest.raises(UsageError, match=message) as error:
        read_table(path, COLUMNS)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_characters="\t\r\n", codec="utf-8"), min_size=1), st.text("ab")
        )
    )
)
def test_no_tsv_row_is_lost_whatever_its_text(tmp_path_factory, pairs):
    content = "text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in pairs)
    assert rows(read_table(write(tmp_path_factory.mktemp("tsv"), "a.tsv", content), COLUMNS)) == pairs


def test_parquet_of_every_type(tmp_path):
    table = pa.table(
        {
            "translation": pa.array([{"de": "Hund", "en": "dog"}, {"de": "Katze", "en": None}]),
            "large": pa.array(["a", "b"], pa.large_string()),
            "category": pa.array(["x", "y"]).dictionary_encode(),
            "tags": pa.array([[1, 2], []], pa.large_list(pa.int64())),
            "score": pa.array([1.0, float("nan")]),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    names = {name: (name,) for name in ("de", "en", "large", "category", "score")}
    names["tags"] = Words(("tags",))
    assert read_table(tmp_path / "a.parquet", names).to_pydict() == {
        "de": ["Hund", "Katze"],
        "en": ["dog", None],
        "large": ["a", "b"],
        "category": ["x", "y"],
        "tags": [["1", "2"], []],
        "score": ["1", None],
    }
    with pytest.raises(
        UsageError, match=r"no column 'text'; the columns are translation\.de, translation\.en, large"
    ):
        read_table(tmp_path / "a.parquet", {"text": ("text",)})


def test_parquet_with_a_column_that_is_no_text(tmp_path):
    pq.write_table(pa.table({"text": [{"a": [{"b": 1}]}]}), tmp_path / "a.parquet")
    with pytest.raises(UsageError, match=r"column 'text.a' holds list<.*>, not text or labels"):
        read_table(tmp_path / "a.parquet", {"text": Texts(("text.a",))})


def test_csv_leaves_the_module_s_field_limit_alone(tmp_path):
    limit = csv.field_size_limit()
    read_table(write(tmp_path, "a.csv", "x" * 200_000 + ",1\n"), COLUMNS)
    assert csv.field_size_limit() == limit
