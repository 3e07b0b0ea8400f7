"""A stream of text in, a stream of answers out: one per line, in order, whatever is in the lines."""

import io
import json
import logging
import os
import re
import resource
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nlp_rnn
from nlp_rnn.errors import UsageError
from nlp_rnn.inference.pipelines import pipeline
from nlp_rnn.inference.prediction import predict
from nlp_rnn.tasks import TASKS as EVERY_TASK
from nlp_rnn.tasks import Sentiment

TASKS = {name: task for name, task in EVERY_TASK.items() if task.processor_class.input_description == "text"}
TEXTS = ["i work at google .", "the work is not good , but the film is .", "good", "a b c d e f", "", "!"]
SCRIPT = Path(__file__).parents[2] / "scripts" / "predict.py"


def as_bytes(texts, end="\n"):
    return "".join(text + end for text in texts).encode()


def test_one_answer_per_line_in_order(models, answers):
    texts = [f"{text} {'good ' * (number % 7)}" for number, text in enumerate(TEXTS * 20)]
    labels = [answer["label"] or "" for answer in pipeline("sentiment", models["sentiment"])(texts)]
    assert len(set(labels)) == 3  # else their order would show nothing
    assert answers(as_bytes(texts)) == labels
    assert answers(as_bytes(texts), batch_size=3) == labels
    tags = pipeline("tagging", models["tagging"])(texts)
    assert answers(as_bytes(texts), "tagging") == [
        " ".join(map("/".join, zip(answer["words"], answer["tags"], strict=True))) for answer in tags
    ]
    translations = pipeline("translation", models["translation"])(texts)
    assert answers(as_bytes(texts), "translation") == [answer["text"] for answer in translations]


@pytest.mark.parametrize("name", TASKS)
def test_json_lines(models, answers, name):
    expected = pipeline(name, models[name])(TEXTS)

    def constant(value):
        raise AssertionError(f"{value} is not standard JSON")

    lines = answers(as_bytes(TEXTS), name, as_json=True)
    found = [json.loads(line, parse_constant=constant) for line in lines]
    assert [answer.keys() for answer in found] == [answer.keys() for answer in expected]
    for key in {"label", "tags", "text"} & set(found[0]):
        assert [answer[key] for answer in found] == [answer[key] for answer in expected]


def test_beam_and_n_best(answers):
    lines = answers(as_bytes(TEXTS), "translation", as_json=True, beam=4, n_best=3)
    assert [len(json.loads(line)["n_best"]) for line in lines] == [3] * len(TEXTS)
    assert len(answers(as_bytes(TEXTS), "translation", beam=3)) == len(TEXTS)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("translation", {"n_best": 2}, "can be written only as JSON"),
        ("tagging", {"as_json": True, "conllu": True}, "JSON or CoNLL-U: choose one"),
        ("sentiment", {"conllu": True}, "CoNLL-U is for taggers; .* is for sentiment"),
        ("sentiment", {"beam": 2}, "are for tasks that generate text, which sentiment is not"),
        ("sentiment", {"batch_size": 0}, "batch size must be between 1"),
    ],
)
def test_contradictory_settings_are_refused(answers, name, options, message):
    with pytest.raises(UsageError, match=message):
        answers(b"good\n", name, **options)


LINES = {
    "nothing": (b"", []),
    "one empty line": (b"\n", [""]),
    "no end of the last line": (b"good\nfilm", ["good", "film"]),
    "empty lines keep their place": (b"\n\ngood\n \n\n", ["", "", "good", " ", ""]),
    "CRLF": (b"good\r\n\r\nfilm\r\n", ["good", "", "film"]),
    "byte-order mark": (b"\xef\xbb\xbfgood\nfilm\n", ["good", "film"]),
    "byte-order mark alone": (b"\xef\xbb\xbf", []),
    "a mark inside": ("good\n\ufefffilm\n".encode(), ["good", "\ufefffilm"]),
    "bare CR": (b"good\rfilm\n", ["good\rfilm"]),
    "other line ends": ("a\u2028b\u0085c\u2029\f\v\x1cd\n".encode(), ["a\u2028b\u0085c\u2029\f\v\x1cd"]),
    "NUL": (b"go\0od\n\0\n", ["go\0od", "\0"]),
    "special tokens": (b"<pad>\n<bos> good <eos>\n", ["<pad>", "<bos> good <eos>"]),
}  # fmt: skip


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("case", LINES)
def test_lines(models, answers, name, case):
    content, texts = LINES[case]
    key = {"sentiment": "label", "tagging": "tags", "multi_label": "labels"}.get(name, "text")
    expected = [answer[key] for answer in pipeline(name, models[name])(texts)]
    found = [json.loads(line) for line in answers(content, name, as_json=True)]
    assert [answer[key] for answer in found] == expected
    assert len(answers(content, name)) == len(texts)


