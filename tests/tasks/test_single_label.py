"""One label per row: calibrated probabilities, answers that are unsure, rare labels."""

import json

import pytest
import torch

from nlp_rnn import from_pretrained, pipeline, save_pretrained
from nlp_rnn.data import SentimentData, VocabularySettings
from nlp_rnn.data.balancing import balanced_repeats, balanced_weights
from nlp_rnn.errors import UsageError
from nlp_rnn.lite.tasks.answers import UNSURE
from nlp_rnn.tasks import Sentiment


def test_a_temperature_changes_probabilities_but_no_label(make_task, one_batch):
    task = make_task("sentiment").eval()
    before = task.answer(one_batch(task))
    logits = task.logits(one_batch(task))
    task.temperature = 2.0
    for old, new, row in zip(before, task.answer(one_batch(task)), logits, strict=True):
        assert new["label"] == old["label"]
        assert list(new["scores"].values()) == pytest.approx((row / 2).softmax(-1).tolist())
    assert task.settings["temperature"] == 2.0


def test_the_loss_is_that_of_the_answers(make_task, one_batch):
    task = make_task("sentiment").eval()
    task.temperature = 3.0
    batch = one_batch(task)
    task.update_metrics(batch, task.metrics("test"))
    probabilities = [
        answer["scores"][task.labels[label]]
        for answer, label in zip(task.answer(batch), batch.labels.tolist(), strict=True)
    ]
    expected = -torch.tensor(probabilities).log().mean().item()
    assert task.compute_metrics(task.metrics("test"))["loss"] == pytest.approx(expected, rel=1e-5)


def test_a_stream_has_the_same_probabilities(make_task):
    task = make_task("sentiment", bidirectional=False).eval()
    task.temperature = 0.5
    answerer = pipeline("sentiment", task)
    stream = answerer.stream()
    stream("the film")
    assert stream("is good")["scores"] == pytest.approx(answerer("the film is good")["scores"])


def test_an_answer_that_is_not_probable_enough_is_unsure(make_task, one_batch):
    task = make_task("sentiment").eval()
    sure = task.answer(one_batch(task))
    threshold = sorted(answer["score"] for answer in sure)[2]
    task.unsure_below = threshold
    for answer, before in zip(task.answer(one_batch(task)), sure, strict=True):
        assert answer["label"] == (before["label"] if before["score"] >= threshold else UNSURE)
        assert answer["score"] == before["score"]


def test_a_threshold_is_set_when_asking(make_task, one_batch, run, tmp_path):
    task = make_task("sentiment").eval()
    ask = pipeline("sentiment", task, unsure_below=1.0)
    assert ask("the film is good")["label"] == UNSURE
    assert task.unsure_below == 0.0
    with pytest.raises(UsageError, match="unsure_below must be between 0 and 1, not 2"):
        pipeline("sentiment", task, unsure_below=2.0)
    with pytest.raises(
        UsageError, match="unsure_below is for tasks that predict one label, which tagging is not"
    ):
        pipeline("tagging", make_task("tagging"), unsure_below=0.5)
    folder, text = save_pretrained(task, tmp_path / "model"), tmp_path / "in.txt"
    text.write_text("the film is good\n")
    assert run("predict", str(folder), str(text), "--unsure-below", "1") == (0, "unsure\n", "")
    assert run("predict", str(folder), str(text))[1] != "unsure\n"


def test_unsure_is_no_label_as_well():
    rows = [{"text": "a good film", "label": UNSURE}, {"text": "a film", "label": "good"}] * 5
    processor = SentimentData({"train": rows, "validation": rows}).processor
    task = Sentiment(processor, 4, 4)
    for ask in (task.with_threshold, lambda limit: Sentiment(processor, 4, 4, unsure_below=limit)):
        with pytest.raises(UsageError, match="unsure_below answers 'unsure', which is a label too"):
            ask(0.5)
    assert task.with_threshold(0.0).unsure_below == 0


