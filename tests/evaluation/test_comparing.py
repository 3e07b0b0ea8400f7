"""Models are compared on the same rows in either order, and a page shows what the corpus says as text."""

import json

import pytest
import torch
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.significance import PairedTest

from nlp_rnn.data import Corpus
from nlp_rnn.errors import UsageError
from nlp_rnn.evaluation.comparing import compare
from nlp_rnn.evaluation.measuring import evaluate
from nlp_rnn.evaluation.paired_tests import Resampling
from nlp_rnn.inference.pipelines import pipeline
from nlp_rnn.tasks.pretrained import save_pretrained

FEW = Resampling(resamples=50, trials=60)
TASKS = ("sentiment", "multi_label", "tagging", "language_modeling", "translation")


@pytest.fixture
def other(tiny):
    """A tiny model whose weights are not those of `tiny`."""

    def make(name, seed=1):
        task = tiny(name)
        torch.manual_seed(seed)
        with torch.no_grad():
            for parameter in task.parameters():
                parameter.add_(torch.randn_like(parameter))
        return task

    return make


@pytest.mark.parametrize("name", TASKS)
def test_a_model_and_itself_do_not_differ(name, tiny, corpora):
    comparison = compare([tiny(name), tiny(name)], Corpus(corpora[name]), resampling=FEW)
    (pair,) = comparison.results["comparisons"]
    for entry in pair["metrics"].values():
        if entry["difference"] is not None:  # a metric may be undefined
            assert entry["difference"] == entry["low"] == entry["high"] == 0
            assert entry["bootstrap_p"] == entry["randomization_p"] == 1
    assert pair["worse"] == pair["better"] == 0
    assert ("mcnemar" in pair) == (name in ("sentiment", "multi_label", "tagging"))
    assert pair.get("mcnemar", {"p": 1})["p"] == 1


@pytest.mark.parametrize("name", TASKS)
def test_the_order_of_models_changes_nothing_but_signs(name, tiny, other, corpora):
    models, names = [tiny(name), other(name)], ["one", "two"]
    here = compare(models, Corpus(corpora[name]), resampling=FEW, names=names).results
    there = compare(models[::-1], Corpus(corpora[name]), resampling=FEW, names=names[::-1]).results
    assert here["models"] == there["models"][::-1]
    (pair,), (opposite,) = here["comparisons"], there["comparisons"]
    assert (pair["worse"], pair["better"]) == (opposite["better"], opposite["worse"])
    assert [row["row"] for row in pair["regressions"]] == [row["row"] for row in opposite["improvements"]]
    assert pair["worse"] + pair["better"] > 10
    for metric, entry in pair["metrics"].items():
        same = opposite["metrics"][metric]
        if entry["difference"] is None:
            continue
        assert entry["difference"] == pytest.approx(-same["difference"])
        assert (entry["low"], entry["high"]) == pytest.approx((-same["high"], -same["low"]))
        assert (entry["bootstrap_p"], entry["randomization_p"]) == (
            same["bootstrap_p"],
            same["randomization_p"],
        )


def test_p_values_of_translations_are_those_of_sacrebleu(tiny, other, corpora, rows, monkeypatch):
    monkeypatch.delenv("SACREBLEU_SEED", raising=False)
    models, names = [tiny("translation"), other("translation")], ["one", "two"]
    results = compare(
        models, Corpus(corpora["translation"]), resampling=Resampling(200, 200), names=names
    ).results
    answers = [
        [answer["text"] for answer in pipeline("translation", model)(rows["sentence"])] for model in models
    ]
    systems = list(zip(names, answers, strict=True))
    for metric, key in ((BLEU(lowercase=True, force=True), "bleu"), (CHRF(lowercase=True), "chrf")):
        for test, name in (("bs", "bootstrap_p"), ("ar", "randomization_p")):
            _, scores = PairedTest(systems, {key: metric}, [rows["translation"]], test, 200)()
            theirs = scores[next(title for title in scores if title != "System")]
            ours = results["comparisons"][0]["metrics"][key]
            assert ours[name] == theirs[1].p_value
            assert results["models"][1]["metrics"][key]["value"] == pytest.approx(theirs[1].score)


