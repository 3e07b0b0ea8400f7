"""Training in a notebook: curves inline, and an interrupt that leaves a model to use."""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, ProgressBar
from typing_extensions import override

from nlp_rnn.errors import Interrupted
from nlp_rnn.plots.curves import curves_figure
from nlp_rnn.plots.figure import save
from nlp_rnn.tasks.base import Task
from nlp_rnn.training.callbacks import describe_metrics
from nlp_rnn.training.library_messages import quiet_libraries
from nlp_rnn.training.monitoring import better

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SECONDS = 0.5  # between two states of the line
_SHARE = 10  # of the time, one part is for drawing


def notebook_trainer(
    max_epochs: int, *callbacks: Callback, gradient_clip_val: float | None = 1.0
) -> pl.Trainer:
    """A trainer for a notebook: with `LiveCurves` and `StopOnInterrupt`, and without files and messages.

    For other settings, give these two callbacks to Lightning's own `Trainer`.

    Args:
        max_epochs: so many epochs; `trainer.fit` goes on where it was stopped.
        callbacks: further ones, such as Lightning's `EarlyStopping`.
        gradient_clip_val: the largest norm of the gradient; None for no limit.

    Examples:
        >>> trainer = notebook_trainer(10)
        >>> trainer.fit(task, data)
        >>> pipeline("sentiment", task)("not a bad film")
    """
    quiet_libraries()
    return pl.Trainer(
        max_epochs=max_epochs,
        callbacks=[LiveCurves(), StopOnInterrupt(), *callbacks],
        gradient_clip_val=gradient_clip_val,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    )


class LiveCurves(ProgressBar):
    """Shows learning curves and a line below the cell, in the place of a progress bar.

    Both are replaced rather than repeated, so that a notebook keeps the last ones only. Outside a notebook
    the line is printed at the end.

    Args:
        out: a PNG file for the curves, which is written at the end.
        monitor: the metric whose best epoch is marked, such as "val/loss"; None for no mark.

    Attributes:
        rows: the metrics: one row per validation, and one per epoch of training.
    """

    def __init__(self, out: str | Path | None = None, monitor: str | None = "val/loss") -> None:
        super().__init__()
        self.rows: list[dict[str, float]] = []
        self._out = out
        self._monitor = monitor
        self._enabled = True
        self._task: Any = None
        self._place = (0, 0)
        """Step and epoch at the end of the last epoch."""
        self._start = 0.0
        self._reset()

    def _reset(self) -> None:
        self._displays: dict[str, Any] = {}
        """What a cell shows, by name."""
        self._shown_at = self._drawn_at = self._cost = 0.0

    @property
    def figure(self) -> Figure:
        """The learning curves so far.

        Raises:
            UsageError: nothing was logged yet.
        """
        if self._task is None:
            return curves_figure(self.rows)
        mode = better(type(self._task), self._monitor) if self._monitor else "min"
        return curves_figure(self.rows, self._monitor, mode, self._task.loss_unit)

    @override
    def disable(self) -> None:
        self._enabled = False

    @override
    def enable(self) -> None:
        self._enabled = True

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._task = cast(Task[Any, Any], pl_module)
        self._reset()
        self._start = time.perf_counter()
        if not trainer.global_step:
            self.rows.clear()

    @override
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._note(trainer, "train/loss_epoch")

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if time.perf_counter() - self._shown_at >= _SECONDS:
            of = f" of {trainer.max_epochs}" if trainer.max_epochs and trainer.max_epochs > 0 else ""
            place = f"batch {batch_idx + 1} of {trainer.num_training_batches}"
            self._show("line", text=f"epoch {trainer.current_epoch + 1}{of}, {place}")
            self._shown_at = time.perf_counter()

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        self._place = trainer.global_step - 1, trainer.current_epoch
        self._note(trainer, "val/")
        if time.perf_counter() - self._drawn_at >= _SHARE * self._cost and _in_notebook():
            self._draw()

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._place = trainer.global_step - 1, trainer.current_epoch

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._note(trainer, "train/loss_epoch")
        if not self._enabled or not self.rows:
            return
        self._draw()
        if self._out is not None:
            save(self.figure, Path(self._out))
        seconds = time.perf_counter() - self._start
        metrics = ", ".join(describe_metrics(trainer.callback_metrics))
        line = f"{trainer.current_epoch} epochs, {trainer.global_step:,} steps, {seconds:.1f} s: {metrics}"
        self._show("line", text=line)
        if not _in_notebook():
            print(line, file=sys.stderr)

    def _note(self, trainer: pl.Trainer, prefix: str) -> None:
        """Keep the metrics of the last validation, or of the last epoch of training, as a row."""
        metrics = {name: float(v) for name, v in trainer.callback_metrics.items() if name.startswith(prefix)}
        row = {"step": float(self._place[0]), "epoch": float(self._place[1]), **metrics}
        if metrics and row not in self.rows:
            self.rows.append(row)

    def _draw(self) -> None:
        start = time.perf_counter()
        self._show("curves", figure=self.figure)
        self._drawn_at = time.perf_counter()
        self._cost = self._drawn_at - start

    def _show(self, name: str, text: str = "", figure: Figure | None = None) -> None:
        """Show a text or a figure below the cell, in the place of the last one of this name."""
        if not self._enabled or not _in_notebook():
            return
        from IPython import display as ipython

        shown, raw = (figure, False) if figure is not None else ({"text/plain": text}, True)
        if (handle := self._displays.get(name)) is None:
            self._displays[name] = cast(Any, ipython).display(shown, raw=raw, display_id=True)
        else:
            handle.update(shown, raw=raw)


def _in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None


class StopOnInterrupt(Callback):
    """Lets an interrupt of the kernel (or Ctrl-C) end training at the end of the batch.

    The model is validated, `fit` returns, and the model can be used, saved, or trained on by another `fit` of
    the same trainer: that begins with the next epoch, and with the optimizer and the schedule as they were.
    A second interrupt stops at once, by an exception. Lightning's `Trainer` alone ends by `SystemExit`, which
    a notebook reports as an error, and forgets the state of the optimizer.
    """

    def __init__(self) -> None:
        self._trainer: Any = None
        self._interrupted = False
        self._left: tuple[int, list[Any], list[Any]] | None = None
        """Where training was stopped, and the states of optimizers and schedules there."""

    @override
    def on_sanity_check_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._handle(trainer)

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._handle(trainer)
        if self._left is not None and self._left[0] == trainer.global_step:
            _, optimizers, schedules = self._left
            for optimizer, state in zip(trainer.optimizers, optimizers, strict=True):
                optimizer.load_state_dict(state)
            for config, state in zip(trainer.lr_scheduler_configs, schedules, strict=True):
                config.scheduler.load_state_dict(state)
        self._left = None

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._interrupted:
            optimizers = [optimizer.state_dict() for optimizer in trainer.optimizers]
            schedules = [config.scheduler.state_dict() for config in trainer.lr_scheduler_configs]
            self._left = trainer.global_step, optimizers, schedules
            steps = f"{trainer.global_step:,} step{'s' if trainer.global_step != 1 else ''}"
            advice = "the model can be used; call fit again to continue with the next epoch"
            print(f"interrupted after {steps}: {advice}")

    def _handle(self, trainer: pl.Trainer) -> None:
        """Take over the signal, until Lightning restores all signals at the end of `fit`."""
        self._trainer, self._interrupted = trainer, trainer.should_stop
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._stop)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self._interrupted:
            raise Interrupted(number, "training was interrupted twice")
        self._interrupted = self._trainer.should_stop = True
