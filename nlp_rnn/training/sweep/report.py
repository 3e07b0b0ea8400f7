"""What a sweep has found: a table, two pictures, and the best configuration."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlp_rnn.errors import RunError
from nlp_rnn.files import atomic_write
from nlp_rnn.plots.figure import save
from nlp_rnn.plots.runs import TrialPoint, pareto_figure, trials_figure
from nlp_rnn.training.resolved import Resolved
from nlp_rnn.training.results import results_json
from nlp_rnn.training.run_directory import point_link
from nlp_rnn.training.sweep.limits import Limits
from nlp_rnn.training.tables import in_columns, number_text, write_csv

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

SIZE, LATENCY, ERROR = "size", "latency", "error"
"""User attributes of a trial: bytes, milliseconds, and why it failed."""
_STATES: dict[str, Any] = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
_SHOWN = 10


def trial_folder(folder: Path, number: int) -> Path:
    """The run directory of a trial."""
    return folder / f"trial-{number}"


def write_report(folder: Path, study: Study, limits: Limits, base: Resolved) -> dict[str, Any]:
    """Write trials.csv, sweep.json, sweep.png, pareto.png, best.yaml and links; print the best trials.

    Args:
        folder: the sweep's folder.
        study: its study.
        limits: which models count.
        base: the settings that all trials share.

    Returns:
        What sweep.json holds.

    Raises:
        RunError: no trial has succeeded within the limits.
    """
    points = [_point(trial, limits) for trial in study.trials if trial.state.is_finished()]
    errors = {trial.number: trial.user_attrs.get(ERROR, "") for trial in study.trials}
    sign = 1 if base.mode == "min" else -1
    ranked = sorted(
        (point for point in points if point.state == "complete" and point.allowed),
        key=lambda point: sign * float(point.value or 0),
    )
    table = _table(points, base.monitor, errors)
    write_csv(folder / "trials.csv", table)
    if any(point.value is not None for point in points):
        save(trials_figure(points, base.monitor, base.mode), folder / "sweep.png")
    if any(point.size is not None for point in points):
        figure = pareto_figure(points, base.monitor, base.mode, limits.max_size, limits.max_latency)
        save(figure, folder / "pareto.png")
    if not ranked:
        for name in ("sweep.json", "best.yaml", "best"):  # of before the limits were given anew
            (folder / name).unlink(missing_ok=True)
        raise RunError(f"{folder}: {_why_none(points, errors)}; the trials are in {folder / 'trials.csv'}")
    best = ranked[0]
    content = {
        "best": best.number,
        base.monitor: best.value,
        "settings": dict(best.settings),
        "size": best.size,
        "latency": best.latency,
        "config": str(folder / "best.yaml"),
        "trials": {state: sum(p.state == state for p in points) for state in _STATES.values()},
    }
    with atomic_write(folder / "sweep.json") as temporary:
        temporary.write_text(results_json(content) + "\n", encoding="utf-8")
    _write_best(folder, best, base.monitor)
    shown = _table(ranked[:_SHOWN], base.monitor, errors)
    print(in_columns([[name.rpartition(".")[2] for name in shown[0]], *shown[1:]]), file=sys.stderr)
    again = f"nlp-rnn fit --config {content['config']}"
    print(f"best: {trial_folder(folder, best.number)}; again: {again}", file=sys.stderr)
    return content


def _point(trial: FrozenTrial, limits: Limits) -> TrialPoint:
    size, latency = trial.user_attrs.get(SIZE), trial.user_attrs.get(LATENCY)
    state = _STATES[trial.state.name]
    value = None if state == "failed" else trial.value
    within = max(limits.excess(size, latency), default=0.0) <= 0
    return TrialPoint(trial.number, state, value, trial.params, size, latency, within)


def _table(points: list[TrialPoint], monitor: str, errors: dict[int, str]) -> list[list[str]]:
    names = list(dict.fromkeys(name for point in points for name in point.settings))
    failed = any(errors[point.number] for point in points)
    header = ["trial", "state", monitor, *names, "size", "latency", "within_limits"]
    rows = [
        [
            *(str(point.number), point.state, number_text(point.value)),
            *(number_text(point.settings.get(name)) for name in names),
            *(number_text(point.size), number_text(point.latency)),
            "" if point.size is None else str(point.allowed).lower(),  # those that were not measured
            *([errors[point.number]] if failed else []),
        ]
        for point in points
    ]
    return [[*header, *([ERROR] if failed else [])], *rows]


def _why_none(points: list[TrialPoint], errors: dict[int, str]) -> str:
    measured = [point for point in points if point.size is not None and point.latency is not None]
    if measured:
        smallest = min(float(point.size or 0) for point in measured) / 1e6
        fastest = min(float(point.latency or 0) for point in measured)
        least = f"the smallest model has {smallest:.3g} MB, the fastest takes {fastest:.3g} ms"
        return f"no trial is within the limits: {least}"
    reasons = [errors[point.number] for point in points if errors[point.number]]
    return f"no trial has succeeded{': ' if reasons else ''}{reasons[-1] if reasons else ''}"


def _write_best(folder: Path, best: TrialPoint, monitor: str) -> None:
    """The configuration of the best trial, and the links to it."""
    trial = trial_folder(folder, best.number)
    lines = (trial / "config.yaml").read_text(encoding="utf-8").splitlines()
    settings = "\n".join(line for line in lines if not line.startswith("# "))
    with atomic_write(folder / "best.yaml") as temporary:
        temporary.write_text(
            f"# trial {best.number} of {folder}, {monitor} {best.value:.6g}\n{settings}\n", encoding="utf-8"
        )
    point_link(folder / "best", trial.name)
    point_link(folder.with_name("latest"), f"{folder.name}/{trial.name}")
