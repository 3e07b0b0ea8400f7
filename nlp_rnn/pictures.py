"""Pictures of a run as PNG files: learning curves, a confusion matrix, BLEU by sentence length.

Each picture has a function that builds the matplotlib `Figure` and one that writes it. Figures are built
through the object interface, so no display and no global state is involved, and matplotlib is imported
only when a picture is drawn.
"""

from __future__ import annotations

import csv
import logging
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from nlp_rnn.errors import UsageError
from nlp_rnn.rundir import written_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

Points = list[tuple[float, float]]

COLOURS = {"train": "tab:blue", "val": "tab:orange", "test": "tab:green"}
PANEL = (4.2, 3.0)  # inches
DPI = 130
MAX_CLASSES_WITH_COUNTS = 20
FONTS = (  # what the first has no sign for is drawn in the next that is installed
    "DejaVu Sans",
    "Noto Sans CJK KR",
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Source Han Sans",
    "NanumGothic",
    "WenQuanYi Zen Hei",
    "Apple SD Gothic Neo",
    "Hiragino Sans",
    "PingFang SC",
    "Malgun Gothic",
    "Yu Gothic",
    "Microsoft YaHei",
    "Arial Unicode MS",
)
_NO_GLYPH = r"Glyph .* missing from"


def learning_curves(metrics_csv: Path, out: Path) -> None:
    """Write `learning_curves_figure` to `out` as PNG."""
    save(learning_curves_figure(metrics_csv), out)


def confusion_matrix(matrix: Tensor, labels: Sequence[str], out: Path) -> None:
    """Write `confusion_matrix_figure` to `out` as PNG."""
    save(confusion_matrix_figure(matrix, labels), out)


def bleu_by_length(labels: Sequence[str], scores: Sequence[float], counts: Sequence[int], out: Path) -> None:
    """Write `bleu_by_length_figure` to `out` as PNG."""
    save(bleu_by_length_figure(labels, scores, counts), out)


def side_by_side(runs: Mapping[str, Mapping[str, Points]], level: float, what: str, out: Path) -> None:
    """Write `side_by_side_figure` to `out` as PNG."""
    save(side_by_side_figure(runs, level, what), out)


