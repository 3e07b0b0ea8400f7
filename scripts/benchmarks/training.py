"""Training with nlp_rnn, through Lightning's Trainer as on the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytorch_lightning as pl
from torch.utils.data import DataLoader
from typing_extensions import override

from benchmarks.counting import UNITS, Lengths, count_batches
from benchmarks.flops import flops_per_row
from benchmarks.options import Options
from benchmarks.recipes import TRAINER_PRECISION, make_data, make_task, with_process_settings
from benchmarks.worker import Channel, Timer
from nlp_rnn.data import DataModule


def prepare(options: Options, channel: Channel) -> None:
    """Fill the cache with the corpus, and report the size and cost of a training step on it.

    Facts: `rows`, `steps_an_epoch`, `parameters`, `flops_a_row` and `tokens_a_row` (averages per row of the
    train split) and `average_batch` (steps and sequences of an average batch, by field).
    """
    data = make_data(options)
    task = make_task(options, data)
    batches = [batch.all_lengths() for batch in data.train_dataloader()]
    full_batches = batches[: max(1, len(batches) - 1)]
    shapes = {}
    for name in batches[0]:
        tokens = sum(int(lengths[name].sum()) for lengths in full_batches)
        sequences = sum(len(lengths[name]) for lengths in full_batches)
        shapes[name] = [max(1, round(tokens / sequences)), max(1, round(sequences / len(full_batches)))]
    facts = {
        "rows": len(data.splits["train"]),
        "steps_an_epoch": len(batches),
        "parameters": sum(parameter.numel() for parameter in task.model.parameters()),
        "flops_a_row": flops_per_row(task, batches),
        "tokens_a_row": count_batches(batches)["tokens"] / len(data.splits["train"]),
        "average_batch": shapes,
    }
    for _ in channel.rounds(facts):
        pass


@with_process_settings
def train(
    options: Options,
    channel: Channel,
    precision: str,
    heaviest_first: bool = False,
    epochs: bool = False,
    max_examples: int | None = None,
    teacher_forcing: float = 1.0,
    cell: str = "lstm",
    variant: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Train with the package's DataModule, task and optimizer; a turn is a number of steps.

    Args:
        options: the benchmark's options.
        channel: connection to the benchmark.
        precision: fp32 or bf16.
        heaviest_first: begin with the batches that need most memory.
        epochs: a turn is a number of epochs, not of steps.
        max_examples: replaces the `max_examples` of the options.
        teacher_forcing: of translation.
        cell: of all recurrent layers.
        variant: for translation, more settings of the model.
    """
    if max_examples:
        options = replace(options, max_examples=max_examples)
    data = make_data(options)
    task = make_task(options, data, teacher_forcing, cell, variant)
    trainer = pl.Trainer(
        accelerator="gpu" if options.device == "cuda" else "cpu",
        devices=1,
        precision=TRAINER_PRECISION[precision],
        max_epochs=-1,
        limit_val_batches=0,
        gradient_clip_val=1.0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[_Turns(options, channel, epochs)],
    )
    if heaviest_first:
        trainer.fit(task, train_dataloaders=heaviest_batches_first(data))
    else:
        trainer.fit(task, datamodule=data)


class _Turns(pl.Callback):
    """Pauses the trainer between turns, and measures the turns."""

    def __init__(self, options: Options, channel: Channel, epochs: bool) -> None:
        self._options = options
        self._channel = channel
        self._epochs = epochs
        self._batches: list[Lengths] = []
        self._rounds: Iterator[int]
        self._timer: Timer

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        parameters = sum(parameter.numel() for parameter in pl_module.parameters())
        self._rounds = self._channel.rounds({"parameters": parameters})
        self._wait(trainer)

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._batches.append(batch.all_lengths())
        if len(self._batches) == self._steps:
            seconds = self._timer.stop()
            counts = count_batches(self._batches)
            self._channel.report(UNITS[self._options.task], counts.pop("units"), seconds, counts)
            self._wait(trainer)

    def _wait(self, trainer: pl.Trainer) -> None:
        self._batches = []
        self._steps = next(self._rounds, 0) * (int(trainer.num_training_batches) if self._epochs else 1)
        if self._steps:
            self._timer = self._channel.start_timer(self._options.device)
        else:  # no timer here: a profile that is started and never stopped crashes the program
            trainer.should_stop = True


def heaviest_batches_first(data: DataModule) -> DataLoader[Any]:
    """Load the batches of the train split, those that need most memory first."""
    loader = data.train_dataloader()
    lengths = [data.splits["train"].lengths(name) for name in data.processor.length_columns]
    batches = sorted(
        loader.sampler,
        key=lambda rows: -len(rows) * sum(int(length[rows].max()) for length in lengths),
    )
    return DataLoader(loader.dataset, sampler=batches, batch_size=None, collate_fn=loader.collate_fn)
