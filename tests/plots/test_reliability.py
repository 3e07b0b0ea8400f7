"""The plot of accuracy over probability."""

from nlp_rnn.plots.reliability import reliability_figure


def test_points_and_bars_are_those_of_the_bins(assert_legible):
    bins = [
        {"predictions": 3, "probability": 0.55, "accuracy": 0.25},
        {"predictions": 9, "probability": 0.95, "accuracy": 0.875},
    ]
    figure = reliability_figure(bins)
    upper, lower = figure.axes
    diagonal, model = upper.lines
    assert diagonal.get_xydata().tolist() == [[0, 0], [1, 1]]
    assert model.get_xydata().tolist() == [[0.55, 0.25], [0.95, 0.875]]
    assert [bar.get_height() for bar in lower.patches] == [3, 9]
    assert (upper.get_ylabel(), lower.get_ylabel()) == ("fraction correct", "predictions")
    assert_legible(figure)
