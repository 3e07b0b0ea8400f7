"""A table in, a table out: every other column as it was, and the answers beside them, in order."""

import bz2
import csv
import datetime
import gzip
import io
import json
import lzma

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError
from nlp_rnn.inference.prediction import predict
from nlp_rnn.tasks import TASKS, Tagging
from nlp_rnn.tasks.pretrained import from_pretrained, save_pretrained
from nlp_rnn.tasks.tagging.data import TaggingProcessor

TEXTS = ["i work at google .", 'the "work" is , good', "good\nfilm", "a; b c\td", "NA", "!"]
ROWS = [
    {"id": f"00{number}", "text": text, "label": "1.10", "note": "null"} for number, text in enumerate(TEXTS)
]


def zstd(data):
    return pa.compress(data, "zstd", asbytes=True)


COMPRESS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstd}
OPEN = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open, ".zst": lambda path: pa.input_stream(path)}


def write(path, rows=ROWS):
    """Write rows as another program would: a table of the format that the ending names."""
    frame = pd.DataFrame(rows)
    match path.suffixes[0]:
        case ".csv":
            text = frame.to_csv(index=False)
        case ".tsv":
            text = frame.to_csv(index=False, sep="\t", quoting=csv.QUOTE_ALL)
        case ".jsonl":
            text = frame.to_json(orient="records", lines=True, force_ascii=False)
        case ".json":
            text = frame.to_json(orient="records")
        case ".parquet":
            frame.to_parquet(path, index=False)
            return path
    path.write_bytes(COMPRESS.get(path.suffix, bytes)(text.encode()))
    return path


def read(path):
    """Read a table as another program would; all cells are text but those of JSON and Parquet."""
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    text = whole(path)
    match path.suffixes[0]:
        case ".jsonl":
            return [json.loads(line) for line in text.split("\n")[:-1]]
        case ".json":
            return json.loads(text)
    separator = "\t" if ".tsv" in path.suffixes else ","
    frame = pd.read_csv(io.StringIO(text), sep=separator, dtype=str, keep_default_na=False)
    return frame.to_dict("records")


def whole(path):
    with OPEN.get(path.suffix, lambda path: open(path, "rb"))(path) as file:
        return file.read().decode()


FORMATS = ["csv", "tsv", "jsonl", "json", "parquet"]


@pytest.mark.parametrize("output", [*FORMATS, "csv.gz", "tsv.xz", "jsonl.bz2", "csv.zst"])
@pytest.mark.parametrize("source", [*FORMATS, "csv.gz", "jsonl.bz2", "tsv.xz", "csv.zst"])
def test_every_format_becomes_every_other(models, labels, tmp_path, source, output):
    predict(models["sentiment"], str(write(tmp_path / f"in.{source}")), str(tmp_path / f"out.{output}"))
    found = read(tmp_path / f"out.{output}")
    assert [list(row) for row in found] == [[*ROWS[0], "prediction", "probability", "unknown"]] * len(ROWS)
    assert [{name: row[name] for name in ROWS[0]} for row in found] == ROWS
    assert [row["prediction"] for row in found] == [labels(text) for text in TEXTS]
    assert all(0.5 <= float(row["probability"]) <= 1 for row in found)
    assert {path.name for path in tmp_path.iterdir()} == {f"in.{source}", f"out.{output}"}


