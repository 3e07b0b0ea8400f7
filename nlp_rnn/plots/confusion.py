"""Confusion matrices; of many classes, the pairs that are confused most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from nlp_rnn.plots.figure import new_figure
from nlp_rnn.plots.style import SMALL, WIDTH, color, color_map, ink_on, styled, tidy
from nlp_rnn.plots.text import label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_CLASSES = 17
"""Of a matrix; of more classes cells could not be read, so the most confused pairs are plotted instead."""
MAX_PAIRS = 20

_CELL = 0.39  # inches; "100%" of 9 points fits


def confusion_matrix_figure(matrix: Tensor, labels: Sequence[str]) -> Figure:
    """Plot which classes are taken for which others, in percent of each true class.

    With up to `MAX_CLASSES` classes, draws a matrix whose row labels show the number of examples per class.
    With more, draws bars for the `MAX_PAIRS` pairs of classes with the most errors.

    Args:
        matrix: [C, C] counts; rows are true classes, columns predicted ones.
        labels: [C], the names of the classes.

    Returns:
        The figure.

    Raises:
        ValueError: the matrix is not square, or its size is not the number of labels.
    """
    if tuple(matrix.shape) != (len(labels), len(labels)):
        raise ValueError(f"{len(labels)} labels do not fit a matrix of shape {tuple(matrix.shape)}")
    counts = matrix.detach().cpu().double()
    fractions = counts / counts.sum(1, keepdim=True).clamp(min=1)
    names = [label(name) for name in labels]
    return (_matrix if len(names) <= MAX_CLASSES else _pairs)(counts, fractions, names)


@styled()
def _matrix(counts: Tensor, fractions: Tensor, names: Sequence[str]) -> Figure:
    rows = [f"{name} ({total:,.0f})" for name, total in zip(names, counts.sum(1).tolist(), strict=True)]
    side = max(_CELL * len(names), 2.2)
    upright = max(map(len, names)) * 0.09 < side / len(names)
    left, bottom = 0.9 + 0.08 * max(map(len, rows)), 0.7 if upright else 0.7 + 0.08 * max(map(len, names))
    figure = new_figure(max(side + left, 4.6), side + bottom + 0.6)
    axes = figure.add_subplot()
    colors = color_map(signed=False)
    axes.imshow(fractions.numpy(), cmap=colors, vmin=0, vmax=1)
    ticks = range(len(names))
    axes.set_xticks(ticks, names, rotation=0 if upright else 90, parse_math=False)
    axes.set_yticks(ticks, rows, parse_math=False)
    axes.set_title("Percent of each true class")
    axes.set_xlabel("predicted")
    axes.set_ylabel("true (number)")
    axes.spines[:].set_visible(False)
    tidy(axes, "")
    axes.tick_params(length=0)
    for i in ticks:
        for j in ticks:
            if counts[i, j] > 0:  # without zeros errors are easier to find
                fraction = float(fractions[i, j])
                text = f"{fraction:.0%}" if fraction >= 0.005 else "<1%"
                axes.text(
                    j, i, text, ha="center", va="center", fontsize=SMALL, color=ink_on(colors(fraction))
                )
    return figure


@styled()
def _pairs(counts: Tensor, fractions: Tensor, names: Sequence[str]) -> Figure:
    errors = counts.clone().fill_diagonal_(0)
    order = errors.flatten().argsort(descending=True, stable=True)[:MAX_PAIRS].tolist()
    pairs = [divmod(place, len(names)) for place in order if errors.flatten()[place] > 0]
    shown = int(sum(errors[pair] for pair in pairs))
    figure = new_figure(WIDTH, 1.4 + 0.24 * max(len(pairs), 3))
    axes = figure.add_subplot()
    percents = [100 * float(fractions[pair]) for pair in pairs]
    axes.barh(range(len(pairs)), percents, color=color(1), height=0.7)
    for place, (pair, percent) in enumerate(zip(pairs, percents, strict=True)):
        text = f"{percent:.0f}% ({counts[pair]:,.0f} of {counts[pair[0]].sum():,.0f})"
        axes.annotate(
            text, (percent, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=SMALL
        )
    axes.set_yticks(
        range(len(pairs)), [f"{names[true]} → {names[other]}" for true, other in pairs], parse_math=False
    )
    axes.invert_yaxis()
    axes.set_xlim(0, 1.35 * max(percents, default=1.0))
    axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= 100])
    axes.set_xlabel("percent of the true class")
    axes.set_ylabel("true → predicted")
    axes.set_title(
        f"Most confused pairs of {len(names)} classes: {shown:,} of {int(errors.sum()):,} errors"
        if pairs
        else f"No errors in {len(names)} classes"
    )
    tidy(axes, "x")
    axes.tick_params(axis="y", length=0)
    return figure
