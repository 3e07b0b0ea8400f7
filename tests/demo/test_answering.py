"""What is shown of every task's answer is what its pipeline answers, and errors are one line."""

import logging

import pytest
from matplotlib.figure import Figure

from nlp_rnn.demo.answering import MAX_CHARACTERS, MAX_SHORT, Demo, error_line, titles
from nlp_rnn.errors import RunError, UsageError
from nlp_rnn.inference.pipelines import Pipeline
from nlp_rnn.models.layers.quantization import quantize
from nlp_rnn.tasks import TASKS
from nlp_rnn.tasks.views import View, tag_table

TEXT = "the work is not good , but the film is"
KINDS = {
    "sentiment": ["scores"],
    "text_pairs": ["scores"],
    "multi_label": ["text", "scores"],
    "tagging": ["marked", "table"],
    "translation": ["text", "table"],
    "language_modeling": [],
    "captioning": ["text", "table"],
    "forecasting": ["figure", "table"],
    "series_tagging": ["figure", "table"],
}
TYPES = {"scores": dict, "text": str, "marked": list, "table": tuple, "figure": Figure}


@pytest.mark.parametrize("name", list(TASKS))
def test_the_example_of_every_task_is_answered(name, make_demo):
    demo = make_demo(name)
    assert [view.kind for view in demo.views] == KINDS[name]
    assert demo.read(demo.example) == demo.task.example
    if demo.continues:
        return
    _, values = demo.answer(demo.example)
    assert len(values) == len(demo.views)
    for view, value in zip(demo.views, values, strict=True):
        assert isinstance(value, TYPES[view.kind])
    (answer,) = Pipeline(demo.task).iterate([demo.task.example])
    if "scores" in KINDS[name]:
        assert values[-1] == pytest.approx(answer["scores"])
    if "table" in KINDS[name]:
        assert values[1].rows


def test_what_each_task_can_do(make_demo):
    demos = {name: make_demo(name) for name in TASKS}

    def able(attribute):
        return {name for name, demo in demos.items() if getattr(demo, attribute)}

    assert able("continues") == {"language_modeling"}
    assert able("decodes") == {"translation", "captioning"}
    assert able("is_running") == {"sentiment", "multi_label"}
    assert able("inspects") == {"sentiment", "multi_label", "tagging", "translation", "language_modeling"}
    assert able("reads_numbers") == {"captioning", "forecasting", "series_tagging"}
    assert able("aligns") == set()
    assert make_demo("translation", attention="luong").aligns
    assert demos["text_pairs"].fields == ("first", "second")


def test_unknown_words_are_counted(make_demo):
    demo = make_demo("sentiment")
    assert demo.answer([TEXT]).note == ""
    assert demo.answer(["the xyzzy"]).note == "1 of the tokens is unknown to the model"
    assert demo.answer(["xyzzy plugh"]).note == "2 of the tokens are unknown to the model"


@pytest.mark.parametrize("name", ["sentiment", "multi_label"])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_running_answers_are_those_of_each_beginning(name, bidirectional, make_demo):
    demo = make_demo(name, bidirectional=bidirectional)
    assert demo.streams is not bidirectional
    text = f"  {TEXT} xyzzy\n"
    marked, figure = demo.running(text)
    assert "".join(piece for piece, _ in marked) == text
    words = text.split()
    answers = Pipeline(demo.task)([" ".join(words[: n + 1]) for n in range(len(words))])
    assert [label for piece, label in marked if piece.strip()] == [*map(demo.task.format_answer, answers)]
    curves = [line for line in figure.axes[0].lines if line.get_label() in answers[0]["scores"]]
    assert len(curves) == (1 if name == "sentiment" else len(answers[0]["scores"]))
    for line in curves:
        expected = [answer["scores"][line.get_label()] for answer in answers]
        assert list(line.get_ydata()) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("text", ["", " \n", "word " * MAX_SHORT])
def test_nothing_runs_without_words_or_with_too_many(text, make_demo):
    assert make_demo("sentiment").running(text) is None


def test_empty_texts_are_answered(make_demo):
    for name in ("sentiment", "multi_label", "tagging", "translation", "text_pairs"):
        demo = make_demo(name)
        note, values = demo.answer([""] * len(demo.fields))
        assert note == ""
        assert values[0] in ({}, "", [], "(none)")
    attentive = make_demo("translation", attention="luong")
    assert attentive.alignment([" "]) is None


