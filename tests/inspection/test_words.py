"""The files of an explanation hold its numbers, and so do its lines."""

import csv
from dataclasses import replace

import pyarrow.parquet
import pytest

from nlp_rnn.inspection.attribution import attribute
from nlp_rnn.inspection.counterfactual import fork
from nlp_rnn.inspection.words import (
    attribution_figure,
    describe_attribution,
    describe_fork,
    fork_figure,
    write_attribution,
    write_fork,
)
from nlp_rnn.tasks.pretrained import save_pretrained

TEXT = "the work is not good , but the film is"


def test_the_table_and_plot_of_an_attribution(tmp_path, tiny):
    explained = attribute(tiny("language_modeling"), TEXT)
    table, picture = write_attribution(explained, tmp_path)
    rows = list(csv.DictReader(table.open(newline="")))
    assert [row["token"] for row in rows] == explained.tokens
    assert [float(row["integrated_gradients"]) for row in rows] == explained.gradients.tolist()
    assert rows[0]["left_out"] == rows[0]["answer_without"] == ""
    assert [float(row["left_out"]) for row in rows[1:]] == explained.undone.tolist()[1:]
    assert picture.read_bytes()[:4] == b"\x89PNG"
    (axes,) = attribution_figure(explained).axes
    heights = [bar.get_height() for bar in axes.patches]
    assert heights[: len(rows)] == explained.gradients.tolist()
    assert heights[len(rows) + 1 :] == explained.undone.tolist()[1:]
    bold = [text.get_text() for text in axes.get_xticklabels() if text.get_fontweight() == "bold"]
    assert bold == [explained.tokens[index] for index in explained.turning()]
    line = describe_attribution(explained)
    assert line.startswith(f"{explained.answer}, log-odds {explained.log_odds:.2f}; ")
    assert line.count("without") == len(explained.turning())


def test_the_plot_of_an_attribution_shows_white_space_and_controls(tiny):
    explained = attribute(tiny("language_modeling"), TEXT)
    tokens = [" ", "\t", *explained.tokens[2:]]
    (axes,) = attribution_figure(replace(explained, tokens=tokens)).axes
    assert [text.get_text() for text in axes.get_xticklabels()][:3] == ["␣", "'\\t'", tokens[2]]


def test_the_table_and_plot_of_a_fork(tmp_path, tiny):
    forked = fork(tiny("sentiment", bidirectional=False), TEXT, "good", "")
    table, picture = write_fork(forked, tmp_path, "parquet")
    rows = pyarrow.parquet.read_table(table).to_pylist()
    assert [row["word"] for row in rows] == TEXT.split()
    assert rows[4]["other_word"] == ""
    assert [row["other_score"] for row in rows] == [answer["score"] for answer in forked.others]
    assert picture.read_bytes()[:4] == b"\x89PNG"
    (axes,) = fork_figure(forked).axes
    label = forked.answers[-1]["label"]
    found = [list(line.get_ydata()) for line in axes.lines]
    assert found == [[a["scores"][label] for a in answers] for answers in (forked.answers, forked.others)]
    assert axes.get_xticklabels()[4].get_text() == "good / –"
    score = forked.others[-1]["score"]
    assert f"with '–' {forked.others[-1]['label']} ({score:.1%})" in describe_fork(forked)


@pytest.mark.slow
def test_the_verb(tmp_path, run, tiny):
    model = str(save_pretrained(tiny("sentiment", bidirectional=False), tmp_path / "model"))
    out = tmp_path / "out"
    code, printed, _ = run("inspect", model, TEXT, "--words", "--replace", "good=film", "--output", str(out))
    assert code == 0
    paths = sorted(line for line in printed.splitlines() if line.startswith(str(out)))
    assert paths == sorted(map(str, out.iterdir()))
    assert [path.rpartition("/")[2] for path in paths] == [
        "replaced.csv",
        "replaced.png",
        "words.csv",
        "words.png",
    ]
    code, printed, error = run("inspect", model, TEXT, "--replace", "good", "--output", str(out))
    assert (code, printed) == (2, "")
    assert "good is not WORD=OTHER, such as bad=good" in error
    refused = ["--words", "--replace", "bad=good"]  # what could be explained is not written either
    code, _, error = run("inspect", model, TEXT, *refused, "--output", str(tmp_path / "no"))
    assert (code, error.count("\n")) == (2, 1)
    assert not (tmp_path / "no").exists()
