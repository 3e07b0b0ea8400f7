"""A comparison of models, as plain values, as a table and as a page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from string import ascii_uppercase
from typing import Any

from nlp_rnn.errors import printable
from nlp_rnn.evaluation.page import visible

_SHOWN = 5  # rows in the table of text
_WIDTH = 70  # characters of an input there


@dataclass(frozen=True)
class Comparison:
    """How models differ, see `nlp_rnn.evaluation.comparing.compare`.

    Args:
        results: values of JSON; None where a metric is undefined.
            `models` have a `name` and `metrics`: the `value` of each, and the ends of its interval, `low` and
            `high`. `comparisons`, one per model but the first, have `metrics`: the `difference` from the
            first model, its interval, and the p-values `bootstrap_p` and `randomization_p`, whose names end
            in `_holm` where they are corrected for the number of models; `mcnemar`, where answers are right
            or wrong; and the rows on which the model is worse most, `regressions`, and better,
            `improvements`.
    """

    results: dict[str, Any]

    def json(self) -> str:
        """The results as standard JSON."""
        return json.dumps(self.results, ensure_ascii=False, allow_nan=False, indent=1)

    def table(self) -> str:
        """The results as text: models, metrics, and the rows on which each is worse most."""
        results = self.results
        lines = [f"{letter}  {printable(model['name'])}" for letter, model in self._lettered()]
        lines += ["", printable(self._about()), ""]
        lines += _aligned([self._header(), *self._lines()])
        for letter, pair in zip(self._letters()[1:], results["comparisons"], strict=True):
            lines += ["", *self._differing(letter, pair)]
        lines += [f"\nnote: {printable(note)}" for note in results["notes"]]
        return "\n".join(lines)

    def html(self) -> str:
        """The results as one page, which needs no other file and asks no other place for anything."""
        from jinja2 import Environment, PackageLoader, StrictUndefined

        loader = PackageLoader("nlp_rnn.evaluation")
        environment = Environment(
            loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        environment.filters |= {"cell": cell, "signed": signed, "visible": visible}
        return environment.get_template("comparison.html").render(
            **self.results,
            letters=self._letters(),
            numbered=list(enumerate(self.results["models"])),
            about=self._about(),
            metric_names=self._metric_names(),
            class_names=[name for name in self._every_metric() if name.startswith("f1_")],
            bar=_bar,
        )

    def _letters(self) -> list[str]:
        """A short name of each model."""
        count = len(self.results["models"])
        return list(ascii_uppercase[:count]) if count <= 26 else [f"M{n + 1}" for n in range(count)]

    def _lettered(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        return zip(self._letters(), self.results["models"], strict=True)

    def _about(self) -> str:
        results = self.results
        measured = f" ({results['measured']})" if "measured" in results else ""
        return (
            f"{results['task']}, {results['data']}, {results['split']}, {results['rows']:,} rows{measured}; "
            f"{100 * results['level']:.4g}% intervals of {results['resamples']:,} bootstrap resamples"
        )

    def _every_metric(self) -> list[str]:
        return list(dict.fromkeys(name for model in self.results["models"] for name in model["metrics"]))

    def _metric_names(self) -> list[str]:
        """The metrics, without those of single classes."""
        return [name for name in self._every_metric() if not name.startswith("f1_")]

    def _header(self) -> list[str]:
        tests = ["p bootstrap", "p randomization"]
        if len(self.results["comparisons"]) > 1:
            tests = [f"{test} (Holm)" for test in tests]
        return ["metric", "model", "value", "interval", "difference", "interval", *tests]

    def _lines(self) -> Iterator[list[str]]:
        """The lines of the table of metrics."""
        for name in self._metric_names():
            lettered = zip_longest(self._lettered(), [{}, *self.results["comparisons"]])
            for (letter, model), pair in lettered:
                if name not in model["metrics"]:
                    continue
                entry = model["metrics"][name]
                line = [name, letter, cell(entry["value"]), _interval(entry)]
                difference = pair.get("metrics", {}).get(name)
                if difference is not None:
                    line += [signed(difference["difference"]), _interval(difference, signed)]
                    line += [cell(difference[f"{test}_p_holm"]) for test in ("bootstrap", "randomization")]
                yield line + [""] * (8 - len(line))

    def _differing(self, letter: str, pair: Mapping[str, Any]) -> Iterator[str]:
        """What the table says about the rows of a comparison."""
        if "mcnemar" in pair:
            table = pair["mcnemar"]
            yield (
                f"right answers: both {table['both_right']:,}, only A {table['only_first_right']:,}, "
                f"only {letter} {table['only_other_right']:,}, none {table['both_wrong']:,}; "
                f"McNemar p {cell(table['p_holm'])}"
            )
        name = self.results["row_score"]
        yield f"{letter} is worse on {pair['worse']:,} rows and better on {pair['better']:,}, by {name}"
        for row in pair["regressions"][:_SHOWN]:
            scores = f"{cell(row['first_score'])} -> {cell(row['other_score'])}"
            text = printable(row["input"])
            yield f"  row {row['row']}: {scores}: {text if len(text) <= _WIDTH else text[: _WIDTH - 1] + '…'}"


def cell(value: Any) -> str:
    """A number with four decimals, or four digits of one that is very small or large; - for None."""
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e6 else f"{value:.4g}"


def signed(value: Any) -> str:
    """As `cell`, with the sign of a positive number too."""
    return f"+{cell(value)}" if isinstance(value, float) and value > 0 else cell(value)


def _interval(entry: Mapping[str, Any], number: Any = cell) -> str:
    return f"{number(entry['low'])} to {number(entry['high'])}" if entry["low"] is not None else "-"


def _bar(entry: Mapping[str, Any]) -> dict[str, float] | None:
    """Where an interval of a difference is on a line from 0 to 100 whose middle is no difference."""
    ends = [entry["low"], entry["difference"], entry["high"]]
    if None in ends:
        return None
    largest = max(map(abs, ends)) or 1.0
    low, middle, high = (50 + 46 * end / largest for end in ends)
    return {"low": low, "middle": middle, "high": high}


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows of a table, names to the left and numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            text.ljust(width) if place < 2 else text.rjust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