def test_more_texts_with_a_wider_beam(make_demo):
    demo = make_demo("translation")
    _, (text, table) = demo.answer([TEXT], 4, 3)
    assert len(table.rows) == 3
    assert table.rows[0][1] == text
    with pytest.raises(UsageError, match="n_best must be at most the beam's width, 2"):
        demo.answer([TEXT], 2, 3)
    assert demo.task.decoding.beam == 1


def test_the_alignment_is_of_the_text_that_is_shown(make_demo):
    demo = make_demo("translation", attention="luong")
    _, (text, _) = demo.answer([TEXT], 3, 1)
    axes = demo.alignment([TEXT], 3, 1).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == TEXT.split()
    written = [label.get_text() for label in axes.get_yticklabels()]
    assert " ".join(written).startswith(text)


def test_continuations_are_those_of_the_pipeline(make_demo):
    demo = make_demo("language_modeling")
    settings = (6, 1.5, 5, 0.9, 4)
    shown = list(demo.continuation("the film", *settings))
    assert [text for text, _ in shown][-1] == "the film" + "".join(
        demo.pipeline.generate("the film", *settings)
    )
    assert [len(cells.rows) for _, cells in shown] == list(range(1, len(shown) + 1))
    with pytest.raises(UsageError, match="set a temperature too"):
        next(demo.continuation("the film", top_k=3))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sentiment", "tagging", "translation"])
def test_states_are_plotted(name, make_demo):
    demo = make_demo(name)
    plots = dict(demo.inside([TEXT]))
    assert {"hidden", "gradients"} <= set(plots)
    assert all(isinstance(figure, Figure) for figure in plots.values())
    with pytest.raises(UsageError, match="the text has no words"):
        demo.inside([" "])
    with pytest.raises(UsageError, match="of up to 1,000 characters"):
        demo.inside(["a" * (MAX_SHORT + 1)])


def test_int8_models_answer_but_have_no_states(make_demo):
    demo = make_demo("sentiment")
    quantize(demo.task.model)
    demo = Demo(demo.task, "int8")
    assert not demo.inspects
    assert demo.answer([TEXT]).values


@pytest.mark.parametrize(
    ("name", "parts", "message"),
    [
        ("sentiment", ["a" * (MAX_CHARACTERS + 1)], "more than 20,000 characters"),
        ("sentiment", ["\ud800"], "surrogate"),
        ("forecasting", ["1, 2, x, 4"], "not a number: 'x'"),
        ("forecasting", ["1, 2\n3"], "give 2 number"),
        ("forecasting", [""], "there is no step"),
        ("captioning", ["1 2"], "a vector of 2 numbers; the model reads 6"),
    ],
)
def test_errors_are_one_line(name, parts, message, make_demo):
    with pytest.raises(UsageError, match=message) as caught:
        make_demo(name).answer(parts)
    assert "\n" not in error_line(caught.value)


def test_other_errors_are_one_line_too_and_are_logged(caplog):
    with caplog.at_level(logging.WARNING):
        assert error_line(RunError("full")) == "full"
        assert not caplog.records
        assert error_line(KeyError("a\nb")) == r"KeyError: 'a\nb'"
    assert len(caplog.records) == 1


def test_series_may_be_written_in_lines(make_demo):
    demo = make_demo("series_tagging")
    assert demo.read(["1, 2\n3, 4\n"]) == [[1, 2], [3, 4]]
    assert [row[0] for row in demo.answer(["1, 2\n3, 4\n"]).values[1].rows] == [1, 2]


def test_a_task_that_says_nothing_of_views_is_shown_as_it_is(make_demo, monkeypatch):
    demo = make_demo("tagging")
    monkeypatch.setattr(
        type(demo.task), "views", lambda self: (View("json", "answer", lambda _, answer: answer),)
    )
    monkeypatch.setattr("nlp_rnn.demo.answering.ROWS", {})
    plain = Demo(demo.task, "plain")
    (answer,) = plain.answer([TEXT]).values
    assert tag_table(TEXT, answer).rows
    assert plain.description == demo.task.summary()


def test_titles_tell_models_apart():
    assert titles(
        ["runs/a/latest/model", "/x/runs/b/3/model", "me/films", "model", "y/a/model", "./a.ckpt"]
    ) == [
        "a",
        "b",
        "films",
        "model",
        "a (2)",
        "a.ckpt",
    ]
