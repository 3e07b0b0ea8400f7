"""Pictures over tokens hold the data they are given, and have room for long texts."""

import subprocess
import sys

import pytest
import torch

from nlp_rnn.plots.figure import save
from nlp_rnn.plots.heatmaps import Curve, HeatMap, curves_figure, heat_maps_figure

TOKENS = ["the", "$film", "\n", "a" * 40]


def maps():
    rows = [str(row) for row in range(30)]
    return [
        HeatMap("cell state", torch.randn(30, 4), rows, True, "unit", "value"),
        HeatMap("a gate", torch.rand(2, 4), ["x", "y"], False, "unit"),
    ]


def test_heat_maps_have_a_panel_each_and_tokens_below_the_last(assert_legible):
    panels = maps()
    figure = heat_maps_figure(panels, TOKENS, ["“the text”", "the model"], "token read")
    assert figure.get_suptitle() == "“the text”\nthe model"
    assert_legible(figure)
    axes = [each for each in figure.axes if each.images]
    assert [each.get_title(loc="left") for each in axes] == ["cell state", "a gate"]
    for each, panel in zip(axes, panels, strict=True):
        torch.testing.assert_close(torch.from_numpy(each.images[0].get_array().data), panel.values)
    low, high = axes[0].images[0].get_clim()
    assert low == -high == -panels[0].values.abs().max()
    assert axes[1].images[0].get_clim() == (0, 1)
    labels = [label.get_text() for label in axes[1].get_xticklabels()]
    assert labels == ["the", "$film", "'\\n'", "a" * 15 + "…"]
    assert {label.get_text() for label in axes[0].get_xticklabels()} == {""}
    assert [label.get_text() for label in axes[1].get_yticklabels()] == ["x", "y"]
    assert [label.get_text() for label in axes[0].get_yticklabels()] == [str(row) for row in range(30)]
    assert axes[1].get_xlabel() == "token read"
    assert "value" in [each.get_ylabel() for each in figure.axes]


@pytest.mark.parametrize(
    ("tokens", "rotation"),
    [
        (list("hello"), 0),
        (["<bos>", "h", "i"], 0),
        (["a"] * 28, 0),
        (["word"] * 20, 90),
        (["tomorrow"] * 12, 90),
    ],
)
def test_labels_are_upright_where_they_fit(tokens, rotation, assert_legible):
    panel = HeatMap(
        "a long title of a panel " * 4, torch.rand(3, len(tokens)), ["x", "y", "z"], False, "unit"
    )
    for figure in (
        heat_maps_figure([panel], tokens, ["about " * 30]),
        curves_figure([Curve("a", [0.5] * len(tokens))], tokens, panel.title, "norm", about=["about"]),
    ):
        labels = figure.axes[0].get_xticklabels()
        assert {label.get_rotation() for label in labels} == {rotation}
        assert_legible(figure)


def test_cells_have_their_text_or_a_dot_where_it_does_not_fit():
    for count, shown in ((8, "PRON"), (40, "•")):
        texts = {(0, 1): "PRON", (1, 0): "X"}
        panel = HeatMap("tags", torch.rand(2, count), ["PRON", "X"], False, "tag", texts=texts)
        texts = heat_maps_figure([panel], ["w"] * count).axes[0].texts
        assert [(text.get_position(), text.get_text()) for text in texts] == [((1, 0), shown), ((0, 1), "X")]


def test_rows_too_many_for_names_have_some(assert_legible):
    panel = HeatMap("rows", torch.rand(130, 3), [f"r{row}" for row in range(130)], False, "row")
    figure = heat_maps_figure([panel], ["a", "b", "c"])
    labels = figure.axes[0].get_yticklabels()
    assert [text.get_text() for text in labels] == [f"r{row}" for row in range(0, 130, 7)]
    assert_legible(figure)


def test_ends_name_what_a_curve_is_between(assert_legible):
    line = Curve("positive", [0.2, 0.9, 0.7])
    figure = curves_figure([line], ["a", "b", "c"], "title", "probability", ends=("negative", "positive"))
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == ["0 (negative)", "0.25", "0.5", "0.75", "1 (positive)"]
    assert set(figure.axes[0].lines[1].get_ydata()) == {0.5}
    assert not figure.legends
    assert_legible(figure)


def test_zeros_are_omitted_on_a_logarithmic_axis(assert_legible):
    lines = [Curve("own", [1.0, 0.0, 1e-30, 2.0]), Curve("other", [0.5] * 4, dashed=True)]
    figure = curves_figure(lines, TOKENS, "title", "norm", log=True)
    (axes,) = figure.axes
    assert_legible(figure)
    assert [text.get_text() for text in figure.legends[0].texts] == ["own", "other"]
    assert axes.get_yscale() == "log"
    assert [line.get_linestyle() for line in axes.lines] == ["-", "--"]
    drawn = axes.lines[0].get_ydata()
    assert drawn[[0, 2, 3]].tolist() == [1.0, 1e-30, 2.0]
    assert drawn[1] != drawn[1]


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("length", [1, 3, 500])
def test_files_are_pngs_of_bounded_size(tmp_path, length):
    tokens, out = [f"word{step}" for step in range(length)], tmp_path / "picture.png"
    zeros = HeatMap("zeros", torch.zeros(64, length), list(map(str, range(64))), True, "unit")
    save(heat_maps_figure([zeros], tokens), out)
    assert out.read_bytes()[:4] == b"\x89PNG"
    figure = curves_figure([Curve("nothing", [0.0] * length)], tokens, "title", "norm", log=True)
    assert 4 < figure.get_figwidth() < 32
    save(figure, out)
    assert [path.name for path in tmp_path.iterdir()] == ["picture.png"]


@pytest.mark.filterwarnings("error")
def test_characters_without_glyphs_are_escapes_or_reported(tmp_path, caplog):
    tokens = ["\U0001314f", "a\U00013150", "\U0001314f", "film"]  # hieroglyphs
    figure = curves_figure([Curve("line", [0.5] * 4)], tokens, "title", "norm")
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels[:2] == ["\\U0001314f", "a\\U00013150"]
    caplog.clear()
    save(figure, tmp_path / "picture.png")
    assert not caplog.records
    figure.axes[0].set_title(tokens[0])  # by code that does not know of `drawable`
    save(figure, tmp_path / "picture.png")
    assert "picture.png: drew 1 character(s) as boxes" in caplog.text


def test_mismatched_sizes_are_refused():
    with pytest.raises(ValueError, match="2 rows and 4 tokens do not fit"):
        heat_maps_figure([HeatMap("", torch.zeros(4, 2), ["a", "b"], True, "")], TOKENS)
    with pytest.raises(ValueError, match="1 values do not fit 4 tokens"):
        curves_figure([Curve("", [1.0])], TOKENS, "", "")


def test_importing_the_module_does_not_import_matplotlib():
    code = "import sys, nlp_rnn.plots.heatmaps; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