def test_what_the_rows_say(tiny, other, corpora):
    """The figures of a comparison are those of evaluations, and its rows those that one model has right."""
    models = [tiny("sentiment"), other("sentiment"), other("sentiment", 2)]
    corpus = Corpus(corpora["sentiment"])
    results = compare(models, corpus, resampling=FEW, examples=4).results
    right = []
    for model, entry in zip(models, results["models"], strict=True):
        report = evaluate(model, corpus, answers=True)
        for name in ("loss", "accuracy", "f1"):
            metric = entry["metrics"][name]
            assert metric["value"] == pytest.approx(report.results[name], rel=1e-5)
            assert metric["low"] <= metric["value"] <= metric["high"]
        right.append([record.is_right for record in report.answers])
    for pair, theirs in zip(results["comparisons"], right[1:], strict=True):
        flipped = {
            row for row, (one, two) in enumerate(zip(right[0], theirs, strict=True)) if one and not two
        }
        assert pair["mcnemar"]["only_first_right"] == len(flipped) > 3
        listed = pair["regressions"]
        assert len(listed) == 4
        assert {row["row"] for row in listed} <= flipped
        losses = [row["other_score"] - row["first_score"] for row in listed]
        assert losses == sorted(losses)
        for row in listed:
            assert row["first_answer"] == row["reference"] != row["other_answer"]
        for test in ("bootstrap_p", "randomization_p"):
            assert pair["metrics"]["loss"][f"{test}_holm"] >= pair["metrics"]["loss"][test]


def test_other_vocabularies_and_labels(tiny, corpora):
    """Losses per token are left out, and answers of other labels are not exchanged."""
    task = tiny("language_modeling").by_row()
    task.processor.max_length = 100
    results = compare(
        [tiny("language_modeling"), task], Corpus(corpora["language_modeling"]), resampling=FEW
    ).results
    assert list(results["models"][0]["metrics"]) == ["bits_per_character"]
    assert "loss, perplexity left out" in results["notes"][0]
    task = tiny("sentiment")
    task.processor.labels[:] = ["positive", "neutral", "negative"]
    results = compare([tiny("sentiment"), task], Corpus(corpora["sentiment"]), resampling=FEW).results
    metrics = results["comparisons"][0]["metrics"]
    assert metrics["accuracy"]["randomization_p"] is None
    assert metrics["accuracy"]["bootstrap_p"] is not None
    assert "no approximate randomization with model 2" in results["notes"][0]


def test_texts_of_running_text_are_read_one_by_one(tiny, corpora):
    whole = tiny("language_modeling")
    assert whole.processor.window is not None
    alone = whole.by_row()
    assert (alone.processor.window, whole.processor.window) == (None, 7)
    results = compare([whole, alone], Corpus(corpora["language_modeling"]), resampling=FEW).results
    assert results["comparisons"][0]["metrics"]["bits_per_character"]["difference"] == 0


@pytest.mark.parametrize(
    ("names", "data", "message"),
    [
        (["sentiment"], "sentiment", "1 model: a comparison needs at least two"),
        (
            ["sentiment", "tagging"],
            "sentiment",
            "model 2 is a model for tagging, and model 1 one for sentiment",
        ),
    ],
)
def test_models_that_do_not_compare(names, data, message, tiny, corpora):
    with pytest.raises(UsageError, match=message):
        compare([tiny(name) for name in names], Corpus(corpora[data]))


def test_rows_must_be_the_same(tiny, tmp_path):
    (tmp_path / "test.tsv").write_text("text\ttitle\tlabel\na b\tc\t0\ng\td\t1\n")
    task = tiny("sentiment")
    task.data_columns = {"text": "title"}
    with pytest.raises(UsageError, match="model 2 reads another row 1 than model 1: models are compared on"):
        compare([tiny("sentiment"), task], Corpus(str(tmp_path)), resampling=FEW)


def test_command_line(run, tiny, other, tmp_path):
    rows = "".join(f"<script>alert({n})</script> good bad a b {n}\t{n % 3}\n" for n in range(12))
    (tmp_path / "test.tsv").write_text("text\tlabel\n" + rows)
    folders = [tmp_path / "one", tmp_path / "<b>two"]
    for task, folder in zip((tiny("sentiment"), other("sentiment")), folders, strict=True):
        save_pretrained(task, folder)
    few = ("--resamples", "50", "--trials", "50", "--data", str(tmp_path))
    code, out, _ = run("compare", *map(str, folders), *few, "--output", str(tmp_path / "out"))
    assert code == 0
    assert f"A  {folders[0]}" in out
    assert "accuracy  B" in out
    assert "McNemar p" in out
    results = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert results["rows"] == 12
    page = (tmp_path / "out" / "comparison.html").read_text()
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "<b>two" not in page
    assert "http:" not in page.replace("http-equiv", "")
    assert "https:" not in page

    again = run("compare", *map(str, folders), *few)
    assert again[1] == out  # whatever the time
    code, out, _ = run("compare", str(folders[0]), *few, "--ensemble", *map(str, folders))
    assert code == 0
    assert f"B  {folders[0]} + {folders[1]}" in out
    code, _, error = run("compare", *map(str, folders), *few, "--rows", "-1")
    assert code == 2
    assert "examples" in error
    code, _, error = run("compare", str(folders[0]), *few, "--output", str(tmp_path / "more"))
    assert (code, len(error.strip().splitlines())) == (2, 1)
    assert not (tmp_path / "more").exists()
    code, _, error = run("compare", *map(str, folders), *few, "--level", "2")
    assert code == 2
    assert "level" in error
