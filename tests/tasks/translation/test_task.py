"""Translation: scheduled sampling, and what is particular to its answers and reports."""

import pytest

from nlp_rnn.tasks import Optimization


def test_scheduled_sampling(make_task, one_batch, train):
    whole, half, none = (make_task("translation", teacher_forcing=share) for share in (1.0, 0.5, 0.0))
    for task in (half, none):
        task.load_state_dict(whole.state_dict())
    batch = one_batch(whole)
    losses = [task.loss(batch).item() for task in (whole, whole, none, none)]
    assert losses[0] == losses[1] != losses[2] == losses[3]  # neither draws anything
    drawn = {half.loss(batch).item() for _ in range(10)}
    assert len(drawn) > 3
    # In validation the true words are shown, whatever training does.
    figures = []
    for task in (whole, half, none):
        task.eval().update_metrics(batch, task.metrics("val"))
        figures.append(task.compute_metrics(task.metrics("val")))
    assert figures[0] == figures[1] == figures[2]
    assert figures[0]["loss"] == pytest.approx(losses[0])
    first, last = train(make_task("translation", teacher_forcing=0.5, optimization=Optimization(lr=0.03)), 60)
    assert last < 0.3 * first


def test_the_translation_of_an_empty_text_is_empty(make_task):
    task = make_task("translation").eval()
    rows = task.processor.rows(["", "the film"])
    batch = task.processor.collate({"row": [0, 1], **task.processor.encode(rows)})
    empty, other = task.answer(batch)
    assert empty["text"] == ""
    assert isinstance(other["text"], str)


def test_bleu_is_reported_and_plotted_per_range_of_lengths(make_task, one_batch, sentences):
    task = make_task("translation").eval()
    task.update_metrics(one_batch(task), task.metrics("test"))
    tables = task.report_tables(task.metrics("test"))
    short = sum(len(text.split()) <= 5 for text in sentences)
    assert [(entry["source_tokens"], entry["sentences"]) for entry in tables["bleu_by_length"]] == [
        ("0-5", short),
        ("6-10", len(sentences) - short),
    ]
    assert list(task.plots(tables)) == ["bleu_by_length"]


def test_each_length_is_in_one_range(make_task):
    task = make_task("translation").eval()
    sizes = [0, 5, 6, 10, 11, 15, 16, 20, 21, 30, 31, 300]
    rows = {"source_ids": [[4] * size for size in sizes], "target_ids": [[4]] * 12, "target": ["gut"] * 12}
    task.update_metrics(task.processor.collate({"row": list(range(12)), **rows}), task.metrics("test"))
    by_length = task.report_tables(task.metrics("test"))["bleu_by_length"]
    names = ["0-5", "6-10", "11-15", "16-20", "21-30", "over 30"]
    assert [(entry["source_tokens"], entry["sentences"]) for entry in by_length] == [
        (name, 2) for name in names
    ]


def test_without_sentences_nothing_is_plotted(make_task):
    task = make_task("translation")
    assert task.plots({"bleu_by_length": []}) == {}