def test_weights_and_repeats_make_labels_equally_frequent():
    labels = ["a"] * 60 + ["b"] * 30 + ["c"] * 10
    weights = balanced_weights(labels, ["a", "b", "c"])
    sums = {name: weight * labels.count(name) for name, weight in zip("abc", weights, strict=True)}
    assert list(sums.values()) == pytest.approx([100 / 3] * 3)
    repeats = balanced_repeats(torch.tensor(["abc".index(label) for label in labels]).numpy())
    assert [int(repeats[[label == name for label in labels]].sum()) for name in "abc"] == [60, 60, 60]
    assert balanced_repeats(torch.tensor([0] * 5 + [1] * 3).numpy()).tolist() == [1] * 5 + [2] * 3


ROWS = [{"text": "a good film", "label": "good"}] * 90 + [{"text": "a film", "label": "bad"}] * 10


def data(balance):
    vocabulary = VocabularySettings(min_frequency=1)
    return SentimentData({"train": ROWS, "validation": ROWS}, vocabulary=vocabulary, balance=balance)


def test_weights_are_in_the_loss_alone(tmp_path):
    weighted, plain = data("weights"), data("none")
    assert weighted.processor.label_weights == pytest.approx([5.0, 100 / 180])  # bad, good
    assert plain.processor.label_weights is None
    tasks = []
    for source in (weighted, plain):
        torch.manual_seed(0)
        tasks.append(Sentiment(source.processor, 4, 4, dropout=0.0))
    batch = plain.processor.collate(plain.splits["train"][[0, 95]])
    losses = -tasks[1].logits(batch).log_softmax(-1)[[0, 1], [1, 0]]
    assert tasks[0].loss(batch).item() == pytest.approx(
        ((losses * torch.tensor([100 / 180, 5.0])).mean()).item()
    )
    assert tasks[1].loss(batch).item() == pytest.approx(losses.mean().item())
    metrics = []
    for task in tasks:
        task.eval().update_metrics(batch, task.metrics("test"))
        metrics.append(task.compute_metrics(task.metrics("test")))
    assert metrics[0] == metrics[1]
    assert from_pretrained(save_pretrained(tasks[0], tmp_path / "m")).label_weights == pytest.approx(
        [5.0, 100 / 180]
    )


def test_sampling_repeats_rows_of_rare_labels_in_training_alone():
    source = data("sampling")
    labels = torch.cat([batch.labels for batch in source.train_dataloader()])
    assert labels.bincount().tolist() == [90, 90]
    rows = [row for batch in source.train_dataloader() for row in batch.rows]
    assert sorted(set(rows)) == list(range(100))
    assert torch.cat([batch.labels for batch in source.val_dataloader()]).bincount().tolist() == [10, 90]


def test_unknown_ways_of_balancing_are_refused():
    with pytest.raises(UsageError, match="balance must be one of none, weights, sampling"):
        data("upside down")


def test_fit_leaves_a_calibrated_model(run, tmp_path, monkeypatch):
    monkeypatch.setattr("nlp_rnn.evaluation.measuring._MAX_TRAIN", 300)  # rows for the baselines
    arguments = [
        *("fit", "--config", "conf/sentiment_builtin.yaml", "--data.corpus.max_examples", "300"),
        *("--model.embedding_dim", "8", "--model.hidden_dim", "8", "--trainer.max_epochs", "2"),
        *("--runs", str(tmp_path / "runs"), "--name", "x"),
    ]
    code, _, error = run(*arguments)
    assert code == 0, error
    folder = tmp_path / "runs" / "x" / "1" / "model"
    temperature = from_pretrained(folder).temperature
    assert f"fitted to validation: temperature {temperature}" in error
    assert temperature != 1.0
    code, out, error = run(
        "evaluate",
        str(folder),
        "--split",
        "validation",
        "--max-examples",
        "300",
        "--output",
        str(tmp_path / "report"),
    )
    assert code == 0, error
    report = json.loads(out)
    assert report["calibration_error"] < 0.2
    assert report["coverage"][0]["threshold"] == 0.5
    assert (tmp_path / "report" / "reliability.png").exists()
    code, _, error = run(*arguments, "--model.calibrate", "false")
    assert "fitted to validation" not in error
    assert from_pretrained(tmp_path / "runs" / "x" / "2" / "model").temperature == 1.0
