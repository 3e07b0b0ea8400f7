"""Errors of several runs, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nlp_rnn.plots.figure import COLORS, PANEL, Points, legend_order, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def side_by_side_figure(runs: Mapping[str, Mapping[str, Points]], level: float, level_name: str) -> Figure:
    """Plot the mean squared errors of several runs, one panel per run, on one logarithmic scale.

    Args:
        runs: name -> curve ("train" or "val") -> points (step, error).
        level: an error to compare with, a dashed line.
        level_name: its name in the legend.

    Returns:
        The figure.
    """
    figure = new_figure(len(runs) * PANEL[0] * 0.85, PANEL[1])
    shared = None
    for place, (name, curves) in enumerate(runs.items(), start=1):
        axes = shared = figure.add_subplot(1, len(runs), place, sharex=shared, sharey=shared)
        axes.set_yscale("log")
        for label, points in sorted(curves.items(), key=legend_order):
            axes.plot(*zip(*points, strict=True), label=label, color=COLORS.get(label), linewidth=1.5)
        axes.axhline(level, label=level_name, color="black", linestyle="--", linewidth=1)
        axes.set_title(name, fontsize=11, parse_math=False)
        axes.set_xlabel("step")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        if place == 1:
            axes.set_ylabel("mean squared error")
        else:
            axes.tick_params(labelleft=False)
        axes.legend(fontsize=8, frameon=False)
    return figure
