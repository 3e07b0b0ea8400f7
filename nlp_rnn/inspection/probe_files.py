"""The files of a probe and of a unit that is held at a value."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from torch import Tensor

from nlp_rnn.data.builtin.properties import PROPERTIES
from nlp_rnn.inspection.files import Format, write_table
from nlp_rnn.inspection.probes import ProbeResult
from nlp_rnn.plots.figure import save
from nlp_rnn.plots.heatmaps import Curve, curves_figure
from nlp_rnn.tasks.base import Task


def describe_probe(result: ProbeResult) -> str:
    """What a probe found, in a line."""
    verdict = "the states follow it" if result.passes else "the states do not follow it"
    low, high = result.levels
    return (
        f"{result.name} ({PROPERTIES[result.name].summary}): {verdict}; probe {result.accuracy:.1%}, "
        f"majority {result.majority:.1%}, untrained network {result.untrained:.1%}, control "
        f"{result.control:.1%} (majority {result.control_majority:.1%}), selectivity "
        f"{result.selectivity:+.1%}; unit {result.unit} alone "
        f"{result.unit_accuracy:.1%}, {low:.2f} without and {high:.2f} with it"
    )


def write_probe(
    result: ProbeResult, words: Sequence[str], states: Tensor, folder: Path, format: Format = "csv"
) -> list[Path]:
    """Write a table `probe_NAME` and its plot: what the probe and its unit say at each word.

    The words and the states are those of a text, see `nlp_rnn.inspection.probes.hidden_states`.
    """
    probability = (states @ result.weights[:-1] + result.weights[-1]).sigmoid()
    values = states[:, result.unit]
    table = pa.table({"word": words, "probability": probability.tolist(), "unit": values.tolist()})
    low, high = result.levels
    scaled = ((values - low) / (high - low)).clamp(0, 1)
    lines = [
        Curve("probe", probability.tolist()),
        Curve(f"unit {result.unit}, between its means", scaled.tolist(), dashed=True),
    ]
    figure = curves_figure(lines, words, PROPERTIES[result.name].summary, "probability")
    picture = folder / f"probe_{result.name}.png"
    save(figure, picture)
    return [write_table(table, folder / f"probe_{result.name}.{format}", format), picture]


def write_clamped(
    task: Task,
    found: tuple[list[str], Tensor, Tensor],
    name: str,
    folder: Path,
    format: Format = "csv",
) -> list[Path]:
    """Write a table `clamped` and its plot: the answers after each word, as they are and with a unit held."""
    words, free, held = found
    labels = list(task.processor.labels)
    columns = {
        f"{label}{suffix}": values[:, index].tolist()
        for suffix, values in (("", free), (" held", held))
        for index, label in enumerate(labels)
    }
    label = int(free[-1].argmax())
    lines = [
        Curve("as it is", free[:, label].tolist()),
        Curve(f"unit {name}", held[:, label].tolist(), dashed=True),
    ]
    figure = curves_figure(lines, words, "answer after each word", f"probability of “{labels[label]}”")
    picture = folder / "clamped.png"
    save(figure, picture)
    return [write_table(pa.table({"word": words, **columns}), folder / f"clamped.{format}", format), picture]
