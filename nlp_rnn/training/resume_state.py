"""What a checkpoint holds beside Lightning's own states, so that a resumed run ends as an uninterrupted one.

Lightning stores weights, optimizer, schedule, callbacks and the counts of its loops. This adds what else the
rest of the epoch depends on. Lightning's loops also repeat or leave out parts of an epoch when they resume,
depending on the hook from which the checkpoint was saved; the counts are stored so that they do neither.
"""

from __future__ import annotations

import logging
from typing import Any, cast

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities import move_data_to_device
from pytorch_lightning.callbacks import Callback, EarlyStopping, GradientAccumulationScheduler
from torch import Tensor
from torch.distributed.tensor import DTensor
from typing_extensions import override

from nlp_rnn.data.sampling import EpochSampler
from nlp_rnn.tasks.base import Task
from nlp_rnn.training.metrics_log import MetricsLog
from nlp_rnn.training.random_states import random_states, set_random_states

log = logging.getLogger(__name__)

KEY = "resume_state"
"""Where the state stands in a checkpoint."""


class ResumeState(Callback):
    """Makes training resume exactly, from every checkpoint that is saved while it is among the callbacks.

    On a CPU, with as many devices as before, the resumed run ends with the same weights and logs the same
    rows, bit for bit. It must be the first of the callbacks.
    """

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}
        self._before_validation: dict[str, Any] = {}
        """The random states, for a validation that is interrupted begins anew."""

    @override
    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        for logger in trainer.loggers:
            logger.save()
        loop = trainer.fit_loop.epoch_loop
        batches: Any = loop.batch_progress.total
        ends_batch = trainer.validating or batches.processed > batches.completed
        checkpoint[KEY] = {
            "processes": _gather(self._process_state(trainer, pl_module)),
            "metrics": move_data_to_device(dict(trainer.callback_metrics), "cpu"),
            "should_stop": trainer.should_stop,
            "logged_rows": next((log.rows for log in trainer.loggers if isinstance(log, MetricsLog)), 0),
            "batches": trainer.num_training_batches,
            "next_step": loop._batches_that_stepped + ends_batch,
            # Where it resumes, Lightning's loop counts the end of a batch, even if that is counted already.
            "counted": not ends_batch,
        }
        _set_counts(checkpoint)

    @override
    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self._loaded = checkpoint.get(KEY, {})
        if not self._loaded:
            log.warning("the checkpoint holds no random states: training goes on, but not exactly as before")
            return
        for logger in trainer.loggers:
            if isinstance(logger, MetricsLog):
                logger.cut(self._loaded["logged_rows"])
        # Lightning does not store that it was to stop; with more patience it goes on.
        stoppers = [
            callback for callback in cast(Any, trainer).callbacks if isinstance(callback, EarlyStopping)
        ]
        states = checkpoint["callbacks"]
        is_out_of_patience = any(
            states[stopper.state_key]["wait_count"] >= stopper.patience
            for stopper in stoppers
            if stopper.state_key in states
        )
        trainer.should_stop = self._loaded["should_stop"] and is_out_of_patience

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not self._loaded:
            return
        trainer.callback_metrics.update(self._loaded["metrics"])
        processes = self._loaded["processes"]
        if len(processes) != trainer.world_size:
            log.warning(
                "trained on %d devices before and on %d now: training goes on, but not exactly as before",
                len(processes),
                trainer.world_size,
            )
        else:
            self._check_batches(trainer)
        state = processes[trainer.global_rank % len(processes)]
        _start_loader(trainer)
        if isinstance(pl_module, Task):
            pl_module.load_epoch_state(state["task"])
        for name, parameter in pl_module.named_parameters():
            if name in state["gradients"]:
                parameter.grad = _part_like(parameter, state["gradients"][name].to(parameter.device))
        if trainer.global_rank < len(processes):  # else it would draw what another device does
            set_random_states(state["random"], pl_module.device)

    @override
    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if not self._loaded:
            return
        for callback in cast(Any, trainer).callbacks:
            if isinstance(callback, GradientAccumulationScheduler):  # which does this when an epoch starts
                trainer.accumulate_grad_batches = callback.get_accumulate_grad_batches(trainer.current_epoch)
        if self._loaded.get("counted"):
            trainer.fit_loop.epoch_loop._batches_that_stepped = self._loaded["next_step"]
        self._loaded = {}

    @override
    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._before_validation = random_states(pl_module.device)

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # In an epoch that was resumed, Lightning would leave out the schedule `plateau`, for want of metrics.
        trainer.fit_loop._restarting = False

    def _check_batches(self, trainer: pl.Trainer) -> None:
        """Warn if the epoch that goes on now has other batches than before."""
        before, now = self._loaded.get("batches"), trainer.num_training_batches
        if before not in (None, now) and trainer.fit_loop.epoch_loop.batch_progress.current.completed:
            log.warning(
                "this epoch had %s batches before and has %s now: what is left of it may repeat or miss rows",
                before,
                now,
            )

    def _process_state(self, trainer: pl.Trainer, module: pl.LightningModule) -> dict[str, Any]:
        """What belongs to this process alone."""
        done = trainer.fit_loop.epoch_loop.batch_progress.current.completed
        parameters = module.named_parameters() if done % trainer.accumulate_grad_batches else ()
        validation = trainer.fit_loop.epoch_loop.val_loop.batch_progress.state_dict()
        state = {
            "task": module.epoch_state() if isinstance(module, Task) else {},
            "gradients": {name: _part(weight.grad) for name, weight in parameters if weight.grad is not None},
            "random": self._before_validation if _has_begun(validation) else random_states(module.device),
        }
        on_cpu: dict[str, Any] = move_data_to_device(state, "cpu")
        return on_cpu


