"""Plots over the tokens of a text: stacked heat maps, and curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torch import Tensor

from nlp_rnn.plots.figure import new_figure
from nlp_rnn.plots.style import (
    BASE,
    SMALL,
    TITLE,
    WIDTH,
    color,
    color_map,
    fitted,
    heading,
    ink_on,
    line_style,
    scale_values,
    styled,
    theme,
    tidy,
)
from nlp_rnn.plots.text import drawable, label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_RANGE = (5.6, 26.0)  # inches; wider than `WIDTH` only for long texts
MANY_ROWS_HEIGHT, FEW_ROWS_HEIGHT = 0.045, 0.14  # inches per row of a heat map
FEW = 60
"""With at most so many rows, each has its name."""

_LEAST, _BEST = 0.2, 0.62  # inches per token
_CHARACTER = 0.085  # inches, of `SMALL` points
_MARGIN = 1.9  # inches: names of rows on the left, the color scale on the right


@dataclass(frozen=True)
class HeatMap:
    """One panel.

    Args:
        title: the title above it.
        values: [R, T], R rows over T tokens.
        rows: [R], the names of the rows.
        signed: whether the color scale is symmetric about 0; from 0 to 1 otherwise.
        axis: the label of the axis of the rows.
        scale: the label of the color scale: what the values are.
        texts: what is written into cells, by row and token; a dot where it does not fit.
    """

    title: str
    values: Tensor
    rows: Sequence[str]
    signed: bool
    axis: str
    scale: str = ""
    texts: Mapping[tuple[int, int], str] = field(default_factory=dict)


@dataclass(frozen=True)
class Curve:
    """One curve.

    Args:
        label: its name in the legend.
        values: [T], one per token; on a logarithmic axis zeros are left out.
        dashed: whether the line is dashed, and thinner.
    """

    label: str
    values: Sequence[float]
    dashed: bool = False


@styled()
def heat_maps_figure(
    maps: Sequence[HeatMap], tokens: Sequence[str], about: Sequence[str] = (), axis: str = "token"
) -> Figure:
    """Plot heat maps below each other, one column per token.

    Args:
        maps: the panels, from top to bottom.
        tokens: [T], the labels of the columns.
        about: lines above all panels, such as the text and the model.
        axis: the label of the axis of the tokens.

    Returns:
        The figure.

    Raises:
        ValueError: the shape of a panel's values is not (names of rows, tokens).
    """
    for panel in maps:
        if tuple(panel.values.shape) != (len(panel.rows), len(tokens)):
            raise ValueError(
                f"{len(panel.rows)} rows and {len(tokens)} tokens do not fit values of shape "
                f"{tuple(panel.values.shape)}"
            )
    heights = [
        max(1.0, len(panel.rows) * (FEW_ROWS_HEIGHT if len(panel.rows) <= FEW else MANY_ROWS_HEIGHT))
        for panel in maps
    ]
    figure = new_figure(_width(tokens), sum(heights) + 0.4 * len(maps) + 0.5 + _around(tokens, about))
    heading(figure, *about)
    grid = figure.add_gridspec(len(maps), height_ratios=heights)
    for place, panel in enumerate(maps):
        axes = figure.add_subplot(grid[place])
        limit = max(float(panel.values.abs().max()), 1e-9) if panel.signed else 1.0
        colors = color_map(panel.signed)
        image = axes.imshow(
            panel.values.numpy(),
            cmap=colors,
            vmin=-limit if panel.signed else 0.0,
            vmax=limit,
            aspect="auto",
            interpolation="nearest",
        )
        bar = figure.colorbar(image, ax=axes, pad=0.01, fraction=0.05, aspect=20, label=panel.scale)
        bar.outline.set_visible(False)
        tidy(bar.ax, "")
        every = 1 if len(panel.rows) <= FEW else -(-len(panel.rows) // 20)
        ticks = range(0, len(panel.rows), every)
        axes.set_yticks(ticks, [label(panel.rows[row]) for row in ticks], parse_math=False)
        axes.set_ylabel(panel.axis)
        axes.set_title(fitted(panel.title, _width(tokens) - _MARGIN, TITLE))
        axes.spines[:].set_visible(False)
        tidy(axes, "")
        axes.tick_params(axis="y", length=0, labelsize=SMALL - 1)
        for (row, step), text in panel.texts.items():
            fits = _CHARACTER * len(text) < _column(tokens)
            background = colors(float(panel.values[row, step]) / limit)
            axes.text(
                step, row, text if fits else "•", ha="center", va="center_baseline", fontsize=SMALL - 1,
                color=ink_on(background),
            )  # fmt: skip
        _token_axis(axes, tokens, axis if place == len(maps) - 1 else None)
    return figure


@styled()
def curves_figure(
    lines: Sequence[Curve],
    tokens: Sequence[str],
    title: str,
    axis: str,
    log: bool = False,
    about: Sequence[str] = (),
    ends: tuple[str, str] | None = None,
    token_axis: str = "token",
) -> Figure:
    """Plot curves over the tokens, with a legend beside them if they are several.

    Args:
        lines: the curves.
        tokens: [T], the labels of the axis.
        title: the title above the plot.
        axis: the label of the axis of the values.
        log: whether that axis is logarithmic where values span a wide range; from 0 to 1 otherwise.
        about: lines above the plot, such as the text and the model.
        ends: what values of 0 and 1 stand for; a line then divides them in the middle.
        token_axis: the label of the axis of the tokens.

    Returns:
        The figure.

    Raises:
        ValueError: a curve does not have one value per token.
    """
    for line in lines:
        if len(line.values) != len(tokens):
            raise ValueError(f"{len(line.values)} values do not fit {len(tokens)} tokens")
    legend = 0.2 * (1 + len(lines) // 2) if len(lines) > 1 else 0.0
    figure = new_figure(_width(tokens), 3.0 + legend + _around(tokens, about))
    heading(figure, *about)
    axes = figure.add_subplot()
    drawn = [[value if value > 0 or not log else math.nan for value in line.values] for line in lines]
    for place, (line, values) in enumerate(zip(lines, drawn, strict=True)):
        axes.plot(
            range(len(tokens)),
            values,
            label=label(line.label, 40),
            color=color(place),
            linestyle="--" if line.dashed else line_style(place),
            linewidth=1.3 if line.dashed else 2.2,
            marker="o" if len(tokens) <= 30 else None,
        )
    if log:
        scale_values(axes, [value for values in drawn for value in values], 5.0)
    else:
        axes.set_ylim(-0.02, 1.02)
    if ends is not None:
        axes.axhline(0.5, color=theme().ink, linestyle=":", linewidth=1)
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1], [f"0 ({ends[0]})", "0.25", "0.5", "0.75", f"1 ({ends[1]})"])
    axes.set_xlim(-0.5, len(tokens) - 0.5)
    axes.set_ylabel(axis)
    axes.set_title(fitted(title, _width(tokens) - _MARGIN / 2, TITLE))
    tidy(axes)
    if len(lines) > 1:
        figure.legend(loc="outside lower left", ncols=2)
    _token_axis(axes, tokens, token_axis)
    return figure


def _width(tokens: Sequence[str]) -> float:
    """Inches: as wide as is good for the tokens, if a page holds that; else as wide as they need."""
    least, most = WIDTH_RANGE
    good = min(max(least, _MARGIN + _BEST * len(tokens)), WIDTH)
    return min(max(good, _MARGIN + _LEAST * len(tokens)), most)


def _column(tokens: Sequence[str]) -> float:
    """Inches per token."""
    return (_width(tokens) - _MARGIN) / len(tokens)


def _is_upright(tokens: Sequence[str]) -> bool:
    """Whether all labels fit beside each other, as single characters do."""
    return _CHARACTER * (1 + max(len(label(token)) for token in tokens)) <= _column(tokens)


def _around(tokens: Sequence[str], about: Sequence[str]) -> float:
    """Inches of the labels of the tokens, and of the lines about a plot."""
    longest = 1 if _is_upright(tokens) else max(len(label(token)) for token in tokens)
    broken = [fitted(drawable(line), _width(tokens), BASE) for line in about if line]
    return 0.5 + _CHARACTER * longest + 0.2 * sum(1 + text.count("\n") for text in broken)


def _token_axis(axes: Axes, tokens: Sequence[str], name: str | None) -> None:
    """Set one tick per token, or as many as fit, with the tokens as labels if the axis has a name.

    Labels are upright where all fit, such as single characters.
    """
    every = -(-len(tokens) // int((WIDTH_RANGE[1] - _MARGIN) / _LEAST))
    ticks = range(0, len(tokens), every)
    names = [label(tokens[step]) if name is not None else "" for step in ticks]
    axes.set_xticks(ticks, names, rotation=0 if _is_upright(tokens) else 90, parse_math=False)
    axes.tick_params(axis="x", length=2)
    if name is not None:
        axes.set_xlabel(name)
