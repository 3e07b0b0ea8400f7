"""Rules for lemmas: they make the lemma that they were found for, and something of any other word."""

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nlp_rnn.data import VocabularySettings
from nlp_rnn.data.batching import IGNORED, Batching
from nlp_rnn.data.labels import UNSEEN
from nlp_rnn.errors import UsageError
from nlp_rnn.inference.pipelines import pipeline
from nlp_rnn.lite.text.lemmas import apply_rule, check_rule, find_rule, normalized
from nlp_rnn.tasks import Tagging
from nlp_rnn.tasks.optimization import make_optimizer
from nlp_rnn.tasks.pretrained import from_pretrained, save_pretrained
from nlp_rnn.tasks.tagging.columns import column_class
from nlp_rnn.tasks.tagging.data import TaggingData

few = settings(derandomize=True, max_examples=200, deadline=None, database=None)
TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=9) | st.text("abAB", min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("word", "lemma", "rule"),
    [
        ("dogs", "dog", "lower|-0+|-1+"),
        ("Dogs", "dog", "lower|-0+|-1+"),
        ("Cities", "city", "lower|-0+|-3+y"),
        ("Google", "Google", "keep|-0+|-0+"),
        ("google", "Google", "title|-0+|-0+"),
        ("usa", "USA", "upper|-0+|-0+"),
        ("running", "run", "lower|-0+|-4+"),
        ("gesagt", "sagen", "lower|-2+|-1+en"),
        ("was", "be", "=be"),
        ("Me\u0301s", "m\u00e9", "lower|-0+|-1+"),
        ("|", "|", "lower|-0+|-0+"),
    ],
)
def test_rules_of_words(word, lemma, rule):
    assert find_rule(word, lemma) == rule
    assert apply_rule(rule, word) == normalized(lemma)


@few
@given(word=TEXT, lemma=TEXT, other=TEXT)
@example(word="a|-1+b", lemma="|-1+", other="")
@example(word="\u0130", lemma="i", other="\u0130")
def test_a_rule_makes_its_lemma_and_something_of_any_word(word, lemma, other):
    rule = find_rule(word, lemma)
    check_rule(rule)
    assert apply_rule(rule, word) == normalized(lemma)
    made = apply_rule(rule, other)
    assert made or not other


def test_a_word_that_is_too_short_stays():
    assert apply_rule("lower|-2+|-2+y", "Abcd") == "abcd"
    assert apply_rule("lower|-2+|-2+y", "Abcde") == "cy"


@pytest.mark.parametrize("rule", ["", "=", "x", "lower|-1+", "odd|-0+|-0+", "lower|-99999+|-0+"])
def test_other_texts_are_no_rules(rule):
    with pytest.raises(UsageError, match="is no rule for lemmas"):
        column_class("lemma")("lemma", ["=a", rule])


def test_words_without_a_lemma_are_not_scored():
    words, lemmas = [["dogs", "_", "x"], ["Cats", "cats"]], [["dog", "_", "_"], ["cat", "cats"]]
    column = column_class("lemma").learn("lemma", words, lemmas)
    assert column.labels == ["lower|-0+|-0+", "lower|-0+|-1+"]
    assert column.encode(words, lemmas) == [[1, 0, IGNORED], [1, 0]]
    assert column.encode([["was"]], [["be"]]) == [[UNSEEN]]
    assert column.decode(["Birds", "a"], [1, 1]) == ["bird", "a"]


ROWS = [
    {"tokens": ["Dogs", "bark", "1.0"], "lemma": ["dog", "bark", "1.0"], "upos": ["NOUN", "VERB", "NUM"]},
    {"tokens": ["cities", "are", "True"], "lemma": ["city", "be", "True"], "upos": ["NOUN", "AUX", "ADJ"]},
] * 4


@pytest.mark.parametrize("tags", ["lemma", "upos,lemma"])
def test_lemmas_are_learned_and_scored_as_text(tags, tmp_path):
    torch.manual_seed(0)
    words = VocabularySettings(min_frequency=1)
    test = [
        {"tokens": ["dogs", "are", "oxen"], "lemma": ["dog", "be", "ox"], "upos": ["NOUN", "AUX", "NOUN"]}
    ]
    splits = {"train": ROWS, "validation": ROWS, "test": test}
    data = TaggingData(splits, tags=tags, vocabulary=words, batching=Batching(size=8))
    assert data.splits["train"][[0]]["lemma"] == [["dog", "bark", "1.0"]]
    task = Tagging(data.processor, 8, 16, dropout=0.0)
    optimizer = make_optimizer(task.model, task.optimization, lambda: 80)["optimizer"]
    optimizer.param_groups[0]["lr"] = 0.02
    (batch,) = data.train_dataloader()
    for _ in range(80):
        loss = task.loss(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    task.eval()
    key = "tags" if tags == "lemma" else "lemma"
    (answer,) = pipeline("tagging", task)([["Cities", "bark", "1.0"]])
    assert answer[key] == ["city", "bark", "1.0"]
    loaded = from_pretrained(save_pretrained(task, tmp_path / "model"))
    assert pipeline("tagging", loaded)([["Cities", "bark", "1.0"]]) == [answer]
    stage = task.metrics("test")
    for batch in data.test_dataloader():
        task.update_metrics(batch, stage)
    results = task.compute_metrics(stage)
    assert results["accuracy" if tags == "lemma" else "lemma_accuracy"] == pytest.approx(2 / 3)
    if tags == "lemma":
        assert (results["known_accuracy"], results["unknown_accuracy"]) == (1, 0)
        report = task.report_tables(stage)
        assert report == {"known_words": 2, "unknown_words": 1}
        assert task.plots(report) == {}


def test_another_rule_for_the_same_lemma_is_right():
    data = TaggingData({"train": ROWS, "validation": ROWS}, tags="lemma")
    task = Tagging(data.processor, 4, 4).eval()
    (batch,) = data.val_dataloader()
    rules = data.processor.labels
    predicted = batch.labels.clone()
    batch.labels[batch.labels == rules.index("=be")] = UNSEEN
    metrics = task.metrics("val")
    task.scorers[0].update(metrics, predicted, batch.labels, batch.words > 1, batch.texts)
    assert task.scorers[0].compute(metrics)["accuracy"] == 1
