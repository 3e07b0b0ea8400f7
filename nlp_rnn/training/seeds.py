"""One run per seed, in a process each, and what they have achieved together.

A group is a folder `runs/NAME/NUMBER` with a run directory `seed-N` per seed. It has a table of results in
two forms, `seeds.csv` and `seeds.json`, the learning curves of all in `seeds.png`, and the link `best`.
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nlp_rnn.errors import Interrupted, RunError
from nlp_rnn.files import atomic_write
from nlp_rnn.plots.figure import save
from nlp_rnn.plots.runs import read_curves, seed_curves_figure
from nlp_rnn.training.metrics_log import METRICS
from nlp_rnn.training.processes import FitProcess, Signals, prepare_run
from nlp_rnn.training.resolved import Resolved
from nlp_rnn.training.results import read_results, results_json
from nlp_rnn.training.run_directory import SEED_PREFIX, locked, new_run_dir, point_link
from nlp_rnn.training.tables import in_columns, number_text, write_csv


def seed_runs(group: Path) -> dict[int, Path]:
    """The run directories of a group by their seeds, in order; empty if a folder is no group."""
    folders = [config.parent for config in group.glob(f"{SEED_PREFIX}*/config.yaml")]
    runs = {folder.name.removeprefix(SEED_PREFIX): folder for folder in folders}
    return {int(seed): runs[seed] for seed in sorted(filter(str.isdecimal, runs), key=int)}


def add_seeds(group: Path | None, resolved: Resolved, seeds: Sequence[int], command: str) -> Path:
    """Make the run directories of seeds, in which training has not begun.

    Args:
        group: the group; None for a new one. Seeds that it has already are left as they are.
        resolved: the settings that all seeds share.
        seeds: the seeds.
        command: the command, for the record.

    Returns:
        The group.
    """
    group = group or new_run_dir(Path(resolved.runs), resolved.name)
    for seed in seeds:
        if seed not in seed_runs(group):
            prepare_run(group / f"{SEED_PREFIX}{seed}", command, resolved.yaml(seed_everything=seed))
    return group


class SeedResults:
    """The results of a group of runs.

    Args:
        runs: the run directories by seed.
        failures: why a run has failed, by seed.
    """

    def __init__(self, runs: dict[int, Path], failures: dict[int, str]) -> None:
        results = {seed: read_results(run_dir) for seed, run_dir in runs.items()}
        self.finished: dict[int, dict[str, Any]] = {seed: r for seed, r in results.items() if r is not None}
        self.failures = failures
        metrics = [result["metrics"] for result in self.finished.values()]
        names = [name for name in (metrics[0] if metrics else {}) if all(name in other for other in metrics)]
        # A metric that is not a number in one run has no mean.
        values = {name: [other[name] for other in metrics] for name in names}
        self.values = {name: numbers for name, numbers in values.items() if None not in numbers}
        self.mean = {name: statistics.fmean(numbers) for name, numbers in self.values.items()}
        self.std = {
            name: statistics.stdev(numbers) if len(numbers) > 1 else math.nan
            for name, numbers in self.values.items()
        }

    def best(self, monitor: str, mode: str) -> int | None:
        """The seed of the best run; None if none has the metric.

        Args:
            monitor: the metric that decides.
            mode: "min" or "max".
        """
        scores = {seed: result["metrics"].get(monitor) for seed, result in self.finished.items()}
        known = [seed for seed, score in scores.items() if score is not None]
        choose = min if mode == "min" else max
        return choose(known, key=lambda seed: scores[seed], default=None)

    def table(self, per_class: bool) -> list[list[str]]:
        """A header, a row per seed, then the mean and the sample standard deviation.

        Args:
            per_class: whether the F1 of each class has a column.
        """
        names = [name for name in self.values if per_class or "/f1_" not in name]

        def row(head: object, metrics: dict[str, Any], epoch: int | None = None) -> list[str]:
            return [str(head), *(number_text(metrics[name]) for name in names), number_text(epoch)]

        rows = [row(seed, result["metrics"], result["epoch"]) for seed, result in self.finished.items()]
        return [["seed", *names, "epoch"], *rows, row("mean", self.mean), row("std", self.std)]

    def json(self, best: int | None) -> dict[str, Any]:
        """All of it, for seeds.json.

        Args:
            best: the seed of the best run.
        """
        return {
            "best": best,
            "mean": self.mean,
            "std": self.std,
            "seeds": list(self.finished.values()),
            "failed": {str(seed): reason for seed, reason in self.failures.items()},
        }


def train_seeds(group: Path, resolved: Resolved, trusted: Sequence[str]) -> dict[str, Any]:
    """Train the seeds of a group that are not finished, one after the other, and write their results.

    Args:
        group: the group; no other process may be training it.
        resolved: the settings that all seeds share.
        trusted: packages for `--trust`.

    Returns:
        What seeds.json holds.

    Raises:
        RunError: a seed has failed; the others are trained.
        UsageError: another process is training the group.
        Interrupted: a signal came; the seed that was training is saved.
    """
    failures: dict[int, str] = {}
    signals = Signals()
    runs = seed_runs(group)
    with locked(group), signals.handed_on():
        for number, (seed, run_dir) in enumerate(runs.items(), 1):
            done = read_results(run_dir) is not None
            print(f"seed {seed}, {number} of {len(runs)}{': finished' if done else ''}", file=sys.stderr)
            reason = "" if done else _train(run_dir, trusted, signals)
            if signals.number:
                message = f"go on with: nlp-rnn fit --resume {group}"
                raise Interrupted(signals.number, f"what is trained is saved; {message}")
            if reason:
                failures[seed] = reason
                print(f"seed {seed}: failed: {reason}", file=sys.stderr)
            results = SeedResults(runs, failures)
            content = _write(group, results, resolved)
    if results.finished:
        print(in_columns(results.table(per_class=False)), file=sys.stderr)
        print(f"best: {group / 'best'}, by {resolved.monitor}", file=sys.stderr)
    if failures:
        seeds = ", ".join(map(str, failures))
        reason = next(iter(failures.values()))
        raise RunError(f"{group}: {len(failures)} of {len(runs)} seeds failed ({seeds}): {reason}")
    return content


def _train(run_dir: Path, trusted: Sequence[str], signals: Signals) -> str:
    """Train one seed, and show what its process prints; why it failed, or nothing."""
    process = FitProcess(run_dir, trusted)
    signals.started(process)
    ended = False
    while not ended:
        ended = bool(signals.ended())  # before the last lines are read
        for line in process.new_lines():
            if not line.startswith("nlp-rnn: "):  # which is the last one, and is told otherwise
                print(line, file=sys.stderr, flush=True)
    return process.failure() if process.code and read_results(run_dir) is None else ""


def _write(group: Path, results: SeedResults, resolved: Resolved) -> dict[str, Any]:
    """Write tables, curves and links of the seeds that are finished so far."""
    best = results.best(resolved.monitor, resolved.mode)
    content = results.json(best)
    write_csv(group / "seeds.csv", results.table(per_class=True))
    with atomic_write(group / "seeds.json") as temporary:
        temporary.write_text(results_json(content) + "\n", encoding="utf-8")
    if best is None:
        return content
    curves = {f"seed {seed}": group / f"{SEED_PREFIX}{seed}" / METRICS for seed in results.finished}
    known = {name: read_curves(path) for name, path in curves.items() if path.is_file()}
    if any(known.values()):
        save(seed_curves_figure(known, f"seed {best}"), group / "seeds.png")
    point_link(group / "best", f"{SEED_PREFIX}{best}")
    point_link(group.with_name("latest"), f"{group.name}/{SEED_PREFIX}{best}")
    return content
