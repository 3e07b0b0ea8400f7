"""`nlp-rnn-lite predict` writes what `nlp-rnn predict` writes, and refuses the rest in one line."""

import csv
import errno
import json
import re
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest

from nlp_rnn.inference.prediction import predict
from nlp_rnn.lite.cli import main

LINES = {
    "text_pairs": "good\tthe film\n\na\tb\n",
    "captioning": "[1, 2, 3, 4, 5, 6]\n0 0 0 0 0 0\n",
    "forecasting": "[[1, 2], [3, 4]]\n1 2 3 4\n",
    "series_tagging": "[[1, 2], [3, 4]]\n1 2 3 4 5 6\n",
}
COLUMNS = {"text_pairs": ["first", "second"], "tagging": ["tokens"], "translation": ["source"]}
NAMES = ["sentiment", "multi_label", "tagging", "translation", "language_modeling", *LINES]


def leave(capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        main(["predict", *map(str, arguments)])
    return left.value.code, capsys.readouterr().err


@pytest.mark.parametrize("name", NAMES)
def test_lines(make_folder, same_lines, tmp_path, name):
    folder = make_folder(name)
    source = tmp_path / "in.txt"
    source.write_text(LINES.get(name, "\ufeffthe film is\r\n\n  \nthe <br /> work ,\nan unseen é"))
    predict(folder, str(source), str(tmp_path / "theirs"))
    main(["predict", str(folder), str(source), "--output", str(tmp_path / "ours")])
    same_lines((tmp_path / "ours").read_bytes().decode(), (tmp_path / "theirs").read_bytes().decode())


@pytest.mark.parametrize("name", ["sentiment", "multi_label", "tagging", "text_pairs", "translation"])
@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl"])
def test_tables(make_folder, tmp_path, name, ending):
    folder = make_folder(name)
    columns = {"text_pairs": ["first", "second"], "tagging": ["tokens"], "translation": ["source"]}.get(
        name, ["text"]
    )
    texts = ["the film", 'a "b", c', "good"]
    rows = [
        {"id": str(number), **dict.fromkeys(columns, text), "prediction": "x"}
        for number, text in enumerate(texts)
    ]
    source = tmp_path / f"in{ending}"
    with source.open("w", newline="") as file:
        if ending == ".jsonl":
            file.writelines(json.dumps(row) + "\n" for row in rows)
        else:
            writer = csv.DictWriter(file, list(rows[0]), delimiter="\t" if ending == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
    named = [f"{column}={column}" for column in columns]
    data_columns = {"translation": {"source": "source"}}.get(name)
    ours, theirs = tmp_path / f"ours{ending}", tmp_path / f"theirs{ending}"
    predict(folder, str(source), str(theirs), columns=data_columns)
    main(["predict", str(folder), str(source), "--output", str(ours), "--columns", *named])
    assert [cells(row) for row in read(ours)] == [cells(row) for row in read(theirs)]


QUOTES = [
    '"text"\t"b"\n"good"\t"x"\n"a ""b"" c"\t"z"\n',
    'text\tb\ngood\tx\n"a ""b"" c"\tz\n',
    'text\tb\n"good film\tx\nfilm"\ty\n"a "b" c"\tz\n',
    'text\tb\n"good"\tx\nfilm\ty\n',
]


@pytest.mark.parametrize("content", QUOTES)
def test_quotes_in_tables_with_tabs_are_read_as_with_torch(make_folder, tmp_path, content):
    source, ours, theirs = (tmp_path / f"{name}.tsv" for name in ("in", "ours", "theirs"))
    source.write_text(content)
    folder = make_folder("sentiment")
    predict(folder, str(source), str(theirs))
    main(["predict", str(folder), str(source), "--output", str(ours)])
    rows = [list(csv.reader(path.open(newline=""), delimiter="\t", quoting=3)) for path in (ours, theirs)]
    if "film" in content:  # as they are; else one of both writes quotes that the other leaves out
        assert [row[:3] for row in rows[0]] == [row[:3] for row in rows[1]]
    assert [cells(row) for row in read(ours)] == [cells(row) for row in read(theirs)]


def read(path):
    with path.open(newline="") as file:
        if path.suffix == ".jsonl":
            return list(map(json.loads, file))
        return list(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","))


def cells(row):
    """A row with its numbers rounded, as text."""
    return {name: rounded(value) for name, value in row.items()}


def rounded(value):
    if isinstance(value, list):
        return " ".join(map(rounded, value))
    try:
        return f"{float(value):.3f}"
    except (TypeError, ValueError):
        return " ".join(map(rounded, value.split(" "))) if isinstance(value, str) and " " in value else value


def test_a_column_of_another_name_and_missing_cells(make_folder, tmp_path, capsys):
    source = tmp_path / "in.jsonl"
    source.write_text('{"review": "good", "n": 1}\n\n{"review": null, "n": 2}\n{"review": 7, "n": 3}\n')
    main(["predict", str(make_folder("sentiment")), str(source), "--columns", "text=review"])
    rows = list(map(json.loads, capsys.readouterr().out.splitlines()))
    assert [row["n"] for row in rows] == [1, 2, 3]
    assert [row["prediction"] is None for row in rows] == [False, True, False]


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("a,b\n1,2\n", "in.csv", "has no column text"),
        ("a,b\n", "in.csv", "has no column text"),
        ("", "in.csv", "is empty"),
        ("\n\n", "in.tsv", "is empty"),
        ("\n", "in.jsonl", "is empty"),
        ("{}\n", "in.jsonl", "has no column text"),
        ("text,text\n1,2\n", "in.csv", "has columns of one name"),
        ("text,b\n1\n", "in.csv", "line 2: 1 cell\\(s\\), not the 2 of the header"),
        ('text\n"a\n', "in.csv", "not a row of CSV"),
        ('{"text": [1]}\n', "in.jsonl", "row 1: column text is no text"),
        ("[1]\n", "in.jsonl", "line 1: not a JSON object"),
        ("{\n", "in.jsonl", "line 1: not valid JSON"),
        (b"good\n\xff\n", "in.txt", "line 2: invalid UTF-8"),
    ],
)
def test_inputs_that_are_refused(make_folder, tmp_path, capsys, content, name, message):
    source = tmp_path / name
    source.write_bytes(content if isinstance(content, bytes) else content.encode())
    output = tmp_path / "out.txt"
    code, error = leave(capsys, make_folder("sentiment"), source, "--output", output)
    assert code == 2
    assert error.startswith("nlp-rnn-lite: error: ")
    assert error.count("\n") == 1
    assert re.search(message, error)
    assert [path.name for path in tmp_path.iterdir()] == [name]  # nothing half-written


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["in.parquet"], "needs the whole package"),
        (["in.txt.gz"], "needs the whole package"),
        (["in.txt", "--output", "out.conllu"], "needs the whole package"),
        (["in.txt", "--output", "out/"], "is a directory"),
        (["in.txt", "--output", "out.csv"], "a table is written of a table"),
        (["in.txt", "--columns", "text=a"], "--columns is for tables"),
        (["in.csv", "--columns", "text"], "give NAME=COLUMN"),
        (["in.csv", "--columns", "text=a", "text=b"], "text is 'a' already"),
        (["in.csv", "--columns", "words=a"], "sentiment has no column 'words'"),
        (["in.txt", "--n-best", "2"], "add --json"),
        (["in.txt", "--words"], "are for taggers"),
        (["in.txt", "--engine", "onnx"], "holds no ONNX graph"),
        (["in.txt", "--output", "in.txt"], "would replace"),
        (["none.txt"], "none.txt: no such file"),
        (["in.txt", "--beam", "x"], "--help lists the options"),
    ],
    ids=str,
)
def test_arguments_that_are_refused(make_folder, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    for name in ("in.txt", "in.csv"):
        (tmp_path / name).write_text("text\ngood\n")
    code, error = leave(capsys, make_folder("sentiment"), *arguments)
    assert code == 2
    assert message in error
    assert error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "in.txt"]


