"""Any number of labels per text: scores, thresholds and answers."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_recall_fscore_support
from torch.nn import functional as F

from nlp_rnn.errors import UsageError
from nlp_rnn.tasks.multi_label.metrics import LabelSetCounts, best_thresholds
from nlp_rnn.tasks.pretrained import from_pretrained, save_pretrained


@settings(deadline=None)
@given(st.data())
def test_scores_are_those_of_scikit_learn(data):
    rows, labels = data.draw(st.integers(1, 8)), data.draw(st.integers(2, 4))
    bits = st.lists(st.lists(st.booleans(), min_size=labels, max_size=labels), min_size=rows, max_size=rows)
    truth, predicted = torch.tensor(data.draw(bits)), torch.tensor(data.draw(bits))
    metric = LabelSetCounts(labels)
    for start in range(0, rows, 3):
        metric.update(predicted[start : start + 3], truth[start : start + 3])
    scores = metric.compute()
    flat = truth.view(-1).tolist(), predicted.view(-1).tolist()
    micro = precision_recall_fscore_support(*flat, average="binary", pos_label=True, zero_division=0)
    assert [scores[name].item() for name in ("precision", "recall", "f1")] == pytest.approx(list(micro[:3]))
    by_label = [
        f1_score(truth[:, i].tolist(), predicted[:, i].tolist(), zero_division=0) for i in range(labels)
    ]
    assert scores["label_f1"].tolist() == pytest.approx(by_label)
    occurring = [f1 for f1, count in zip(by_label, truth.sum(0).tolist(), strict=True) if count]
    assert scores["macro_f1"].item() == pytest.approx(sum(occurring) / len(occurring) if occurring else 0)
    assert scores["exact_match"].item() == pytest.approx((truth == predicted).all(1).float().mean().item())


@settings(deadline=None)
@given(st.data())
def test_no_threshold_has_a_better_f1(data):
    rows = data.draw(st.integers(1, 9))
    # Among them neighbors in float32, in which probabilities are compared with thresholds.
    numbers = st.sampled_from([0.0, 1e-9, 4e-6, 0.1, 0.3, 0.5, 1 - 2**-23, 1 - 2**-24, 1.0])
    scores = data.draw(st.lists(numbers, min_size=rows, max_size=rows))
    truth = data.draw(st.lists(st.booleans(), min_size=rows, max_size=rows))
    probabilities, labels = torch.tensor(scores)[:, None], torch.tensor(truth)[:, None]
    (threshold,) = best_thresholds(probabilities, labels)
    assert 0 <= threshold <= 1

    def f1(limit):
        return f1_score(truth, (probabilities[:, 0] >= torch.tensor(limit)).tolist(), zero_division=0)

    if any(truth):
        assert f1(threshold) == pytest.approx(max(f1(limit) for limit in (0, *scores)))
    else:
        assert threshold == 0.5


@pytest.mark.parametrize("bias", [0.0, -12.0, 12.0])  # labels may be rare, or nearly everywhere
def test_thresholds_are_fitted_stored_and_used(bias, make_task, batches, one_batch, tmp_path):
    task = make_task("multi_label").eval()
    torch.nn.init.constant_(task.model.fc_out.bias, bias)
    batch = one_batch(task)
    probabilities = task.logits(batch).sigmoid()
    expected = best_thresholds(probabilities.detach(), batch.labels[:, :-1].bool())
    fitted = task.fit_to_validation(batches(task, size=2))
    assert fitted["thresholds"] == pytest.approx(expected)
    for answer, row in zip(task.answer(batch), probabilities.tolist(), strict=True):
        scores = dict(zip(task.labels, row, strict=True))
        limits = dict(zip(task.labels, expected, strict=True))
        assert answer["labels"] == [label for label in task.labels if scores[label] >= limits[label]]
        assert answer["scores"] == pytest.approx(scores)
    loaded = from_pretrained(save_pretrained(task, tmp_path / "model"))
    assert loaded.thresholds == task.thresholds
    assert loaded.answer(batch) == task.answer(batch)
    task.tune_thresholds = False
    assert task.fit_to_validation(batches(task)) == {}


def test_the_loss_is_of_each_label(make_task, one_batch):
    task = make_task("multi_label")
    batch = one_batch(task)
    target = batch.labels[:, :-1].float()
    assert task.loss(batch).item() == pytest.approx(
        F.binary_cross_entropy(task.logits(batch).sigmoid(), target).item(), rel=1e-5
    )


def test_an_unknown_label_is_one_that_was_missed(make_task, one_batch):
    task = make_task("multi_label").eval()
    task.thresholds = [0.0] * 3  # all labels are given
    batch = one_batch(task)
    batch.labels[:] = 1
    task.update_metrics(batch, task.metrics("test"))
    scores = task.compute_metrics(task.metrics("test"))
    assert (scores["precision"], scores["recall"], scores["exact_match"]) == (1.0, 0.75, 0.0)
    assert [row["label"] for row in task.report_tables(task.metrics("test"))["labels"]] == task.labels


def test_answers_as_text(make_task):
    assert make_task("multi_label").format_answer({"labels": ["drama", "war"]}) == "drama|war"
    assert make_task("multi_label").format_answer({"labels": []}) == ""


def test_thresholds_fit_the_labels(make_task):
    with pytest.raises(UsageError, match="2 thresholds do not fit 3 labels"):
        make_task("multi_label", thresholds=[0.5, 0.5])
