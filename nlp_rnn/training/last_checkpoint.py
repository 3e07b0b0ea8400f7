"""The checkpoint from which a run is resumed, and the signals at which a run stops."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from pytorch_lightning.callbacks import Callback, WeightAveraging
from typing_extensions import override

from nlp_rnn.errors import Interrupted
from nlp_rnn.training.devices import check_same_start, is_spawned
from nlp_rnn.training.late_number import LateNumber
from nlp_rnn.training.signals import SIGNALS, StopRequest

# What a process wants to do; else the number of a signal. Of several wishes the highest counts.
_GO_ON, _SAVE = -1, 0


class LastCheckpoint(Callback):
    """Writes the last checkpoint: after each epoch, every few minutes, and when a signal stops the run.

    SIGTERM, SIGINT and SLURM's signal to requeue the job let the current batch end, then the run is saved and
    `Interrupted` is raised. It is enough that one process gets the signal: all of them stop at the batch
    after it, for they send each other their wishes at each batch, and read them at the next.

    Args:
        path: where the checkpoint is written, over the one before.
        minutes: how often within an epoch.
    """

    def __init__(self, path: Path, minutes: float) -> None:
        self.path = path
        self._seconds = 60 * minutes
        self._saved_at = 0.0
        self._saved_step = 0
        self._request = StopRequest()
        self._vote: _Vote | None = None

    @override
    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self.path = trainer.strategy.broadcast(self.path)  # the first process alone knows the run directory
        if stage == "fit":
            self._request = StopRequest()  # in the process that trains, which may have been spawned
            check_same_start(trainer)

    @override
    def on_sanity_check_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._handle_signals(trainer)

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._handle_signals(trainer)
        # Lightning would ask all processes for signals at each batch, and wait for the answer.
        cast(Any, trainer.fit_loop.epoch_loop)._broadcast_sigterm_tensor = lambda: None
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
        number = self._request.number  # it came after the last batch
        if trainer.world_size > 1:
            number = _Vote(number, trainer.strategy.root_device).read()
        if number:
            self._leave(trainer, number)

    def _handle_signals(self, trainer: pl.Trainer) -> None:
        # Lightning's own handlers, in whose place these stand until the fit ends, send messages to other
        # processes from within the handler, and save in the middle of a step.
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (*SIGNALS, *_requeue_signal(trainer)):
            signal.signal(number, self._request)

    def _stop_or_save(self, trainer: pl.Trainer) -> None:
        if trainer.world_size == 1:
            action = self._wish(trainer)
        else:
            action = self._vote.read() if self._vote else _GO_ON
        if action > 0 and trainer.sanity_checking:
            self._leave(trainer, action)
        if action >= _SAVE:
            self._save(trainer)
        if action > 0:
            if action in _requeue_signal(trainer) and trainer.is_global_zero:
                _requeue_job()
            self._leave(trainer, action)
        if trainer.world_size > 1:
            self._vote = _Vote(self._wish(trainer), trainer.strategy.root_device)

    def _wish(self, trainer: pl.Trainer) -> int:
        is_due = not trainer.sanity_checking and time.monotonic() - self._saved_at >= self._seconds
        return self._request.number or (_SAVE if is_due else _GO_ON)

    def _save(self, trainer: pl.Trainer) -> None:
        if not cast(Any, trainer).fast_dev_run:
            with _trained_weights(trainer):
                trainer.save_checkpoint(self.path, weights_only=False)
        self._saved_at, self._saved_step = time.monotonic(), trainer.global_step

    def _leave(self, trainer: pl.Trainer, number: int) -> None:
        if not trainer.is_global_zero or is_spawned(trainer):  # another process says it
            sys.exit(128 + number)
        raise Interrupted(number)


@contextmanager
def _trained_weights(trainer: pl.Trainer) -> Iterator[None]:
    """Amid a validation of averaged weights, let the model have those that are trained."""
    averages = [
        callback
        for callback in cast(Any, trainer).callbacks
        if isinstance(callback, WeightAveraging) and trainer.validating
    ]
    for callback in averages:
        callback.on_validation_epoch_end(trainer, trainer.lightning_module)
    yield
    for callback in averages:
        callback.on_validation_epoch_start(trainer, trainer.lightning_module)


class _Vote:
    """The highest of the wishes of all processes, which is known to all of them later."""

    def __init__(self, wish: int, device: torch.device) -> None:
        value = torch.full((), wish, device=device)
        # On other devices this waits on the device alone.
        self._message = dist.all_reduce(value, dist.ReduceOp.MAX, async_op=device.type == "cpu")
        self._value = LateNumber(value)

    def read(self) -> int:
        if self._message is not None:
            self._message.wait()
        return int(self._value.read())


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
