"""Tagging: known and unknown words, and answers per word."""

import math

import pytest
import torch

from nlp_rnn.data.batching import IGNORED
from nlp_rnn.tasks import Tagging
from nlp_rnn.tasks.tagging.data import TaggingProcessor


def test_known_and_unknown_words_are_counted_separately(make_task, one_batch):
    task = make_task("tagging").eval()
    batch = one_batch(task)
    batch.words[0] = 1  # the first word of each sentence becomes the unknown one
    task.update_metrics(batch, task.metrics("test"))
    results, tables = task.compute_metrics(task.metrics("test")), task.report_tables(task.metrics("test"))
    scored = batch.labels != IGNORED
    assert tables["unknown_words"] == int(scored[0].sum())
    assert tables["known_words"] == int(scored[1:].sum())
    correct = (task.logits(batch).argmax(-1) == batch.labels) & scored
    assert results["unknown_accuracy"] == pytest.approx(float(correct[0].sum() / scored[0].sum()))
    assert results["known_accuracy"] == pytest.approx(float(correct[1:].sum() / scored[1:].sum()))
    assert results["accuracy"] == pytest.approx(float(correct.sum() / scored.sum()))


@pytest.mark.parametrize(("id", "absent"), [(1, "known_accuracy"), (5, "unknown_accuracy")])
def test_the_accuracy_of_no_words_is_undefined(make_task, one_batch, id, absent):
    task = make_task("tagging").eval()
    batch = one_batch(task)
    batch.words[:] = id
    task.update_metrics(batch, task.metrics("test"))
    results = task.compute_metrics(task.metrics("test"))
    assert [name for name, value in results.items() if math.isnan(value)] == [absent]


def test_there_is_one_tag_per_word(make_task, one_batch, sentences):
    task = make_task("tagging").eval()
    batch = one_batch(task)
    for row, answer in zip(batch.rows, task.answer(batch), strict=True):
        assert len(answer["tags"]) == len(answer["scores"]) == len(sentences[row].split())
        assert Tagging.format_answer(answer).split() == answer["tags"]
        assert all(1 / len(task.labels) <= score <= 1 for score in answer["scores"])


def test_a_tagger_without_characters(make_processor, sentences):
    whole = make_processor("tagging")
    task = Tagging(TaggingProcessor(whole.words, whole.labels), 6, 7, 1, 0.0).eval()
    rows = task.processor.rows([sentences[0]])
    batch = task.processor.collate({"row": [0], **task.processor.encode(rows)})
    with torch.no_grad():
        (answer,) = task.answer(batch)
    assert len(answer["tags"]) == len(sentences[0].split())


def test_a_stream_answers_for_the_words_of_a_piece(make_task):
    task = make_task("tagging", bidirectional=False).eval()
    with torch.inference_mode():
        start = task.start_stream()
        assert start.answer == {"words": [], "tags": [], "scores": []}
        after = task.read_stream("the film", start)
        assert len(after.answer["tags"]) == 2
        assert len(task.read_stream("works", after).answer["tags"]) == 1
        assert task.read_stream("", after) is after
