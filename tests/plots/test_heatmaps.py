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
        HeatMap("cell state", torch.randn(30, 4), rows, True, "unit"),
        HeatMap("a gate", torch.rand(2, 4), ["x", "y"], False, "unit"),
    ]


def test_heat_maps_have_a_panel_each_and_tokens_below_the_last():
    panels = maps()
    figure = heat_maps_figure(panels, TOKENS)
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
    assert [label.get_text() for label in axes[0].get_yticklabels()] == [str(row) for row in range(0, 30, 3)]


def test_zeros_are_omitted_on_a_logarithmic_axis():
    lines = [Curve("own", [1.0, 0.0, 1e-30, 2.0]), Curve("other", [0.5] * 4, dashed=True)]
    (axes,) = curves_figure(lines, TOKENS, "title", "norm", log=True).axes
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
def test_characters_without_glyphs_are_reported_once(tmp_path, caplog):
    tokens = ["\U0001314f", "\U00013150", "\U0001314f", "film"]  # hieroglyphs
    for text, lines in ((tokens, 1), (["a", "b", "c", "d"], 0)):
        caplog.clear()
        save(curves_figure([Curve("line", [0.5] * 4)], text, "title", "norm"), tmp_path / "picture.png")
        assert len(caplog.records) == lines
        assert not lines or "picture.png: drew 2 character(s) as boxes" in caplog.text


def test_mismatched_sizes_are_refused():
    with pytest.raises(ValueError, match="2 rows and 4 tokens do not fit"):
        heat_maps_figure([HeatMap("", torch.zeros(4, 2), ["a", "b"], True, "")], TOKENS)
    with pytest.raises(ValueError, match="1 values do not fit 4 tokens"):
        curves_figure([Curve("", [1.0])], TOKENS, "", "")


def test_importing_the_module_does_not_import_matplotlib():
    code = "import sys, nlp_rnn.plots.heatmaps; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
