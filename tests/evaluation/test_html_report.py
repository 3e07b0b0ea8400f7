"""The report of an evaluation as a page, for each task, and the files of `nlp-rnn evaluate --output`."""

import json
import re

import pyarrow.parquet as pq
import pytest

from nlp_rnn import save_pretrained
from nlp_rnn.data import Corpus
from nlp_rnn.evaluation.answers import answers_table
from nlp_rnn.evaluation.html_report import write_report
from nlp_rnn.evaluation.measuring import evaluate
from nlp_rnn.tasks import TASKS

HOSTILE = "<script>alert('a')</script> not good"
HEBREW, KOREAN = "סרט טוב מאוד", "정말 좋은 영화"


def headings(page):
    return re.findall("<h2>(.*?)</h2>", page)


@pytest.fixture
def made(tasks, corpora, tmp_path):
    def make(name, **changes):
        corpus = Corpus(corpora[name], **changes)
        report = evaluate(tasks[name], corpus, answers=True, baselines=True)
        write_report(tasks[name], report, tmp_path / "report.html")
        return report, (tmp_path / "report.html").read_text(encoding="utf-8")

    return make


INPUTS = ["By length", "By unknown words"]
LABELS = ["Most frequent confusions", "Worst inputs", "Most confidently wrong", "Calibration"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sentiment", ["Results", "In detail", *INPUTS, *LABELS]),
        ("tagging", ["Results", "In detail", *INPUTS, *LABELS]),
        ("multi_label", ["Results", "In detail", *INPUTS, *LABELS]),
        ("language_modeling", ["Results", *INPUTS, "Worst inputs"]),
        (
            "translation",
            [
                "Results", "In detail", *INPUTS, "Worst inputs", "Scores with signatures",
                "Typical errors of translations", "Under-translation", "Over-translation",
                "Repeated n-grams", "Copied words",
            ],
        ),
    ],
)  # fmt: skip
def test_each_task_has_its_sections(name, expected, made):
    report, page = made(name)
    assert headings(page) == expected
    for metric in ("accuracy", "bleu"):
        if metric in report.results:
            assert f"{report.results[metric]:.4f}" in page


def test_baselines_without_train_learn_nothing(made):
    report, page = made("sentiment")
    assert "The inputs that are not answered rightly with the lowest probability of the true label." in page
    (baseline,) = report.results["baselines"]
    assert baseline["baseline"].startswith("most frequent label, ")
    assert "bag of words" not in page
    assert made("tagging")[0].results["baselines"] == []
    (copied,) = made("translation")[0].results["baselines"]
    assert copied["baseline"] == "source copied"
    assert 0 < copied["chrf"] <= 100


def test_what_is_no_metric_is_neither_better_higher_nor_lower(made):
    report, page = made("language_modeling")
    assert report.metrics == ["loss", "perplexity", "bits_per_character"]
    (row,) = re.findall(r"<td[^>]*>unknown tokens</td>.*?</tr>", page, re.DOTALL)
    assert not re.search("higher|lower", row)
    assert page.count(">lower<") == 3


def test_one_table_is_not_both_learned_and_measured(tasks, corpora):
    report = evaluate(tasks["sentiment"], Corpus(f"{corpora['sentiment']}/test.tsv"), baselines=True)
    assert [row["baseline"].partition(",")[0] for row in report.results["baselines"]] == [
        "most frequent label"
    ]


def test_the_files_of_the_command(tasks, run, tmp_path):
    texts = [text for text in (HOSTILE, HEBREW, KOREAN) for _ in range(3)]
    pairs = [*zip(texts, "012" * 3, strict=True), ("good a", "1")]  # with each label, some are wrong
    rows = [f"{text}\t{label}" for text, label in pairs]
    for split in ("train", "test"):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / f"{split}.tsv").write_text("\n".join(["text\tlabel", *rows]) + "\n")
    model, output = save_pretrained(tasks["sentiment"], tmp_path / "model"), tmp_path / "out"
    code, printed, error = run(
        "evaluate", str(model), "--data", str(tmp_path / "data"), "--output", str(output)
    )
    assert code == 0, error
    assert {path.name for path in output.iterdir()} == {
        "report.html", "report.json", "answers.parquet", "confusion_matrix.png", "reliability.png",
    }  # fmt: skip
    results = json.loads(printed)
    assert json.loads((output / "report.json").read_text()) == results
    assert [row["baseline"] for row in results["baselines"]] == [
        "most frequent label, neutral", "bag of words",
    ]  # fmt: skip
    assert results["baselines"][1]["accuracy"] >= results["baselines"][0]["accuracy"]
    page = (output / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert str(tmp_path) not in page
    assert "&lt;script&gt;alert(&#39;a&#39;)&lt;/script&gt; not good" in page
    assert HEBREW in page
    assert KOREAN in page
    answers = pq.read_table(output / "answers.parquet").to_pylist()
    assert [row["input"] for row in answers] == [*texts, "good a"]


def test_without_output_nothing_is_learned_or_kept(tasks, corpora):
    report = evaluate(tasks["sentiment"], Corpus(corpora["sentiment"]))
    assert "baselines" not in report.results
    assert report.answers == []


@pytest.mark.parametrize(
    ("name", "path", "expected", "baselines"),
    [
        (
            "captioning",
            "digits",
            ["Results", "Most frequent confusions", "Worst inputs"],
            ["most frequent caption"],
        ),
        (
            "forecasting",
            "ramp",
            ["Results", "In detail", "Worst inputs"],
            ["mean of train", "naive", "drift", "seasonal"],
        ),
        ("series_tagging", "motion", ["Results", "In detail", *LABELS], ["most frequent label"]),
        (
            "text_pairs",
            "pairs",
            ["Results", "In detail", *INPUTS, *LABELS],
            ["most frequent label", "bag of words"],
        ),
    ],
)
def test_tasks_of_numbers_and_pairs(name, path, expected, baselines, tmp_path, monkeypatch):
    monkeypatch.setattr("nlp_rnn.evaluation.measuring._MAX_TRAIN", 1000)
    task = TASKS[name]
    data = task.data_classes()[0](Corpus(path))
    model = task(data.processor, hidden_dim=4).eval()
    corpus = Corpus(path, max_examples=30)
    report = evaluate(model, corpus, "validation", answers=True, baselines=True)
    assert [row["baseline"].partition(",")[0] for row in report.results["baselines"]] == baselines
    write_report(model, report, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert [heading for heading in headings(page) if heading != "By length"] == [
        heading for heading in expected if heading != "By length"
    ]
    assert len(answers_table(model, report.answers)) == report.results["rows"]
    assert all(record.input for record in report.answers)
    if "accuracy" in report.results:
        right, total = (sum(getattr(one, part) for one in report.answers) for part in ("right", "total"))
        assert right / total == pytest.approx(report.results["accuracy"])
    if "mae" in report.results:
        errors = [record.score for record in report.answers]
        assert sum(errors) / len(errors) == pytest.approx(report.results["mae"], rel=1e-4)
