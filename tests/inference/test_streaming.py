"""A stream answers each piece as the pipeline the whole text so far, and keeps nothing but a state."""

import itertools
import re

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError
from nlp_rnn.inference.pipelines import pipeline
from nlp_rnn.models.layers.cells import CELLS
from nlp_rnn.models.layers.quantization import quantize
from nlp_rnn.models.pooling import POOLINGS
from nlp_rnn.tasks import BeamSettings, LanguageModeling, Sentiment, Tagging, Translation
from nlp_rnn.tasks.language_modeling.data import LanguageModelingProcessor
from nlp_rnn.tasks.sentiment.data import SentimentProcessor
from nlp_rnn.tasks.tagging.data import TaggingProcessor
from nlp_rnn.tasks.translation.data import TranslationProcessor

TEXTS = ["i work at google .", "the work is not good , but the film is !", "über 가각 don't <br"]
WORDS = re.split(
    " ", "the work is <br /><br /> not good, unseen but the.<br />Film don't ! 3.5 <pad> <br/> <br"
)
LONG = 200


def vocabulary(level):
    return Vocabulary.train(TEXTS, VocabularySettings(level, min_frequency=1, max_size=80))


def ask(task):
    """The pipeline of a model whose answers differ much from text to text."""
    with torch.no_grad():
        for parameter in task.parameters():
            parameter.copy_(2 * parameter if parameter.any() else torch.randn_like(parameter))
    return pipeline(task.name, task.eval())


def sentiment(cell="lstm", pooling="max", num_layers=1, level="word", max_length=LONG, **options):
    torch.manual_seed(3)
    processor = SentimentProcessor(vocabulary(level), ["0", "1"], ["negative", "positive"], max_length)
    sizes = {"embedding_dim": 8, "hidden_dim": 8, "num_layers": num_layers, "cell": cell}
    return Sentiment(processor, pooling=pooling, **{"bidirectional": False, **sizes, **options})


def tagging(cell="lstm", num_layers=1, characters=True, affixes=None, **options):
    torch.manual_seed(3)
    words = Vocabulary.train_on_words([text.split() for text in TEXTS], VocabularySettings(min_frequency=1))
    letters = Vocabulary.train(TEXTS, VocabularySettings("char", False, 1)) if characters else None
    processor = TaggingProcessor(
        words, ["ADJ", "NOUN", "VERB"], letters, LONG, affixes=affixes, affix_buckets=affixes and 90
    )
    sizes = {"embedding_dim": 8, "hidden_dim": 8, "num_layers": num_layers, "cell": cell}
    return Tagging(processor, **{"bidirectional": False, **sizes, **options})


def language_model(cell="lstm", level="word"):
    torch.manual_seed(3)
    processor = LanguageModelingProcessor(vocabulary(level), None, LONG)
    decoding = BeamSettings(max_output=3)
    return LanguageModeling(processor, 8, 8, 2, dropout=0.0, cell=cell, decoding=decoding)


def check(answerer, pieces, separator=" ", tolerance=1e-6):
    """Each answer of a stream against the pipeline's."""
    stream, read = answerer.stream(), []
    for piece in pieces:
        read += [piece.strip()] if separator and piece.strip() else [] if separator else [piece]
        answer, whole = stream(piece), answerer(separator.join(read))
        assert answer["label"] == whole["label"]
        assert answer["scores"] == pytest.approx(whole["scores"], abs=tolerance, rel=0)
        assert answer["score"] == answer["scores"].get(answer["label"])


@pytest.mark.parametrize(("cell", "pooling", "depth"), itertools.product(CELLS, POOLINGS, (1, 2)))
def test_sentiment_after_each_word(cell, pooling, depth):
    check(ask(sentiment(cell, pooling, depth)), WORDS)


@pytest.mark.parametrize(
    ("level", "cell"), [("word", cell) for cell in CELLS] + [("bpe", "gru"), ("char", "gru")]
)
def test_what_comes_next_after_each_piece(level, cell):
    answerer = ask(language_model(cell, level))
    separator = "" if level == "char" else " "
    stream, read = answerer.stream(), []
    assert stream("") == {name: answerer("")[name] for name in ("log_prob", "next", "probability")}
    for word in WORDS[2:]:
        read.append(word)
        answer, whole = stream(word), answerer(separator.join(read))
        assert answer["next"] == whole["next"]
        for figure in ("log_prob", "probability"):
            assert answer[figure] == pytest.approx(whole[figure], abs=1e-4)


