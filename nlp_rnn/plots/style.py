"""The look of every plot: sizes, colors, light and dark, and the axes of numbers.

A function that draws is decorated with `styled`, makes its figure with `nlp_rnn.plots.figure.new_figure`, and
passes each of its axes to `tidy`. Matplotlib is imported only when something is drawn.
"""

from __future__ import annotations

import math
import os
import textwrap
import threading
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nlp_rnn.errors import UsageError
from nlp_rnn.plots.text import drawable, families

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

WIDTH = 8.0
"""Inches of a plot that fills a page, which a README shows at about 800 pixels: 1 inch is 100 pixels."""
PANEL = (4.0, 2.8)
"""Inches of one of two panels beside each other."""
DPI = 130
BASE, SMALL, TITLE = 10, 9, 11
"""Points of text: axes, then tick labels and legends, then titles. At 100 pixels per inch, 9 points
are 12.5 pixels."""
VARIABLE = "NLP_RNN_THEME"
"""The environment variable that names the theme: light or dark."""


@dataclass(frozen=True)
class Theme:
    """Colors. The palette is that of Okabe & Ito (2008), which color-blind people can tell apart."""

    paper: str
    """Behind everything."""
    ink: str
    """Text, and lines that compare."""
    faint: str
    """Axes and grid."""
    palette: tuple[str, ...]
    """Lines and bars, in the order in which they are used."""
    sequential: tuple[str, ...]
    """From 0 to 1."""
    diverging: tuple[str, ...]
    """From negative over 0 to positive."""


THEMES = {
    "light": Theme(
        "#ffffff",
        "#1a1a1a",
        "#8c8c8c",
        ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"),
        ("#ffffff", "#c6dbef", "#6baed6", "#2171b5", "#08306b"),
        ("#053061", "#4393c3", "#d1e5f0", "#ffffff", "#fddbc7", "#d6604d", "#67001f"),
    ),
    "dark": Theme(
        "#16181d",
        "#e8e8e8",
        "#7d828c",
        ("#56b4e9", "#e69f00", "#2cc79a", "#e69ac4", "#f0e442", "#ff8552", "#ffffff"),
        ("#16181d", "#1d3f66", "#2f7fbf", "#7cc4ef", "#eaf6ff"),
        ("#bfe3fb", "#56b4e9", "#24506e", "#16181d", "#6e3a1c", "#ff8552", "#ffe0d0"),
    ),
}
STAGES = ("train", "val", "test")
"""The curves whose colors are the same in every plot: the first of the palette."""

_MAX_LINES = 4
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_theme: ContextVar[str | None] = ContextVar("theme", default=None)
_drawing = threading.RLock()  # matplotlib's defaults are one dictionary for all threads


def theme() -> Theme:
    """The colors to draw with: those of `styled`, else of the environment variable, else light.

    Raises:
        UsageError: the environment variable names no theme.
    """
    name = _theme.get() or os.environ.get(VARIABLE) or "light"
    if name not in THEMES:
        raise UsageError(f"{VARIABLE} must be one of {', '.join(THEMES)}, not {name!r}")
    return THEMES[name]


@contextmanager
def styled(name: Literal["light", "dark"] | None = None) -> Iterator[None]:
    """Draw in the style of the package: for a `with` block, or as decorator of a function that draws.

    Args:
        name: the theme; by default that of the surrounding block, else of the environment variable.
    """
    import matplotlib

    token = _theme.set(name or _theme.get())
    try:
        with _drawing, matplotlib.rc_context(_settings(theme())):
            yield
    finally:
        _theme.reset(token)


def _settings(colors: Theme) -> dict[Any, Any]:
    """Matplotlib's defaults while something is drawn."""
    from cycler import cycler

    inks = ("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.labelcolor", "ytick.labelcolor")
    lines = ("axes.edgecolor", "xtick.color", "ytick.color", "grid.color")
    papers = ("figure.facecolor", "axes.facecolor", "savefig.facecolor", "legend.facecolor")
    return {
        **dict.fromkeys(inks, colors.ink),
        **dict.fromkeys(lines, colors.faint),
        **dict.fromkeys(papers, colors.paper),
        "font.family": families(),
        "font.size": BASE,
        "axes.labelsize": BASE,
        "axes.titlesize": TITLE,
        "figure.titlesize": TITLE,
        "axes.titlelocation": "left",
        "xtick.labelsize": SMALL,
        "ytick.labelsize": SMALL,
        "legend.fontsize": SMALL,
        "legend.frameon": False,
        "lines.linewidth": 1.8,
        "lines.markersize": 4,
        "grid.alpha": 0.3,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": cycler(color=colors.palette),
        "axes.formatter.useoffset": False,
        "text.parse_math": False,  # a "$" is one
    }


