"""Learning curves, from the metrics that a run logged or that Lightning's `CSVLogger` wrote."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlp_rnn.errors import UsageError
from nlp_rnn.plots.figure import Points, legend_order, new_figure, save
from nlp_rnn.plots.style import PANEL, WIDTH, heading, scale_values, stage_color, styled, theme, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Panels = dict[str, dict[str, Points]]
"""Metric -> curve label -> points (epoch, value) in the order of their steps."""

_TITLES = {
    "loss": ("Loss", "per prediction"),
    "accuracy": ("Accuracy", "fraction correct"),
    "known_accuracy": ("Accuracy of known words", "fraction correct"),
    "unknown_accuracy": ("Accuracy of unknown words", "fraction correct"),
    "exact": ("Exact answers", "fraction of inputs"),
    "exact_match": ("Exact answers", "fraction of inputs"),
    "f1": ("F1", "from 0 to 1"),
    "macro_f1": ("Macro F1", "from 0 to 1"),
    "precision": ("Precision", "from 0 to 1"),
    "recall": ("Recall", "from 0 to 1"),
    "bleu": ("BLEU", "from 0 to 100"),
    "chrf": ("chrF", "from 0 to 100"),
    "perplexity": ("Perplexity", "per token"),
    "bits_per_character": ("Bits per character", "bits"),
    "mse": ("Mean squared error", "square of the data's unit"),
    "mae": ("Mean absolute error", "unit of the data"),
    "r2": ("Coefficient of determination R²", "at most 1"),
    "learning rate": ("Learning rate", "per step"),
}
"""Metric -> title and unit of its panel; others have their name without underscores."""


def learning_curves(
    metrics_csv: Path, out: Path, monitor: str | None = None, mode: str = "min", loss_unit: str = ""
) -> None:
    """Write `learning_curves_figure` as PNG.

    Args:
        metrics_csv: the metrics.csv of a run.
        out: the PNG file.
        monitor: see `learning_curves_figure`.
        mode: likewise.
        loss_unit: likewise.

    Raises:
        UsageError: see `learning_curves_figure`.
    """
    save(learning_curves_figure(metrics_csv, monitor, mode, loss_unit), out)


def learning_curves_figure(
    metrics_csv: Path, monitor: str | None = None, mode: str = "min", loss_unit: str = ""
) -> Figure:
    """Plot the metrics of a run against the epoch, see `curves_figure`.

    Args:
        metrics_csv: the metrics.csv of Lightning's `CSVLogger`.
        monitor: see `curves_figure`.
        mode: likewise.
        loss_unit: likewise.

    Returns:
        The figure.

    Raises:
        UsageError: the file cannot be read, has no `step` column, or contains no finite value.
    """
    return curves_figure(_read(metrics_csv), monitor, mode, loss_unit, str(metrics_csv))


@styled()
def curves_figure(
    rows: Sequence[Mapping[str, Any]],
    monitor: str | None = None,
    mode: str = "min",
    loss_unit: str = "",
    name: str = "the log",
) -> Figure:
    """Plot metrics against the epoch, one panel per metric.

    `train/loss` and `val/loss` share the panel "loss"; what was logged at every step (`train/loss_step`) has
    a lighter line. Columns that start with "lr" share one panel. The position on the axis is computed from
    the step, because rows of the learning rate have no epoch. What tells nothing of learning is left out: the
    fraction of padding, the waiting of devices, and a learning rate that stays as it is.

    Args:
        rows: what was logged: `step` and `epoch`, which count from 0, and metrics, as numbers or as text.
        monitor: the metric by which the best epoch is chosen, such as "val/loss"; it is marked.
        mode: "min" or "max": whether the best is the least or the greatest.
        loss_unit: what the loss is, and in which unit.
        name: what an error calls the rows.

    Returns:
        The figure.

    Raises:
        UsageError: the rows contain no finite value.
    """
    panels = _panels(rows, name)
    every = [x for curves in panels.values() for points in curves.values() for x, _ in points]
    best = _best(panels, monitor, mode) if monitor else None
    columns = min(2, len(panels))
    height = math.ceil(len(panels) / columns)
    figure = new_figure(WIDTH if columns > 1 else 1.3 * PANEL[0], height * PANEL[1] + (0.4 if best else 0))
    grid = figure.add_gridspec(height, columns)
    odd = len(panels) % columns  # the first panel then has a row of its own
    for place, (metric, curves) in enumerate(panels.items()):
        row, column = divmod(place + (odd if place else 0), columns)
        axes = figure.add_subplot(grid[0, :] if odd and not place else grid[row, column])
        title, unit = _title(metric)
        axes.set_title(title)
        axes.set_ylabel(loss_unit or unit if metric == "loss" else unit)
        _draw(axes, curves)
        if metric != "learning rate":  # its schedules have their known shapes on a linear axis
            scale_values(axes, [value for points in curves.values() for _, value in points])
        _epoch_axis(axes, min(every), max(every))
        if best is not None:
            axes.axvline(best[0], color=theme().ink, linestyle=":", linewidth=1.2)
    if best is not None:
        name = " ".join(reversed(_title_and_label(str(monitor)))).replace("_", " ")
        heading(figure, f"Best {name}: {best[1]:.4g}, after epoch {best[0]:.4g} (dotted line)")
    return figure


def _draw(axes: Axes, curves: dict[str, Points]) -> None:
    """The curves of one panel, and a legend where there are several."""
    for label, points in sorted(curves.items(), key=legend_order):
        each_step = label.endswith("(step)")
        axes.plot(
            *zip(*points, strict=True),
            label=label,
            color=stage_color(label.split(" ")[0]),
            marker="o" if len(points) <= 30 else None,
            linestyle="-" if len(points) > 1 else "none",
            linewidth=1.0 if each_step else 1.8,
            alpha=0.5 if each_step else 1.0,
        )
    axes.ticklabel_format(axis="y", scilimits=(-3, 5))
    axes.margins(y=0.08)
    axes.legend()


def _epoch_axis(axes: Axes, first: float, last: float) -> None:
    """From the start of training to its end; a run that was resumed begins where it was."""
    from matplotlib.ticker import MaxNLocator

    start = 0.0 if first <= max(1.0, last / 5) else first - 0.04 * (last - first)
    axes.set_xlim(start, last + (0.04 * (last - start) or 1.0))
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=last - start >= 2))
    tidy(axes)


def _best(panels: Panels, monitor: str, mode: str) -> tuple[float, float] | None:
    """The epoch and the value of the best point of a metric; None if it was not logged."""
    metric, label = _title_and_label(monitor)
    points = panels.get(metric, {}).get(label)
    if not points:
        return None
    return (min if mode == "min" else max)(points, key=lambda point: point[1])


def _title(metric: str) -> tuple[str, str]:
    """Title and unit of the panel of a metric."""
    if metric in _TITLES:
        return _TITLES[metric]
    words = metric.replace("_", " ")
    return words[:1].upper() + words[1:], ""


def _tells_nothing(metric: str, curves: dict[str, Points]) -> bool:
    """Whether a panel would show nothing of learning."""
    if metric == "learning rate":
        return all(len({value for _, value in points}) == 1 for points in curves.values())
    return metric.startswith("padding") or metric == "imbalance"


def _read(metrics_csv: Path) -> list[dict[str, str]]:
    try:
        with open(metrics_csv, encoding="utf-8", newline="") as file:
            table = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"cannot read the metrics in {metrics_csv}: {error}") from error
    if table and "step" not in table[0]:
        raise UsageError(f"{metrics_csv} has no column 'step'; give a metrics.csv of Lightning's CSVLogger")
    return table


def _panels(table: Sequence[Mapping[str, Any]], name: str) -> Panels:
    """What there is to plot."""
    steps = [(_number(row["step"]), _number(row.get("epoch")), row) for row in table]
    steps = sorted((item for item in steps if math.isfinite(item[0])), key=lambda item: item[0])
    # Steps and epochs count from 0, and the last row of an epoch is at its last step. All other rows, and
    # those of an interrupted epoch, give a smaller ratio, so take the largest.
    steps_per_epoch = max(((step + 1) / (epoch + 1) for step, epoch, _ in steps if epoch >= 0), default=1.0)
    panels: Panels = {}
    for step, _, row in steps:
        for column, text in row.items():
            value = _number(text)
            # Without the F1 of each class, whose panels would crowd out the others.
            if column and column not in ("epoch", "step") and "/f1_" not in column and math.isfinite(value):
                title, label = _title_and_label(column)
                points = panels.setdefault(title, {}).setdefault(label, [])
                points.append(((step + 1) / steps_per_epoch, value))
    if not panels:
        raise UsageError(f"{name} contains no finite value to plot; was anything logged?")
    panels = {
        metric: curves for metric, curves in panels.items() if not _tells_nothing(metric, curves)
    } or panels
    # Losses first, the learning rate last, the others in the order of the file.
    return dict(sorted(panels.items(), key=lambda item: (item[0] == "learning rate", "loss" not in item[0])))


def _title_and_label(column: str) -> tuple[str, str]:
    """The metric and the curve of a column: `train/loss_step` -> "loss", "train (step)".

    `val/loss` -> "loss", "val"; a column that starts with "lr" -> "learning rate", its own name.
    """
    if column.startswith("lr"):
        return "learning rate", column
    stage, _, name = column.rpartition("/") if column.count("/") <= 1 else column.partition("/")
    if name.endswith("_step"):
        return name.removesuffix("_step"), f"{stage or name} (step)"
    name = name.removesuffix("_epoch")
    return name, stage or name


def _number(text: Any) -> float:
    """The number in a cell; NaN if it is empty or not a number."""
    try:
        return float(text)
    except (ValueError, TypeError):  # TypeError: the list of the surplus cells of a damaged line
        return math.nan
