"""`nlp-rnn long-memory`: train several cells on a problem that needs long memory, and compare them.

Prints a table, and plots training and validation error into the output folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from nlp_rnn.cli.console import importing

# A few thousand sequences again and again, and two layers of a plain RNN: it memorizes them, and learns
# nothing of use.
_OVERFITTING: dict[str, Any] = {
    "cells": ["rnn"],
    "train": 2048,
    "validation": 512,
    "test": 440,
    "hidden_dim": 30,
    "layers": 2,
    "lr": 1e-3,
    "steps": 6400,
    "long_memory": False,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.argument_default = argparse.SUPPRESS  # defaults are those of `Experiment`
    parser.add_argument("--problem", choices=["multiplication", "adding"], help="default: multiplication")
    parser.add_argument("--cells", nargs="+", metavar="CELL", help="default: rnn gru lstm")
    parser.add_argument("--length", type=int, help="steps per sequence; default: 100")
    parser.add_argument("--train", type=int, help="training sequences; default: 51200")
    parser.add_argument("--validation", type=int, help="validation sequences; default: 1000")
    parser.add_argument("--test", type=int, help="fresh sequences to measure on; default: 10000")
    parser.add_argument("--hidden-dim", type=int, help="size of the recurrent state; default: 64")
    parser.add_argument("--layers", type=int, help="default: 1")
    parser.add_argument("--steps", type=int, help="optimizer steps; default: 3500")
    parser.add_argument("--batch-size", type=int, help="default: 64")
    parser.add_argument("--lr", type=float, help="default: 0.005")
    parser.add_argument("--seed", type=int, help="default: 0")
    parser.add_argument("--output", type=Path, default=Path("long_memory"), help="folder for the plot")
    parser.add_argument(
        "--overfitting",
        action="store_true",
        default=False,
        help="two layers of a plain RNN on 2,048 sequences, which it memorizes",
    )


def run(options: argparse.Namespace) -> None:
    """Train each cell, and print a table of how well it did."""
    with importing():
        from nlp_rnn.cpu import retain_freed_memory
        from nlp_rnn.files import check_writable
        from nlp_rnn.models.layers.cells import CellName
        from nlp_rnn.plots.comparison import side_by_side_figure
        from nlp_rnn.plots.figure import save
        from nlp_rnn.settings import check_value
        from nlp_rnn.tasks.forecasting.long_memory import MEAN_PREDICTORS_ERROR
        from nlp_rnn.training.long_memory import TOLERANCE, Experiment, train_cell

    given = vars(options)
    output = given.pop("output")
    given = (_OVERFITTING if given.pop("overfitting") else {}) | given
    cells = given.pop("cells", ["rnn", "gru", "lstm"])
    experiment = Experiment(**given)
    for cell in cells:
        check_value(CellName, cell, "cell")
    check_writable(output, "--output")
    retain_freed_memory()
    output.mkdir(parents=True, exist_ok=True)
    level = MEAN_PREDICTORS_ERROR[experiment.problem]
    print(f"{experiment.problem}, {experiment.length} steps; the mean predictor: MSE {level:.4f}")
    print(f"{'cell':<8}{'MSE':>10}{f'within {TOLERANCE}':>14}{'seconds':>10}")
    curves = {}
    for cell in cells:
        found = train_cell(cell, experiment, output)
        curves[cell] = found.curves
        print(f"{cell:<8}{found.mse:>10.6f}{found.right:>13.1%} {found.seconds:>10.0f}", flush=True)
        figure = side_by_side_figure(curves, level, "mean predictor")
        save(figure, output / f"{experiment.problem}_{experiment.length}.png")
