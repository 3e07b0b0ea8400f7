"""Text in, answers out: shapes, order, and answers that depend on nothing but the text."""

import itertools
import logging
import math
import re
import unicodedata

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from datasets import Dataset, DatasetDict
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_rnn import pipeline as public_pipeline
from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError
from nlp_rnn.inference.pipelines import Pipeline, pipeline
from nlp_rnn.lite.text.notices import collect_warnings
from nlp_rnn.models.layers.quantization import quantize
from nlp_rnn.tasks import TASKS as EVERY_TASK
from nlp_rnn.tasks import BeamSettings, Sentiment
from nlp_rnn.tasks.language_modeling.data import LanguageModelingProcessor
from nlp_rnn.tasks.multi_label.data import MultiLabelProcessor
from nlp_rnn.tasks.pretrained import from_pretrained
from nlp_rnn.tasks.sentiment.data import SentimentProcessor
from nlp_rnn.tasks.tagging.data import TaggingProcessor
from nlp_rnn.tasks.translation.data import TranslationProcessor

TASKS = {name: task for name, task in EVERY_TASK.items() if task.processor_class.input_description == "text"}
TEXTS = ["i work at google .", "the work is not good , but the film is .", "good", "a b c d e f g h i", "!"]
WRITES = ("translation", "language_modeling")
TAGS = ["ADJ", "NOUN", "VERB", "PUNCT"]


def tiny(name, cell="lstm", **options):
    """An untrained model of a task whose answers differ much from text to text."""
    torch.manual_seed(3)
    every = VocabularySettings(min_frequency=1)
    words = Vocabulary.train(TEXTS, every)
    processor = {
        "sentiment": lambda: SentimentProcessor(words, ["0", "1"], ["negative", "positive"], 20),
        "tagging": lambda: TaggingProcessor(
            Vocabulary.train_on_words([text.split() for text in TEXTS], every),
            TAGS,
            Vocabulary.train(TEXTS, VocabularySettings("char", False, 1)),
            20,
            8,
        ),
        "multi_label": lambda: MultiLabelProcessor(words, ["film", "work"], 20),
        "translation": lambda: TranslationProcessor(words, words, True, 20),
        "language_modeling": lambda: LanguageModelingProcessor(words, max_length=20),
    }[name]()
    if name in WRITES:
        options = {"decoding": BeamSettings(beam=3, n_best=3, max_output=8), **options}
    task = TASKS[name](processor, embedding_dim=8, hidden_dim=8, cell=cell, **options).eval()
    with torch.no_grad():
        for parameter in task.parameters():
            parameter.mul_(2)
    return task


@pytest.fixture(scope="module")
def pipelines():
    return {name: pipeline(name, tiny(name)) for name in TASKS}


