"""Several runs at once: the learning curves of seeds, and the trials of a sweep."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nlp_rnn.plots.figure import Points, new_figure
from nlp_rnn.plots.style import PANEL, WIDTH, color, heading, scale_values, styled, theme, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MAX_PANELS = 8
_NAMES = {"train/loss_epoch": "Training loss", "val/loss": "Validation loss"}
_OTHER, _BEST, _MEAN = 5, 1, 0  # places in the palette


@dataclass(frozen=True)
class TrialPoint:
    """A trial of a sweep, as plots show it.

    Args:
        number: its number.
        state: how it ended.
        value: the metric; None for a failed trial.
        settings: what was chosen, by setting.
        size: of the model folder, in bytes; None if it was not measured.
        latency: of one answer, in milliseconds; likewise.
        allowed: whether size and latency are within their limits.
    """

    number: int
    state: Literal["complete", "pruned", "failed"]
    value: float | None
    settings: Mapping[str, Any] = field(default_factory=dict)
    size: float | None = None
    latency: float | None = None
    allowed: bool = True


def read_curves(metrics_csv: Path) -> dict[str, Points]:
    """The losses and validation metrics of a run: name -> points (epoch from 1, value).

    Args:
        metrics_csv: the metrics.csv of a run. Of several validations in an epoch, the last one counts.
    """
    with metrics_csv.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("epoch")]
    curves: dict[str, dict[float, float]] = {}
    for row in rows:
        for name, text in row.items():
            if name in _NAMES or (name.startswith("val/") and "/f1_" not in name):
                value = float(text or "nan")
                if math.isfinite(value):
                    curves.setdefault(name, {})[float(row["epoch"]) + 1] = value
    order = [name for name in _NAMES if name in curves]
    order += [name for name in curves if name not in _NAMES]
    return {name: list(curves[name].items()) for name in order}


@styled()
def seed_curves_figure(runs: Mapping[str, Mapping[str, Points]], best: str) -> Figure:
    """Plot the learning curves of runs that differ in their seeds, one panel per metric.

    Each run is a thin line, the best one in another color; the mean, over the epochs that all runs have, is
    thick.

    Args:
        runs: name -> metric -> points, as of `read_curves`.
        best: the name of the best run.
    """
    names = list(dict.fromkeys(name for curves in runs.values() for name in curves))[:_MAX_PANELS]
    figure, panels = _grid(len(names), f"{len(runs)} seeds; the best is {best}")
    for name, axes in zip(names, panels, strict=True):
        curves = {run: points[name] for run, points in runs.items() if name in points}
        marker = "o" if max(map(len, curves.values())) <= 20 else None
        others = [run for run in curves if run != best]
        for run in others:
            label = "each seed" if run == others[0] else None
            axes.plot(*zip(*curves[run], strict=True), color=color(_OTHER), label=label, lw=1, marker=marker)
        if best in curves:
            axes.plot(*zip(*curves[best], strict=True), color=color(_BEST), label=best, lw=1, marker=marker)
        if len(curves) > 1:
            values = [dict(points) for points in curves.values()]
            shared = sorted(set.intersection(*map(set, values)))
            mean = [sum(curve[epoch] for curve in values) / len(values) for epoch in shared]
            axes.plot(shared, mean, color=color(_MEAN), label="mean", lw=2.4, marker=marker)
        scale_values(axes, [value for points in curves.values() for _, value in points])
        _label(axes, _NAMES.get(name, _readable(name)), "epoch")
        _whole_numbers(axes)
    panels[0].legend()
    return figure


@styled()
def trials_figure(trials: Sequence[TrialPoint], metric: str, mode: str) -> Figure:
    """Plot what a sweep has found: the metric by trial, and by each of the settings that differ.

    Args:
        trials: the trials, of which those that failed are left out.
        metric: its name.
        mode: "min" or "max".
    """
    shown = [trial for trial in trials if trial.value is not None]
    settings = list(dict.fromkeys(name for trial in shown for name in trial.settings))[: _MAX_PANELS - 1]
    counts = {
        state: sum(trial.state == state for trial in trials) for state in ("complete", "pruned", "failed")
    }
    title = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    figure, panels = _grid(1 + len(settings), f"{len(trials)} trials: {title}")
    first, *others = panels
    _scatter(first, [(trial.number, trial) for trial in shown])
    best = _best_so_far(shown, mode)
    if len(best) > 1:
        numbers, values = zip(*best, strict=True)
        first.step(numbers, values, where="post", color=theme().ink, lw=1, label="best so far")
    _label(first, _readable(metric), "trial")
    _whole_numbers(first)
    first.legend()
    for name, axes in zip(settings, others, strict=True):
        chosen = [(trial.settings[name], trial) for trial in shown if name in trial.settings]
        numbers_only = all(isinstance(x, (int, float)) and not isinstance(x, bool) for x, _ in chosen)
        if numbers_only:
            _scatter(axes, chosen)
            if min(x for x, _ in chosen) > 0 and max(x for x, _ in chosen) >= 20 * min(x for x, _ in chosen):
                axes.set_xscale("log")
            elif all(isinstance(x, int) for x, _ in chosen):
                _whole_numbers(axes)
        else:
            names = sorted({str(x) for x, _ in chosen})
            _scatter(axes, [(names.index(str(x)), trial) for x, trial in chosen])
            axes.set_xticks(range(len(names)), names)
            axes.set_xlim(-0.6, len(names) - 0.4)
        _label(axes, name.rpartition(".")[2], name)
    for axes in panels:
        scale_values(axes, [float(trial.value or 0) for trial in shown])
    return figure


@styled()
def pareto_figure(
    trials: Sequence[TrialPoint],
    metric: str,
    mode: str,
    max_size: float | None = None,
    max_latency: float | None = None,
) -> Figure:
    """Plot the metric of complete trials against the size and the latency of their models.

    A line leads through those that no other trial beats in both.

    Args:
        trials: the trials.
        metric: its name.
        mode: "min" or "max".
        max_size: the limit of the size in bytes, a dashed line.
        max_latency: the limit of the latency in milliseconds, likewise.
    """
    measured = [t for t in trials if t.state == "complete" and t.size is not None and t.latency is not None]
    title = "The line leads through the trials within the limits that no other one beats in both"
    figure, (left, right) = _grid(2, title)
    # Folders of equal models differ by a few bytes of text.
    sizes = [float(f"{float(trial.size or 0) / 1e6:.3g}") for trial in measured]
    sign = 1 if mode == "min" else -1
    latencies = [float(trial.latency or 0) for trial in measured]
    for axes, limit, values, unit in (
        (left, None if max_size is None else max_size / 1e6, sizes, "MB"),
        (right, max_latency, latencies, "ms"),
    ):
        points = sorted(
            zip(values, measured, strict=True),
            key=lambda point: (point[0], sign * float(point[1].value or 0)),
        )
        _scatter(axes, points)
        places = {trial.number: place for place, trial in points}
        front = _best_so_far([trial for _, trial in points if trial.allowed], mode, places)
        if len(front) > 1:
            steps, best = zip(*front, strict=True)
            axes.step(steps, best, where="post", color=theme().ink, lw=1, label="best of its cost")
        if limit is not None:
            axes.axvline(limit, color=theme().ink, linestyle="--", lw=1, label="limit")
        name = "size of the model folder" if axes is left else "latency of one answer"
        _label(axes, _readable(metric), f"{name} ({unit})")
        scale_values(axes, [float(trial.value or 0) for trial in measured])
        axes.locator_params(axis="x", nbins=5)
        if values:
            margin = max(0.05 * max(values), 0.1 * (max(values) - min(values)))
            axes.set_xlim(min(values) - margin, max([*values, limit or 0]) + margin)
    right.legend()
    return figure


def _scatter(axes: Axes, points: Sequence[tuple[Any, TrialPoint]]) -> None:
    """A mark per trial, whose form says how it ended and whether it is within the limits."""
    for label, marker, shade, belongs in (
        ("complete", "o", color(_MEAN), lambda trial: trial.state == "complete" and trial.allowed),
        ("beyond a limit", "x", color(_BEST), lambda trial: not trial.allowed),
        ("pruned", "v", color(_OTHER), lambda trial: trial.state == "pruned" and trial.allowed),
    ):
        marks = [(x, trial.value) for x, trial in points if belongs(trial)]
        if marks:
            across, values = zip(*marks, strict=True)
            axes.scatter(across, values, marker=marker, color=shade, s=28, label=label)


def _best_so_far(
    trials: Sequence[TrialPoint], mode: str, places: Mapping[int, float] | None = None
) -> list[tuple[float, float]]:
    """The steps of the best value of complete trials within the limits, up to the last one of all trials."""
    steps: list[tuple[float, float]] = []
    place = 0.0
    for trial in trials:
        place = trial.number if places is None else places[trial.number]
        if trial.state != "complete" or not trial.allowed or trial.value is None:
            continue
        is_better = not steps or (trial.value < steps[-1][1] if mode == "min" else trial.value > steps[-1][1])
        if is_better:
            steps.append((place, trial.value))
    if steps and steps[-1][0] < place:
        steps.append((place, steps[-1][1]))
    return steps


def _grid(count: int, title: str) -> tuple[Figure, list[Axes]]:
    """A figure of two panels in a row, of which an odd first one has a row of its own."""
    columns = min(2, count)
    rows = math.ceil(count / columns)
    figure = new_figure(WIDTH if columns > 1 else 1.3 * PANEL[0], rows * PANEL[1] + 0.4)
    heading(figure, title)
    grid = figure.add_gridspec(rows, columns)
    odd = count % columns
    places = [divmod(place + (odd if place else 0), columns) for place in range(count)]
    return figure, [
        figure.add_subplot(grid[0, :] if odd and not place else grid[row, column])
        for place, (row, column) in enumerate(places)
    ]


def _readable(metric: str) -> str:
    """`Validation bleu` of `val/bleu`."""
    return _NAMES.get(metric) or f"Validation {metric.removeprefix('val/').replace('_', ' ')}"


def _label(axes: Axes, title: str, x: str) -> None:
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.margins(0.06)
    tidy(axes)


def _whole_numbers(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
