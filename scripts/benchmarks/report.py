"""The measurements as a table and as JSON."""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.interleaving import Result
from benchmarks.options import Options
from nlp_rnn.files import atomic_write

_ROOT = Path(__file__).parents[2]
_PACKAGES = ("torch", "pytorch-lightning", "tokenizers", "datasets", "nlp-rnn")
_COLUMNS = {  # key of a row -> heading and format; `--help` of benchmark.py explains the columns
    "name": ("", "{}"),
    "rate": ("{unit}/s", "{:,.4g}"),
    "seconds": ("seconds", "{:.3f}"),
    "ratio": ("ratio", "{:.2f}x"),
    "share": ("of limit", "{:.1%}"),
    "tokens_per_s": ("tokens/s", "{:,.0f}"),
    "padding": ("padding", "{:.1%}"),
    "batch_size": ("batch", "{}"),
    "p50_ms": ("p50 ms", "{:.2f}"),
    "p99_ms": ("p99 ms", "{:.2f}"),
    "added_mib": ("added MiB", "{:,.0f}"),
    "peak_mib": ("peak MiB", "{:,.0f}"),
    "peak_device_mib": ("on device", "{:,.0f}"),
    "first_step_s": ("to first step s", "{:.1f}"),
}


@dataclass
class Report:
    """The results of one benchmark.

    Args:
        title: the line above the table.
        rows: one dict per contestant, from `result_rows`.
        facts: what is known about corpus and model.
        notes: the lines below the table.
    """

    title: str
    rows: list[dict[str, Any]]
    facts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def table(self) -> str:
        """Format the table, without columns that no row has a value for, and the notes below it."""
        unit = next((row["unit"] for row in self.rows if row.get("unit")), "")
        names = [name for name in _COLUMNS if any(row.get(name) is not None for row in self.rows)]
        lines = [[_COLUMNS[name][0].format(unit=unit) for name in names]]
        for row in self.rows:
            lines.append([_cell(row.get(name), _COLUMNS[name][1]) for name in names])
        widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
        aligned = [
            "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines
        ]
        return "\n".join([self.title, *aligned, *self.notes])

    def document(self, options: Options) -> dict[str, Any]:
        """Return everything as plain values, with the machine and the settings."""
        return {
            "title": self.title,
            "command": shlex.join(["python", *sys.argv]),
            "commit": _git_commit(),
            "machine": describe_machine(),
            "settings": asdict(options),
            "facts": self.facts,
            "notes": self.notes,
            "rows": self.rows,
        }


def result_rows(
    results: Sequence[Result],
    baseline: str | None,
    limit: float | None = None,
    tokens_per_row: float | None = None,
) -> list[dict[str, Any]]:
    """Make one row per contestant: the medians over the rounds, and every measurement.

    Args:
        results: the results of one `run_in_turns`.
        baseline: name of the contestant that the ratios refer to; ratios are taken round by round.
        limit: the machine's limit, in units per second.
        tokens_per_row: average tokens per row of the corpus. With it, a round's units are its tokens divided
            by this number, because rounds differ in the lengths of the rows they draw.
    """

    def rate_of(measurement: dict[str, Any]) -> float:
        units = measurement["units"]
        if tokens_per_row and "tokens" in measurement:
            units = measurement["tokens"] / tokens_per_row
        return units / measurement["seconds"]

    rates = {result.name: [rate_of(measurement) for measurement in result.measurements] for result in results}
    rows = []
    for result in results:
        rate = median(rates[result.name])
        row: dict[str, Any] = {"name": result.name, "unit": result.measurements[0]["unit"], "rate": rate}
        if baseline in rates:
            pairs = zip(rates[result.name], rates[baseline], strict=True)
            row["ratio"] = median(own_rate / baseline_rate for own_rate, baseline_rate in pairs)
        if limit:
            row["share"] = rate / limit
        row |= _medians(result.measurements)
        if "batch_size" in result.facts:
            row["batch_size"] = result.facts["batch_size"]
        row |= result.peak
        if "tried" not in result.facts:  # those contestants try batch sizes before the first step
            row["first_step_s"] = result.first_step_s
        rows.append({**row, "facts": result.facts, "measurements": result.measurements})
    return rows


def _medians(measurements: Sequence[dict[str, Any]]) -> dict[str, float]:
    medians = {}
    if all("tokens" in measurement for measurement in measurements):
        medians["tokens_per_s"] = median(
            measurement["tokens"] / measurement["seconds"] for measurement in measurements
        )
    for name in ("padding", "p50_ms", "p99_ms"):
        if all(name in measurement for measurement in measurements):
            medians[name] = median(measurement[name] for measurement in measurements)
    return medians


def _cell(value: Any, form: str) -> str:
    return "-" if value is None else form.format(value)


def describe_machine() -> dict[str, Any]:
    """Describe processor, memory, GPU and library versions."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "cores_allowed": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "threads": os.environ.get("OMP_NUM_THREADS", "chosen by torch"),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": versions,
        "card": _output_of(
            "nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"
        ),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _git_commit() -> str | None:
    """Return the commit of the checkout, with a plus if files differ from it."""
    commit = _output_of("git", "-C", str(_ROOT), "rev-parse", "HEAD")
    changed = _output_of("git", "-C", str(_ROOT), "status", "--porcelain", "--untracked-files=no")
    return commit and commit + ("+" if changed else "")


def _output_of(*command: str) -> str | None:
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return process.stdout.strip() or None if process.returncode == 0 else None


def write_json(document: dict[str, Any], file: Path) -> None:
    """Write the document, whole or not at all."""
    with atomic_write(file) as temporary:
        temporary.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