@pytest.mark.parametrize(("cell", "depth", "characters"), itertools.product(CELLS, (1, 2), (True, False)))
def test_tags_after_each_word(cell, depth, characters):
    answerer = ask(tagging(cell, depth, characters, [-2, 3] if depth == 1 else None))
    stream = answerer.stream()
    for number, word in enumerate(WORDS, 1):
        answer, whole = stream(word), answerer([WORDS[:number]])[0]
        assert answer["tags"] == whole["tags"][-1:]
        assert answer["scores"] == pytest.approx(whole["scores"][-1:], abs=1e-6, rel=0)
        assert stream(" ") == answer
    fresh = answerer.stream()
    assert fresh("") == {"words": [], "tags": [], "scores": []}
    assert answerer("") == {**fresh(""), "offsets": [], "unknown": 0}
    several = fresh("the work  is")
    assert several["tags"] == answerer("the work is")["tags"]
    assert fresh(["don't go"])["tags"] == answerer([["the", "work", "is", "don't go"]])[0]["tags"][-1:]


SOME = ["the", "work", " ", "<", "<b", "<br", "/>", "r", ">", "e", "\u0301", "\u1100", "\u1161", "\u11a8"]
PIECES = st.lists(st.text(max_size=5) | st.sampled_from(SOME), max_size=12)


@pytest.fixture(scope="module")
def by_level():
    return {level: ask(sentiment(level=level, pooling="mean")) for level in ("word", "bpe", "char")}


@pytest.mark.parametrize("level", ["word", "bpe", "char"])
@settings(max_examples=60, deadline=None)
@given(pieces=PIECES)
@example(pieces=["good.<br", "/><br", "/>the", "x<br/>", "<br", "/>", "a<b", "<br />b", "<"])
@example(pieces=["<br", ">", "the"])
@example(pieces=[" ", "<br", "/>"])
@example(pieces=["", "<br />"])
@example(pieces=["x<br<br />", ">good"])
@example(pieces=["the", "http://" + "a" * 70 + "<br", "/>good"])
@example(pieces=["<br\x1c", "/>", "<br", *" " * 70, "/>", "x<br /> y<br", "\u0301", "<br />\u0338", "\u0301"])
@example(pieces=list("the e\u0301 <br  /> \u1100\u1161\u11a8 <br x"))
def test_any_pieces(by_level, level, pieces):
    check(by_level[level], pieces, "" if level == "char" else " ")


def test_more_accents_than_a_letter_can_have_take_no_more_memory(by_level):
    stream = by_level["char"].stream()
    for sign in ["e", *["\u0301"] * 100]:
        stream(sign)
    assert len(stream._pending) <= 64


@pytest.mark.parametrize("task", [sentiment, tagging, language_model])
@pytest.mark.parametrize("cell", CELLS)
def test_memory_of_a_stream_does_not_grow(task, cell):
    """Also beyond the maximum length, where the stream reads on."""
    stream = ask(task(cell)).stream()
    sizes = set()
    answers = []
    for number in range(300):
        answers.append(stream(WORDS[number % 4 + 8]))
        sizes.add(tuple(part.shape for part in stream._settled.state))
        assert not any(part.requires_grad for part in stream._settled.state)
    assert len(sizes) == 1
    assert sum(part.numel() for part in stream._settled.state) <= 8 * 4 + 100


def test_a_stream_reads_on_beyond_the_maximum_length():
    short, long = (ask(sentiment(max_length=length)) for length in (3, LONG))
    stream = short.stream()
    for number, word in enumerate(WORDS[-6:], 1):
        assert stream(word)["scores"] == pytest.approx(
            long(" ".join(WORDS[-6:][:number]))["scores"], abs=1e-6
        )


@pytest.mark.parametrize("task", [sentiment, tagging])
def test_streams_do_not_disturb_each_other(task):
    answerer = ask(task())
    alone = [
        [stream(word) for word in words] for words in (WORDS, WORDS[::-1]) for stream in [answerer.stream()]
    ]
    one, other = answerer.stream(), answerer.stream()
    together = [
        (one(word), answerer("between"), other(back)) for word, back in zip(WORDS, WORDS[::-1], strict=True)
    ]
    assert [answer for answer, _, _ in together] == alone[0]
    assert [answer for _, _, answer in together] == alone[1]


@pytest.mark.parametrize("bad", ["b\udce4d", None, 3, b"bytes"])
@pytest.mark.parametrize("task", [sentiment, tagging])
def test_inputs_other_than_text_are_refused_and_change_nothing(task, bad):
    answerer = ask(task())
    stream, expected = answerer.stream(), answerer.stream()
    for one in (stream, expected):
        one("good <br")
    with pytest.raises(
        UsageError, match="lone surrogate" if isinstance(bad, str) else "the piece is no text: "
    ):
        stream(bad)
    assert stream("work") == expected("work")


