"""How time grows with the amount of data and with the length of sentences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def fit_exponent(points: Sequence[tuple[float, float]]) -> float:
    """Fit y = c x^p to points (x, y) and return p, which is 1 where y grows linearly."""
    import numpy as np

    x, y = np.log(np.asarray(points, dtype=float)).T
    return float(np.polyfit(x, y, 1)[0])


def plot(rows: Sequence[dict[str, Any]], file: Path) -> None:
    """Plot the measured times beside linear growth, in two panels with logarithmic axes.

    Args:
        rows: rows of the report of `scaling`.
        file: where to write the image.
    """
    import numpy as np

    from nlp_rnn.plots.figure import new_figure, save
    from nlp_rnn.plots.style import PANEL, WIDTH, styled, tidy

    with styled():
        figure = new_figure(WIDTH, 1.2 * PANEL[1])
        panels = figure.subplots(1, 2)
        for panel, variable, title, x_label, y_label in (
            (panels[0], "data", "An epoch by size of the corpus", "training rows", "seconds per epoch"),
            (panels[1], "length", "A step by length", "tokens per sentence", "seconds per step"),
        ):
            points = np.array([(row["size"], row["seconds"]) for row in rows if row["kind"] == variable])
            x, y = points.T
            factor = np.exp(np.log(y / x).mean())
            panel.loglog(x, y, "o", label=f"measured, exponent {fit_exponent(points.tolist()):.2f}")
            panel.loglog(x, factor * x, "-", label="linear")
            panel.set_title(title)
            panel.set_xlabel(x_label)
            panel.set_ylabel(y_label)
            panel.set_xticks(x, [f"{int(value)}" for value in x])
            panel.set_yticks(y, [f"{value:.2g}" for value in y])
            panel.minorticks_off()
            tidy(panel)
            panel.legend()
        save(figure, file)
