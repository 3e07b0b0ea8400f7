"""Long memory: train a cell on sequences whose targets depend on distant steps, and measure it."""

from __future__ import annotations

import csv
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger

from nlp_rnn.data import Batching
from nlp_rnn.data.batching import BatchSize
from nlp_rnn.models.layers.cells import CELLS, CellName
from nlp_rnn.plots.figure import Points
from nlp_rnn.settings import LayerSize, NumLayers, Range, Seed, Settings
from nlp_rnn.tasks.forecasting import Forecasting, LongMemoryData
from nlp_rnn.tasks.forecasting.long_memory import NumSequences
from nlp_rnn.tasks.optimization import LearningRate, Optimization
from nlp_rnn.training.nonfinite import NonFiniteGuard

TOLERANCE = 0.04
"""A prediction within this distance of its target counts as right (Hochreiter & Schmidhuber 1997)."""


@dataclass(frozen=True)
class Experiment(Settings):
    """The data that every cell is trained on, and the training.

    Args:
        problem: the target: the product or the sum of the two marked numbers.
        length: steps per sequence.
        train: training sequences.
        validation: validation sequences.
        test: test sequences.
        hidden_dim: size of the recurrent state.
        layers: recurrent layers.
        steps: optimizer steps.
        batch_size: sequences per batch.
        lr: initial learning rate; a cosine schedule decreases it to 0.
        seed: seed of the sequences and of the initialization.
        long_memory: whether gate biases are initialized for memories as long as the sequences.
    """

    problem: Literal["multiplication", "adding"] = "multiplication"
    length: Annotated[int, Range(2, 10_000_000)] = 100
    train: NumSequences = 51_200
    validation: NumSequences = 1_000
    test: NumSequences = 10_000
    hidden_dim: LayerSize = 64
    layers: NumLayers = 1
    steps: Annotated[int, Range(1, 10**12)] = 3_500
    batch_size: BatchSize = 64
    lr: LearningRate = 5e-3
    seed: Seed = 0
    long_memory: bool = True


@dataclass(frozen=True)
class Outcome:
    """The results of one cell.

    Args:
        mse: mean squared error on the test sequences.
        right: fraction of the test sequences predicted within `TOLERANCE`.
        seconds: training time in seconds.
        curves: "train" and "val" -> points (step, mean squared error).
    """

    mse: float
    right: float
    seconds: float
    curves: dict[str, Points] = field(repr=False)


def train_cell(cell: CellName, experiment: Experiment, output: Path) -> Outcome:
    """Train one cell and measure it.

    Args:
        cell: a name in `CELLS`.
        experiment: the data, the sizes and the optimization.
        output: folder for the logged metrics, which go into a folder named after the cell.
    """
    pl.seed_everything(experiment.seed, verbose=False)
    data = LongMemoryData(
        experiment.problem,
        experiment.length,
        experiment.train,
        experiment.validation,
        experiment.test,
        experiment.seed,
        Batching(experiment.batch_size),
    )
    row = CELLS[cell]
    has_gates = row.forget_gate is not None or row.input_gate is not None
    optimization = Optimization(
        optimizer="adam",
        lr=experiment.lr,
        schedule="cosine",
        memory=experiment.length if has_gates and experiment.long_memory else 0,
    )
    task = Forecasting(
        data.processor, experiment.hidden_dim, experiment.layers, cell=cell, optimization=optimization
    )
    logger = CSVLogger(output, name=None, version=cell)
    interval = max(1, experiment.steps // 40)
    trainer = pl.Trainer(
        max_steps=experiment.steps,
        val_check_interval=interval,
        check_val_every_n_epoch=None,
        log_every_n_steps=interval,
        gradient_clip_val=1.0,
        logger=logger,
        callbacks=NonFiniteGuard(),
        accelerator="cpu",
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    start = time.perf_counter()
    trainer.fit(task, data)
    seconds = time.perf_counter() - start
    error = _prediction_errors(task, data)
    return Outcome(
        mse=error.square().mean().item(),
        right=error.abs().le(TOLERANCE).float().mean().item(),
        seconds=seconds,
        curves=_curves(Path(logger.log_dir) / "metrics.csv"),
    )


@torch.no_grad()
def _prediction_errors(task: Forecasting, data: LongMemoryData) -> torch.Tensor:
    """[N] float32, prediction minus target of each test sequence."""
    task.eval()
    errors = [
        (task.model(batch.vectors, batch.lengths) - batch.targets).flatten()
        for batch in data.test_dataloader()
    ]
    return torch.cat(errors)


def _curves(metrics: Path) -> dict[str, Points]:
    """Training and validation error, from the metrics that Lightning logged."""
    with metrics.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    def points(column: str) -> Points:
        return [(float(row["step"]) + 1, float(row[column])) for row in rows if row.get(column)]

    epochs = points("train/loss_epoch")
    return {"train": epochs if len(epochs) >= 10 else points("train/loss_step"), "val": points("val/mse")}
