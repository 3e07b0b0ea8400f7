"""Measuring again what a card states: what is reproduced, what differs, and what a card may not hold."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from nlp_rnn import save_pretrained
from nlp_rnn.data import Corpus
from nlp_rnn.errors import UsageError
from nlp_rnn.evaluation.measuring import evaluate
from nlp_rnn.evaluation.verifying import verify
from nlp_rnn.storage.card_edit import add_result, read_results, set_metadata, unbacked_rows


@pytest.fixture
def folder(tasks, corpora, tmp_path):
    """A translation model, whose card states results on a copy of the test corpus, one with a beam."""
    folder = save_pretrained(tasks["translation"], tmp_path / "model")
    shutil.copytree(corpora["translation"], tmp_path / "corpus")
    corpus = Corpus(str(tmp_path / "corpus"), max_examples=20)
    add_result(folder, evaluate(folder, corpus, beam=2).measured)
    return folder


def restate(folder, **changes):
    """Change the result in the metadata alone."""
    (result,) = read_results(folder)
    set_metadata(folder, {"nlp_rnn": {"results": [{**result.state(), **changes}]}})


@pytest.mark.parametrize("name", ["sentiment", "tagging", "multi_label", "language_modeling"])
def test_what_evaluate_states_is_reproduced(name, tasks, corpora, tmp_path):
    folder = save_pretrained(tasks[name], tmp_path / "model")
    for size in (1, 60):
        corpus = Corpus(corpora[name], max_examples=size)
        add_result(folder, evaluate(folder, corpus, batch_size=7).measured)
    found = verify(folder)
    assert found.is_reproduced
    assert len(found.figures) >= 2
    assert all(result.same_data and result.measured.rows == result.stated.rows for result in found.results)
    assert not found.unchecked


def test_options_are_those_of_the_card_and_the_folder_stays_as_it_is(folder):
    before = {path: path.read_bytes() for path in folder.iterdir()}
    heard = []
    found = verify(folder, announce=heard.append)
    assert found.is_reproduced
    assert found.results[0].measured.options == {"beam": 2}
    assert heard == [f"test of the folder {folder.parent / 'corpus'}"]
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("tolerance", "factor", "same"),
    [(1e-4, 1 + 2e-4, False), (1e-4, 1 + 5e-5, True), (1e-3, 1 + 2e-4, True), (0, 1 + 1e-6, False)],
)
def test_the_tolerance(tolerance, factor, same, folder):
    (result,) = read_results(folder)
    restate(folder, metrics={**result.metrics, "loss": result.metrics["loss"] * factor})
    figures = {figure.metric: figure for figure in verify(folder, tolerance=tolerance).figures}
    assert figures["loss"].reproduced is same
    assert figures["bleu"].reproduced
    assert figures["loss"].measured == pytest.approx(result.metrics["loss"])


def test_other_rows_reproduce_nothing_whatever_the_figures(folder):
    """A figure is one of its data: equal values on other rows are chance."""
    restate(folder, data_hash="0ab")
    found = verify(folder)
    assert not any(figure.reproduced for figure in found.figures)
    assert all(figure.measured == pytest.approx(figure.stated) for figure in found.figures)
    assert not found.results[0].same_data


def test_data_elsewhere_is_known_by_its_hash(folder, tmp_path):
    shutil.move(tmp_path / "corpus", tmp_path / "elsewhere")
    gone = verify(folder)
    assert "no such file or folder" in gone.results[0].problem
    assert [figure.measured for figure in gone.figures] == [None] * len(gone.figures)
    assert not gone.is_reproduced
    there = str(tmp_path / "elsewhere")
    assert verify(folder, [there]).is_reproduced
    assert verify(folder, [f"{tmp_path / 'corpus'}={there}"]).is_reproduced
    with (tmp_path / "elsewhere" / "test.de").open("a") as file:
        file.write("good\n")
    with (tmp_path / "elsewhere" / "test.en").open("a") as file:
        file.write("good\n")
    assert not verify(folder, [there]).is_reproduced


def test_several_places_are_told_apart(folder, corpora, tmp_path):
    add_result(folder, evaluate(folder, Corpus(corpora["translation"], max_examples=5)).measured)
    assert verify(folder).is_reproduced
    for data in (["x"], [f"{tmp_path / 'corpus'}={tmp_path / 'corpus'}", "x"]):
        with pytest.raises(UsageError, match="say which is there, as STATED=PATH"):
            verify(folder, data)
    assert not verify(folder, [f"{corpora['translation']}={tmp_path / 'none'}"]).is_reproduced


def test_a_metric_that_the_model_lacks(folder):
    (result,) = read_results(folder)
    restate(folder, metrics={**result.metrics, "joy": 1.0})
    found = verify(folder)
    assert [figure.metric for figure in found.figures if not figure.reproduced] == ["joy"]
    assert found.figures[-1].measured is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"data": {"path": {"text": ["a"]}}}, "results cannot be read"),
        ({"data": {"path": "a\nb"}}, "characters that are no text"),
        ({"data": {"path": "x.csv", "script": "y"}}, "data has no setting 'script'"),
        ({"data": {"path": "x.csv", "max_examples": 0}}, "max_examples must be between"),
        ({"options": {"plots": "/tmp/x"}}, "an option plots: '/tmp/x'"),
        ({"options": {"device": "cuda"}}, "an option device"),
        ({"options": {"beam": "3"}}, "an option beam"),
        ({"options": {"beam": True}}, "an option beam"),
        ({"options": {"columns": {"text": 3}}}, "results cannot be read"),
        ({"options": 3}, "results cannot be read"),
        ({"split": 3}, "results cannot be read"),
        ({"versions": {"torch": 2}}, "results cannot be read"),
    ],
)
def test_odd_values_are_refused_before_anything_is_read(changes, expected, folder):
    restate(folder, **changes)
    heard = []
    with pytest.raises(UsageError, match=expected) as caught:
        verify(folder, announce=heard.append)
    assert "\n" not in str(caught.value)
    assert str(folder / "README.md") in str(caught.value)
    assert heard == []


def test_what_is_no_file_is_not_opened(folder, tmp_path):
    os.mkfifo(tmp_path / "pipe")  # to open it would wait for ever
    with pytest.raises(UsageError, match="neither a file nor a folder"):
        verify(folder, [str(tmp_path / "pipe")])


def test_what_cannot_be_verified(folder, tmp_path):
    for tolerance in (-1, 1, float("nan")):
        with pytest.raises(UsageError, match="tolerance must be"):
            verify(folder, tolerance=tolerance)
    with pytest.raises(UsageError, match="not a folder"):
        verify(tmp_path / "none")
    with pytest.raises(UsageError, match=r"not a model folder, for it has no config\.json"):
        verify(Path(__file__).parent)
    (folder / "README.md").unlink()
    with pytest.raises(UsageError, match="states no results that can be measured again"):
        verify(folder)


def test_a_table_that_was_edited(folder):
    card = folder / "README.md"
    assert unbacked_rows(folder) == ([], [])
    (result,) = read_results(folder)
    stated = f"| bleu | {result.metrics['bleu']:.4f} |"
    assert stated in card.read_text()
    card.write_text(card.read_text().replace(stated, "| bleu | 99.0000 |\n| mine | joy | 1.0000 |"))
    found = verify(folder)
    assert not found.is_reproduced
    assert all(figure.reproduced for figure in found.figures)
    assert [text.rpartition(", ")[2] for text in found.contradictions] == ["bleu 99.0000"]
    assert found.unchecked == ["mine, joy 1.0000"]


def test_the_hubs_part_that_was_edited(folder):
    card = folder / "README.md"
    (result,) = read_results(folder)
    value = f"value: {result.metrics['chrf']!r}"
    assert value in card.read_text()
    card.write_text(card.read_text().replace(value, "value: 99.5"))
    (text,) = verify(folder).contradictions
    assert text.startswith("model-index, test of ")
    assert text.endswith("chrf 99.5")


def test_the_command(folder, run, tmp_path):
    code, output, error = run("verify", str(folder))
    assert (code, error) == (0, f"measuring test of the folder {tmp_path / 'corpus'}\n")
    assert {line.split()[0] for line in output.splitlines()} == {"reproduced"}
    (result,) = read_results(folder)
    restate(folder, metrics={**result.metrics, "bleu": 99.0}, versions={"torch": "1.0"})
    code, output, error = run("verify", str(folder))
    total = len(result.metrics)
    assert (code, f"{total - 1} of {total} figures were reproduced" in error) == (1, True)
    assert "differs " in output
    assert f"bleu 99 stated, {result.metrics['bleu']:.6g} measured" in output
    assert "torch 1.0 then, " in output
    code, output, _ = run("verify", str(folder), "--json")
    report = json.loads(output)
    assert (code, report["reproduced"], report["results"][0]["same_data"]) == (1, False, True)
    assert {f["metric"]: f["reproduced"] for f in report["results"][0]["figures"]}["bleu"] is False
    code, output, _ = run("verify", str(folder), "--data", str(tmp_path / "none"))
    assert (code, output.splitlines()[0].split()[:2]) == (1, ["not", "measured"])
    assert "no such file or folder" in output
    code, _, error = run("verify", str(tmp_path / "none"))
    assert (code, len(error.splitlines())) == (2, 1)


def test_the_default_of_the_command_is_that_of_the_function():
    import argparse

    from nlp_rnn.cli.verify import add_arguments
    from nlp_rnn.evaluation.verifying import TOLERANCE

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert parser.parse_args(["folder"]).tolerance == TOLERANCE


def test_held_out_rows_of_a_file_that_was_moved(run, tmp_path, monkeypatch):
    """What training states of its own file is reproduced, and from another place and name of that file."""
    monkeypatch.chdir(tmp_path)
    rows = [f"the film {n} is {'good' if n % 2 else 'bad'},{n % 2}" for n in range(80)]
    Path("reviews.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    small = (
        "--model.hidden_dim 8 --model.embedding_dim 8 --trainer.max_epochs 1 --data.corpus.path reviews.csv"
    )
    code, _, error = run(*f"fit --config conf/sentiment_builtin.yaml {small}".split())
    assert code == 0, error
    folder = "runs/sentiment_builtin/latest/model"
    found = verify(folder)
    assert found.is_reproduced
    assert found.results[0].stated.rows == 8
    assert all(text.startswith("validation, f1_") for text in found.unchecked)
    Path("reviews.csv").rename("moved.csv")
    assert verify(folder, ["moved.csv"]).is_reproduced
    (result,) = read_results(folder)
    assert replace(result, data={"path": "moved.csv"}) != result
