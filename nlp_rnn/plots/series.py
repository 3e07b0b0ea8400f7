"""Plots of series of numbers: with what follows them, or with a label per step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from nlp_rnn.plots.figure import new_figure
from nlp_rnn.plots.style import WIDTH, color, styled, theme, tidy
from nlp_rnn.plots.text import drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MAX_NAMED = 7
"""With more curves, colors repeat, and a legend would tell nothing."""
_MARKED = 40
"""With at most so many steps, each is a dot too."""


@styled()
def series_figure(
    history: Mapping[str, Sequence[float]],
    following: Mapping[str, Sequence[float]] | None = None,
    labels: Sequence[str] = (),
) -> Figure:
    """Plot the columns of a series as curves over its steps, which count from 1.

    Args:
        history: the name of each column, and its numbers [T].
        following: the name of each predicted column, and its numbers [U], which follow `history`; dashed.
        labels: [T], the label of each step, as the color behind it; none if empty.

    Returns:
        The figure.

    Raises:
        ValueError: there is not one label per step.
    """
    from matplotlib.ticker import MaxNLocator

    length = max(map(len, history.values()), default=0)
    if labels and len(labels) != length:
        raise ValueError(f"{len(labels)} labels do not fit {length} steps")
    figure = new_figure(WIDTH, 3.4)
    axes = figure.add_subplot()
    names = dict.fromkeys([*history, *(following or ())])
    colors = {name: color(place) for place, name in enumerate(names)}
    for name, values in history.items():
        axes.plot(
            range(1, length + 1), values, color=colors[name], label=drawable(name), marker=_marker(length)
        )
    for name, values in (following or {}).items():
        joined = [*history.get(name, ())[-1:], *values]  # a line from the last known number
        steps = range(length + 1 + len(values) - len(joined), length + 1 + len(values))
        axes.plot(
            steps,
            joined,
            "--",
            color=colors[name],
            label=f"{drawable(name)}, predicted",
            marker=_marker(len(values)),
        )
    if following:
        axes.axvline(length + 0.5, color=theme().ink, linewidth=0.8, linestyle=":")
    _shade(axes, labels)
    axes.set_title(_title(following, labels))
    axes.set_xlabel("step")
    axes.set_ylabel("value (unit of the data)")
    tidy(axes)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(colors) > _MAX_NAMED:
        for line in axes.lines:
            line.set_label("_")  # without an entry in the legend
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside right upper")
    return figure


def _title(following: Mapping[str, Sequence[float]] | None, labels: Sequence[str]) -> str:
    if following:
        return "Series and forecast"
    return "Series, and the label of each step" if labels else "Series"


def _marker(length: int) -> str | None:
    return "o" if length <= _MARKED else None


def _shade(axes: Axes, labels: Sequence[str]) -> None:
    """Color what is behind each step by its label."""
    colors = {label: color(place) for place, label in enumerate(dict.fromkeys(labels))}
    named: set[str] = set()
    start = 0.5
    for label, steps in groupby(labels):
        end = start + len(list(steps))
        axes.axvspan(
            start,
            end,
            color=colors[label],
            alpha=0.18,
            linewidth=0,
            label="_" if label in named else drawable(label),
        )
        named.add(label)
        start = end