def test_the_version(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert (left.value.code, capsys.readouterr().out) == (0, f"nlp-rnn-lite {version('nlp-rnn')}\n")


@pytest.mark.parametrize("name", ["sentiment", "text_pairs", "translation"])
@pytest.mark.parametrize("ending", [".csv", ".tsv"])
def test_a_table_without_rows_keeps_its_header(make_folder, tmp_path, name, ending):
    source, ours, theirs = (tmp_path / f"{place}{ending}" for place in ("in", "ours", "theirs"))
    source.write_text(("\t" if ending == ".tsv" else ",").join(["id", *COLUMNS.get(name, ["text"])]) + "\n")
    folder = make_folder(name)
    columns = {"translation": {"source": "source"}}.get(name)
    predict(folder, str(source), str(theirs), columns=columns)
    named = [f"{column}={column}" for column in COLUMNS.get(name, ["text"])]
    main(["predict", str(folder), str(source), "--output", str(ours), "--columns", *named])
    assert ours.read_text() == theirs.read_text()
    assert "prediction" in ours.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_no_unfinished_file(make_folder, tmp_path, number):
    output = tmp_path / "out.txt"
    process = subprocess.Popen(
        [sys.executable, "-m", "nlp_rnn.lite", "predict", make_folder("sentiment"), "--output", output],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 60
    while not list(tmp_path.glob(".out.txt.*")):
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (128 + number, f"nlp-rnn-lite: stopped by {number.name}\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is of Linux")
def test_a_full_disk_is_one_line_that_names_the_output(make_folder, tmp_path):
    source = tmp_path / "in.txt"
    source.write_text("good\n")
    command = [sys.executable, "-m", "nlp_rnn.lite", "predict", make_folder("sentiment"), source]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    wanted = "nlp-rnn-lite: error: standard output: cannot be written (No space left on device)\n"
    assert (done.returncode, done.stderr) == (1, wanted)


def test_a_file_system_that_becomes_read_only_is_one_line(make_folder, tmp_path, monkeypatch, capsys):
    def refuse(*arguments, **options):
        raise OSError(errno.EROFS, "Read-only file system", "a temporary name")

    folder, source = make_folder("sentiment"), tmp_path / "in.txt"
    source.write_text("good\n")
    monkeypatch.setattr("os.replace", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    monkeypatch.chdir(tmp_path)
    wanted = "nlp-rnn-lite: error: out.txt: cannot be written (Read-only file system)\n"
    assert leave(capsys, folder, source, "--output", "out.txt") == (2, wanted)


def test_what_a_killed_process_left_is_removed(make_folder, tmp_path):
    output = tmp_path / "out.txt"
    left = [tmp_path / ".out.txt.01234567.tmp", tmp_path / ".other.txt.01234567.tmp"]
    for path in left:
        path.write_text("half")
    source = tmp_path / "in.txt"
    source.write_text("good\n")
    main(["predict", str(make_folder("sentiment")), str(source), "--output", str(output)])
    assert set(tmp_path.iterdir()) == {output, source, left[1]}
