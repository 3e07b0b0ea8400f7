"""The limits of a sweep: how long it searches, and how large and slow its models may be."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from nlp_rnn.errors import UsageError

_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_BYTES = {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
_MILLISECONDS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


@dataclass(frozen=True)
class Limits:
    """What a sweep may cost, and its best model.

    Args:
        trials: how many trials begin; None where time is the limit.
        seconds: after how many seconds no further trial begins; None where their number is the limit.
        max_size: of the model folder, in bytes; None for any.
        max_latency: of one answer, in milliseconds; None for any.
    """

    trials: int | None = 20
    seconds: float | None = None
    max_size: float | None = None
    max_latency: float | None = None

    def excess(self, size: float | None, latency: float | None) -> list[float]:
        """By how much each limit is exceeded, as a fraction of it; at most 0 within it.

        A trial that was stopped early has not been measured, and counts as within.
        """
        pairs = [(size, self.max_size), (latency, self.max_latency)]
        return [0.0 if value is None else value / limit - 1 for value, limit in pairs if limit is not None]

    def plain(self) -> dict[str, Any]:
        """The limits by name, for a file."""
        return asdict(self)


def read_budget(text: str) -> tuple[int | None, float | None]:
    """The trials or the seconds of `20`, `20trials`, `90s`, `5min` or `2h`.

    Raises:
        UsageError: it is neither.
    """
    match = re.fullmatch(r"(\d+) ?(?:trials?)?", text)
    if match and int(match[1]):
        return int(match[1]), None
    seconds = _amount(text, _SECONDS)
    if not seconds:
        raise UsageError(f"--budget {text!r:.40}: give trials, such as 20, or a time, such as 5min")
    return None, seconds


def read_size(text: str) -> float:
    """The bytes of `2MB` or `500KiB`.

    Raises:
        UsageError: it is no size.
    """
    size = _amount(text, _BYTES)
    if not size:
        raise UsageError(f"--max-size {text!r:.40}: give a size with its unit, such as 2MB or 500kB")
    return size


def read_latency(text: str) -> float:
    """The milliseconds of `2ms` or `0.5s`.

    Raises:
        UsageError: it is no time.
    """
    latency = _amount(text, _MILLISECONDS)
    if not latency:
        raise UsageError(f"--max-latency {text!r:.40}: give a time with its unit, such as 2ms")
    return latency


def _amount(text: str, units: dict[str, float]) -> float | None:
    """A positive number with one of the units, in the first of them; None for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([A-Za-z]+)", text)
    unit = match and next((unit for unit in units if unit.lower() == match[2].lower()), None)
    return float(match[1]) * units[unit] if match and unit else None
