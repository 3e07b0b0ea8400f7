"""What was measured, as a table for people and as JSON."""

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

from benchmarks.arena import Result
from benchmarks.given import Given
from nlp_rnn.files import atomic_write

_ROOT = Path(__file__).parents[2]
_PACKAGES = ("torch", "pytorch-lightning", "tokenizers", "datasets", "nlp-rnn")
_COLUMNS = {  # of a row -> its heading and how it is written
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
    """Rows of figures, and all that they were made from."""

    title: str
    rows: list[dict[str, Any]]
    facts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def table(self) -> str:
        """The rows in columns, those that nobody has left out; below it the notes."""
        unit = next((row["unit"] for row in self.rows if row.get("unit")), "")
        names = [name for name in _COLUMNS if any(row.get(name) is not None for row in self.rows)]
        lines = [[_COLUMNS[name][0].format(unit=unit) for name in names]]
        for row in self.rows:
            lines.append([_cell(row.get(name), _COLUMNS[name][1]) for name in names])
        widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
        written = [
            "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines
        ]
        return "\n".join([self.title, *written, *self.notes])

    def document(self, given: Given) -> dict[str, Any]:
        """All of it as plain values, with where and how it was measured."""
        return {
            "title": self.title,
            "command": shlex.join(["python", *sys.argv]),
            "commit": _commit(),
            "machine": machine(),
            "settings": asdict(given),
            "facts": self.facts,
            "notes": self.notes,
            "rows": self.rows,
        }


def rows_of(
    results: Sequence[Result],
    baseline: str | None,
    limit: float | None = None,
    tokens_a_row: float | None = None,
) -> list[dict[str, Any]]:
    """One row a contestant: medians over rounds, and every measurement.

    Args:
        results: of one competition.
        baseline: name of whom the ratios compare with, round by round.
        limit: units a second that would be the whole of the machine's limit.
        tokens_a_row: the corpus's average. With it a round's units are its tokens over this: batches of
            short rows and of long ones, as chance deals them out, then count as what they are.
    """

    def rate_of(one: dict[str, Any]) -> float:
        units = one["tokens"] / tokens_a_row if tokens_a_row and "tokens" in one else one["units"]
        return units / one["seconds"]

    rates = {result.name: [rate_of(one) for one in result.measurements] for result in results}
    rows = []
    for result in results:
        mine = rates[result.name]
        rate = median(mine)
        row: dict[str, Any] = {"name": result.name, "unit": result.measurements[0]["unit"], "rate": rate}
        if baseline in rates:
            row["ratio"] = median(a / b for a, b in zip(mine, rates[baseline], strict=True))
        if limit:
            row["share"] = rate / limit
        row |= _medians(result)
        row |= {name: result.facts[name] for name in ("batch_size",) if name in result.facts}
        row |= result.peak
        if "tried" not in result.facts:  # else batch sizes are tried before the first step
            row["first_step_s"] = result.first_step_s
        rows.append({**row, "facts": result.facts, "measurements": result.measurements})
    return rows


def _medians(result: Result) -> dict[str, float]:
    measured = result.measurements
    found = {}
    if all("tokens" in one for one in measured):
        found["tokens_per_s"] = median(one["tokens"] / one["seconds"] for one in measured)
    for name in ("padding", "p50_ms", "p99_ms"):
        if all(name in one for one in measured):
            found[name] = median(one[name] for one in measured)
    return found


def _cell(value: Any, form: str) -> str:
    return "-" if value is None else form.format(value)


def machine() -> dict[str, Any]:
    """Where this runs."""
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
        "threads": os.environ.get("OMP_NUM_THREADS", "as torch chooses"),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": versions,
        "card": _told("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _commit() -> str | None:
    """The checkout's commit, with a plus where files differ from it."""
    commit = _told("git", "-C", str(_ROOT), "rev-parse", "HEAD")
    changed = _told("git", "-C", str(_ROOT), "status", "--porcelain", "--untracked-files=no")
    return commit and commit + ("+" if changed else "")


def _told(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def write_json(document: dict[str, Any], file: Path) -> None:
    """Write the document in place of whatever was there, all of it or nothing."""
    with atomic_write(file) as temporary:
        temporary.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
