"""The callbacks of a run: what it shows while it goes on, and what it keeps."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Mapping
from typing import Any, cast

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, LearningRateMonitor, TQDMProgressBar
from pytorch_lightning.callbacks.progress.tqdm_progress import Tqdm
from typing_extensions import override

from nlp_rnn.tasks.optimization import Optimization, mean_rate, total_steps
from nlp_rnn.training.devices import SeedEachDevice
from nlp_rnn.training.last_checkpoint import LastCheckpoint
from nlp_rnn.training.processes import parent_callbacks
from nlp_rnn.training.resume_state import ResumeState
from nlp_rnn.training.resuming import ReapplySettings
from nlp_rnn.training.sweep.study import pruning_callbacks

log = logging.getLogger(__name__)

_STRONG_DECAY = 0.5  # the decay of trained weights, as an exponent of e, of which there is a warning


def fit_callbacks(last: LastCheckpoint, logs: bool, resumes: bool) -> list[Callback]:
    """The callbacks of every fit, beside the best checkpoint's and early stopping, which are settings.

    Args:
        last: writes the last checkpoint.
        logs: whether metrics are logged.
        resumes: whether training resumes from a checkpoint.

    Returns:
        Callbacks that come before all others.
    """
    return [
        ResumeState(),
        SeedEachDevice(),
        last,
        *([LearningRateMonitor()] if logs else []),
        *([ReapplySettings()] if resumes else []),
        *parent_callbacks(),
        *pruning_callbacks(),
    ]


class WarnOfDecay(Callback):
    """Warns at the start of a run that begins with trained weights if weight decay would undo them.

    AdamW multiplies each weight by 1 - rate * weight_decay at each step, whatever the gradient is: at the end
    exp(-weight_decay * sum of the rates) is left of it. Rates are those of the last recurrent layer.
    """

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        settings: Optimization = cast(Any, pl_module).optimization
        steps = total_steps(trainer)
        rate = mean_rate(settings) * settings.layer_decay
        exponent = settings.weight_decay * rate * steps if settings.weight_decay else 0.0
        if settings.optimizer != "adamw" or exponent < _STRONG_DECAY or not trainer.is_global_zero:
            return
        over = f" after {steps:,.0f} step(s)" if math.isfinite(steps) else ""
        log.warning(
            "optimization.weight_decay %g pulls the trained weights towards zero: without gradients, %.0f %% "
            "of them would be left%s; for fine-tuning set 0.01",
            settings.weight_decay,
            100 * math.exp(-exponent),
            over,
        )


class ProgressBar(TQDMProgressBar):
    """Lightning's progress bar, erased when it is complete."""

    @override
    def init_train_tqdm(self) -> Tqdm:
        return _erased(super().init_train_tqdm())

    @override
    def init_validation_tqdm(self) -> Tqdm:
        return _erased(super().init_validation_tqdm())

    @override
    def init_test_tqdm(self) -> Tqdm:
        return _erased(super().init_test_tqdm())

    @override
    def init_predict_tqdm(self) -> Tqdm:
        return _erased(super().init_predict_tqdm())

    @override
    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        for bar in (self._train_progress_bar, self._val_progress_bar):
            if bar is not None:
                bar.close()  # so that the message does not stand behind it


def _erased(bar: Tqdm) -> Tqdm:
    bar.leave = False
    return bar


class EpochLines(Callback):
    """Prints one line per training epoch on standard error, where there is no progress bar.

    For example `epoch 2/10: train loss 0.4312, val loss 0.3817, accuracy 0.8250, lr 0.002, 3.1 s`. Only the
    first process prints.
    """

    def __init__(self) -> None:
        self._start = 0.0
        """When training or the epoch began, the later of the two."""
        self._rate = 0.0
        """The learning rate of the last step."""
        self._validated = False
        self._unfinished = ""
        """The line of the epoch that has just ended, up to its metrics."""
        self._ending = ""

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._start = time.perf_counter()  # a run that is resumed amid an epoch does not begin the epoch
        self._rate = _learning_rate(trainer)

    @override
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._print(trainer)
        self._start = time.perf_counter()
        self._validated = False

    @override
    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        # Schedules change the rate after the step, and may raise it again after the last one.
        self._rate = _learning_rate(trainer)

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._validated = not trainer.sanity_checking

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # The metrics of the whole epoch are logged after this hook, so the line is printed later.
        of = f"/{trainer.max_epochs}" if trainer.max_epochs and trainer.max_epochs > 0 else ""
        self._unfinished = f"epoch {trainer.current_epoch + 1}{of}:"
        self._ending = f"lr {self._rate:.3g}, {time.perf_counter() - self._start:.1f} s"

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._print(trainer)

    def _print(self, trainer: pl.Trainer) -> None:
        if self._unfinished and trainer.is_global_zero:
            metrics = describe_metrics(trainer.callback_metrics, self._validated)
            print(self._unfinished, ", ".join([*metrics, self._ending]), file=sys.stderr, flush=True)
        self._unfinished = ""


def _learning_rate(trainer: pl.Trainer) -> float:
    return float(trainer.optimizers[0].param_groups[0]["lr"])


def describe_metrics(metrics: Mapping[str, Any], validated: bool = True) -> list[str]:
    """`train loss 0.43`, `val loss 0.38`, `accuracy 0.83`, ...: all but the metrics of single classes.

    Metrics that are undefined, such as the accuracy of unknown words where there are none, are left out.

    Args:
        metrics: the values that Lightning logged, by name.
        validated: whether the validation metrics are of this epoch.
    """
    shown = []
    if "train/loss_epoch" in metrics:
        shown.append(f"train loss {float(metrics['train/loss_epoch']):.4f}")
    if validated:
        for name, value in metrics.items():
            stage, _, metric = name.partition("/")
            is_shown = stage == "val" and not metric.startswith("f1_")
            if is_shown and (metric == "loss" or not math.isnan(value)):
                shown.append(f"{'val loss' if metric == 'loss' else metric} {float(value):.4f}")
    return shown


def progress_callback(enabled: bool | None, callbacks: Any) -> Callback | None:
    """The progress bar or the lines that a run shows; None where the user has chosen a bar.

    Args:
        enabled: the user's `trainer.enable_progress_bar`; None leaves it to the terminal.
        callbacks: the user's own callbacks.
    """
    chosen = callbacks if isinstance(callbacks, list) else [callbacks]
    if any(isinstance(callback, pl.callbacks.ProgressBar) for callback in chosen):
        return None
    return ProgressBar() if (sys.stderr.isatty() if enabled is None else enabled) else EpochLines()