CELLS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), min_size=3, max_size=3)


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(CELLS, max_size=5), end=st.sampled_from(["\n", "\r\n"]))
def test_other_cells_of_csv_are_kept_whatever_they_hold(models, tmp_path_factory, rows, end):
    folder = tmp_path_factory.mktemp("any")
    written = io.StringIO()
    csv.writer(written, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([["a", "text", "b"], *rows])
    (folder / "in.csv").write_bytes(written.getvalue().encode())
    predict(models["sentiment"], str(folder / "in.csv"), str(folder / "out.csv"))
    with open(folder / "out.csv", encoding="utf-8", newline="") as file:
        found = list(csv.reader(file))
    assert [row[:3] for row in found] == [["a", "text", "b"], *rows]
    assert {len(row) for row in found} == {6}


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("in.csv", "text;n\nfilm;007\n", "text;n;{names}\nfilm;007;{film}\n"),
        ("in.csv", "sep=;\r\ntext;n\r\nfilm;1\r\n", "text;n;{names}\nfilm;1;{film}\n"),
        ("in.csv", "\ufefftext,n\nfilm, 1.10\n", 'text,n,{names}\nfilm," 1.10",{film}\n'),
        ("in.csv", "text\nfilm\n\n", "text,{names}\nfilm,{film}\n,,,0\n"),
        ("in.csv", "text,n\n\nfilm,\n", "text,n,{names}\nfilm,,{film}\n"),
        ("in.csv", "n,n,text\n1,2,film\n", "n,n,text,{names}\n1,2,film,{film}\n"),
        ("in.tsv", 'text\tn\nfilm\t5" x\n', 'text\tn\t{names}\nfilm\t5" x\t{film}\n'),
        ("in.tab", "text\tn\r\nfilm\tx\r\n", "text\tn\t{names}\nfilm\tx\t{film}\n"),
    ],
)
def test_the_form_of_a_delimited_table_is_kept(models, tmp_path, capsys, name, content, expected):
    (tmp_path / name).write_bytes(content.encode())
    predict(models["sentiment"], str(tmp_path / name))
    printed = capsys.readouterr().out
    (tmp_path / "one.jsonl").write_text('{"text": "film"}\n')
    predict(models["sentiment"], str(tmp_path / "one.jsonl"), str(tmp_path / "out.csv"))
    _, *cells = read(tmp_path / "out.csv")[0].values()
    separator = next(sign for sign in expected if sign in ",;\t")
    names = separator.join(("prediction", "probability", "unknown"))
    assert printed == expected.format(names=names, film=separator.join(cells))


def test_json_lines_are_kept_byte_for_byte(models, tmp_path, capsys):
    line = '{"n": 1.10, "big": 1e400, "id": 12345678901234567890, "in": {"text": "film"}, "é": "\\u00e9"}'
    (tmp_path / "in.ndjson").write_text(f"{line}\n\n{{}}\n", encoding="utf-8")
    predict(models["sentiment"], str(tmp_path / "in.ndjson"), columns={"text": "text"})
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(line[:-1] + ', "prediction": "')
    assert json.loads(second) == {"prediction": None, "probability": None, "unknown": None}


def test_types_of_parquet_are_kept(models, tmp_path):
    table = pa.table(
        {
            "when": pa.array([datetime.datetime(2020, 1, 2, 3, 4, 5, 6), None], pa.timestamp("ns", "UTC")),
            "kind": pa.array(["a", "b"]).dictionary_encode(),
            "bytes": pa.array([b"\0", b"\xff"]),
            "row": pa.array([{"text": "film", "n": 1}, {"text": None, "n": 2}]),
        }
    ).replace_schema_metadata({"mine": "kept"})
    pq.write_table(table, tmp_path / "in.parquet")
    predict(models["sentiment"], str(tmp_path / "in.parquet"), str(tmp_path / "out.parquet"))
    found = pq.read_table(tmp_path / "out.parquet")
    assert found.select(table.column_names).equals(table, check_metadata=True)
    assert found["prediction"].to_pylist()[1] is None
    with pytest.raises(UsageError, match=r"column 'bytes' holds binary, which is no text; write \.parquet"):
        predict(models["sentiment"], str(tmp_path / "in.parquet"), str(tmp_path / "out.csv"))
    assert {path.name for path in tmp_path.iterdir()} == {"in.parquet", "out.parquet"}


def test_chunks_and_row_groups_change_nothing(models, labels, tmp_path):
    rows = [{"n": str(number), "text": f"{TEXTS[number % 6]} {number}"} for number in range(100)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "in.parquet", row_group_size=7)
    for name in ("in.csv", "in.jsonl"):
        write(tmp_path / name, rows)
    for name in ("in.csv", "in.jsonl", "in.parquet"):
        predict(models["sentiment"], str(tmp_path / name), str(tmp_path / "out.jsonl"), batch_size=1)
        found = read(tmp_path / "out.jsonl")
        assert [(row["n"], row["prediction"]) for row in found] == [
            (row["n"], labels(row["text"])) for row in rows
        ]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_rows_without_a_text_are_kept_and_have_no_answer(models, labels, tmp_path, ending):
    texts = ["good", None, " ", "film", ""]
    table = [{"n": str(number), "text": text} for number, text in enumerate(texts)]
    write(tmp_path / f"in.{ending}", table)
    predict(models["sentiment"], str(tmp_path / f"in.{ending}"), str(tmp_path / "out.jsonl"), scores=True)
    rows = read(tmp_path / "out.jsonl")
    assert [row["n"] for row in rows] == ["0", "1", "2", "3", "4"]
    assert [row["prediction"] or "" for row in rows] == [labels(text or "") for text in texts]
    for number in (1, 2, 4):
        assert {rows[number][name] for name in rows[0] if name.startswith("pr")} == {None}