def learning_curves_figure(metrics_csv: Path) -> Figure:
    """Draw the metrics that Lightning's `CSVLogger` wrote, one panel a metric, against the epoch.

    `train/loss` and `val/loss` share the panel "loss"; what was logged at every step (`train/loss_step`)
    is drawn lighter. Columns that start with "lr" share one panel. A step's place on the axis is the part
    of the epochs that it completes: rows of the learning rate have no epoch of their own.

    Raises:
        UsageError: the file cannot be read, has no `step` column, or holds no finite value.
    """
    from matplotlib.ticker import MaxNLocator

    panels = _panels(metrics_csv)
    last = max(x for curves in panels.values() for points in curves.values() for x, _ in points)
    columns = 2 if len(panels) == 4 else min(3, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = new_figure(columns * PANEL[0], rows * PANEL[1])
    for place, (title, curves) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(rows, columns, place)
        for label, points in sorted(curves.items(), key=_legend_order):
            each_step = label.endswith("(step)")
            axes.plot(
                *zip(*points, strict=True),
                label=label,
                color=COLOURS.get(label.split(" ")[0]),
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


def confusion_matrix_figure(matrix: Tensor, labels: Sequence[str]) -> Figure:
    """Draw counts [classes, classes] (rows are the truth), coloured by their share of the row.

    The counts stand in the cells where there are at most 20 classes.

    Raises:
        ValueError: the matrix is not square, or has not one row a label.
    """
    if tuple(matrix.shape) != (len(labels), len(labels)):
        raise ValueError(f"{len(labels)} labels do not fit a matrix of shape {tuple(matrix.shape)}")
    counts = matrix.detach().cpu().double()
    shares = counts / counts.sum(1, keepdim=True).clamp(min=1)
    with_counts = len(labels) <= MAX_CLASSES_WITH_COUNTS
    texts = [[f"{value:,.0f}" for value in row] for row in counts.tolist()]
    widest = max(len(text) for row in texts for text in row)
    cell = max(0.45, 0.085 * widest) if with_counts else 0.24  # inches
    margin = 1.1 + 0.09 * max(len(label) for label in labels)
    side = max(cell * len(labels), 2.0)
    figure = new_figure(side + margin + 0.8, side + margin - 0.4)
    axes = figure.add_subplot()
    image = axes.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, pad=0.02, aspect=30, label="share of the true class")
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
                if counts[i, j] > 0:  # zeros left out: the eye finds the errors sooner
                    colour = "white" if shares[i, j] > 0.5 else "black"
                    axes.text(j, i, texts[i][j], ha="center", va="center", fontsize=8, color=colour)
    return figure


def bleu_by_length_figure(labels: Sequence[str], scores: Sequence[float], counts: Sequence[int]) -> Figure:
    """Draw BLEU as a bar for each range of sentence lengths, with the number of sentences above it.

    Args:
        labels: the ranges, such as "1-5".
        scores: BLEU of each, 0 to 100; NaN (no sentences) gives no bar.
        counts: sentences in each.

    Raises:
        ValueError: the three are not equally long.
    """
    if not len(labels) == len(scores) == len(counts):
        raise ValueError(f"{len(labels)} labels, {len(scores)} scores and {len(counts)} counts do not match")
    heights = [score if math.isfinite(score) else 0.0 for score in scores]
    figure = new_figure(max(4.5, 0.75 * len(labels) + 1.2), 3.4)
    axes = figure.add_subplot()
    axes.bar(range(len(labels)), heights, width=0.75, color="tab:blue")
    for place, (score, height, count) in enumerate(zip(scores, heights, counts, strict=True)):
        text = f"{score:.1f}\nn = {count:,}" if math.isfinite(score) else f"n = {count:,}"
        axes.annotate(
            text, (place, height), xytext=(0, 3), textcoords="offset points",
            ha="center", va="bottom", fontsize=8,
        )  # fmt: skip
    axes.set_xticks(range(len(labels)), labels, parse_math=False)
    axes.set_xlabel("source length (tokens)")
    axes.set_ylabel("BLEU")
    axes.set_ylim(0, max([*heights, 1.0]) * 1.22)  # room for the text over the highest bar
    axes.grid(axis="y", alpha=0.25)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def side_by_side_figure(runs: Mapping[str, Mapping[str, Points]], level: float, what: str) -> Figure:
    """Draw the mean squared errors of several runs, one panel a run, all to one logarithmic scale.

    Args:
        runs: name -> curve ("train" or "val") -> points (step, error).
        level: an error to compare with, drawn as a dashed line.
        what: what the line is called.
    """
    figure = new_figure(len(runs) * PANEL[0] * 0.85, PANEL[1])
    shared = None
    for place, (name, curves) in enumerate(runs.items(), start=1):
        axes = shared = figure.add_subplot(1, len(runs), place, sharex=shared, sharey=shared)
        axes.set_yscale("log")
        for label, points in sorted(curves.items(), key=_legend_order):
            axes.plot(*zip(*points, strict=True), label=label, color=COLOURS.get(label), linewidth=1.5)
        axes.axhline(level, label=what, color="black", linestyle="--", linewidth=1)
        axes.set_title(name, fontsize=11, parse_math=False)
        axes.set_xlabel("step")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        if place == 1:
            axes.set_ylabel("mean squared error")
        else:
            axes.tick_params(labelleft=False)
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
    # Steps and epochs count from 0, and the last row of an epoch stands at its last step. The largest
    # ratio is taken since every other row, and an epoch broken off, gives too few steps.
    steps_per_epoch = max(((step + 1) / (epoch + 1) for step, epoch, _ in steps if epoch >= 0), default=1.0)
    panels: dict[str, dict[str, Points]] = {}
    for step, _, row in steps:
        for column, text in row.items():
            value = _number(text)
            # A panel for each class's F1 would crowd out the rest.
            if column and column not in ("epoch", "step") and "/f1_" not in column and math.isfinite(value):
                title, label = _title_and_label(column)
                points = panels.setdefault(title, {}).setdefault(label, [])
                points.append(((step + 1) / steps_per_epoch, value))
    if not panels:
        raise UsageError(f"{metrics_csv} holds no finite value to draw; was anything logged?")
    # The losses come first, the learning rate last, the others as logged.
    return dict(sorted(panels.items(), key=lambda item: (item[0] == "learning rate", "loss" not in item[0])))


def _title_and_label(column: str) -> tuple[str, str]:
    """`val/loss` gives loss and val, `train/loss_step` loss and train (step), lr... learning rate, lr..."""
    if column.startswith("lr"):
        return "learning rate", column
    stage, _, name = column.rpartition("/") if column.count("/") <= 1 else column.partition("/")
    if name.endswith("_step"):
        return name.removesuffix("_step"), f"{stage or name} (step)"
    name = name.removesuffix("_epoch")
    return name, stage or name


def _legend_order(curve: tuple[str, Points]) -> tuple[int, bool, str]:
    """Train, val, test, then others; what was logged at every step comes first, to lie underneath."""
    label = curve[0]
    stages = list(COLOURS)
    stage = label.split(" ")[0]
    return stages.index(stage) if stage in stages else len(stages), not label.endswith("(step)"), label


def _number(text: str | None) -> float:
    """The number a cell holds; NaN for one that is empty or no number."""
    try:
        return float(text) if text else math.nan
    except (ValueError, TypeError):  # TypeError: the list of a broken line's surplus cells
        return math.nan


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def save(figure: Figure, out: Path) -> None:
    """Write the figure as PNG; `out` is the whole picture or what it was before."""
    from matplotlib.font_manager import fontManager
    from matplotlib.text import Text

    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    installed = set(fontManager.get_font_names())  # of others there would be a warning at each sign
    for text in figure.findobj(Text):
        text.set_fontfamily([FONTS[0], *(font for font in FONTS[1:] if font in installed)])
    with warnings.catch_warnings(record=True) as caught, written_whole(out) as half:
        warnings.filterwarnings("always", _NO_GLYPH, UserWarning)
        figure.savefig(half, format="png", facecolor="white")
    missing = {str(each.message) for each in caught if re.match(_NO_GLYPH, str(each.message))}
    if missing:
        log.warning(
            "%s: %d sign(s) drawn as boxes, which no font here has; install one such as %s",
            out,
            len(missing),
            FONTS[1],
        )
    for each in caught:
        if str(each.message) not in missing:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