@settings(max_examples=25, deadline=None)
@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n")), max_size=5),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_any_lines(models, tmp_path_factory, texts, end):
    folder = tmp_path_factory.mktemp("any")
    (folder / "in").write_bytes(as_bytes(texts, end))
    predict(models["translation"], str(folder / "in"), str(folder / "out"))
    assert (folder / "out").read_bytes().count(b"\n") == len(texts)


def test_nul_is_counted_in_one_warning(answers, caplog):
    with caplog.at_level(logging.WARNING):
        answers(b"good\0b\n\0\0good\n")
    assert len(caplog.messages) == 1
    assert caplog.messages[0].endswith("in.txt: kept 3 NUL character(s) as text")


def test_long_lines_are_cut_with_one_warning(answers, caplog):
    with caplog.at_level(logging.WARNING):
        lines = answers(b"good " * 200_000 + b"\ngood\n" + b"good " * 30 + b"\n", batch_size=1)
    assert len(lines) == 3
    assert caplog.messages == ["2 texts cut to the maximum length of 20 tokens"]


@pytest.mark.parametrize("rows", [1, 3000])
def test_invalid_utf8_is_named_and_nothing_is_left(models, tmp_path, rows):
    source = tmp_path / "in.txt"
    good = "gööd\r\n".encode() * rows
    source.write_bytes(good + b"ab\xffc\nmore\n")
    with pytest.raises(UsageError) as caught:
        predict(models["sentiment"], str(source), str(tmp_path / "out.txt"))
    assert str(source) in str(caught.value)
    assert f"line {rows + 1}: invalid UTF-8 at byte offset {len(good) + 2}" in str(caught.value)
    assert list(tmp_path.iterdir()) == [source]


def test_paths_that_are_not_files_are_refused(models, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name, message in (
        ("missing", "no such file"),
        ("", "is a directory"),
        ("pipe", "not a regular file"),
    ):
        with pytest.raises(UsageError, match=message):
            predict(models["sentiment"], str(tmp_path / name), str(tmp_path / "out"))
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_the_output_appears_when_it_is_complete(models, tmp_path, monkeypatch):
    source, output = tmp_path / "in.txt", tmp_path / "out.txt"
    source.write_bytes(as_bytes(TEXTS * 30))
    output.write_text("as before\n")
    seen = []
    task = TASKS["sentiment"]
    answer = task.answer

    def watching(self, batch):
        seen.append(output.read_text())
        return answer(self, batch)

    monkeypatch.setattr(task, "answer", watching)
    predict(models["sentiment"], str(source), str(output), batch_size=1)
    assert len(seen) == 180
    assert set(seen) == {"as before\n"}
    assert output.read_text().count("\n") == 180

    source.write_bytes(b"good\n\xff\n")
    whole = output.read_text()
    with pytest.raises(UsageError):
        predict(models["sentiment"], str(source), str(output))
    assert output.read_text() == whole
    assert {path.name for path in tmp_path.iterdir()} == {"in.txt", "out.txt"}


def test_impossible_outputs_are_refused(models, tmp_path):
    source = tmp_path / "in.txt"
    source.write_bytes(b"good\n")
    for output, message in (
        (tmp_path, "is a directory; give a file"),
        (tmp_path / "missing" / "out", r"out: cannot be written \(No such file or directory\)"),
        (source / "out", r"out: cannot be written \(Not a directory\)"),
    ):
        with pytest.raises(UsageError, match=message):
            predict(models["sentiment"], str(source), str(output))
    assert list(tmp_path.iterdir()) == [source]


def test_links_and_devices_stay_what_they_are(models, tmp_path, labels):
    source, link, target = tmp_path / "in.txt", tmp_path / "link", tmp_path / "target"
    source.write_bytes(b"good\n")
    link.symlink_to(target)
    predict(models["sentiment"], str(source), str(link))
    assert link.is_symlink()
    assert target.read_text() == labels("good") + "\n"
    # A device of its own, which nothing is renamed over: a pseudo-terminal.
    ours, theirs = os.openpty()
    name = os.ttyname(theirs)
    predict(models["sentiment"], str(source), name)
    assert os.read(ours, 100).decode().split() == [labels("good")]
    assert Path(name).is_char_device()
    os.close(ours)
    os.close(theirs)


def test_standard_input_and_output(models, monkeypatch, capsysbinary, labels):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(as_bytes(TEXTS, "\r\n"))))
    predict(models["sentiment"])
    captured = capsysbinary.readouterr()
    assert captured.out == as_bytes(labels(text) for text in TEXTS)
    assert captured.err == b""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\n\xe4\n")))
    with pytest.raises(UsageError, match="standard input, line 2: invalid UTF-8 at byte offset 2"):
        predict(models["sentiment"])


