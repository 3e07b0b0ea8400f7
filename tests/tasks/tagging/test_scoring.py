"""Scores of tags, of however many."""

import pytest
import torch

from nlp_rnn.data.batching import IGNORED
from nlp_rnn.data.labels import UNSEEN
from nlp_rnn.tasks.metrics import class_report
from nlp_rnn.tasks.tagging.columns import MAX_SHOWN, TagColumn
from nlp_rnn.tasks.tagging.scoring import OTHER_TAGS, UNKNOWN_TAG, ClassScorer


@pytest.mark.parametrize("size", [3, MAX_SHOWN, MAX_SHOWN + 1, 150, 3000])
def test_tables_show_few_of_many_tags(size):
    generator = torch.Generator().manual_seed(size)
    names = [f"t{number}" for number in range(size)]
    scorer = ClassScorer(TagColumn("xpos", names))
    metrics = scorer.make_metrics()
    predicted, labels = torch.randint(size, (2, 9, 40), generator=generator)
    labels = torch.where(torch.rand(9, 40, generator=generator) < 0.5, predicted, labels)
    labels[0], labels[1, 0] = IGNORED, UNSEEN
    known = torch.rand(9, 40, generator=generator) < 0.7
    for part in (slice(0, 15), slice(15, 40)):
        scorer.update(metrics, predicted[:, part], labels[:, part], known[:, part])
    results, tables = scorer.compute(metrics), scorer.tables(metrics)

    truth, answers = labels[labels != IGNORED], predicted[labels != IGNORED]
    truth = truth.masked_fill(truth == UNSEEN, size)
    matrix = torch.zeros(size + 1, size + 1, dtype=torch.int64)
    matrix.index_put_((truth, answers), torch.ones_like(truth), accumulate=True)
    report = class_report(matrix)
    assert results["accuracy"] == pytest.approx(report.accuracy)
    assert results["f1"] == pytest.approx(report.macro_f1)
    assert sum(name.startswith("f1_") for name in results) == (size if size <= 100 else 0)
    assert tables["known_words"] == int(known[1:].sum())
    assert tables["unknown_words"] == int((~known[1:]).sum())

    shown = names[:MAX_SHOWN]
    assert tables["labels"] == [*shown, OTHER_TAGS if size > MAX_SHOWN else UNKNOWN_TAG]
    confusion = torch.tensor(tables["confusion"])
    assert confusion[:-1, :-1].tolist() == matrix[: len(shown), : len(shown)].tolist()
    assert confusion.sum() == matrix.sum()
    rows = {row["class"]: row["f1"] for row in tables["classes"]}
    assert list(rows) == (shown if size > MAX_SHOWN else tables["labels"])
    assert [rows[name] for name in shown] == pytest.approx(report.f1[: len(shown)].tolist())
    assert sum(len(str(value)) for value in metrics["known"].metric_state.values()) < 1e6


def test_tables_name_tags_that_the_model_lacks_only_if_there_are_any():
    scorer = ClassScorer(TagColumn("upos", ["a", "b"]))
    metrics = scorer.make_metrics()
    ones = torch.ones(2, 1, dtype=torch.int64)
    scorer.update(metrics, ones, ones, ones > 0)
    assert scorer.tables(metrics)["confusion"] == [[0, 0], [0, 2]]
    assert [row["class"] for row in scorer.tables(metrics)["classes"]] == ["a", "b"]
