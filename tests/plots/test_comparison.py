"""Errors of several runs in one picture."""

import pytest

from nlp_rnn.plots.comparison import compared_figure


@pytest.mark.parametrize(("least", "scale"), [(0.0005, "log"), (0.9, "linear")])
def test_runs_share_one_panel_and_one_legend(least, scale, assert_legible):
    runs = {
        "lstm": {"train": [(1, 1.0), (2, least)], "val": [(2, 0.95)]},
        "rnn": {"train": [(1, 1.5), (2, 1.2)], "val": [(2, 1.3)]},
    }
    figure = compared_figure(runs, 1.25, "mean predictor", "Adding problem, 100 steps per sequence")
    (axes,) = figure.axes
    assert axes.get_title(loc="left") == "Adding problem, 100 steps per sequence"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("optimizer step", "mean squared error")
    assert axes.get_yscale() == scale
    drawn = [[tuple(point) for point in line.get_xydata()] for line in axes.lines[:4]]
    assert drawn == [points for curves in runs.values() for points in curves.values()]
    colors = [line.get_color() for line in axes.lines[:4]]
    assert colors[0] == colors[1] != colors[2] == colors[3]
    assert set(axes.lines[4].get_ydata()) == {1.25}
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.texts]
    assert names == ["lstm", "rnn", "mean predictor", "validation", "training"]
    assert_legible(figure)
