"""Errors of several runs side by side."""

from nlp_rnn.plots.comparison import side_by_side_figure


def test_each_run_has_a_panel_on_the_same_logarithmic_scale():
    runs = {
        "lstm": {"train": [(1, 1.0), (2, 0.5)], "val": [(2, 0.6)]},
        "rnn": {"train": [(1, 1.5), (2, 1.2)], "val": [(2, 1.3)]},
    }
    figure = side_by_side_figure(runs, 1.25, "mean predictor")
    assert [axes.get_title() for axes in figure.axes] == ["lstm", "rnn"]
    assert [axes.get_ylabel() for axes in figure.axes] == ["mean squared error", ""]
    assert {axes.get_yscale() for axes in figure.axes} == {"log"}
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    for axes, curves in zip(figure.axes, runs.values(), strict=True):
        lines = {line.get_label(): line.get_ydata() for line in axes.lines}
        assert list(lines) == ["train", "val", "mean predictor"]
        assert list(lines["train"]) == [error for _, error in curves["train"]]
        assert set(lines["mean predictor"]) == {1.25}