@pytest.mark.parametrize(
    ("pieces", "expected", "ends"),
    [
        ([b"good\n", b"film\n", b"work\n"], [0, 1, 1, 1], 0),  # a terminal gives line by line
        ([b"good\nfi", b"lm\n", b"work\n" * 200 + b"x"], [0, 1, 1, 200], 1),
    ],
)
def test_what_has_arrived_is_answered_before_more_is_read(
    models, monkeypatch, capsys, pieces, expected, ends
):
    class Slow(io.BytesIO):
        def read1(self, size):
            counts.append(capsys.readouterr().out.count("\n"))
            return pieces.pop(0) if pieces else b""

    counts = []
    monkeypatch.setattr(sys, "stdin", type("Stdin", (), {"buffer": Slow()}))
    predict(models["sentiment"])
    assert counts == expected
    assert capsys.readouterr().out.count("\n") == ends


def test_a_full_disk_leaves_the_earlier_output(models, tmp_path):
    """A limit on the size of files stands for the end of the disk."""
    (tmp_path / "in").write_bytes(as_bytes(TEXTS * 100))
    (tmp_path / "out").write_text("earlier")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(UsageError, match=r"out: cannot be written \(File too large\)"):
            predict(models["sentiment"], str(tmp_path / "in"), str(tmp_path / "out"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "out").read_text() == "earlier"
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out"}


CONLLU = "# text = good film\n1-2\tgoodfilm\t_\t_\t_\t_\t_\t_\t_\t_\n1\tgood\tx\tX\t_\t_\t_\t_\t_\t_\n2\tfilm\ty\tX\t_\t_\t_\t_\t_\t_\n2.1\tnode\t_\tX\t_\t_\t_\t_\t_\t_\n\n"  # noqa: E501


def script(monkeypatch, *arguments):
    """The script's exit code, run in this process."""
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    try:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    except SystemExit as leave:
        return leave.code
    return 0


def test_script_options(models, tmp_path, monkeypatch, capsys, labels):
    (tmp_path / "in.txt").write_bytes(as_bytes(TEXTS))
    (tmp_path / "in.conllu").write_text(CONLLU)
    out = tmp_path / "out"
    assert script(monkeypatch, models["sentiment"], tmp_path / "in.txt") == 0
    assert capsys.readouterr().out.split("\n")[:-1] == [labels(text) for text in TEXTS]
    beam = ("--json", "--beam", 3, "--n-best", 2, "--batch-size", 2)
    assert script(monkeypatch, models["translation"], tmp_path / "in.txt", "--output", out, *beam) == 0
    assert [len(json.loads(line)["n_best"]) for line in out.read_text().splitlines()] == [2] * len(TEXTS)
    assert script(monkeypatch, models["tagging"], tmp_path / "in.conllu") == 0  # by its name
    assert capsys.readouterr().out.startswith("# text = good film\n1-2\tgoodfilm\t_\t_\t")


def test_script_faults_are_one_line_and_code_2(models, tmp_path, monkeypatch, capsys):
    for arguments in ((tmp_path / "none",), (models["sentiment"], tmp_path / "none.txt")):
        assert script(monkeypatch, *arguments) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith(f"nlp-rnn: error: {arguments[-1]}: no such ")
        assert captured.err.count("\n") == 1


@pytest.mark.slow
def test_script_as_a_process(models, tmp_path, labels):
    """From elsewhere, without a cache, in a C locale; nothing but answers on standard output."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(models["sentiment"]), "--json", "-"],
        input=as_bytes([*TEXTS, "größe\u2028x"]),
        capture_output=True,
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(nlp_rnn.__file__).parents[1]),
            "NLP_RNN_CACHE": "nowhere",
            "LC_ALL": "C",
            "PYTHONUTF8": "0",
        },
    )
    assert done.returncode == 0, done.stderr
    unknown = "WARNING: 1 of 7 text(s) have no word that the model knows; their answers mean nothing\n"
    assert done.stderr.decode() == unknown
    found = [json.loads(line)["label"] or "" for line in done.stdout.decode().split("\n")[:-1]]
    assert found == [labels(text) for text in [*TEXTS, "größe\u2028x"]]
    assert list(tmp_path.iterdir()) == []


def test_control_characters_in_answers_do_not_reach_a_terminal(models, tmp_path, monkeypatch, capsys):
    (tmp_path / "in").write_text("good\n")
    monkeypatch.setattr(Sentiment, "format_answer", staticmethod(lambda answer: "\x1b]0;title\x07"))
    predict(models["sentiment"], str(tmp_path / "in"))
    assert capsys.readouterr().out == "\x1b]0;title\x07\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    predict(models["sentiment"], str(tmp_path / "in"))
    assert capsys.readouterr().out == "\\x1b]0;title\\x07\n"


@pytest.mark.parametrize("name", ["in.csv", "in.txt"])
@pytest.mark.parametrize("way", ["same", "spelling", "link", "hard link", "standard input"])
def test_an_input_is_never_replaced(models, tmp_path, run, name, way):
    source, output = tmp_path / name, tmp_path / f"other_{name}"
    source.write_text("text\ngood\n")
    match way:
        case "same":
            output = source
        case "spelling":
            (tmp_path / "folder").mkdir()
            output = f"{tmp_path}/folder/../{name}"
        case "link":
            output.symlink_to(source)
        case "hard link":
            output.hardlink_to(source)
    if way == "standard input":
        before = os.dup(0)
        try:
            with source.open() as stream:
                os.dup2(stream.fileno(), 0)
            code, _, error = run("predict", str(models["sentiment"]), "--output", str(source))
        finally:
            os.dup2(before, 0)
            os.close(before)
        assert (code, error.count("\n")) == (2, 1)
        assert "would replace standard input, which is read; choose another place" in error
    else:
        with pytest.raises(UsageError, match=f"would replace {source}, which is read; choose another"):
            predict(models["sentiment"], str(source), str(output))
    assert source.read_text() == "text\ngood\n"


def test_no_file_of_the_model_is_replaced(models, tmp_path):
    (tmp_path / "in.txt").write_text("good\n")
    weights = models["sentiment"] / "model.safetensors"
    before = weights.read_bytes()
    with pytest.raises(UsageError, match=r"would replace .*sentiment, which is read"):
        predict(models["sentiment"], str(tmp_path / "in.txt"), str(weights))
    assert weights.read_bytes() == before


@pytest.mark.parametrize(
    ("lines", "warning"),
    [
        (["good", "i work\tich arbeite", "a\tb"], "in.txt, line 2: has tabs, and is read whole, .* in .tsv$"),
        (['{"text": "good"}', "a\tb"], "in.txt, line 1: looks like JSON, and is read whole, .* in .jsonl$"),
        (["{good}", "a b"], None),
    ],
)
@pytest.mark.parametrize("output", ["out.txt", "out.csv"])
def test_lines_that_look_like_columns_are_read_whole_with_a_warning(
    models, tmp_path, caplog, lines, warning, output
):
    (tmp_path / "in.txt").write_bytes(as_bytes(lines))
    predict(models["translation"], str(tmp_path / "in.txt"), str(tmp_path / output))
    messages = [record.getMessage() for record in caplog.records if "whole" in record.getMessage()]
    assert len(messages) == (warning is not None)
    assert warning is None or re.search(warning, messages[0])