def test_scores_have_a_column_per_class(models, tmp_path):
    predict(models["sentiment"], str(write(tmp_path / "in.csv")), str(tmp_path / "out.parquet"), scores=True)
    for row in read(tmp_path / "out.parquet"):
        both = [row["probability_negative"], row["probability_positive"]]
        assert sum(both) == pytest.approx(1)
        assert row["probability"] == max(both) == row[f"probability_{row['prediction']}"]


def test_no_column_is_overwritten(models, tmp_path):
    (tmp_path / "in.csv").write_text("text,Prediction\nfilm,mine\n")
    predict(models["sentiment"], str(tmp_path / "in.csv"), str(tmp_path / "out.jsonl"))
    predict(models["sentiment"], str(tmp_path / "out.jsonl"), str(tmp_path / "again.jsonl"))
    (row,) = read(tmp_path / "again.jsonl")
    added = [f"{name}_{number}" for number in (2, 3) for name in ("prediction", "probability", "unknown")]
    assert list(row) == ["text", "Prediction", *added]
    assert row["Prediction"] == "mine"
    # A field that only a late row has counts too.
    lines = ['{"text": "film"}'] * 50 + ['{"text": "film", "prediction": "mine"}']
    (tmp_path / "late.jsonl").write_text("\n".join(lines))
    predict(models["sentiment"], str(tmp_path / "late.jsonl"), str(tmp_path / "out.jsonl"), batch_size=1)
    assert read(tmp_path / "out.jsonl")[-1]["prediction"] == "mine"


@pytest.mark.parametrize("name", ["tagging", "translation", "language_modeling"])
def test_the_answers_of_every_task_are_columns(models, tmp_path, name):
    task = from_pretrained(models[name])
    column = task.processor.input_columns[0]
    rows = [{column: "the work is good", "n": 1}, {column: "a", "n": 2}]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for ending in ("csv", "parquet"):
        predict(
            models[name],
            str(tmp_path / "in.jsonl"),
            str(tmp_path / f"out.{ending}"),
            columns={column: column} if name != "tagging" else None,
        )
    first, second = read(tmp_path / "out.parquet")
    text = read(tmp_path / "out.csv")[0]
    if name == "tagging":
        assert [len(first["prediction"]), len(first["probability"])] == [4, 4]
        assert text["prediction"].split(" ") == first["prediction"]
        assert len(text["probability"].split(" ")) == 4
        assert len(second["prediction"]) == 1
    else:
        assert text["prediction"] == first["prediction"]
        assert float(text["score"]) == first["score"]


def test_labels_of_a_text_are_told_apart_in_a_cell(models, tmp_path):
    task = from_pretrained(models["multi_label"])
    task.thresholds = [0.0] * len(task.labels)
    (tmp_path / "in.csv").write_text("text\ngood\n")
    predict(save_pretrained(task, tmp_path / "m"), str(tmp_path / "in.csv"), str(tmp_path / "out.csv"))
    assert read(tmp_path / "out.csv")[0]["prediction"] == "|".join(task.labels)


def test_lines_become_a_table_where_the_output_is_one(models, labels, tmp_path):
    (tmp_path / "in.txt").write_bytes(b'a "b", film\r\ngood')
    predict(models["sentiment"], str(tmp_path / "in.txt"), str(tmp_path / "out.csv"))
    found = read(tmp_path / "out.csv")
    assert [(row["text"], row["prediction"]) for row in found] == [
        ('a "b", film', labels('a "b", film')), ("good", labels("good"))
    ]  # fmt: skip


def test_compressed_lines(models, labels, tmp_path):
    for ending, compress in COMPRESS.items():
        (tmp_path / f"in.txt{ending}").write_bytes(compress(b"good\n\nfilm"))
        predict(models["sentiment"], str(tmp_path / f"in.txt{ending}"), str(tmp_path / "out.txt.gz"))
        assert whole(tmp_path / "out.txt.gz").split("\n")[:-1] == [
            labels(text) for text in ("good", "", "film")
        ]


