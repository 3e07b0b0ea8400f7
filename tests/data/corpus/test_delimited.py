"""Separators, quotes and headers are recognized; columns that are stated are never guessed."""

import logging

import pytest

from nlp_rnn.data.corpus.layout import Layout
from nlp_rnn.data.corpus.tables import read_table
from nlp_rnn.errors import UsageError

COLUMNS = {"text": ("text", "sentence"), "label": ("label",)}
ROWS = {"text": ["good", 'so "so", bad'], "label": ["1", "0"]}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'text,label\ngood,1\n"so ""so"", bad",0\n'),
        ("a.csv", 'text;label\ngood;1\n"so ""so"", bad";0\n'),
        ("a.csv", 'text;label\ngood;1\nso "so", bad;0\n'),
        ("a.csv", 'text\tlabel\ngood\t1\n"so ""so"", bad"\t0\n'),
        ("a.csv", 'text|label\ngood|1\n"so ""so"", bad"|0\n'),
        ("a.csv", 'text, label\ngood, 1\n"so ""so"", bad", 0\n'),
        ("a.csv", ' text , label\ngood,1\n"so ""so"", bad",0\n'),
        ("a.csv", 'Text,LABEL\ngood,1\n"so ""so"", bad",0\n'),
        ("a.csv", 'id;text;label\n1,5;good;1\n2,5;"so ""so"", bad";0\n'),
        ("a.tsv", 'text\tlabel\ngood\t1\nso "so", bad\t0\n'),
        ("a.tsv", '"text"\t"label"\n"good"\t"1"\n"so ""so"", bad"\t"0"\n'),
        ("a.tsv", '"text"\t"label"\n"good"\t1\n"so ""so"", bad"\t0\n'),
        ("a.tsv", 'text,label\ngood,1\n"so ""so"", bad",0\n'),
        ("a.tsv", 'text\tlabel\ngood\t1\n"so ""so"", bad"\t0\n'),
        ("a.csv", 'sep=;\r\ntext;label\r\ngood;1\r\nso "so", bad;0\r\n'),
        ("a.csv", '"sep=,"\ntext,label\ngood,1\n"so ""so"", bad",0\n'),
    ],
)
def test_separators_and_quotes_are_recognized(folder, name, content, caplog):
    table = read_table(f"{folder({name: content})}/{name}", COLUMNS)
    assert table.to_pydict() == ROWS
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tsv", '1\tx\tgood\n0\ty\tso "so", bad\n'),
        ("a.tsv", 'label\tid\ttext\n1\tx\tgood\n0\ty\tso "so", bad\n'),
        ("a.csv", '1,x,good\n0,y,"so ""so"", bad"\n'),
        ("a.csv", '1;x;good\n0;y;"so ""so"", bad"\n'),
    ],
)
def test_columns_of_a_file_without_a_header_can_be_stated(folder, name, content, caplog):
    layout = Layout(columns=("label", "id", "text"))
    table = read_table(f"{folder({name: content})}/{name}", COLUMNS, layout)
    assert table.to_pydict() == ROWS
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            ("label", "text"),
            "a.tsv, line 1: 2 fields expected (label, text, as corpus.columns says), 3 found",
        ),
        (("label", "id", "x"), "no column 'text' or 'sentence'; the columns are label, id, x"),
    ],
)
def test_stated_columns_that_do_not_fit_are_refused(folder, columns, message):
    path = folder({"a.tsv": "1\tx\tgood\n0\ty\tbad\n"})
    with pytest.raises(UsageError) as error:
        read_table(f"{path}/a.tsv", COLUMNS, Layout(columns=columns))
    assert message in str(error.value)


def lines(rows):
    return "".join(f"{text}\t{label}\n" for text, label in rows)


@pytest.mark.parametrize(
    ("content", "layout", "message"),
    [
        (
            lines((f"text {i}", i % 2) for i in range(40)),
            Layout(may_guess=False),
            "no column text or sentence, label in the header 'text 0', '0' (tabs between); state the columns",
        ),
        (
            lines((i % 2, f"text {i}") for i in range(40)),
            Layout(labels="label"),
            "no header, and read as text, label it has 40 different labels in 40 rows; state the columns",
        ),
        (
            "content\trating\n" + lines((f"text {i}", i % 2) for i in range(40)),
            Layout(labels="label"),
            "the first row, 'content', 'rating', looks like a header of other columns than text, label",
        ),
    ],
)
def test_a_file_without_the_wanted_header_is_not_guessed_wrongly(folder, content, layout, message):
    path = folder({"a.tsv": content})
    with pytest.raises(UsageError) as error:
        read_table(f"{path}/a.tsv", COLUMNS, layout)
    assert message in str(error.value)


def test_a_guess_is_said(folder, caplog):
    caplog.set_level(logging.WARNING)
    path = folder({"a.tsv": lines((f"text {i}", i % 2) for i in range(40))})
    table = read_table(f"{path}/a.tsv", COLUMNS, Layout(labels="label"))
    assert table["label"].to_pylist() == ["0", "1"] * 20
    assert "no header, so its columns are read as text, label" in caplog.text


@pytest.mark.parametrize("quotes", ['"good" film', '"good', 'a ""b"" c', '"good"'])
def test_quotes_that_do_not_enclose_fields_are_text(folder, quotes):
    path = folder({"a.tsv": f"text\tlabel\n{quotes}\t1\n"})
    assert read_table(f"{path}/a.tsv", COLUMNS)["text"].to_pylist() == [quotes]


def test_an_empty_text_may_be_a_pair_of_quotes(folder):
    path = folder({"a.tsv": 'text\tlabel\n""\t1\ngood\t0\n'})
    assert read_table(f"{path}/a.tsv", COLUMNS)["text"].to_pylist() == ["", "good"]


@pytest.mark.parametrize(
    ("header", "rows", "warning"),
    [
        ("Label, TEXT", 30, ""),
        ("v1,v2", 31, "a.csv, line 1: the first row, 'v1', 'v2', looks like a header; if it is one, remove"),
    ],
)
def test_a_header_of_a_file_whose_columns_are_stated(folder, header, rows, warning, caplog):
    path = folder({"a.csv": f"{header}\n" + "".join(f"{i % 2},text {i}\n" for i in range(30))})
    table = read_table(f"{path}/a.csv", COLUMNS, Layout(columns=("label", "text"), labels="label"))
    assert table.num_rows == rows
    assert warning in caplog.text
    assert bool(warning) == bool(caplog.text)


def test_a_row_with_separators_in_a_field_is_told_how_to_write_them(folder):
    path = folder({"a.csv": "text,label\ngood, really,1\n"})
    with pytest.raises(UsageError, match=r"line 2: 2 fields .*, 3 found; quote fields that hold commas"):
        read_table(f"{path}/a.csv", COLUMNS)


def test_a_header_in_another_order_than_stated_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("de,EN \neins,one\n")
    names = {"source": ("de",), "target": ("en",)}
    assert read_table(path, names, Layout(("de", "en")))["source"].to_pylist() == ["eins"]
    with pytest.raises(
        UsageError, match=r"a\.csv, line 1: the header has the columns in another order, 'de'"
    ):
        read_table(path, names, Layout(("en", "de")))
