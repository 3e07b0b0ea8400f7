"""What tasks with labels share: answers, tables, and which models can stream."""

import pytest
import torch

from nlp_rnn.errors import UsageError
from nlp_rnn.tasks.classification import class_metrics, class_tables, require_unidirectional, step_answers
from nlp_rnn.tasks.metrics import class_report


def test_step_answers_end_with_each_row():
    probabilities = torch.tensor([[[0.7, 0.3], [0.1, 0.9]], [[0.4, 0.6], [0.5, 0.5]]])  # [T, B, C]
    answers = step_answers(probabilities.log(), torch.tensor([2, 1]), ["a", "b"])
    assert [answer["labels"] for answer in answers] == [["a", "b"], ["b"]]
    assert answers[0]["scores"] == pytest.approx([0.7, 0.6])
    assert answers[1]["scores"] == pytest.approx([0.9])


def test_tables_and_metrics_of_a_confusion_matrix():
    matrix = torch.tensor([[3, 1], [0, 4]])
    tables = class_tables(matrix, ["a", "b"])
    assert tables["labels"] == ["a", "b"]
    assert tables["confusion"] == [[3, 1], [0, 4]]
    first, second = tables["classes"]
    assert first == {"class": "a", "precision": 1.0, "recall": 0.75, "f1": pytest.approx(6 / 7), "support": 4}
    assert second["precision"] == pytest.approx(0.8)
    metrics = class_metrics(class_report(matrix), ["a", "b"])
    assert metrics["accuracy"] == pytest.approx(7 / 8)
    assert metrics["f1_a"] == pytest.approx(6 / 7)
    assert metrics["f1"] == pytest.approx((metrics["f1_a"] + metrics["f1_b"]) / 2)


def test_a_bidirectional_model_cannot_stream(make_task):
    require_unidirectional(False)
    with pytest.raises(UsageError, match="bidirectional"):
        require_unidirectional(True)
    for name in ("sentiment", "tagging"):
        with pytest.raises(UsageError, match=r"train with --model\.bidirectional false"):
            make_task(name).start_stream()


@pytest.mark.parametrize("name", ["sentiment", "tagging", "series_tagging"])
def test_a_report_is_plotted_as_a_confusion_matrix(name, make_task, one_batch):
    task = make_task(name).eval()
    task.update_metrics(one_batch(task), task.metrics("test"))
    plots = task.plots(task.report_tables(task.metrics("test")))
    assert list(plots) == ["confusion_matrix", *(["reliability"] if name == "sentiment" else [])]
