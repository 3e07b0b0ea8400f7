"""NaN and infinity in training: stop before anything is saved, or leave the batches out."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torchmetrics import Metric
from typing_extensions import override

from nlp_rnn.errors import RunError
from nlp_rnn.settings import Configured, Range
from nlp_rnn.tasks.base import Task
from nlp_rnn.training.last_checkpoint import LastCheckpoint
from nlp_rnn.training.late_number import LateNumber

log = logging.getLogger(__name__)

_SHOWN_ROWS = 20
_OR_SKIP = ", or leave such batches out with --training.on_nan skip"


class NonFiniteGuard(Configured, Callback):
    """Stops training at the first loss or gradient that is NaN or infinite, before a checkpoint is saved.

    Each optimizer step reads one number, the norm of all gradients after they are averaged over devices, so
    all processes decide the same without a message of their own. A loss that is not finite makes all
    gradients NaN. On CUDA, `stop` reads the number one step late and never waits for the device; `skip` waits
    once per step, because such a step must not be applied. Weights are checked before each checkpoint and at
    the end.

    With loss scaling (`16-mixed`) infinite gradients are normal: the scaler leaves the step out and lowers
    the scale. They count only where the loss itself is not finite, or no scale is left to lower.

    Args:
        on_nan: what happens at a loss or gradients that are NaN or infinite: `stop` ends the run with an
            error, `skip` leaves the batch out.
        max_skipped: how many steps `skip` may leave out before it stops too.
    """

    def __init__(
        self,
        on_nan: Literal["stop", "skip"] = "stop",
        max_skipped: Annotated[int, Range(0, 1_000_000_000)] = 10,
    ) -> None:
        self.on_nan = on_nan
        self.max_skipped = max_skipped
        self.skipped = 0
        self._batches: list[_Seen] = []
        """The batches whose gradients are added up for the next optimizer step."""
        self._unread: _Step | None = None
        self._train_loss: dict[str, Any] = {}
        """With `skip`, the sums of the training loss before the first of these batches."""

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"skipped": self.skipped}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.skipped = state_dict["skipped"]

    @override
    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self.on_nan == "skip" and not self._batches:
            self._train_loss = {name: value.clone() for name, value in _loss_sums(pl_module).items()}
        self._batches.append(_Seen(getattr(batch, "rows", [])))

    @override
    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        value = loss.detach()
        self._batches[-1].loss = value
        if loss.requires_grad:  # NaN from here reaches the gradients of all processes
            loss.register_hook(lambda gradient: gradient + 0 * value)

    @override
    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        norm = _gradient_norm(pl_module)
        step = _Step(trainer.global_step, trainer.current_epoch + 1, self._batches, LateNumber(norm))
        self._batches = []
        if self.on_nan == "stop" and _runs_ahead(norm.device):
            self._read_last(trainer)
            self._unread = step
        elif self._is_bad(trainer, step):
            self._stop_or_skip(trainer, pl_module, optimizer, step)

    @override
    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self._check_all(trainer, pl_module)

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        loss = trainer.callback_metrics.get("val/loss")
        if (
            trainer.state.fn == "fit"
            and not trainer.sanity_checking
            and loss is not None
            and not _is_finite(loss)
        ):
            self._check_all(trainer, pl_module)  # says more
            cause = ": nothing in the split may be labeled" if loss.isnan() else ""
            raise RunError(f"step {trainer.global_step}: val/loss is {loss}{cause}; {_advice(trainer)}")

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._check_all(trainer, pl_module)
        if self.skipped and trainer.is_global_zero:
            log.warning("skipped %d of %d steps: NaN or infinity", self.skipped, trainer.global_step)

    def _check_all(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._read_last(trainer)
        if not _weights_are_finite(trainer, pl_module):
            reason = "the weights are NaN or infinite: an update was too large"
            raise RunError(f"step {trainer.global_step}: {reason}; {_advice(trainer)}")

    def _read_last(self, trainer: pl.Trainer) -> None:
        step, self._unread = self._unread, None
        if step is not None and self._is_bad(trainer, step):
            raise RunError(f"{_describe(step)}; {_advice(trainer)}{_OR_SKIP}")

    def _is_bad(self, trainer: pl.Trainer, step: _Step) -> bool:
        if math.isfinite(step.norm.read()):
            return False
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        if scaler is None or scaler.get_scale() < 1:
            return True
        losses_are_finite = all(_is_finite(batch.loss) for batch in step.batches)
        # A message between the processes, but only after a step that all of them know to be bad.
        return not trainer.strategy.reduce_boolean_decision(losses_are_finite)

    def _stop_or_skip(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        optimizer: torch.optim.Optimizer,
        step: _Step,
    ) -> None:
        text = _describe(step)
        if not _weights_are_finite(trainer, pl_module):
            raise RunError(f"{text}; the weights already were; {_advice(trainer)}")
        if self.on_nan == "stop":
            raise RunError(f"{text}; {_advice(trainer)}{_OR_SKIP}")
        if self.skipped == self.max_skipped:
            raise RunError(f"{text}; skipped {self.skipped} steps (training.max_skipped); {_advice(trainer)}")
        self.skipped += 1
        optimizer.zero_grad()  # a parameter without a gradient stays as it is
        if isinstance(pl_module, Task):
            pl_module.skip_step()
        for name, value in self._train_loss.items():
            setattr(pl_module.train_loss, name, value)
        if trainer.is_global_zero:
            log.warning("%s; the step is skipped", text)


@dataclass
class _Seen:
    """A batch of training: its row numbers, and its loss."""

    rows: list[int]
    loss: Tensor | None = None


@dataclass
class _Step:
    """An optimizer step: its number from 0, its epoch from 1, its batches, and the norm of its gradients."""

    number: int
    epoch: int
    batches: list[_Seen]
    norm: LateNumber


def _runs_ahead(device: torch.device) -> bool:
    """Whether a device computes while the program goes on, so that to read a number is to wait for it."""
    return device.type == "cuda"


def _gradient_norm(module: nn.Module) -> Tensor:
    """The norm of all gradients as one vector, a scalar on their device."""
    norm = nn.utils.get_total_norm(p.grad for p in module.parameters() if p.grad is not None)
    return norm.full_tensor() if isinstance(norm, DTensor) else norm


def _weights_are_finite(trainer: pl.Trainer, module: nn.Module) -> bool:
    """Whether all weights of all processes are finite."""
    weights = (p.to_local() if isinstance(p, DTensor) else p for p in module.parameters())
    finite = torch.stack([weight.detach().isfinite().all() for weight in weights]).all()
    return trainer.strategy.reduce_boolean_decision(bool(finite))


def _is_finite(value: Tensor | None) -> bool:
    return value is None or math.isfinite(value)


def _loss_sums(module: pl.LightningModule) -> dict[str, Any]:
    """The states of the metric `train_loss` of a task; nothing for other modules."""
    metric = getattr(module, "train_loss", None)
    return metric.metric_state if isinstance(metric, Metric) else {}


def _describe(step: _Step) -> str:
    """What is wrong, and where: of all processes the batches whose loss is not finite, else all batches."""
    seen = [(None if b.loss is None else float(b.loss), b.rows) for b in step.batches]
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        parts: list[Any] = [None] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(parts, seen)
        seen = [batch for part in parts for batch in part]
    bad = [(loss, rows) for loss, rows in seen if loss is not None and not math.isfinite(loss)]
    what = f"the loss is {bad[0][0]}" if bad else f"the norm of the gradients is {step.norm.read()}"
    rows = [row for _, rows in bad or seen for row in rows]
    ending = f", ... ({len(rows)} in all)" if len(rows) > _SHOWN_ROWS else ""
    named = ", ".join(map(str, rows[:_SHOWN_ROWS]))
    return f"step {step.number}, epoch {step.epoch}: {what}; rows of the batch: {named}{ending}"


def _advice(trainer: pl.Trainer) -> str:
    paths: list[str | Path] = []
    for callback in cast(Any, trainer).callbacks:
        if isinstance(callback, ModelCheckpoint):
            paths += [callback.best_model_path, callback.last_model_path]
        elif isinstance(callback, LastCheckpoint):
            paths.append(callback.path)
    files = [Path(path) for path in paths if path and Path(path).is_file()]
    newest = max(files, key=lambda path: path.stat().st_mtime, default="none yet")
    return f"last good checkpoint: {newest}; lower the learning rate or set trainer.gradient_clip_val"
