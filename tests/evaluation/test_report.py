"""Reports: standard JSON, and a table for people."""

import json

import pytest

from nlp_rnn.data import Corpus
from nlp_rnn.evaluation.measuring import evaluate
from nlp_rnn.evaluation.report import Report
from nlp_rnn.tasks import TASKS as EVERY_TASK

TASKS = {name: task for name, task in EVERY_TASK.items() if task.processor_class.input_description == "text"}


def strict(text):
    def constant(value):
        raise AssertionError(f"{value} is not standard JSON")

    return json.loads(text, parse_constant=constant)


def test_missing_metrics_are_standard_json(tasks, tmp_path):
    """All words without a tag: there is no loss, and 0/0 must not come out as NaN."""
    path = tmp_path / "test.conllu"
    path.write_text("1\tgood\t_\t_\t_\t_\t_\t_\t_\t_\n\n")
    report = evaluate(tasks["tagging"], Corpus(str(path)))
    assert strict(json.dumps(report.results))["loss"] is None
    assert "loss" not in report.table().split("\n\n")[0]


@pytest.mark.parametrize("name", TASKS)
def test_reports_are_standard_json(tasks, corpora, name):
    report = evaluate(tasks[name], Corpus(corpora[name]))
    assert strict(report.json()) == report.results


def test_json_has_one_line_per_metric_and_per_row_of_a_table():
    results = {"f1": None, "labels": ["ä", "b"], "confusion": [[1, 2], [3, 4]], "classes": [{"class": "ä"}]}
    assert Report(results).json() == (
        "{\n"
        '  "f1": null,\n'
        '  "labels": ["ä", "b"],\n'
        '  "confusion": [\n    [1, 2],\n    [3, 4]\n  ],\n'
        '  "classes": [\n    {"class": "ä"}\n  ]\n'
        "}"
    )
    assert Report({}).json() == "{\n\n}"


def test_table():
    classes = [{"class": "a", "f1": 0.5, "support": 3}, {"class": "longer", "f1": None, "support": 12}]
    results = {
        "task": "x",
        "rows": 7,
        "bleu": 12.34567,
        "mse": 1.23456e-7,
        "none": None,
        "classes": classes,
        "labels": ["a"],
    }
    assert Report(results).table() == (
        "task                 x\n"
        "rows                 7\n"
        "bleu                 12.3457\n"
        "mse                  1.235e-07\n"
        "\n"
        " class      f1  support\n"
        "     a  0.5000        3\n"
        "longer    None       12"
    )
