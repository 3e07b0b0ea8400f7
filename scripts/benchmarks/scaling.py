"""The picture of how cost grows with data and with length."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def exponent(points: Sequence[tuple[float, float]]) -> float:
    """The slope of a straight line through the points' logarithms: 1 where cost grows linearly."""
    import numpy as np

    x, y = np.log(np.asarray(points, dtype=float)).T
    return float(np.polyfit(x, y, 1)[0])


def picture(rows: Sequence[dict[str, Any]], file: Path) -> None:
    """Two panels, both axes logarithmic: points as measured, a line of slope 1 through their middle."""
    import numpy as np
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    panels = figure.subplots(1, 2)
    for panel, kind, label, unit in (
        (panels[0], "data", "training rows", "seconds an epoch"),
        (panels[1], "length", "tokens a sentence, on both sides", "seconds a step"),
    ):
        points = np.array([(row["size"], row["seconds"]) for row in rows if row["kind"] == kind])
        x, y = points.T
        middle = np.exp(np.log(y / x).mean())
        panel.loglog(x, y, "o", label=f"measured, exponent {exponent(points.tolist()):.2f}")
        panel.loglog(x, middle * x, "-", label="linear")
        panel.set_xlabel(label)
        panel.set_ylabel(unit)
        panel.set_xticks(x, [f"{int(value)}" for value in x])
        panel.set_yticks(y, [f"{value:.2g}" for value in y])
        panel.minorticks_off()
        panel.legend()
    figure.savefig(file, dpi=150)
