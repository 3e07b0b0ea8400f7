"""How often predictions are right, against the probability that the model gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nlp_rnn.plots.figure import PANEL, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def reliability_figure(bins: Sequence[Mapping[str, float]]) -> Figure:
    """Plot accuracy over probability, with the number of predictions below.

    Args:
        bins: with `predictions`, `probability` and `accuracy` each.
    """
    figure = new_figure(PANEL[0], 1.4 * PANEL[1])
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    probabilities = [entry["probability"] for entry in bins]
    upper.plot([0, 1], [0, 1], color="black", linestyle="--", linewidth=1, label="calibrated")
    upper.plot(probabilities, [entry["accuracy"] for entry in bins], marker="o", label="model")
    upper.set_ylabel("accuracy")
    upper.set_xlim(0, 1)
    upper.set_ylim(0, 1)
    upper.legend(fontsize=8, frameon=False)
    lower.bar(probabilities, [entry["predictions"] for entry in bins], width=0.06)
    lower.set_ylabel("predictions")
    lower.set_xlabel("probability of the predicted label")
    for axes in (upper, lower):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    return figure
