"""Learning curves, from the metrics that Lightning's `CSVLogger` wrote."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import TYPE_CHECKING

from nlp_rnn.errors import UsageError
from nlp_rnn.plots.figure import COLORS, PANEL, Points, legend_order, new_figure, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def learning_curves(metrics_csv: Path, out: Path) -> None:
    """Write `learning_curves_figure` as PNG.

    Args:
        metrics_csv: the metrics.csv of a run.
        out: the PNG file.

    Raises:
        UsageError: see `learning_curves_figure`.
    """
    save(learning_curves_figure(metrics_csv), out)


def learning_curves_figure(metrics_csv: Path) -> Figure:
    """Plot the metrics of a run against the epoch, one panel per metric.

    `train/loss` and `val/loss` share the panel "loss"; what was logged at every step (`train/loss_step`) has
    a lighter line. Columns that start with "lr" share one panel. The position on the axis is computed from
    the step, because rows of the learning rate have no epoch.

    Args:
        metrics_csv: the metrics.csv of Lightning's `CSVLogger`.

    Returns:
        The figure.

    Raises:
        UsageError: the file cannot be read, has no `step` column, or contains no finite value.
    """
    from matplotlib.ticker import MaxNLocator

    panels = _panels(metrics_csv)
    last = max(x for curves in panels.values() for points in curves.values() for x, _ in points)
    columns = 2 if len(panels) == 4 else min(3, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = new_figure(columns * PANEL[0], rows * PANEL[1])
    for place, (title, curves) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(rows, columns, place)
        for label, points in sorted(curves.items(), key=legend_order):
            each_step = label.endswith("(step)")
            axes.plot(
                *zip(*points, strict=True),
                label=label,
                color=COLORS.get(label.split(" ")[0]),
                marker="o" if len(points) <= 30 else None,
                markersize=4,
                linestyle="-" if len(points) > 1 else "none",
                linewidth=1.0 if each_step else 1.8,
                alpha=0.45 if each_step else 1.0,
            )
        axes.set_title(title, fontsize=11, parse_math=False)
        axes.set_xlabel("epoch")
        axes.set_xlim(0, 1.04 * last)
        axes.margins(y=0.08)
        axes.ticklabel_format(axis="y", scilimits=(-3, 5))
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize=8, frameon=False)
    return figure


def _panels(metrics_csv: Path) -> dict[str, dict[str, Points]]:
    """Panel title -> curve label -> points (epoch, value) in the order of their steps."""
    try:
        with open(metrics_csv, encoding="utf-8", newline="") as file:
            table = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"cannot read the metrics in {metrics_csv}: {error}") from error
    if table and "step" not in table[0]:
        raise UsageError(f"{metrics_csv} has no column 'step'; give a metrics.csv of Lightning's CSVLogger")
    steps = [(_number(row["step"]), _number(row.get("epoch")), row) for row in table]
    steps = sorted((item for item in steps if math.isfinite(item[0])), key=lambda item: item[0])
    # Steps and epochs count from 0, and the last row of an epoch is at its last step. All other rows, and
    # those of an interrupted epoch, give a smaller ratio, so take the largest.
    steps_per_epoch = max(((step + 1) / (epoch + 1) for step, epoch, _ in steps if epoch >= 0), default=1.0)
    panels: dict[str, dict[str, Points]] = {}
    for step, _, row in steps:
        for column, text in row.items():
            value = _number(text)
            # Without the F1 of each class, whose panels would crowd out the others.
            if column and column not in ("epoch", "step") and "/f1_" not in column and math.isfinite(value):
                title, label = _title_and_label(column)
                points = panels.setdefault(title, {}).setdefault(label, [])
                points.append(((step + 1) / steps_per_epoch, value))
    if not panels:
        raise UsageError(f"{metrics_csv} contains no finite value to plot; was anything logged?")
    # Losses first, the learning rate last, the others in the order of the file.
    return dict(sorted(panels.items(), key=lambda item: (item[0] == "learning rate", "loss" not in item[0])))


def _title_and_label(column: str) -> tuple[str, str]:
    """The panel and the curve of a column: `train/loss_step` -> "loss", "train (step)".

    `val/loss` -> "loss", "val"; a column that starts with "lr" -> "learning rate", its own name.
    """
    if column.startswith("lr"):
        return "learning rate", column
    stage, _, name = column.rpartition("/") if column.count("/") <= 1 else column.partition("/")
    if name.endswith("_step"):
        return name.removesuffix("_step"), f"{stage or name} (step)"
    name = name.removesuffix("_epoch")
    return name, stage or name


def _number(text: str | None) -> float:
    """The number in a cell; NaN if it is empty or not a number."""
    try:
        return float(text) if text else math.nan
    except (ValueError, TypeError):  # TypeError: the list of the surplus cells of a damaged line
        return math.nan