def test_columns_are_those_of_training_or_named(models, labels, tmp_path):
    task = from_pretrained(models["sentiment"])
    task.data_columns = {"text": "body", "label": "stars"}
    remembering = save_pretrained(task, tmp_path / "model")
    (tmp_path / "in.csv").write_text("text,body\nfilm,good\n")
    output = tmp_path / "out.jsonl"
    for columns, text in ((None, "good"), ({"text": "text"}, "film"), ({"text": "body"}, "good")):
        predict(remembering, str(tmp_path / "in.csv"), str(output), columns=columns)
        assert read(output)[0]["prediction"] == labels(text)


def test_files_without_a_header(models, labels, tmp_path):
    (tmp_path / "in.tsv").write_bytes("1\tfilm é\n2\tgood\n".encode("cp1252"))
    options = {"file_columns": ["id", "text"], "encoding": "cp1252"}
    predict(models["sentiment"], str(tmp_path / "in.tsv"), str(tmp_path / "out.jsonl"), **options)
    found = read(tmp_path / "out.jsonl")
    assert [(row["id"], row["prediction"]) for row in found] == [
        ("1", labels("film é")),
        ("2", labels("good")),
    ]
    task = from_pretrained(models["sentiment"])
    task.data_columns = {"corpus": {"columns": ["id", "text"], "encoding": "cp1252"}}
    predict(save_pretrained(task, tmp_path / "m"), str(tmp_path / "in.tsv"), str(tmp_path / "as.jsonl"))
    assert read(tmp_path / "as.jsonl") == found


CSV = {"output": "out.csv"}
FAULTS = {
    "no such column": (
        "in.csv", b"id,body\n1,film\n", {},
        r"in\.csv: no column 'text' or .* for the model to read; the columns are 'id', 'body'; name it: "
        "--columns text=COLUMN, or, .* --file-columns",
    ),
    "no such setting": ("in.csv", b"text\n", {"columns": {"txt": "a"}}, "has no column 'txt'; it has text"),
    "two columns": ("in.csv", b"Text,TEXT\na,b\n", {}, "several columns could be 'text'"),
    "extra field": ("in.csv", b"text,n\n" + b"film,1\n" * 2000 + b"a,b,c\n", {}, "line 2002: 2 fields"),
    "open quote": ("in.csv", b'text,n\nfilm,1\n"a,2\n', {}, "line 3: not CSV"),
    "encoding": ("in.csv", b"text,n\nfilm\xe9,1\n", {}, "line 2: invalid UTF-8 .* set --encoding to"),
    "no encoding": ("in.csv", b"text\n", {"encoding": "klingon"}, "there is no encoding 'klingon'"),
    "no JSON": ("in.jsonl", b'{"text": "a"}\n' * 2000 + b"{\n", {}, "line 2001: not JSON"),
    "no object": ("in.jsonl", b'{"text": "a"}\n["b"]\n', {}, "line 2: a JSON object expected"),
    "types": ("in.jsonl", b'{"text": "a"}\n{"text": 3}\n', {}, r"line 1 and after: .* \(str, int\)"),
    "surrogate": ("in.jsonl", b'{"text": "\\ud800"}\n', {}, "half of a surrogate pair"),
    "other surrogate": ("in.jsonl", b'{"text": "a", "n": "\\ud800"}\n', CSV, "surrogate pair"),
    "damaged": ("in.parquet", b"PAR1", {}, "damaged or not Parquet"),
    "not gzip": ("in.csv.gz", b"text\n", {}, r"damaged, or not \.gz"),
    "printed Parquet": ("in.parquet", None, {"output": "-"}, "Parquet cannot be printed"),
    "ending": ("in.csv", b"text\nfilm\n", {"output": "out.txt"}, r"out\.txt: give a file that ends in \.csv"),
    "JSON in CSV": ("in.csv", b"text\nfilm\n", {"as_json": True, **CSV}, r"ends in \.json, \.jsonl"),
    "same names": ("in.csv", b"text,n,n\nfilm,1,2\n", {}, r"several columns are called 'n', which \.jsonl"),
    "archive": ("in.csv.zip", b"PK film\n", {"output": "out.txt"}, r"zip: an archive of files; unpack"),
    "empty": ("in.csv", b"\n", {}, r"in\.csv: is empty, and has not even names of columns; give a table"),
    "lines": ("in.txt", b"film\n", {"columns": {"text": "a"}}, r"in\.txt is read line by line"),
    "scores of lines": ("in.txt", b"film\n", {"scores": True, "output": "-"}, "--scores adds columns"),
}  # fmt: skip


