"""`nlp-rnn long-memory`: train several cells on a problem that needs long memory, and compare them.

Prints a table, and plots training and validation error into the output folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from nlp_rnn.cli.console import importing, path_argument
from nlp_rnn.errors import UsageError

# Two layers of a plain RNN, trained on a few thousand sequences for many epochs: it memorizes them, and does
# not generalize.
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
    parser.argument_default = argparse.SUPPRESS  # so that the defaults are those of `Experiment`
    parser.add_argument(
        "--problem",
        choices=["multiplication", "adding"],
        help="the target: product or sum; default: multiplication",
    )
    parser.add_argument("--cells", nargs="+", metavar="CELL", help="cells to compare; default: rnn gru lstm")
    parser.add_argument("--length", type=int, help="steps per sequence; default: 100")
    parser.add_argument("--train", type=int, help="training sequences; default: 51200")
    parser.add_argument("--validation", type=int, help="validation sequences; default: 1000")
    parser.add_argument("--test", type=int, help="test sequences; default: 10000")
    parser.add_argument("--hidden-dim", type=int, help="size of the recurrent state; default: 64")
    parser.add_argument("--layers", type=int, help="recurrent layers; default: 1")
    parser.add_argument("--steps", type=int, help="optimizer steps; default: 3500")
    parser.add_argument("--batch-size", type=int, help="sequences per batch; default: 64")
    parser.add_argument("--lr", type=float, help="learning rate; default: 0.005")
    parser.add_argument("--seed", type=int, help="seed of sequences and initialization; default: 0")
    parser.add_argument(
        "--output",
        type=path_argument,
        default="long_memory",
        help="folder to write the plot and metrics to; default: long_memory",
    )
    parser.add_argument(
        "--overfitting",
        action="store_true",
        default=False,
        help="other defaults, to show overfitting: two layers of a plain RNN on 2,048 sequences",
    )


def run(options: argparse.Namespace) -> None:
    """Train each cell, and print a table of results, one row per cell."""
    with importing():
        from nlp_rnn.cpu import retain_freed_memory
        from nlp_rnn.files import check_writable
        from nlp_rnn.models.layers.cells import CellName
        from nlp_rnn.plots.comparison import compared_figure
        from nlp_rnn.plots.figure import save
        from nlp_rnn.settings import check_value
        from nlp_rnn.tasks.forecasting.long_memory import MEAN_PREDICTORS_ERROR
        from nlp_rnn.training.long_memory import TOLERANCE, Experiment, train_cell

    settings = {name: value for name, value in vars(options).items() if name != "command"}
    output = Path(settings.pop("output"))
    settings = (_OVERFITTING if settings.pop("overfitting") else {}) | settings
    cells = settings.pop("cells", ["rnn", "gru", "lstm"])
    experiment = Experiment(**settings)
    for cell in cells:
        check_value(CellName, cell, "cell")
        if cells.count(cell) > 1:
            raise UsageError(f"--cells: {cell} is given twice")
    check_writable(output, "--output")
    retain_freed_memory()
    output.mkdir(parents=True, exist_ok=True)
    baseline = MEAN_PREDICTORS_ERROR[experiment.problem]
    print(f"{experiment.problem}, {experiment.length} steps; the mean predictor: MSE {baseline:.4f}")
    print(f"{'cell':<8}{'MSE':>10}{f'within {TOLERANCE}':>14}{'seconds':>10}")
    title = f"{experiment.problem.capitalize()} problem, {experiment.length} steps per sequence"
    curves = {}
    for cell in cells:
        outcome = train_cell(cell, experiment, output)
        curves[cell] = outcome.curves
        print(f"{cell:<8}{outcome.mse:>10.6f}{outcome.right:>13.1%} {outcome.seconds:>10.0f}", flush=True)
        figure = compared_figure(curves, baseline, "mean predictor", title)
        save(figure, output / f"{experiment.problem}_{experiment.length}.png")
