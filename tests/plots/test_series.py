"""Series are plotted whole, and what follows them begins where they end."""

import pytest

from nlp_rnn.plots.series import series_figure


def test_what_follows_is_joined_to_its_series(assert_legible):
    figure = series_figure({"x": [1.0, 2.0, 3.0], "y": [5.0, 5.0, 5.0]}, {"x": [4.0, 6.0], "z": [0.0]})
    known, other, following, new, _ = figure.axes[0].lines
    assert [list(known.get_xdata()), list(known.get_ydata())] == [[1, 2, 3], [1, 2, 3]]
    assert list(other.get_ydata()) == [5, 5, 5]
    assert [list(following.get_xdata()), list(following.get_ydata())] == [[3, 4, 5], [3, 4, 6]]
    assert [list(new.get_xdata()), list(new.get_ydata())] == [[4], [0]]
    assert following.get_color() == known.get_color() != other.get_color()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.texts] == ["x", "y", "x, predicted", "z, predicted"]
    axes = figure.axes[0]
    assert axes.get_title(loc="left") == "Series and forecast"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("step", "value (unit of the data)")
    assert_legible(figure)


def test_steps_of_one_label_are_one_patch(assert_legible):
    figure = series_figure({"x": [0.0] * 5}, labels=["up", "up", "down", "up", "up"])
    patches = figure.axes[0].patches
    assert [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in patches] == [
        (0.5, 2.5),
        (2.5, 3.5),
        (3.5, 5.5),
    ]
    assert patches[0].get_facecolor() == patches[2].get_facecolor() != patches[1].get_facecolor()
    assert [text.get_text() for text in figure.legends[0].texts] == ["x", "up", "down"]
    assert figure.axes[0].get_title(loc="left") == "Series, and the label of each step"
    assert_legible(figure)


def test_many_columns_have_no_entries_in_the_legend():
    figure = series_figure({str(place): [0.0, 1.0] for place in range(11)}, labels=["a", "a"])
    assert [text.get_text() for text in figure.legends[0].texts] == ["a"]
    assert not series_figure({str(place): [0.0, 1.0] for place in range(11)}).legends


def test_a_label_per_step():
    with pytest.raises(ValueError, match="1 labels do not fit 2 steps"):
        series_figure({"x": [1.0, 2.0]}, labels=["a"])