def color(place: int) -> str:
    """The color of the line or bar number `place`; they repeat after the last."""
    palette = theme().palette
    return palette[place % len(palette)]


def line_style(place: int) -> str:
    """The dashes of the line number `place`, which differ where colors repeat."""
    styles = ("-", "--", ":", "-.")
    return styles[place // len(theme().palette) % len(styles)]


def stage_color(name: str) -> str:
    """The color of "train", "val" or "test"; of other curves that which comes next."""
    return color(STAGES.index(name) if name in STAGES else len(STAGES))


def color_map(signed: bool) -> Colormap:
    """The colors of a heat map, in which 0 is as the paper.

    Args:
        signed: whether there are negative values too.
    """
    from matplotlib.colors import LinearSegmentedColormap

    colors = theme().diverging if signed else theme().sequential
    return LinearSegmentedColormap.from_list("signed" if signed else "unsigned", colors)


def ink_on(background: Any) -> str:
    """Black or white, whichever can be read on a color.

    Args:
        background: a color as matplotlib takes it.
    """
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(background)
    return "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.55 else "#ffffff"


def tidy(axes: Axes, grid: Literal["both", "x", "y", ""] = "both") -> None:
    """Set the grid, and the ticks, which are made when a figure is written, in the style of now.

    Args:
        axes: the axes.
        grid: the axis at whose ticks lines stand.
    """
    colors = theme()
    axes.tick_params(color=colors.faint, labelcolor=colors.ink, labelsize=SMALL, which="both")
    axes.tick_params(grid_color=colors.faint, grid_alpha=0.3)
    if grid:
        axes.grid(True, axis=grid)


def scale_values(axes: Axes, values: Iterable[float], at_least: float = 20.0) -> bool:
    """Make the vertical axis logarithmic where values span a wide range, with ticks that people can read.

    Args:
        axes: the axes.
        values: what is drawn; those that are not finite do not count.
        at_least: the ratio of the largest value to the smallest from which the axis is logarithmic.

    Returns:
        Whether it is.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    finite = [value for value in values if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    if low <= 0 or high / low < at_least:
        axes.ticklabel_format(axis="y", scilimits=(-3, 5))
        return False
    axes.set_yscale("log")
    plain = low >= 1e-5 and high < 1e6
    axis = axes.yaxis
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high / low < 100 else (1.0,), numticks=9))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _plain(value) if plain else _power(value)))
    axis.set_minor_formatter(NullFormatter())
    return True


def heading(figure: Figure, *lines: str) -> None:
    """Write at the top of a figure what it is about, such as the sentence and the model.

    Args:
        figure: the figure, of its final width.
        lines: each is broken where it is wider than the figure, and cut behind so many lines that there is
            room for the rest; empty ones are left out.
    """
    wrapped = [fitted(drawable(line), figure.get_figwidth(), BASE) for line in lines if line]
    figure.suptitle("\n".join(wrapped), x=0.01, ha="left", fontsize=BASE, parse_math=False)


def fitted(text: str, width: float, points: float) -> str:
    """Break a text into lines that fit, at most `_MAX_LINES`.

    Args:
        text: drawable text.
        width: inches.
        points: size of the text.
    """
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    most = int(11 * width * BASE / points) * len(text) // max(1, len(text) + wide)
    return "\n".join(textwrap.wrap(text, max(8, most), max_lines=_MAX_LINES, placeholder=" …"))


def _plain(value: float) -> str:
    return f"{value:,.10f}".rstrip("0").rstrip(".")


def _power(value: float) -> str:
    """A power of ten, or a multiple of one, such as 5×10⁻⁷."""
    exponent = math.floor(math.log10(value) + 1e-9)
    factor = f"{value / 10**exponent:.3g}"
    raised = str(exponent).translate(_SUPERSCRIPTS)
    return f"10{raised}" if factor == "1" else f"{factor}×10{raised}"
