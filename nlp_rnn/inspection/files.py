"""Writing an inspection to files: plots, and their numbers as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from nlp_rnn.errors import UsageError
from nlp_rnn.files import atomic_write, cannot_write
from nlp_rnn.inspection.inspector import Inspection
from nlp_rnn.plots.heatmaps import Curve, HeatMap, curves, heat_maps
from nlp_rnn.tasks.interface import Alignment

Format = Literal["csv", "parquet"]

MAX_UNITS = 64
"""The maximum number of units in a heat map; those that vary most are shown."""


def write(inspection: Inspection, output: str | Path, format: Format = "csv") -> list[Path]:
    """Write the plots and tables of an inspection into a folder.

    Args:
        inspection: what to write.
        output: the folder; it is made if it does not exist, and other files in it stay.
        format: of the tables: csv or parquet.

    Returns:
        The paths of the files.

    Raises:
        UsageError: there is no such format, or the folder cannot be written.
        RunError: the disk is full.
    """
    if format not in get_args(Format):
        raise UsageError(f"format must be one of {', '.join(get_args(Format))}, not {format!r}")
    folder = Path(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tables = [
            _write_table(table, folder / f"{name}.{format}", format)
            for name, table in _tables(inspection).items()
        ]
        return tables + _plot(inspection, folder)
    except OSError as error:
        raise cannot_write(error.filename or output, error) from error


def _tables(inspection: Inspection) -> dict[str, pa.Table]:
    """The tables by file name; layers, steps and units count from 0, as in torch."""
    layers, directions = zip(*inspection.places(), strict=True)
    places = {"layer": layers, "direction": directions}
    steps = {"step": range(len(inspection.tokens)), "token": inspection.tokens}
    units = {"unit": range(inspection.hidden.size(-1))}
    tables = {"hidden": _long_table("value", inspection.hidden.transpose(0, 1), places, steps, units)}
    if inspection.gates:
        gates = torch.stack(list(inspection.gates.values())).transpose(1, 2)  # [G, K, T, H]
        tables["gates"] = _long_table("value", gates, {"gate": list(inspection.gates)}, places, steps, units)
    norms = torch.stack([gradients.norms for gradients in inspection.gradients]).transpose(1, 2)  # [M, K, T]
    models = {"model": [gradients.model for gradients in inspection.gradients]}
    tables["gradients"] = _long_table("norm", norms, models, places, steps)
    if inspection.probabilities is not None:
        labels = {"label": inspection.labels}
        tables["probabilities"] = _long_table("probability", inspection.probabilities, steps, labels)
    if inspection.alignment is not None:
        written, weights = inspection.alignment
        answer = {"answer_step": range(len(written)), "answer_token": written}
        tables["alignment"] = _long_table("weight", weights, answer, steps)
    return tables


def _long_table(name: str, values: Tensor, *axes: Mapping[str, Sequence[Any]]) -> pa.Table:
    """A table in long format: one row per value.

    Args:
        name: the column of the values.
        values: [A1, A2, ...].
        axes: for each axis of `values`, the columns that give a value's position on it.
    """
    columns = {}
    for axis, axis_columns in enumerate(axes):
        shape = [-1 if axis == dimension else 1 for dimension in range(values.dim())]
        for column, entries in axis_columns.items():
            array = np.array(entries, dtype=object if isinstance(entries[0], str) else None)
            columns[column] = np.broadcast_to(array.reshape(shape), values.shape).ravel()
    return pa.table({**columns, name: values.numpy().ravel()})


def _write_table(table: pa.Table, out: Path, format: Format) -> Path:
    """Write a table, completely or not at all."""
    from pyarrow import csv, parquet

    with atomic_write(out) as temporary:
        (csv.write_csv if format == "csv" else parquet.write_table)(table, temporary)
    return out


def _plot(inspection: Inspection, folder: Path) -> list[Path]:
    """Write all plots."""
    paths = [_plot_hidden(inspection, folder), *_plot_gates(inspection, folder)]
    paths.append(_plot_gradients(inspection, folder))
    if inspection.probabilities is not None:
        paths.append(_plot_probabilities(inspection, inspection.probabilities, folder))
    if inspection.alignment is not None:
        paths.append(_plot_alignment(inspection, inspection.alignment, folder))
    return paths


def _plot_hidden(inspection: Inspection, folder: Path) -> Path:
    """Heat maps of the hidden states, one per layer and direction."""
    panels = [
        _unit_panel("hidden state", inspection.hidden, inspection, k, signed=True)
        for k in range(len(inspection.places()))
    ]
    path = folder / "hidden.png"
    heat_maps(panels, inspection.tokens, path)
    return path


def _plot_gates(inspection: Inspection, folder: Path) -> list[Path]:
    """Heat maps of the gates and the cell state, one file per layer and direction; none without gates."""
    if not inspection.gates:
        return []
    paths = []
    for k, (layer, direction) in enumerate(inspection.places()):
        panels = [
            _unit_panel(
                f"{name} {'state' if name == 'cell' else 'gate'}",
                values,
                inspection,
                k,
                signed=name == "cell",
            )
            for name, values in inspection.gates.items()
            if name != "candidate"  # only in the table
        ]
        paths.append(folder / f"gates_layer{layer}_{direction}.png")
        heat_maps(panels, inspection.tokens, paths[-1])
    return paths


def _plot_gradients(inspection: Inspection, folder: Path) -> Path:
    """Curves of the gradient norms of the top layer, forward; the table has the other layers too."""
    # In the backward direction the end of the text is the first step, so there is nothing to see.
    top = len(inspection.places()) - (2 if inspection.bidirectional else 1)
    curves_of_models = [
        Curve(gradients.model, gradients.norms[:, top].tolist(), dashed=not gradients.trained)
        for gradients in inspection.gradients
    ]
    title = f"gradient of the loss at the end, {_place_name(inspection, top)}"
    path = folder / "gradients.png"
    curves(curves_of_models, inspection.tokens, title, "norm at the hidden state", True, path)
    return path


def _plot_probabilities(inspection: Inspection, probabilities: Tensor, folder: Path) -> Path:
    """A heat map of the tags of each step, or curves of the labels of each prefix of the text."""
    path = folder / "probabilities.png"
    if not inspection.running:
        tags = HeatMap("probability of each tag", probabilities.t(), inspection.labels, False, "tag")
        heat_maps([tags], inspection.tokens, path)
        return path
    curves_of_labels = [
        Curve(label, values)
        for label, values in zip(inspection.labels, probabilities.t().tolist(), strict=True)
    ]
    reading = "each prefix read separately" if inspection.bidirectional else "as the text streams in"
    title = f"answer after each token, {reading}"
    curves(curves_of_labels, inspection.tokens, title, "probability", False, path)
    return path


def _plot_alignment(inspection: Inspection, alignment: Alignment, folder: Path) -> Path:
    """A heat map of the weights of attention: a row per token written, a column per token read."""
    path = folder / "alignment.png"
    title = "what each token of the answer looks at"
    panel = HeatMap(title, alignment.weights, alignment.tokens, False, "answer")
    heat_maps([panel], inspection.tokens, path)
    return path


def _unit_panel(title: str, values: Tensor, inspection: Inspection, k: int, signed: bool) -> HeatMap:
    """A heat map with one row per unit; `values` are [T, K, H], of which k is shown."""
    units = _most_varied(inspection.hidden[:, k])
    total = inspection.hidden.size(-1)
    part = "" if total <= MAX_UNITS else f" ({MAX_UNITS} of {total} units: those that vary most)"
    full_title = f"{title}, {_place_name(inspection, k)}{part}"
    return HeatMap(full_title, values[:, k, units].t(), [str(unit) for unit in units], signed, "unit")


def _place_name(inspection: Inspection, k: int) -> str:
    layer, direction = inspection.places()[k]
    return f"layer {layer}, {direction}"


def _most_varied(values: Tensor) -> list[int]:
    """The indices of the units of [T, H] with the largest variance over the tokens, in ascending order."""
    units = values.var(0, correction=0).topk(min(MAX_UNITS, values.size(1))).indices
    return sorted(units.tolist())
