"""How answers are shown: texts stay whole, and nothing is shown that the answer does not say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from nlp_rnn.lite.tasks.answers import no_label
from nlp_rnn.tasks.capabilities import Capabilities
from nlp_rnn.tasks.views import (
    columns_of,
    hypotheses,
    label_scores,
    mark,
    marked_words,
    step_table,
    tag_table,
)


@given(st.text(max_size=30), st.lists(st.integers(0, 30), max_size=8))
def test_marked_pieces_are_the_text(text, cuts):
    ends = sorted({cut for cut in cuts if cut <= len(text)})
    spans = [(start, end, "x") for start, end in zip(ends[::2], ends[1::2], strict=False)]
    pieces = mark(text, spans)
    assert "".join(piece for piece, _ in pieces) == text
    assert [piece for piece, label in pieces if label] == [text[start:end] for start, end, _ in spans]
    assert all(piece for piece, _ in pieces)


def test_words_are_marked_with_tags_or_spans():
    words = {"words": ["a", "fine", "day"], "tags": ["DET", "ADJ", "NOUN"], "scores": [0.9, 0.5, 1.0]}
    answer = {**words, "offsets": [[0, 1], [2, 6], [8, 11]]}
    assert marked_words("a fine  day!", answer) == [
        ("a", "DET"),
        (" ", None),
        ("fine", "ADJ"),
        ("  ", None),
        ("day", "NOUN"),
        ("!", None),
    ]
    spans = {**answer, "entities": [{"start": 1, "end": 3, "type": "TIME", "offsets": [2, 11]}]}
    assert marked_words("a fine  day!", spans) == [("a ", None), ("fine  day", "TIME"), ("!", None)]
    assert marked_words("", {**answer, "tags": [], "offsets": []}) == []
    table = tag_table("", {**answer, "lemma": ["a", "fine", "day"], "lemma_scores": [1.0, 1.0, 0.25]})
    assert table.columns == ["word", "tags", "probability", "lemma", "probability"]
    assert table.rows[2] == ["day", "NOUN", "100.0%", "day", "25.0%"]
    assert len(table.rows) == 3


def test_hypotheses_are_ranked_and_an_empty_one_has_no_score():
    best = [{"text": "x", "score": -0.123456}, {"text": "", "score": None}]
    assert hypotheses("", {"n_best": best}).rows == [[1, "x", -0.123], [2, "", None]]


def test_series_have_a_row_per_step():
    assert columns_of([1, 2], ["x"]) == {"x": [1, 2]}
    assert columns_of([[1, 2], [3, 4], [5, 6]], ["x", "y"]) == {"x": [1, 3, 5], "y": [2, 4, 6]}
    assert step_table(["x"], [(7,), (8,)], first=4).rows == [[4, 7], [5, 8]]
    assert label_scores("", no_label()) == {}


def test_a_task_without_views_shows_its_answer():
    (view,) = Capabilities().views()
    assert view.kind == "json"
    assert view.value("input", {"a": 1}) == {"a": 1}


@pytest.mark.parametrize("names", [["value"], ["x", "y"]])
def test_forecasts_follow_the_series(names):
    from nlp_rnn.tasks import Forecasting
    from nlp_rnn.tasks.forecasting.data import ForecastingProcessor

    scale = {"means": [0.0] * len(names), "deviations": [1.0] * len(names)}
    processor = ForecastingProcessor(
        inputs=names,
        length=3,
        horizon=2,
        target_means=scale["means"],
        target_deviations=scale["deviations"],
        **scale,
    )
    task = Forecasting(processor, 4).eval()
    series = [[float(step)] * len(names) for step in range(3)]
    if len(names) == 1:
        series = [step for (step,) in series]
    values = [[0.5] * len(names), [0.25] * len(names)] if len(names) > 1 else [0.5, 0.25]
    figure, table = (view.value(series, {"values": values}) for view in task.views())
    assert isinstance(figure, Figure)
    assert table == (["step", *names], [[4, *["0.5"] * len(names)], [5, *["0.25"] * len(names)]])