def close(one, other):
    """Whether two answers are the same but for rounding."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(close, one, other))
    return math.isclose(one, other, abs_tol=1e-5, rel_tol=1e-5) if isinstance(one, float) else one == other


# ---------------------------------------------------------------------------------------------- answers


def test_sentiment(pipelines):
    answer = pipelines["sentiment"]("the work is good")
    assert answer.keys() == {"label", "score", "scores", "unknown"}
    assert list(answer["scores"]) == ["negative", "positive"]
    assert sum(answer["scores"].values()) == pytest.approx(1)
    assert answer["score"] == max(answer["scores"].values()) == answer["scores"][answer["label"]]


def test_tagging(pipelines):
    answer = pipelines["tagging"]("i work\u00a0at google")
    assert answer.keys() == {"words", "tags", "scores", "offsets", "unknown"}
    assert answer["words"] == ["i", "work", "at", "google"]
    assert answer["offsets"] == [[0, 1], [2, 6], [7, 9], [10, 16]]
    assert len(answer["tags"]) == len(answer["scores"]) == 4
    assert set(answer["tags"]) <= set(TAGS)
    assert all(1 / len(TAGS) <= score <= 1 for score in answer["scores"])
    words = [["i", "work", "at", "google"], ("a b", "<pad>", "", "don't")]
    by_words = pipelines["tagging"](words)
    assert by_words[0].keys() == answer.keys() - {"offsets"}
    assert close(by_words[0], {key: answer[key] for key in by_words[0]})
    assert len(by_words[1]["tags"]) == 4  # one a word, whatever is in it


def test_translation(pipelines):
    answer = pipelines["translation"]("i work")
    assert answer.keys() == {"text", "score", "n_best", "unknown"}
    assert len(answer["n_best"]) == 3
    assert answer["n_best"][0] == {"text": answer["text"], "score": answer["score"]}
    scores = [entry["score"] for entry in answer["n_best"]]
    assert scores == sorted(scores, reverse=True)
    assert all(math.isfinite(score) for score in scores)


@pytest.mark.parametrize("name", TASKS)
def test_str_gives_dict_and_list_gives_list(pipelines, name):
    ask = pipelines[name]
    assert isinstance(ask(TEXTS[0]), dict)
    assert [type(answer) for answer in ask(TEXTS)] == [dict] * len(TEXTS)
    assert len(ask([TEXTS[0]])) == 1
    assert ask([]) == []
    assert close(ask(iter(TEXTS)), ask(tuple(TEXTS)))
    # Different texts have different answers, else the order of answers would not be tested below.
    assert len({str(answer) for answer in ask(TEXTS)}) == len(TEXTS)


@pytest.mark.parametrize("blank", ["", "   ", "\u00a0\t\n\u2028", "\u200b"])
def test_empty_and_blank_texts_have_answers(pipelines, blank):
    texts = ["good", blank, "film"]
    answers = {name: pipelines[name](texts) for name in TASKS}
    for name, found in answers.items():
        assert close([found[0], found[2]], pipelines[name](["good", "film"]))
    label, tags, translation = (answers[name] for name in ("sentiment", "tagging", "translation"))
    if not blank.strip():
        assert close(label[1], pipelines["sentiment"](""))
        assert label[1] == {"label": None, "score": None, "scores": {}, "unknown": 0}
        assert tags[1] == {"words": [], "tags": [], "scores": [], "offsets": [], "unknown": 0}
        assert (translation[1]["text"], translation[1]["score"]) == ("", None)
        assert close(answers["language_modeling"][1], pipelines["language_modeling"](""))
    else:
        assert label[1]["label"] in ("negative", "positive")


@pytest.mark.parametrize("level", ["word", "char", "bpe"])
def test_blank_texts_have_no_answer_whatever_the_level(level):
    words = Vocabulary.train(TEXTS, VocabularySettings(level, min_frequency=1))
    ask = pipeline("sentiment", Sentiment(SentimentProcessor(words, ["0", "1"], ["no", "yes"]), 8, 8))
    assert [answer["label"] for answer in ask(["", " ", "\u00a0\t\n", "<br />"])][:3] == [None] * 3
    assert ask("good")["label"] in ("no", "yes")


def test_unknown_tokens_are_counted(pipelines):
    for name in TASKS:
        answers = pipelines[name](["i work", "i jog", "jog good und so", ""])
        assert [answer["unknown"] for answer in answers] == [0, 1, 3, 0]


def test_texts_without_a_known_word_are_counted_in_one_warning(pipelines, caplog):
    texts = ["xyzzy", "i xyzzy", "", "plugh xyzzy"] * 3
    with collect_warnings():
        list(pipelines["sentiment"].iterate(texts, window=2))
    lost = "6 of 12 text(s) have no word that the model knows; their answers mean nothing"
    assert caplog.messages == [lost]
    caplog.clear()
    pipelines["tagging"](texts)  # by their letters
    assert caplog.messages == []


# ------------------------------------------------------------------- nothing but the text decides


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("name", TASKS)
def test_batch_size_order_and_company_change_nothing(name, cell):
    task = tiny(name, cell)
    texts = [*TEXTS, "", "unknown words only", TEXTS[0], "the " * 19, " "] * 2
    alone = [Pipeline(task, 1)(text) for text in texts]
    for size in (1, 2, 3, 64):
        assert close(Pipeline(task, size)(texts), alone)
        assert close(list(Pipeline(task, size).iterate(texts, window=7)), alone)
    assert close(Pipeline(task, 4)(texts[::-1])[::-1], alone)


@pytest.mark.parametrize("name", TASKS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_answers_do_not_depend_on_the_batch_for_any_text(pipelines, name, data):
    word = st.sampled_from(["i", "work", "good", ".", "<pad>", "</s>", "don't", "über", "日本語", "e\u0301"])
    text = st.lists(word, max_size=25).map(" ".join) | st.text(
        st.characters(exclude_categories=["Cs"]), max_size=12
    )
    texts = data.draw(st.lists(text, min_size=1, max_size=6))
    size = data.draw(st.integers(1, 4))
    together = Pipeline(pipelines[name].task, size)(texts)
    for given_text, answer in zip(texts, together, strict=True):
        assert close(pipelines[name](given_text), answer)


# -------------------------------------------------------------------------------------------- streaming


@pytest.mark.parametrize(("window", "ahead"), [(None, 16 * 2), (5, 5), (1, 1)])
def test_iterate_reads_no_more_than_a_window_ahead(window, ahead):
    taken = 0

    def endless():
        nonlocal taken
        for number in itertools.count():
            taken += 1
            yield TEXTS[number % len(TEXTS)]

    ask = Pipeline(tiny("sentiment"), batch_size=2)
    stream = ask.iterate(endless(), window)
    assert taken == 0
    expected = ask(TEXTS)
    for number, answer in enumerate(itertools.islice(stream, 70)):
        assert taken - number <= ahead
        assert close(answer, expected[number % len(TEXTS)])
    assert list(ask.iterate([])) == []


# -------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize("name", TASKS)
def test_lone_surrogates_are_refused(pipelines, name):
    with pytest.raises(UsageError, match=r"lone surrogate \('\\udce4'\) at character 1") as caught:
        pipelines[name](["fine", "b\udce4d"])
    str(caught.value).encode()  # the message itself can be printed


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("bad", [None, 3, b"bytes", ["a", 3], {"texts": "a"}, 1.5])
def test_inputs_other_than_text_are_refused(pipelines, name, bad):
    with pytest.raises(UsageError, match="input 2 is no text: "):
        pipelines[name](["fine", bad])


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("bad", [None, 3])
def test_inputs_other_than_text_and_lists_are_refused(pipelines, name, bad):
    with pytest.raises(UsageError, match=f"the input is no text: {bad}"):
        pipelines[name](bad)


def test_lists_of_words_are_for_tagging(pipelines):
    with pytest.raises(UsageError, match=r"input 1 is no text: \['a', 'b'\]"):
        pipelines["sentiment"]([["a", "b"]])


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("unit", ["good ", "x"])
def test_very_long_text_is_cut_with_a_warning(pipelines, name, unit, caplog):
    text = unit * (1_000_000 // len(unit))
    with caplog.at_level(logging.WARNING):
        answer = pipelines[name](text)
    if unit == "good ":
        assert "cut to the maximum length of 20 tokens" in caplog.text
        assert close(answer, pipelines[name](unit * 20))
    else:  # a single word of a million letters
        placed = {key: answer.pop(key) for key in ("words", "offsets") if key in answer}
        assert placed in ({}, {"words": [text], "offsets": [[0, len(text)]]})
        expected = pipelines[name]("x" * 20)
        assert close(answer, {key: value for key, value in expected.items() if key not in placed})
    if name == "tagging":
        assert len(answer["tags"]) == (20 if unit == "good " else 1)


# -------------------------------------------------------------------------------------------- settings


def test_the_public_name():
    assert public_pipeline is pipeline


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("tagging", {}, "the model is for sentiment, not for tagging"),
        (
            "sentiment",
            {"beam": 2},
            "beam and n_best are for tasks that generate text, which sentiment is not",
        ),
        (
            "sentiment",
            {"n_best": 2},
            "beam and n_best are for tasks that generate text, which sentiment is not",
        ),
        ("sentiment", {"batch_size": 0}, "batch size must be between 1 and"),
        ("sentiment", {"batch_size": -3}, "batch size must be between 1 and"),
        ("sentiment", {"precision": "bf61"}, "precision must be one of fp32, bf16, not 'bf61'"),
        ("sentiment", {"backend": "tflite"}, "backend must be one of torch, numpy, onnx, not 'tflite'"),
        ("sentiment", {"device": "abacus"}, "device abacus: cannot be used here"),
        ("translation", {"beam": 0}, "beam must be between 1 and"),
        ("translation", {"n_best": 0}, "n_best must be between 1 and"),
        (
            "translation",
            {"beam": 2, "n_best": 5},
            "n_best must be at most the beam's width, 2, not 5",
        ),
    ],
)
def test_contradictory_settings_are_refused(name, options, message):
    task = tiny("translation" if name == "translation" else "sentiment")
    with pytest.raises(UsageError) as caught:
        pipeline(name, task, **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_missing_gpu_is_refused():
    with pytest.raises(UsageError, match="device cuda: cannot be used here"):
        pipeline("sentiment", tiny("sentiment"), device="cuda")


def test_beam_and_n_best():
    greedy = tiny("translation", decoding=BeamSettings(max_output=8))
    assert len(pipeline("translation", greedy)("i work")["n_best"]) == 1
    wide = pipeline("translation", greedy, beam=5, n_best=4)("i work")
    assert len(wide["n_best"]) == 4
    by_n_best = pipeline("translation", greedy, n_best=2)
    assert by_n_best.task.decoding.beam == 2
    assert len(by_n_best("i work")["n_best"]) == 2
    assert greedy.decoding.beam == 1  # as it was


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("name", TASKS)
def test_in_bfloat16_answers_are_the_same_but_for_rounding(name, cell):
    task = tiny(name, cell)
    exact, rounded = (pipeline(name, task, precision=precision) for precision in ("fp32", "bf16"))
    assert {weight.dtype for weight in rounded.task.model.parameters()} == {torch.bfloat16}
    assert {weight.dtype for weight in task.model.parameters()} == {torch.float32}  # as it was
    for one, other in zip(exact(TEXTS), rounded(TEXTS), strict=True):
        if name == "language_modeling":  # what it writes may part where two tokens are nearly as likely
            assert other["log_prob"] == pytest.approx(one["log_prob"], rel=0.02)
        elif name == "translation":
            assert other["score"] == pytest.approx(one["score"], abs=0.1)
        else:
            assert other["scores"] == pytest.approx(one["scores"], abs=0.03)
    quantize(task.model)
    with pytest.raises(UsageError, match="int8, which cannot be combined with bf16"):
        pipeline(name, task, precision="bf16")


def test_pipeline_applies_no_dropout(pipelines):
    """Also for a task that comes right from training."""
    task = tiny("sentiment", dropout=0.9).train()
    ask = pipeline("sentiment", task)
    assert ask(TEXTS) == ask(TEXTS)


@pytest.mark.parametrize("level", ["word", "char", "bpe"])
def test_composed_and_decomposed_hangul_get_the_same_answer(level):
    texts = ["이 영화는 정말 좋아요 .", "정말 나쁜 영화 !"]
    vocabulary = Vocabulary.train(texts, VocabularySettings(level, min_frequency=1))
    task = TASKS["sentiment"](SentimentProcessor(vocabulary, ["0", "1"], ["negative", "positive"], 20)).eval()
    composed, decomposed = ([unicodedata.normalize(form, text) for text in texts] for form in ("NFC", "NFD"))
    assert composed != decomposed
    assert pipeline("sentiment", task)(decomposed) == pipeline("sentiment", task)(composed)


SEVERAL = {
    "list": list,
    "tuple": tuple,
    "generator": iter,
    "array": np.array,
    "array of objects": lambda texts: np.array(texts, dtype=object),
    "Series": lambda texts: pd.DataFrame({"text": texts}, index=range(9, 9 + len(texts)))["text"],
    "column of a Dataset": lambda texts: Dataset.from_dict({"text": texts})["text"],
}


@pytest.mark.parametrize("kind", SEVERAL)
def test_several_texts_may_come_in_any_container(pipelines, kind):
    ask = pipelines["sentiment"]
    assert ask(SEVERAL[kind](TEXTS)) == ask(TEXTS)
    assert list(ask.iterate(SEVERAL[kind](TEXTS))) == ask(TEXTS)


NOT_INPUTS = {
    "DataFrame": (pd.DataFrame({"text": TEXTS}), "a DataFrame, not a text: give one of its columns"),
    "dict": ({"texts": "good"}, "a dict, not a text: give one of its columns"),
    "Arrow table": (pa.table({"text": TEXTS}), "a Table, not a text"),
    "DatasetDict": (DatasetDict({"train": Dataset.from_dict({"text": TEXTS})}), "a DatasetDict, not a text"),
    "Dataset": (Dataset.from_dict({"texts": TEXTS}), "input 1 is no text: {'texts'"),
    "rows": ([{"texts": "good"}], "input 1 is no text: {'texts'"),
    "set": ({"good", "bad"}, "a set, which has no order"),
    "number": (3, "the input is no text: 3"),
    "bytes": (b"good", "not one text: b'good'"),
    "missing": (pd.Series(["good", np.nan]), "input 2 is no text: nan"),
    "lone surrogate": ("good \ud800", "lone surrogate"),
}


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("kind", NOT_INPUTS)
def test_what_is_no_input_is_one_line(pipelines, kind, name):
    inputs, message = NOT_INPUTS[kind]
    ask = pipelines[name]
    with pytest.raises(UsageError, match=re.escape(message)):
        ask(inputs)
    with pytest.raises(UsageError):  # one text is not several
        list(ask.iterate(inputs))


def test_a_pipeline_says_what_it_holds(models):
    task = from_pretrained(models["sentiment"])
    held = f"Pipeline({task.summary()}; on cpu, torch.{{}}, batches of 7)"
    assert repr(Pipeline(task, batch_size=7)) == held.format("float32")
    assert repr(Pipeline(task, batch_size=7, precision="bf16")) == held.format("bfloat16")
