"""Errors of several runs, compared in one picture."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING

from nlp_rnn.plots.figure import Points, legend_order, new_figure
from nlp_rnn.plots.style import WIDTH, color, line_style, scale_values, styled, theme, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled()
def compared_figure(
    runs: Mapping[str, Mapping[str, Points]], level: float, level_name: str, title: str
) -> Figure:
    """Plot the mean squared errors of several runs, one color per run.

    The axis is logarithmic where the errors span a wide range.

    Args:
        runs: name -> curve ("train" or "val") -> points (step, error); training is a thin line.
        level: an error to compare with, a dotted line.
        level_name: its name in the legend.
        title: the title.

    Returns:
        The figure.
    """
    from matplotlib.lines import Line2D

    figure = new_figure(WIDTH, 4.0)
    axes = figure.add_subplot()
    styles = {"train": (1.0, 0.55, "training"), "val": (2.2, 1.0, "validation")}
    for place, (name, curves) in enumerate(runs.items()):
        for stage, points in sorted(curves.items(), key=legend_order):
            width, alpha, _ = styles[stage]
            axes.plot(
                *zip(*points, strict=True),
                label=name if stage == "val" else "_",  # without an entry in the legend
                color=color(place),
                linestyle=line_style(place),
                linewidth=width,
                alpha=alpha,
            )
    axes.axhline(level, label=level_name, color=theme().ink, linestyle=":", linewidth=1.4)
    drawn = chain.from_iterable(chain.from_iterable(curves.values()) for curves in runs.values())
    scale_values(axes, [level, *(error for _, error in drawn)])
    axes.set_title(title)
    axes.set_xlabel("optimizer step")
    axes.set_ylabel("mean squared error")
    tidy(axes)
    kinds = [
        Line2D([], [], color=theme().faint, linewidth=width, alpha=alpha, label=label)
        for width, alpha, label in reversed(styles.values())
    ]
    figure.legend(handles=[*axes.get_legend_handles_labels()[0], *kinds], loc="outside right upper")
    return figure
