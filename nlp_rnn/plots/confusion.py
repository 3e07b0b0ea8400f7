"""Confusion matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from nlp_rnn.plots.figure import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_CLASSES_WITH_COUNTS = 20


def confusion_matrix_figure(matrix: Tensor, labels: Sequence[str]) -> Figure:
    """Plot a confusion matrix, colored by each count's fraction of its row.

    The counts are written in the cells if there are at most 20 classes.

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
    with_counts = len(labels) <= MAX_CLASSES_WITH_COUNTS
    texts = [[f"{value:,.0f}" for value in row] for row in counts.tolist()]
    widest = max(len(text) for row in texts for text in row)
    cell = max(0.45, 0.085 * widest) if with_counts else 0.24  # inches
    margin = 1.1 + 0.09 * max(len(label) for label in labels)
    side = max(cell * len(labels), 2.0)
    figure = new_figure(side + margin + 0.8, side + margin - 0.4)
    axes = figure.add_subplot()
    image = axes.imshow(fractions.numpy(), cmap="Blues", vmin=0, vmax=1)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, pad=0.02, aspect=30, label="fraction of the true class")
    bar.outline.set_visible(False)
    ticks = range(len(labels))
    size = 9 if with_counts else 7
    axes.set_xticks(ticks, labels, rotation=90 if len(labels) > 3 else 0, fontsize=size, parse_math=False)
    axes.set_yticks(ticks, labels, fontsize=size, parse_math=False)
    axes.tick_params(length=0)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.spines[:].set_visible(False)
    if with_counts:
        for i in ticks:
            for j in ticks:
                if counts[i, j] > 0:  # without zeros errors are easier to find
                    color = "white" if fractions[i, j] > 0.5 else "black"
                    axes.text(j, i, texts[i][j], ha="center", va="center", fontsize=8, color=color)
    return figure
