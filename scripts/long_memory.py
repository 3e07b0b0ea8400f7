"""Which cells remember: train several side by side on sequences that only a long memory can answer.

    python scripts/long_memory.py --length 100 --output memory
    python scripts/long_memory.py --document --output memory

Prints a table, and writes a picture of training and validation error into the output folder.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path
from typing import Any

from nlp_rnn.console import ArgumentParser, importing, quiet, reporting
from nlp_rnn.errors import UsageError

NEAR = 0.04
"""An answer counts as right if it is no further off (Hochreiter & Schmidhuber 1997)."""

# Two thousand sequences again and again, and two layers of a plain network: the training error sinks, what
# is learnt is of no use.
DOCUMENT = {
    "cells": ["rnn"], "length": 100, "train": 2048, "validation": 512, "test": 440,
    "hidden_dim": 30, "layers": 2, "batch_size": 64, "lr": 1e-3, "steps": 6400,
}  # fmt: skip


def main() -> None:
    parser = ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problem", choices=["multiplication", "adding"], default="multiplication")
    parser.add_argument("--cells", nargs="+", default=["rnn", "gru", "lstm"], metavar="CELL")
    parser.add_argument("--length", type=int, default=100)
    parser.add_argument("--train", type=int, default=51_200, help="training sequences")
    parser.add_argument("--validation", type=int, default=1_000)
    parser.add_argument("--test", type=int, default=10_000, help="fresh sequences to measure on")
    parser.add_argument("--hidden-dim", type=int, default=64)
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--steps", type=int, default=3_500)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("long_memory"), help="folder for the picture")
    parser.add_argument(
        "--document", action="store_true",
        help="a plain network of two layers on 2,048 sequences, which learns them by heart",
    )  # fmt: skip
    if parser.parse_args().document:
        parser.set_defaults(**DOCUMENT)
    given = parser.parse_args()
    with reporting("long_memory"):
        quiet()
        with importing():
            from nlp_rnn.data.long_memory import MEAN_PREDICTORS_ERROR
            from nlp_rnn.machine import keep_memory
            from nlp_rnn.pictures import side_by_side
            from nlp_rnn.rundir import check_writable
            from nlp_rnn.settings import check_settings
            from nlp_rnn.tasks.module import check_choices

        keep_memory()
        check_writable(given.output, "--output")
        if given.steps < 1:
            raise UsageError(f"--steps must be at least 1, not {given.steps}")
        check_settings({"hidden_dim": given.hidden_dim, "num_layers": given.layers, "lr": given.lr})
        for cell in given.cells:
            check_choices({"cell": cell})
        data_of(given)
        given.output.mkdir(parents=True, exist_ok=True)
        level = MEAN_PREDICTORS_ERROR[given.problem]
        print(f"{given.problem}, {given.length} steps; always saying the mean: MSE {level:.4f}")
        print(f"{'cell':<8}{'MSE':>10}{f'within {NEAR}':>14}{'seconds':>10}")
        curves = {}
        for cell in given.cells:
            mse, near, seconds, curves[cell] = trained(cell, given)
            print(f"{cell:<8}{mse:>10.6f}{near:>13.1%} {seconds:>10.0f}", flush=True)
            side_by_side(
                curves, level, "always the mean", given.output / f"{given.problem}_{given.length}.png"
            )


def trained(cell: str, given: argparse.Namespace) -> tuple[float, float, float, Any]:
    """MSE and share of near answers on the test sequences, seconds of training, and the curves."""
    import pytorch_lightning as pl
    import torch
    from pytorch_lightning.loggers import CSVLogger

    from nlp_rnn.tasks import Forecasting, Optimization

    pl.seed_everything(given.seed, verbose=False)
    data = data_of(given)
    memory = given.length if cell != "rnn" and not given.document else 0
    task = Forecasting(
        data.processor, given.hidden_dim, given.layers, cell=cell,
        optimization=Optimization(optimizer="adam", lr=given.lr, schedule="cosine", memory=memory),
    )  # fmt: skip
    logger = CSVLogger(given.output, name=None, version=cell)
    every = max(1, given.steps // 40)
    trainer = pl.Trainer(
        max_steps=given.steps, val_check_interval=every, check_val_every_n_epoch=None,
        log_every_n_steps=every, gradient_clip_val=1.0, logger=logger, accelerator="cpu",
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    start = time.perf_counter()
    trainer.fit(task, data)
    seconds = time.perf_counter() - start
    task.eval()
    errors = []
    with torch.no_grad():
        for batch in data.test_dataloader():
            errors.append((task.model(batch.vectors, batch.lengths) - batch.targets).flatten())
    error = torch.cat(errors)
    mse, near = error.square().mean().item(), error.abs().le(NEAR).float().mean().item()
    return mse, near, seconds, curves_of(Path(logger.log_dir) / "metrics.csv")


def data_of(given: argparse.Namespace) -> Any:
    """The sequences that are asked for, not drawn yet."""
    from nlp_rnn.data import Batching, LongMemoryData

    return LongMemoryData(
        given.problem, given.length, given.train, given.validation, given.test, given.seed,
        Batching(given.batch_size),
    )  # fmt: skip


def curves_of(metrics: Path) -> dict[str, list[tuple[float, float]]]:
    """Training and validation error, points (step, error), from what Lightning logged."""
    with metrics.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    def points(column: str) -> list[tuple[float, float]]:
        return [(float(row["step"]) + 1, float(row[column])) for row in rows if row.get(column)]

    epochs = points("train/loss_epoch")
    return {"train": epochs if len(epochs) >= 10 else points("train/loss_step"), "val": points("val/mse")}


if __name__ == "__main__":
    main()
