"""Plots over the tokens of a text: stacked heat maps, and curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from nlp_rnn.plots.figure import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TOKEN_WIDTH = 0.2  # inches
WIDTH_RANGE = (4.5, 26.0)  # inches
MANY_ROWS_HEIGHT, FEW_ROWS_HEIGHT = 0.045, 0.16  # inches per row of a heat map
FEW = 20
LONGEST_TOKEN = 16  # characters


@dataclass(frozen=True)
class HeatMap:
    """One panel.

    Args:
        title: the title above it.
        values: [R, T], R rows over T tokens.
        rows: [R], the names of the rows.
        signed: whether the color scale is symmetric about 0; from 0 to 1 otherwise.
        axis: the label of the axis of the rows.
    """

    title: str
    values: Tensor
    rows: Sequence[str]
    signed: bool
    axis: str


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


def heat_maps_figure(maps: Sequence[HeatMap], tokens: Sequence[str]) -> Figure:
    """Plot heat maps below each other, one column per token.

    Args:
        maps: the panels, from top to bottom.
        tokens: [T], the labels of the columns.

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
    figure = new_figure(_width(tokens) + 1.6, sum(heights) + 0.35 * len(maps) + 1.0)
    grid = figure.add_gridspec(len(maps), height_ratios=heights)
    for place, panel in enumerate(maps):
        axes = figure.add_subplot(grid[place])
        limit = max(float(panel.values.abs().max()), 1e-9) if panel.signed else 1.0
        image = axes.imshow(
            panel.values.numpy(),
            cmap="RdBu_r" if panel.signed else "Blues",
            vmin=-limit if panel.signed else 0.0,
            vmax=limit,
            aspect="auto",
            interpolation="nearest",
        )
        bar = figure.colorbar(image, ax=axes, pad=0.01, fraction=0.05, aspect=20)
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=8)
        every = 1 if len(panel.rows) <= FEW else -(-len(panel.rows) // 12)
        ticks = range(0, len(panel.rows), every)
        axes.set_yticks(ticks, [panel.rows[row] for row in ticks], fontsize=7, parse_math=False)
        axes.set_ylabel(panel.axis)
        axes.set_title(panel.title, fontsize=10, loc="left", parse_math=False)
        axes.spines[:].set_visible(False)
        _token_axis(axes, tokens, named=place == len(maps) - 1)
    return figure


def curves_figure(
    lines: Sequence[Curve], tokens: Sequence[str], title: str, axis: str, log: bool = False
) -> Figure:
    """Plot curves over the tokens, with a legend beside them.

    Args:
        lines: the curves.
        tokens: [T], the labels of the axis.
        title: the title above the plot.
        axis: the label of the axis of the values.
        log: whether that axis is logarithmic; from 0 to 1 otherwise.

    Returns:
        The figure.

    Raises:
        ValueError: a curve does not have one value per token.
    """
    for line in lines:
        if len(line.values) != len(tokens):
            raise ValueError(f"{len(line.values)} values do not fit {len(tokens)} tokens")
    figure = new_figure(_width(tokens) + 3.2, 4.2)
    axes = figure.add_subplot()
    for line in lines:
        axes.plot(
            range(len(tokens)),
            [value if value > 0 or not log else float("nan") for value in line.values],
            label=line.label,
            linestyle="--" if line.dashed else "-",
            linewidth=1.2 if line.dashed else 2.0,
            marker="o" if len(tokens) <= 30 else None,
            markersize=3,
        )
    if log:
        axes.set_yscale("log")
    else:
        axes.set_ylim(-0.02, 1.02)
    axes.set_xlim(-0.5, len(tokens) - 0.5)
    axes.set_ylabel(axis)
    axes.set_title(title, fontsize=10, loc="left", wrap=True, parse_math=False)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    _token_axis(axes, tokens, named=True)
    return figure


def _width(tokens: Sequence[str]) -> float:
    least, most = WIDTH_RANGE
    return min(max(least, TOKEN_WIDTH * len(tokens)), most)


def _token_axis(axes: Axes, tokens: Sequence[str], named: bool) -> None:
    """Set one tick per token, or as many as fit, with or without the tokens as labels."""
    every = -(-len(tokens) // int(WIDTH_RANGE[1] / TOKEN_WIDTH))
    ticks = range(0, len(tokens), every)
    names = [_label(tokens[step]) if named else "" for step in ticks]
    axes.set_xticks(ticks, names, rotation=90, fontsize=8, parse_math=False)
    axes.tick_params(axis="x", length=2)


def _label(token: str) -> str:
    """A token on one line: white space and control characters escaped as in Python, long tokens shortened."""
    if token.isspace() or not token.isprintable():
        token = repr(token)
    return token if len(token) <= LONGEST_TOKEN else token[: LONGEST_TOKEN - 1] + "…"
