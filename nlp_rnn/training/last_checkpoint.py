"""The checkpoint from which a run is resumed, and the signals at which a run stops."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from pytorch_lightning.callbacks import Callback
from typing_extensions import override

from nlp_rnn.errors import Interrupted
from nlp_rnn.training.signals import SIGNALS, StopRequest

_SAVE = -1


class LastCheckpoint(Callback):
    """Writes the last checkpoint: after each epoch, every few minutes, and when a signal stops the run.

    SIGTERM, SIGINT and SLURM's signal to requeue the job let the current batch end, then the run is saved and
    `Interrupted` is raised. It is enough that one process gets the signal.

    Args:
        path: where the checkpoint is written, over the one before.
        minutes: how often within an epoch.
    """

    def __init__(self, path: Path, minutes: float) -> None:
        self.path = path
        self.is_saved = False
        """Whether it has been written."""
        self._seconds = 60 * minutes
        self._saved_at = 0.0
        self._saved_step = 0
        self._request = StopRequest()

    @override
    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self.path = trainer.strategy.broadcast(self.path)  # the first process alone knows the run directory

    @override
    def on_sanity_check_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._handle_signals(trainer)

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._handle_signals(trainer)
        self._saved_at, self._saved_step = time.monotonic(), trainer.global_step

    # These are called before the hooks of other callbacks, and before anything of the batch is computed.

    @override
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.global_step != self._saved_step:
            self._save(trainer)

    @override
    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._stop_or_save(trainer)

    @override
    def on_validation_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        if trainer.state.fn == "fit":
            self._stop_or_save(trainer)

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._save(trainer)

    @override
    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._request.number:  # it came after the last batch
            self._leave(trainer, self._request.number)

    def _handle_signals(self, trainer: pl.Trainer) -> None:
        # Lightning's own handlers, in whose place these stand until the fit ends, send messages to other
        # processes from within the handler, and save in the middle of a step.
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (*SIGNALS, *_requeue_signal(trainer)):
            signal.signal(number, self._request)

    def _stop_or_save(self, trainer: pl.Trainer) -> None:
        is_due = not trainer.sanity_checking and time.monotonic() - self._saved_at >= self._seconds
        action = _agree(trainer, self._request.number or (_SAVE if is_due else 0))
        if action == 0:
            return
        if trainer.sanity_checking:
            self._leave(trainer, action)
        self._save(trainer)
        if action != _SAVE:
            if action in _requeue_signal(trainer) and trainer.is_global_zero:
                _requeue_job()
            self._leave(trainer, action)

    def _save(self, trainer: pl.Trainer) -> None:
        if not cast(Any, trainer).fast_dev_run:
            trainer.save_checkpoint(self.path, weights_only=False)
            self.is_saved = True
        self._saved_at, self._saved_step = time.monotonic(), trainer.global_step

    def _leave(self, trainer: pl.Trainer, number: int) -> None:
        if not trainer.is_global_zero:  # the first process says it
            sys.exit(128 + number)
        raise Interrupted(number)


def _agree(trainer: pl.Trainer, action: int) -> int:
    """What all processes do: the signal that one of them got, or else save if the first one is to."""
    if trainer.world_size == 1:
        return action
    both = torch.tensor([max(action, 0), int(action == _SAVE)], device=trainer.strategy.root_device)
    number, saves = trainer.strategy.reduce(both, reduce_op="max").tolist()
    return number or (_SAVE if saves else 0)


def _requeue_signal(trainer: pl.Trainer) -> list[signal.Signals]:
    """The signal at which SLURM's job is to be requeued, where there is one."""
    environment = trainer._accelerator_connector.cluster_environment
    if not isinstance(environment, SLURMEnvironment) or not environment.auto_requeue:
        return []
    return [environment.requeue_signal] if environment.requeue_signal is not None else []


def _requeue_job() -> None:
    job = os.environ["SLURM_JOB_ID"]
    if "SLURM_ARRAY_JOB_ID" in os.environ:
        job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    command = ["scontrol", "requeue", job]
    if subprocess.run(command, check=False).returncode != 0:
        print(f"nlp-rnn: {shlex.join(command)} failed: submit the job again", file=sys.stderr)
