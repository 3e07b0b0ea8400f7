"""BLEU by sentence length."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nlp_rnn.plots.figure import new_figure
from nlp_rnn.plots.style import SMALL, color, styled, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled()
def bleu_by_length_figure(labels: Sequence[str], scores: Sequence[float], counts: Sequence[int]) -> Figure:
    """Plot BLEU as one bar per range of sentence lengths, with the number of sentences above it.

    Args:
        labels: the ranges, such as "1-5".
        scores: BLEU of each range, from 0 to 100; there is no bar for NaN (no sentences).
        counts: the number of sentences in each range.

    Returns:
        The figure.

    Raises:
        ValueError: the three have different lengths.
    """
    if not len(labels) == len(scores) == len(counts):
        raise ValueError(f"{len(labels)} labels, {len(scores)} scores and {len(counts)} counts do not match")
    heights = [score if math.isfinite(score) else 0.0 for score in scores]
    figure = new_figure(max(5.0, 0.8 * len(labels) + 1.2), 3.4)
    axes = figure.add_subplot()
    axes.bar(range(len(labels)), heights, width=0.75, color=color(0))
    for place, (score, height, count) in enumerate(zip(scores, heights, counts, strict=True)):
        text = f"{score:.1f}\nn = {count:,}" if math.isfinite(score) else f"n = {count:,}"
        axes.annotate(
            text, (place, height), xytext=(0, 3), textcoords="offset points",
            ha="center", va="bottom", fontsize=SMALL,
        )  # fmt: skip
    axes.set_xticks(range(len(labels)), labels, parse_math=False)
    axes.set_title("BLEU by length of the source")
    axes.set_xlabel("source length (tokens); n sentences")
    axes.set_ylabel("BLEU (from 0 to 100)")
    axes.set_ylim(0, max([*heights, 1.0]) * 1.25)  # room for the text over the highest bar
    tidy(axes, "y")
    return figure
