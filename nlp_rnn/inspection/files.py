"""Writing an inspection to files: plots, and their numbers as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from nlp_rnn.errors import UsageError
from nlp_rnn.files import atomic_write, cannot_write
from nlp_rnn.inspection.figures import figures
from nlp_rnn.inspection.inspector import Inspection
from nlp_rnn.plots.figure import save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Format = Literal["csv", "parquet"]


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
            write_table(table, folder / f"{name}.{format}", format)
            for name, table in _tables(inspection).items()
        ]
        return tables + [_plot(figure, folder / f"{name}.png") for name, figure in figures(inspection)]
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


def write_table(table: pa.Table, out: Path, format: Format) -> Path:
    """Write a table, completely or not at all."""
    from pyarrow import csv, parquet

    with atomic_write(out) as temporary:
        (csv.write_csv if format == "csv" else parquet.write_table)(table, temporary)
    return out


def _plot(figure: Figure, out: Path) -> Path:
    """Write a plot, completely or not at all."""
    save(figure, out)
    return out
