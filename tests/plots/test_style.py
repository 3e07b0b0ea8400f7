"""One look for all plots, light and dark."""

import colorsys
import itertools

import pytest
from matplotlib.colors import to_rgb

from nlp_rnn.errors import UsageError
from nlp_rnn.plots import style
from nlp_rnn.plots.figure import new_figure, png


def luminance(color):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    """As the Web Content Accessibility Guidelines define it."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", style.THEMES.values(), ids=list(style.THEMES))
def test_themes_can_be_read(theme):
    assert contrast(theme.ink, theme.paper) > 7
    assert all(contrast(color, theme.paper) > 1.9 for color in theme.palette)
    assert len(set(theme.palette)) == len(theme.palette) == 7
    assert theme.sequential[0] == theme.paper == theme.diverging[len(theme.diverging) // 2]


def test_the_theme_is_that_of_the_block_then_of_the_environment(monkeypatch):
    assert style.theme() is style.THEMES["light"]
    monkeypatch.setenv(style.VARIABLE, "dark")
    assert style.theme() is style.THEMES["dark"]
    with style.styled("light"), style.styled():
        assert style.theme() is style.THEMES["light"]
        assert new_figure(2, 2).get_facecolor()[:3] == (1, 1, 1)
    monkeypatch.setenv(style.VARIABLE, "sepia")
    with (
        pytest.raises(UsageError, match="NLP_RNN_THEME must be one of light, dark, not 'sepia'"),
        style.styled(),
    ):
        pass


def test_matplotlib_is_left_as_it_was():
    import matplotlib

    before = dict(matplotlib.rcParams)
    with style.styled("dark"):
        assert matplotlib.rcParams["text.color"] == style.THEMES["dark"].ink
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("name", list(style.THEMES))
def test_all_text_has_the_ink_of_the_theme_also_when_written_later(name):
    from matplotlib.text import Text

    with style.styled(name):
        figure = new_figure(3, 2)
        axes = figure.add_subplot()
        axes.plot([1, 2], [1, 2], label="line")
        axes.set_title("title")
        axes.set_xlabel("x")
        axes.legend()
        style.heading(figure, "heading")
        style.tidy(axes)
    assert png(figure, "x.png")[:4] == b"\x89PNG"
    texts = [text for text in figure.findobj(Text) if text.get_text()]
    assert {to_rgb(text.get_color()) for text in texts} == {to_rgb(style.THEMES[name].ink)}
    assert {"title", "x", "line", "heading"} <= {text.get_text() for text in texts}


def test_lines_differ_also_where_colors_repeat():
    looks = [(style.color(place), style.line_style(place)) for place in range(28)]
    assert len(set(looks)) == 28
    assert [style.stage_color(name) for name in ("train", "val", "test", "lr")] == [
        style.color(place) for place in range(4)
    ]


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.05, 0.08], None),
        ([0.0, 1.0, 5000.0], None),
        ([-1.0, 1.0], None),
        ([], None),
        ([0.0001, 2.0, float("nan")], {"0.0001", "0.001", "0.01", "0.1", "1"}),
        ([0.02, 0.9], {"0.02", "0.05", "0.1", "0.2", "0.5"}),
        ([1e-12, 1e-3], {"10⁻¹²", "10⁻⁶", "10⁻²"}),
    ],
)
def test_the_axis_is_logarithmic_where_values_span_a_wide_range(values, ticks, assert_legible):
    with style.styled():
        figure = new_figure(4, 3)
        axes = figure.add_subplot()
        axes.plot(values)
        assert style.scale_values(axes, values) == (ticks is not None)
        style.tidy(axes)
    assert_legible(figure)
    if ticks:
        assert ticks <= {label.get_text() for label in axes.get_yticklabels()}
        assert {label.get_text() for label in axes.get_yticklabels(minor=True)} <= {""}


def test_multiples_of_powers():
    assert [style._power(value) for value in (1e-7, 5e-7, 2e10)] == ["10⁻⁷", "5×10⁻⁷", "2×10¹⁰"]


def test_headings_are_broken_to_the_width_of_the_figure(assert_legible):
    for line in ("word " * 40, "x" * 150, "영화 " * 60):
        with style.styled():
            figure = new_figure(4, 3)
            figure.add_subplot()
            style.heading(figure, line, "", "second")
        assert_legible(figure)
        assert figure.get_suptitle().splitlines()[-1] == "second"


def test_ink_can_be_read_on_every_color_of_a_heat_map():
    for name, signed in itertools.product(style.THEMES, (False, True)):
        with style.styled(name):
            colors = style.color_map(signed)
        for step in range(21):
            background = colors(step / 20)[:3]
            assert contrast(style.ink_on(background), background) > 3, colorsys.rgb_to_hls(*background)
