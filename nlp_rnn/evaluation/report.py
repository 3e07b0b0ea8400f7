"""The results of an evaluation, as plain values and as a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nlp_rnn.errors import printable
from nlp_rnn.evaluation.answers import AnswerRecord
from nlp_rnn.storage.results import Measured


@dataclass(frozen=True)
class Report:
    """The results of an evaluation.

    Args:
        results: metrics and tables by name, as values of JSON; None for a metric that is undefined, such as
            the mean of nothing.
        measured: the metrics as a model's card states them, with what is needed to measure them again.
        answers: one record per row, in the order of the data, if they were asked for.
        metrics: the names of those results that are metrics, rather than facts about the data or tables.
    """

    results: dict[str, Any]
    measured: Measured | None = None
    answers: Sequence[AnswerRecord] = field(default=(), repr=False)
    metrics: Sequence[str] = ()

    def table(self) -> str:
        """The results as text: one line per metric, then the tables."""
        lines = []
        for name, value in self.results.items():
            if isinstance(value, (int, float, str)):
                lines.append(f"{name:<20} {_cell(value)}")
        for value in self.results.values():
            if isinstance(value, list) and value and isinstance(value[0], dict):
                cells = [list(value[0]), *([_cell(item) for item in row.values()] for row in value)]
                widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
                lines.append("")
                lines += [
                    "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
                    for row in cells
                ]
        return "\n".join(lines)

    def json(self) -> str:
        """The results as standard JSON: one line per metric, and one per row of a table."""
        lines = []
        for name, value in self.results.items():
            text = _json(value)
            if isinstance(value, list) and value and isinstance(value[0], (dict, list)):
                text = ",\n".join(f"    {_json(row)}" for row in value).join(("[\n", "\n  ]"))
            lines.append(f"  {_json(name)}: {text}")
        return ",\n".join(lines).join(("{\n", "\n}"))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _cell(value: Any) -> str:
    if not isinstance(value, float):
        return printable(str(value))
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e6 else f"{value:.4g}"
