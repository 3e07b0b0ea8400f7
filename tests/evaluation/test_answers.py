"""Records of single answers: they are those that were measured, and compared with what the data says."""

import pyarrow.parquet as pq
import pytest

from nlp_rnn.data import Corpus
from nlp_rnn.evaluation.answers import write_answers
from nlp_rnn.evaluation.measuring import evaluate
from nlp_rnn.tasks import TASKS as EVERY_TASK

TEXT_TASKS = [name for name, task in EVERY_TASK.items() if task.processor_class.input_description == "text"]


@pytest.fixture(scope="module")
def reports(tasks, corpora):
    return {name: evaluate(tasks[name], Corpus(corpora[name]), answers=True, batch_size=7) for name in tasks}


@pytest.mark.parametrize("name", TEXT_TASKS)
def test_there_is_one_record_per_row_in_the_order_of_the_data(name, reports, rows):
    records = reports[name].answers
    assert [record.row for record in records] == list(range(len(rows["sentence"])))
    assert [record.input for record in records] == rows["sentence"]
    sizes = [len(text.split()) for text in rows["sentence"]]
    assert all(record.length >= size for record, size in zip(records, sizes, strict=True))
    unknown = {word for record in records for word in record.unknown}
    assert {"New", "Old"} <= unknown or {"new", "old"} <= unknown
    assert "a" not in unknown


@pytest.mark.parametrize("name", TEXT_TASKS)
def test_metrics_are_the_same_with_and_without_records(name, reports, tasks, corpora):
    report = evaluate(tasks[name], Corpus(corpora[name]), batch_size=7)
    assert report.answers == []
    assert reports[name].results == report.results


@pytest.mark.parametrize(("name", "metric"), [("sentiment", "accuracy"), ("tagging", "accuracy")])
def test_the_decisions_are_those_of_the_metrics(name, metric, reports):
    records = reports[name].answers
    right, total = (sum(getattr(record, part) for record in records) for part in ("right", "total"))
    assert right / total == pytest.approx(reports[name].results[metric])
    assert 0 < right < total


def test_texts_with_all_labels_right_are_exact_matches(reports):
    exact = [record.is_right for record in reports["multi_label"].answers]
    assert sum(exact) / len(exact) == pytest.approx(reports["multi_label"].results["exact_match"])
    assert all(record.total == 3 for record in reports["multi_label"].answers)


def test_references_and_scores_of_translations(reports, rows):
    records = reports["translation"].answers
    assert [record.reference for record in records] == rows["translation"]
    assert all(record.decisions is None and record.is_right is None for record in records)
    assert all(0 <= record.score <= 100 for record in records)
    assert len({record.text for record in records}) > 5


def test_rows_of_running_text_are_read_each_by_itself(reports, tasks, corpora):
    report = reports["language_modeling"]
    alone = evaluate(tasks["language_modeling"].by_row(), Corpus(corpora["language_modeling"]), answers=True)
    assert report.answers == alone.answers
    assert report.results["loss"] != pytest.approx(alone.results["loss"], rel=1e-3)


def test_log_probabilities_of_texts_add_up_to_the_loss(tasks, corpora):
    task = tasks["language_modeling"].by_row()
    report = evaluate(task, Corpus(corpora["language_modeling"]), answers=True)
    total = sum(record.answer["log_prob"] for record in report.answers)
    assert -total / report.results["tokens"] == pytest.approx(report.results["loss"], rel=1e-5)
    assert report.answers[0].score == pytest.approx(
        report.answers[0].answer["log_prob"] / report.answers[0].answer["tokens"]
    )


@pytest.mark.parametrize("name", TEXT_TASKS)
def test_answers_as_a_table(name, reports, tasks, rows, tmp_path):
    records = reports[name].answers
    write_answers(tasks[name], records, tmp_path / "answers.parquet")
    table = pq.read_table(tmp_path / "answers.parquet").to_pylist()
    assert [row["input"] for row in table] == rows["sentence"]
    assert [row["quality"] for row in table] == [record.score for record in records]
    assert [row["right"] for row in table] == [
        None if record.decisions is None else record.right for record in records
    ]
    for column in tasks[name].record_columns():
        assert all(row[column] is not None for row in table)
    assert [path.name for path in tmp_path.iterdir()] == ["answers.parquet"]


def test_probabilities_of_all_labels_are_columns(reports, tasks, tmp_path):
    write_answers(tasks["sentiment"], reports["sentiment"].answers, tmp_path / "answers.parquet")
    (first, *_) = pq.read_table(tmp_path / "answers.parquet").to_pylist()
    probabilities = [first[f"probability_{label}"] for label in ("negative", "neutral", "positive")]
    assert sum(probabilities) == pytest.approx(1)
    assert first["quality"] == pytest.approx(first[f"probability_{first['reference']}"])


def test_translations_are_decoded_once(tasks, corpora, monkeypatch):
    calls = []
    task = tasks["translation"]
    search = type(task).search
    monkeypatch.setattr(type(task), "search", lambda self, *a, **k: calls.append(1) or search(self, *a, **k))
    evaluate(task, Corpus(corpora["translation"]), answers=True, batch_size=60)
    assert len(calls) == 1
