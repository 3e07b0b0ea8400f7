"""Pictures over the tokens of a text: heat maps in panels below each other, and curves.

Each has a function that builds the `Figure` and one that writes it as PNG.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from nlp_rnn.plots.figure import new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STEP = 0.2  # inches a token
WIDTH = (4.5, 26.0)  # inches, least and most
ROW = (0.045, 0.16)  # inches a row of a heat map, of many and of few
FEW = 20
LONGEST_TOKEN = 16


@dataclass(frozen=True)
class HeatMap:
    """One panel.

    Args:
        title: what stands above it.
        values: [R, T].
        rows: names of the R rows.
        signed: whether the colours reach as far below zero as above it, else from 0 to 1.
        axis: what the rows are.
    """

    title: str
    values: Tensor
    rows: Sequence[str]
    signed: bool
    axis: str


@dataclass(frozen=True)
class Curve:
    """One line: a value a token; on a logarithmic axis zeros are left out."""

    label: str
    values: Sequence[float]
    dashed: bool = False


def heat_maps(maps: Sequence[HeatMap], tokens: Sequence[str], out: Path) -> None:
    """Write `heat_maps_figure` to `out` as PNG."""
    save(heat_maps_figure(maps, tokens), out)


def curves(
    lines: Sequence[Curve], tokens: Sequence[str], title: str, axis: str, log: bool, out: Path
) -> None:
    """Write `curves_figure` to `out` as PNG."""
    save(curves_figure(lines, tokens, title, axis, log), out)


def heat_maps_figure(maps: Sequence[HeatMap], tokens: Sequence[str]) -> Figure:
    """Draw panels below each other, a column a token.

    Raises:
        ValueError: a panel has another number of columns than there are tokens, or of rows than names.
    """
    for panel in maps:
        if tuple(panel.values.shape) != (len(panel.rows), len(tokens)):
            raise ValueError(
                f"{len(panel.rows)} rows and {len(tokens)} tokens do not fit values of shape "
                f"{tuple(panel.values.shape)}"
            )
    heights = [max(1.0, len(panel.rows) * ROW[len(panel.rows) <= FEW]) for panel in maps]
    figure = new_figure(_width(tokens) + 1.6, sum(heights) + 0.35 * len(maps) + 1.0)
    grid = figure.add_gridspec(len(maps), height_ratios=heights)
    for place, panel in enumerate(maps):
        axes = figure.add_subplot(grid[place])
        reach = max(float(panel.values.abs().max()), 1e-9) if panel.signed else 1.0
        image = axes.imshow(
            panel.values.numpy(),
            cmap="RdBu_r" if panel.signed else "Blues",
            vmin=-reach if panel.signed else 0.0,
            vmax=reach,
            aspect="auto",
            interpolation="nearest",
        )
        bar = figure.colorbar(image, ax=axes, pad=0.01, fraction=0.05, aspect=20)
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=8)
        every = 1 if len(panel.rows) <= FEW else -(-len(panel.rows) // 12)
        shown = range(0, len(panel.rows), every)
        axes.set_yticks(shown, [panel.rows[row] for row in shown], fontsize=7, parse_math=False)
        axes.set_ylabel(panel.axis)
        axes.set_title(panel.title, fontsize=10, loc="left", parse_math=False)
        axes.spines[:].set_visible(False)
        _token_axis(axes, tokens, named=place == len(maps) - 1)
    return figure


def curves_figure(
    lines: Sequence[Curve], tokens: Sequence[str], title: str, axis: str, log: bool = False
) -> Figure:
    """Draw lines over the tokens, with a legend beside them.

    Raises:
        ValueError: a line has not one value a token.
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
    return min(max(WIDTH[0], STEP * len(tokens)), WIDTH[1])


def _token_axis(axes: Axes, tokens: Sequence[str], named: bool) -> None:
    """A tick a token, or as many as fit; their names where they are wanted."""
    every = -(-len(tokens) // int(WIDTH[1] / STEP))
    shown = range(0, len(tokens), every)
    names = [_label(tokens[step]) if named else "" for step in shown]
    axes.set_xticks(shown, names, rotation=90, fontsize=8, parse_math=False)
    axes.tick_params(axis="x", length=2)


def _label(token: str) -> str:
    """A token on one line: white space and control characters as Python writes them, long ones cut."""
    if token.isspace() or not token.isprintable():
        token = repr(token)
    return token if len(token) <= LONGEST_TOKEN else token[: LONGEST_TOKEN - 1] + "…"