@pytest.mark.parametrize("task", [sentiment, tagging])
def test_models_that_read_from_both_ends_have_none(task):
    with pytest.raises(UsageError, match=r"bidirectional, .* train with --model\.bidirectional false"):
        ask(task(bidirectional=True)).stream()


def test_tasks_without_streams_refuse():
    words = vocabulary("word")
    answerer = ask(Translation(TranslationProcessor(words, words), 8, 8, 1))
    with pytest.raises(UsageError, match="a model for translation answers whole inputs only"):
        answerer.stream()


@pytest.mark.parametrize(("cell", "pooling"), itertools.product(["rnn", "gru", "lstm"], POOLINGS))
def test_int8_models_stream_too(cell, pooling):
    task = sentiment(cell, pooling, 2)
    answerer = ask(task)
    quantize(task.model)
    # Of a sum in another order the 8 bits may be others.
    check(answerer, WORDS, tolerance=1e-2 if pooling == "mean" else 1e-6)


def test_an_int8_tagger_streams_too():
    task = tagging()
    answerer = ask(task)
    quantize(task.model)
    stream = answerer.stream()
    found = [stream(word) for word in WORDS]
    whole = answerer([WORDS])[0]
    assert [tag for answer in found for tag in answer["tags"]] == whole["tags"]
    scores = [score for answer in found for score in answer["scores"]]
    assert scores == pytest.approx(whole["scores"], abs=1e-2)


@pytest.mark.parametrize("task", [sentiment, tagging])
def test_in_bfloat16(task):
    exact = ask(task())
    stream = pipeline(exact.task.name, exact.task, precision="bf16").stream()
    for number, word in enumerate(WORDS, 1):
        answer = stream(word)["scores"]
        whole = exact([WORDS[:number]] if task is tagging else [" ".join(WORDS[:number])])[0]["scores"]
        assert answer == pytest.approx(whole if task is sentiment else whole[-1:], abs=0.03)


@pytest.mark.parametrize("task", [sentiment, tagging, language_model])
@pytest.mark.parametrize("cell", CELLS)
def test_a_fork_equals_a_fresh_stream_and_undo_restores_every_bit(task, cell):
    answerer = ask(task(cell))
    stream = answerer.stream(history=2)
    for word in WORDS[:4]:
        stream(word)
    state, answer = [part.clone() for part in stream._settled.state], stream.answer
    other = stream.fork()
    forked = [other(word) for word in ("film", "don't")]
    fresh = answerer.stream()
    assert [fresh(word) for word in [*WORDS[:4], "film", "don't"]][-2:] == forked
    assert stream.answer == answer  # what the fork read does not reach the stream
    stream("work google")
    assert not all(map(torch.equal, stream._settled.state, state))
    assert stream.undo() == stream.answer == answer
    assert all(map(torch.equal, stream._settled.state, state))
    for word in ("film", "don't"):
        latest = stream(word)
    assert latest == forked[-1]


@given(pieces=PIECES.filter(len), other=st.sampled_from(SOME))
@settings(max_examples=30, deadline=None)
@example(pieces=["good <br"], other="/>")
def test_undoing_any_piece(by_level, pieces, other):
    """Also one that ended within a token."""
    for answerer in by_level.values():
        stream, expected = answerer.stream(), answerer.stream()
        for piece in pieces[:-1]:
            expected(piece)
            stream(piece)
        stream(pieces[-1])
        assert stream.undo() == expected.answer
        assert stream(other) == expected(other)


def test_only_as_much_is_undone_as_is_kept():
    answerer = ask(sentiment())
    for history in (0, 2):
        stream = answerer.stream(history)
        for word in WORDS[:5]:
            stream(word)
        for _ in range(history):
            stream.undo()
        with pytest.raises(UsageError, match=f"no piece to undo: this stream keeps the last {history}; open"):
            stream.undo()
    with pytest.raises(UsageError, match="history"):
        answerer.stream(-1)


def test_a_stream_prints_its_answer_and_what_can_be_undone():
    stream = ask(sentiment()).stream(history=2)
    assert (
        repr(stream)
        == f"Stream(sentiment; answer so far {stream.answer}; 0 of at most 2 pieces can be undone)"
    )
    for word in WORDS[:3]:
        stream(word)
    assert (
        repr(stream)
        == f"Stream(sentiment; answer so far {stream.answer}; 2 of at most 2 pieces can be undone)"
    )
