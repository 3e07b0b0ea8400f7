"""Training as our command line does it, through Lightning's Trainer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytorch_lightning as pl
from torch.utils.data import DataLoader

from benchmarks.flops import flops_per_row
from benchmarks.given import Given
from benchmarks.ours import TRAINER_PRECISION, UNITS, Lengths, counted, data_of, settled, task_of
from benchmarks.worker import Caller, Watch
from nlp_rnn.data.module import DataModule


def prepare(given: Given, caller: Caller) -> None:
    """Read the corpus, so that nobody's start has to; and say what a training step of it comes to."""
    data = data_of(given)
    task = task_of(given, data)
    batches = [batch.all_lengths() for batch in data.train_dataloader()]
    whole = batches[: max(1, len(batches) - 1)]
    shapes = {}
    for name in batches[0]:
        tokens = sum(int(lengths[name].sum()) for lengths in whole)
        sequences = sum(len(lengths[name]) for lengths in whole)
        shapes[name] = [max(1, round(tokens / sequences)), max(1, round(sequences / len(whole)))]
    facts = {
        "rows": len(data.splits["train"]),
        "steps_an_epoch": len(batches),
        "parameters": sum(parameter.numel() for parameter in task.model.parameters()),
        "flops_a_row": flops_per_row(task, batches),
        "tokens_a_row": counted(batches)["tokens"] / len(data.splits["train"]),
        "average_batch": shapes,
    }
    for _ in caller.rounds(**facts):
        pass


@settled
def ours(
    given: Given,
    caller: Caller,
    precision: str,
    heaviest_first: bool = False,
    epochs: bool = False,
    max_examples: int | None = None,
    teacher_forcing: float = 1.0,
    cell: str = "lstm",
) -> None:
    """Our DataModule, task and optimiser, under Lightning's Trainer.

    Args:
        precision: fp32 or bf16.
        heaviest_first: begin with what needs most memory.
        epochs: a turn is of so many epochs, not steps.
        max_examples: instead of what is given.
        teacher_forcing: of translation.
        cell: of all recurrent layers.
    """
    if max_examples:
        given = replace(given, max_examples=max_examples)
    data = data_of(given)
    task = task_of(given, data, teacher_forcing, cell)
    trainer = pl.Trainer(
        accelerator="gpu" if given.device == "cuda" else "cpu",
        devices=1,
        precision=TRAINER_PRECISION[precision],  # type: ignore[arg-type]
        max_epochs=-1,
        limit_val_batches=0,
        gradient_clip_val=1.0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[_Turns(given, caller, epochs)],
    )
    if heaviest_first:
        trainer.fit(task, train_dataloaders=heaviest_batches_first(data))
    else:
        trainer.fit(task, datamodule=data)


class _Turns(pl.Callback):
    """Holds the trainer up between its turns, and measures them."""

    def __init__(self, given: Given, caller: Caller, epochs: bool) -> None:
        self._given = given
        self._caller = caller
        self._epochs = epochs
        self._batches: list[Lengths] = []
        self._rounds: Iterator[int]
        self._watch: Watch

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        parameters = sum(parameter.numel() for parameter in pl_module.parameters())
        self._rounds = self._caller.rounds(parameters=parameters)
        self._wait(trainer)

    def on_train_batch_end(self, trainer: pl.Trainer, *others: Any) -> None:
        batch = others[2]
        self._batches.append(batch.all_lengths())
        if len(self._batches) == self._turn:
            seconds = self._watch.stop()
            self._caller.report(UNITS[self._given.task], seconds=seconds, **counted(self._batches))
            self._wait(trainer)

    def _wait(self, trainer: pl.Trainer) -> None:
        self._batches = []
        self._turn = next(self._rounds, 0) * (int(trainer.num_training_batches) if self._epochs else 1)
        if self._turn:
            self._watch = self._caller.watch(self._given.device)
        else:  # a profile that is begun and never ended brings the program down
            trainer.should_stop = True


def heaviest_batches_first(data: DataModule) -> DataLoader:
    """The train split's batches, those that need most memory first."""
    loader = data.train_dataloader()
    lengths = [data.splits["train"].lengths(name) for name in data.processor.length_columns]
    batches = sorted(
        loader.sampler,
        key=lambda rows: -len(rows) * sum(int(length[rows].max()) for length in lengths),  # type: ignore[call-overload]
    )
    return DataLoader(loader.dataset, sampler=batches, batch_size=None, collate_fn=loader.collate_fn)
