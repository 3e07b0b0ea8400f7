"""An inspection as files: pictures, and beside them their numbers as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from nlp_rnn.errors import UsageError
from nlp_rnn.files import atomic_write
from nlp_rnn.inspection.inspector import Inspection
from nlp_rnn.plots.heatmaps import Curve, HeatMap, curves, heat_maps

Format = Literal["csv", "parquet"]

MAX_UNITS = 64
"""Heat maps show so many units at most."""


def write(found: Inspection, output: str | Path, format: Format = "csv") -> list[Path]:
    """Write the pictures and, beside them, their numbers; what is in the folder already stays.

    Args:
        found: what to write.
        output: the folder, made if need be.
        format: of the tables: csv or parquet.

    Returns:
        The files, each written whole.

    Raises:
        UsageError: there is no such format, or the folder cannot be written.
    """
    if format not in get_args(Format):
        raise UsageError(f"format must be one of {', '.join(get_args(Format))}, not {format!r}")
    folder = Path(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tables = [
            _write_table(table, folder / f"{name}.{format}", format) for name, table in _tables(found).items()
        ]
        return tables + _draw(found, folder)
    except OSError as error:
        raise UsageError(
            f"{error.filename or output}: cannot be written ({error.strerror or error})"
        ) from error


def _tables(found: Inspection) -> dict[str, pa.Table]:
    """The numbers, by file name; layers, steps and units count from 0, as torch counts."""
    layers, ways = zip(*found.places(), strict=True)
    places = {"layer": layers, "direction": ways}
    steps = {"step": range(len(found.tokens)), "token": found.tokens}
    units = {"unit": range(found.hidden.size(-1))}
    tables = {"hidden": _long("value", found.hidden.transpose(0, 1), places, steps, units)}
    if found.gates:
        gates = torch.stack(list(found.gates.values())).transpose(1, 2)  # [G, K, T, H]
        tables["gates"] = _long("value", gates, {"gate": list(found.gates)}, places, steps, units)
    norms = torch.stack([each.norms for each in found.gradients]).transpose(1, 2)  # [M, K, T]
    models = {"model": [each.model for each in found.gradients]}
    tables["gradients"] = _long("norm", norms, models, places, steps)
    if found.probabilities is not None:
        tables["probabilities"] = _long("probability", found.probabilities, steps, {"label": found.labels})
    return tables


def _long(name: str, values: Tensor, *axes: Mapping[str, Sequence[Any]]) -> pa.Table:
    """A row a value, in the column `name`; the columns of each axis say where on it the value stands."""
    columns = {}
    for axis, names in enumerate(axes):
        shape = [-1 if axis == other else 1 for other in range(values.dim())]
        for column, entries in names.items():
            array = np.array(entries, dtype=object if isinstance(entries[0], str) else None)
            columns[column] = np.broadcast_to(array.reshape(shape), values.shape).ravel()
    return pa.table({**columns, name: values.numpy().ravel()})


def _write_table(table: pa.Table, out: Path, format: Format) -> Path:
    """Write a table; `out` is the whole table or what it was before."""
    from pyarrow import csv, parquet

    with atomic_write(out) as temporary:
        (csv.write_csv if format == "csv" else parquet.write_table)(table, temporary)
    return out


def _draw(found: Inspection, folder: Path) -> list[Path]:
    places = [f"layer {layer}, {way}" for layer, way in found.places()]
    shown = [_most_varied(found.hidden[:, k]) for k in range(len(places))]
    total = found.hidden.size(-1)
    part = "" if total <= MAX_UNITS else f" ({MAX_UNITS} of {total} units: those that vary most)"

    def panel(title: str, values: Tensor, k: int, signed: bool) -> HeatMap:
        rows = [str(unit) for unit in shown[k]]
        return HeatMap(f"{title}{part}", values[:, k, shown[k]].t(), rows, signed, "unit")

    out = [folder / "hidden.png"]
    hidden = [panel(f"hidden state, {place}", found.hidden, k, True) for k, place in enumerate(places)]
    heat_maps(hidden, found.tokens, out[0])
    if found.gates:
        for k, (layer, way) in enumerate(found.places()):
            panels = [
                panel(
                    f"{name} {'state' if name == 'cell' else 'gate'}, {places[k]}", values, k, name == "cell"
                )
                for name, values in found.gates.items()
                if name != "candidate"  # in the table alone
            ]
            out.append(folder / f"gates_layer{layer}_{way}.png")
            heat_maps(panels, found.tokens, out[-1])

    # In the other direction the loss is at the first step; of lower layers the table tells.
    top = len(places) - (2 if found.bidirectional else 1)
    lines = [Curve(each.model, each.norms[:, top].tolist(), not each.trained) for each in found.gradients]
    title = f"gradient of the loss at the end, {places[top]}"
    out.append(folder / "gradients.png")
    curves(lines, found.tokens, title, "norm at the hidden state", True, out[-1])

    if found.probabilities is not None:
        out.append(folder / "probabilities.png")
        if not found.running:
            tags = HeatMap("probability of each tag", found.probabilities.t(), found.labels, False, "tag")
            heat_maps([tags], found.tokens, out[-1])
        else:
            lines = [
                Curve(label, values)
                for label, values in zip(found.labels, found.probabilities.t().tolist(), strict=True)
            ]
            how = (
                "each beginning of the text read by itself"
                if found.bidirectional
                else "as the text streams in"
            )
            curves(lines, found.tokens, f"answer after each token, {how}", "probability", False, out[-1])
    return out


def _most_varied(values: Tensor) -> list[int]:
    """Which units of [T, H] to show: those with the largest variance over the tokens, in their own order."""
    chosen = values.var(0, correction=0).topk(min(MAX_UNITS, values.size(1))).indices
    return sorted(chosen.tolist())
