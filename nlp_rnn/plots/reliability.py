"""How often predictions are right, against the probability that the model gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nlp_rnn.plots.figure import new_figure
from nlp_rnn.plots.style import PANEL, color, styled, theme, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled()
def reliability_figure(bins: Sequence[Mapping[str, float]]) -> Figure:
    """Plot accuracy over probability, with the number of predictions below.

    Args:
        bins: with `predictions`, `probability` and `accuracy` each.
    """
    figure = new_figure(1.2 * PANEL[0], 1.5 * PANEL[1])
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    probabilities = [entry["probability"] for entry in bins]
    upper.plot([0, 1], [0, 1], color=theme().ink, linestyle="--", linewidth=1, label="perfectly calibrated")
    upper.plot(probabilities, [entry["accuracy"] for entry in bins], marker="o", label="model")
    upper.set_title("Is the model as often right as it says?")
    upper.set_ylabel("fraction correct")
    upper.set_xlim(0, 1)
    upper.set_ylim(0, 1)
    upper.legend()
    lower.bar(probabilities, [entry["predictions"] for entry in bins], width=0.06, color=color(0))
    lower.set_ylabel("predictions")
    lower.set_xlabel("probability of the predicted label")
    for axes in (upper, lower):
        tidy(axes)
    return figure