def _part(tensor: Tensor) -> Tensor:
    """The part of a tensor that this device holds: all of it, unless it is divided (FSDP2)."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def _part_like(tensor: Tensor, part: Tensor) -> Tensor | None:
    """A tensor of which this device holds a part, divided as another tensor is.

    None if the part is that of another number of devices.
    """
    if not isinstance(tensor, DTensor):
        return part
    if part.shape != tensor.to_local().shape:
        return None
    shape, stride = tensor.shape, tensor.stride()
    return DTensor.from_local(part, tensor.device_mesh, tensor.placements, shape=shape, stride=stride)


def _gather(state: dict[str, Any]) -> list[dict[str, Any]]:
    """The states of all processes, in the order of their ranks."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return [state]
    states: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(states, state)
    return states


def _set_counts(checkpoint: dict[str, Any]) -> None:
    """Set the counts of Lightning's loops to those between two batches, or between two epochs.

    There a batch and an epoch are either complete or not started, so that none is repeated or left out.
    """
    counts = checkpoint["loops"]["fit_loop"]
    epochs, batches = counts["epoch_progress"], counts["epoch_loop.batch_progress"]
    validation = counts["epoch_loop.val_loop.batch_progress"]
    for part in ("total", "current"):
        if epochs[part]["ready"] > epochs[part]["started"]:  # about to start
            epochs[part]["ready"] = epochs[part]["completed"]
        epochs[part]["completed"] = epochs[part]["processed"]  # differs while the epoch ends
        if batches[part]["ready"] > batches[part]["started"]:
            batches[part]["ready"] = batches[part]["completed"]
            batches["is_last_batch"] = False
    if epochs["current"]["ready"] == epochs["current"]["completed"]:
        batches["current"] = dict.fromkeys(batches["current"], 0)
        batches["is_last_batch"] = False
        checkpoint["epoch"] = epochs["total"]["completed"] - 1
    # A validation that has begun is begun again, which Lightning knows by these counts.
    is_validating = int(_has_begun(validation))
    begun = {"ready": is_validating, "started": is_validating, "processed": 0, "completed": 0}
    validation.update(total=begun, current=dict.fromkeys(begun, 0), is_last_batch=False)


def _has_begun(validation: dict[str, Any]) -> bool:
    """Whether the counts are those of a batch of a validation, behind which it goes on."""
    return bool(validation["total"]["processed"] > validation["total"]["completed"])


def _start_loader(trainer: pl.Trainer) -> None:
    """Let the loader begin behind the batches of this epoch that were trained on."""
    sampler = getattr(trainer.train_dataloader, "sampler", None)
    if not isinstance(sampler, EpochSampler):
        return
    epochs: Any = trainer.fit_loop.epoch_progress.current
    sampler.skip(epochs.processed, trainer.fit_loop.epoch_loop.batch_progress.current.completed)
    fetcher = trainer.fit_loop._data_fetcher
    assert fetcher is not None
    iter(fetcher)  # its workers may have prepared other batches by now
