"""A new task is one folder (tests/fixtures/pairs) and one registry row: every verb and pipeline takes it."""

import csv
import io
import json
import sys
from itertools import product
from pathlib import Path

import pytest

from nlp_rnn import from_pretrained, pipeline
from nlp_rnn.cli.main import main
from nlp_rnn.demo.answering import Demo
from nlp_rnn.tasks.registry import ROWS, TaskRow

FIXTURES = Path(__file__).parents[1] / "fixtures"
ROW = TaskRow("two texts -> one label", "Pairs", ("PairsData",), "pairs", ("text-pair-classification",))


@pytest.fixture(scope="module", autouse=True)
def registered():
    """The one edit: a row in the registry."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FIXTURES))
        patch.setitem(ROWS, "pairs", ROW)
        yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "pairs"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Pairs of statements about the weather, which agree or not."""
    folder = tmp_path_factory.mktemp("pairs_corpus")
    things, states = ["sky", "sea", "road", "air"], ["dry", "wet", "cold", "warm"]
    rows = [
        (f"the {thing} is {one} .", f"the {thing} was {two} .", "same" if one == two else "other")
        for thing, one, two in product(things, states, states)
    ]
    for split in ("train", "validation", "test"):
        with (folder / f"{split}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("first", "second", "label"), *rows])
    return folder


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    main(
        [
            *("fit", "--model", "Pairs", "--data", "PairsData", "--data.corpus.path", str(corpus)),
            *("--trainer.max_epochs", "25", "--runs", str(runs), "--name", "pairs"),
            *("--data.vocabulary.min_frequency", "1", "--model.bidirectional", "false"),
        ]
    )
    return runs / "pairs" / "latest" / "model"


def test_fit_learns_and_leaves_a_model_folder(trained):
    assert sorted(path.name for path in trained.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    assert json.loads((trained / "config.json").read_text())["task"] == "pairs"


def test_the_card_shows_how_to_ask(trained):
    card = (trained / "README.md").read_text()
    (call,) = (line for line in card.splitlines() if "pipeline(" in line)
    assert 'pipeline("pairs"' in call
    printed = {}
    line = call.replace("path/to/this/folder", str(trained)).removeprefix("print(").removesuffix(")")
    exec(f"from nlp_rnn import pipeline\nanswer = {line}", printed)
    assert printed["answer"]["label"] in ("same", "other")


def test_evaluate_measures_it_and_draws_its_plot(trained, corpus, tmp_path, capsys):
    main(["evaluate", str(trained), "--data", str(corpus), "--output", str(tmp_path / "report")])
    report = json.loads(capsys.readouterr().out)
    assert report["accuracy"] > 0.95
    assert report["labels"] == ["other", "same"]
    assert (tmp_path / "report" / "confusion_matrix.png").is_file()


def test_evaluate_takes_its_columns(trained, tmp_path, capsys):
    (tmp_path / "own.csv").write_text("a,b,c\nthe sky is dry .,the sky was dry .,same\n")
    columns = ["first=a", "second=b", "label=c"]
    main(["evaluate", str(trained), "--data", str(tmp_path / "own.csv"), "--columns", *columns])
    assert json.loads(capsys.readouterr().out)["rows"] == 1
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", str(trained), "--data", str(tmp_path / "own.csv"), "--columns", "text=a"])
    assert stopped.value.code == 2
    assert "first, second, label" in capsys.readouterr().err


def test_predict_answers_lines_in_order(trained, monkeypatch, capsys):
    lines = b"the sky is dry .\tthe sky was dry .\nthe sea is wet .\tthe sea was cold .\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines)))
    main(["predict", str(trained)])
    assert capsys.readouterr().out.split() == ["same", "other"]


def test_predict_answers_a_table(trained, tmp_path, capsys):
    (tmp_path / "in.csv").write_text("n,second,first\n1,the film is good .,the film is good .\n")
    main(["predict", str(trained), str(tmp_path / "in.csv")])
    header, row = capsys.readouterr().out.splitlines()
    assert header == "n,second,first,prediction,probability,unknown"
    assert row.split(",")[3] == "same"


def test_predict_names_the_line_that_is_no_pair(trained, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"only one text\n")))
    with pytest.raises(SystemExit) as stopped:
        main(["predict", str(trained)])
    assert stopped.value.code == 2
    assert "line 1: a pair is two texts with a tab between them" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["pairs", "text-pair-classification"])
def test_pipeline_takes_its_name_and_alias(trained, name):
    answerer = pipeline(name, model=trained)
    pairs = [("the road is cold .", "the road was cold ."), ("the air is warm .", "the air was dry .")]
    answers = answerer(pairs)
    assert [answer["label"] for answer in answers] == ["same", "other"]
    for pair, answer in zip(pairs, answers, strict=True):  # whatever shares the batch
        assert answerer(pair)["scores"] == pytest.approx(answer["scores"], abs=1e-6)


def test_saved_equals_loaded(trained):
    from pairs import Pairs

    task = from_pretrained(trained)
    assert isinstance(task, Pairs)
    assert task.settings["cell"] == "gru"
    assert Pairs.load_from_checkpoint(trained.parent / "checkpoints" / "best.ckpt").name == "pairs"


def test_lightnings_own_verbs_take_it(trained, corpus, capsys, tmp_path):
    common = ["--model", "Pairs", "--data", "PairsData", "--data.corpus.path", str(corpus)]
    main(["test", *common, "--ckpt_path", str(trained)])
    assert json.loads(capsys.readouterr().out)["test/accuracy"] > 0.95
    main(["predict", *common, "--ckpt_path", str(trained), "--output", str(tmp_path / "answers.jsonl")])
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == 64


def test_help_names_it(capsys):
    main(["--help"])
    out = capsys.readouterr().out
    assert "Pairs" in out
    assert "PairsData" in out


@pytest.mark.parametrize(
    ("flag", "settings"),
    [
        ("--model.help", ["--model.cell", "hidden_dim"]),
        ("--data.help", ["--data.first", "--data.corpus.path"]),
    ],
)
def test_the_help_of_its_classes_lists_their_settings(capsys, flag, settings):
    with pytest.raises(SystemExit) as stopped:
        main(["fit", flag, "Pairs" if flag == "--model.help" else "PairsData"])
    assert stopped.value.code in (0, None)
    out = capsys.readouterr().out
    assert all(name in out for name in settings)


def test_settings_out_of_range_are_refused(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["fit", "--model", "Pairs", "--data", "PairsData", "--model.hidden_dim", "0"])
    assert stopped.value.code == 2
    assert "model.hidden_dim must be between 1 and 65536, not 0" in capsys.readouterr().err


def test_inspection_shows_it(trained, tmp_path):
    output = tmp_path / "inside"
    main(["inspect", str(trained), "the sky is dry .\tthe sky was wet .", "--output", str(output)])
    names = {path.name for path in output.iterdir()}
    assert {"hidden.png", "gates.csv", "gradients.png", "probabilities.png"} <= names
    table = list(csv.DictReader((output / "probabilities.csv").open()))
    assert {row["label"] for row in table} == {"same", "other"}
    assert table[-1]["token"] == "."


def test_the_demo_shows_it(trained):
    demo = Demo(from_pretrained(trained), "pairs")
    assert len(demo.fields) == 2
    (shown,) = demo.answer(demo.example).values
    assert set(shown) == {"same", "other"}


def test_quantize_takes_it(trained, tmp_path, capsys):
    main(["quantize", str(trained), str(tmp_path / "small")])
    assert pipeline("pairs", tmp_path / "small")(("the sky is dry .", "the sky was dry ."))["label"] == "same"