@pytest.mark.parametrize("case", FAULTS)
def test_faults_are_one_line_and_nothing_is_left(models, tmp_path, monkeypatch, case):
    name, content, options, message = FAULTS[case]
    monkeypatch.chdir(tmp_path)
    if content is None:
        write(tmp_path / name)
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        predict(models["sentiment"], name, **{"output": "out.jsonl", **options})
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_scores_are_for_one_label_per_text(models, tmp_path):
    for name in ("tagging", "translation"):
        column = "tokens" if name == "tagging" else "de"
        (tmp_path / "in.csv").write_text(f"{column}\nfilm\n")
        with pytest.raises(UsageError, match=f"one label per input, which {name} has not"):
            predict(models[name], str(tmp_path / "in.csv"), str(tmp_path / "out.csv"), scores=True)


def test_blank_cells_and_missing_words(models, tmp_path):
    (tmp_path / "in.csv").write_text("tokens,n\nthe film,1\n,2\n")
    predict(models["tagging"], str(tmp_path / "in.csv"), str(tmp_path / "out.jsonl"))
    assert [len(row["prediction"]) for row in read(tmp_path / "out.jsonl")] == [2, 0]
    (tmp_path / "in.jsonl").write_text('{"tokens": ["a"]}\n{"tokens": ["a", null]}\n')
    with pytest.raises(UsageError, match=r"in\.jsonl, row 2: a list holds no value \(null\); fill it in"):
        predict(models["tagging"], str(tmp_path / "in.jsonl"), str(tmp_path / "out.csv"))


def test_numbers_that_json_lacks_are_null(models, tmp_path):
    numbers = [{"text": "film", "a": float("nan"), "b": [1.0, float("inf")]}]
    pq.write_table(pa.Table.from_pylist(numbers), tmp_path / "in.parquet")
    predict(models["sentiment"], str(tmp_path / "in.parquet"), str(tmp_path / "out.jsonl"))
    row = json.loads((tmp_path / "out.jsonl").read_text(), parse_constant=pytest.fail)
    assert (row["a"], row["b"]) == (None, [1.0, None])


def test_the_verb(models, tmp_path, run):
    (tmp_path / "in.csv").write_text("id,review_body\n7,good\n")
    arguments = ("predict", str(models["sentiment"]), str(tmp_path / "in.csv"))
    code, out, error = run(*arguments)
    assert (code, out) == (2, "")
    assert "name it: --columns text=COLUMN" in error
    (tmp_path / "no_header.csv").write_text("7,good\n")
    for names in (["id", "text"], ["id,text"]):
        code, out, _ = run(*arguments[:2], str(tmp_path / "no_header.csv"), "--file-columns", *names)
        assert (code, out.splitlines()[1][:7]) == (0, "7,good,")
    code, out, error = run(*arguments, "--columns", "text=review_body", "--scores", "--json")
    assert (code, error) == (0, "")
    assert list(json.loads(out)) == [
        *("id", "review_body", "prediction", "probability", "probability_negative", "probability_positive"),
        "unknown",
    ]


@pytest.mark.parametrize("name", TASKS)
def test_every_task_that_reads_text_reads_tables(name):
    processor = TASKS[name].processor_class
    assert processor.input_description != "text" or processor.input_columns


def test_each_column_of_tags_is_a_column(tmp_path):
    words = Vocabulary.train_on_words([["good", "film"]], VocabularySettings(min_frequency=1))
    names = {"columns": ["upos", "xpos"], "other_labels": [["X", "Y", "Z"]]}
    task = Tagging(TaggingProcessor(words, ["A", "B"], **names), 4, 4)
    (tmp_path / "in.csv").write_text("tokens\ngood new film\n")
    predict(save_pretrained(task, tmp_path / "m"), str(tmp_path / "in.csv"), str(tmp_path / "out.jsonl"))
    (row,) = read(tmp_path / "out.jsonl")
    columns = ["prediction", "probability", "prediction_xpos", "probability_xpos"]
    assert list(row) == ["tokens", columns[0], "prediction_words", *columns[1:], "unknown"]
    assert [len(row[name]) for name in columns] == [3] * 4
    assert set(row["prediction_xpos"]) <= {"X", "Y", "Z"}
    assert row["unknown"] == 1
