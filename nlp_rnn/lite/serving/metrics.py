"""Metrics in the text format of Prometheus, summed over all workers.

The format is described at https://prometheus.io/docs/instrumenting/exposition_formats/.
"""

from __future__ import annotations

from collections.abc import MutableSequence, Sequence
from itertools import product
from typing import NamedTuple

from .problems import PROBLEMS

ROUTES = ("predict", "stream", "generate", "models", "health", "metrics", "other")
"""The groups of addresses that are counted."""
STATUSES = tuple(sorted({200, 307, 499, *(kind.status for kind in PROBLEMS.values())}))
"""The statuses of responses; 499 counts clients that were gone before."""
_TIMED = ("predict", "stream", "generate")
_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds


class _Family(NamedTuple):
    name: str
    kind: str
    help: str
    labels: tuple[str, ...]
    values: Sequence[tuple[str, ...]]


def _families(models: Sequence[str]) -> list[_Family]:
    each = [(model,) for model in models]
    statuses = list(map(str, STATUSES))
    return [
        _Family(
            "nlp_rnn_requests_total", "counter", "Requests by address and status.",
            ("route", "status"), list(product(ROUTES, statuses)),
        ),
        _Family("nlp_rnn_inputs_total", "counter", "Inputs that were answered.", ("model",), each),
        _Family("nlp_rnn_batches_total", "counter", "Batches that were computed.", ("model",), each),
        _Family("nlp_rnn_compute_seconds_total", "counter", "Seconds of computing.", ("model",), each),
        _Family("nlp_rnn_events_total", "counter", "Events of streams, such as tokens.", ("model",), each),
        _Family("nlp_rnn_queued_inputs", "gauge", "Inputs that wait for a batch.", ("model",), each),
        _Family("nlp_rnn_open_streams", "gauge", "Streams that are open.", (), [()]),
    ]  # fmt: skip


class Metrics:
    """Counters, gauges and histograms of one worker, in memory that all workers share.

    Each worker writes its own row, so that no lock is needed.

    Args:
        models: the names of the models.
        cells: zeros, `Metrics.size` of them for each worker.
        worker: the number of this worker, from 0.
    """

    def __init__(self, models: Sequence[str], cells: MutableSequence[float], worker: int = 0) -> None:
        self._families = _families(models)
        self._cells = cells
        self._index: dict[tuple[str, ...], int] = {}
        for family in self._families:
            for values in family.values:
                self._index[family.name, *values] = len(self._index)
        for route in _TIMED:
            for part in (*map(str, _BOUNDS), "+Inf", "sum"):
                self._index["seconds", route, part] = len(self._index)
        self._width = len(self._index)
        self._base = worker * self._width
        for gauge in (family for family in self._families if family.kind == "gauge"):
            for values in gauge.values:  # those of a worker that ended
                self._cells[self._base + self._index[gauge.name, *values]] = 0.0

    @staticmethod
    def size(models: Sequence[str]) -> int:
        """The number of cells of one worker."""
        return sum(len(family.values) for family in _families(models)) + len(_TIMED) * (len(_BOUNDS) + 2)

    def add(self, name: str, amount: float, *labels: str) -> None:
        """Add to a counter or a gauge, by its name without `nlp_rnn_`."""
        self._cells[self._base + self._index[f"nlp_rnn_{name}", *labels]] += amount

    def observe(self, route: str, seconds: float, status: int) -> None:
        """Count a request that has ended."""
        status = status if status in STATUSES else 500
        self.add("requests_total", 1, route, str(status))
        if route in _TIMED:
            bound = next((str(bound) for bound in _BOUNDS if seconds <= bound), "+Inf")
            self._cells[self._base + self._index["seconds", route, bound]] += 1
            self._cells[self._base + self._index["seconds", route, "sum"]] += seconds

    def value(self, name: str, *labels: str) -> float:
        """The sum of a counter or gauge over all workers."""
        return self._total(f"nlp_rnn_{name}", *labels)

    def text(self) -> str:
        """All metrics; counters of requests that never came are left out."""
        lines = []
        for family in self._families:
            lines += [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {family.kind}"]
            for values in family.values:
                total = self._total(family.name, *values)
                if total or len(family.labels) < 2:
                    lines.append(f"{family.name}{_labels(family.labels, values)} {total:.10g}")
        name = "nlp_rnn_request_seconds"
        lines += [f"# HELP {name} Seconds until a request had ended.", f"# TYPE {name} histogram"]
        for route in _TIMED:
            count = 0.0
            for bound in (*map(str, _BOUNDS), "+Inf"):
                count += self._total("seconds", route, bound)
                lines.append(f"{name}_bucket{_labels(('route', 'le'), (route, bound))} {count:.10g}")
            labels = _labels(("route",), (route,))
            lines.append(f"{name}_sum{labels} {self._total('seconds', route, 'sum'):.10g}")
            lines.append(f"{name}_count{labels} {count:.10g}")
        return "\n".join([*lines, ""])

    def _total(self, *key: str) -> float:
        return sum(self._cells[self._index[key] :: self._width])


def _labels(names: Sequence[str], values: Sequence[str]) -> str:
    # Names of models have no characters that would have to be escaped.
    pairs = ",".join(f'{name}="{value}"' for name, value in zip(names, values, strict=True))
    return f"{{{pairs}}}" if pairs else ""
