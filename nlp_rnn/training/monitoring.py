"""The metric that chooses the best checkpoint or stops training: that it exists, and which way is better."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterator, Sequence
from pydoc import locate
from typing import Any, Literal

from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint

from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.tasks.base import Task

MONITORS = ("checkpoint", "early_stopping")
"""The settings of a run with a `monitor`."""
AUTO = "auto"
"""The value of `mode` that leaves it to the metric."""


def logged_metrics(task: Task[Any, Any]) -> list[str]:
    """The names of the metrics that training logs, and that can be monitored."""
    metrics = task.metrics("val")
    with warnings.catch_warnings(action="ignore"):  # that nothing was added yet
        results = task.compute_metrics(metrics)
    for metric in metrics.values():
        metric.reset()
    return [*(f"val/{name}" for name in results), "train/loss_epoch", "train/loss_step"]


def choose_modes(task_class: type[Task[Any, Any]], config: Any) -> None:
    """Set each `mode` that is `auto`; a metric of training is monitored at the end of an epoch of training.

    Args:
        task_class: the task that is trained.
        config: the configuration of the verb, which is changed.

    Raises:
        UsageError: a mode contradicts its metric.
    """
    config.checkpoint.save_last = None  # `last.ckpt` is always written
    for group in MONITORS:
        chosen = config[group]
        if chosen.monitor is None:  # the latest checkpoint is kept
            chosen.mode = "min"
            continue
        mode = better(task_class, chosen.monitor)
        if chosen.mode not in (AUTO, mode):
            raise _contradiction(f"{group}.", chosen, mode, "leave the mode out")
        chosen.mode = mode
        if chosen.monitor.startswith("train/"):
            chosen["save_on_train_epoch_end" if group == "checkpoint" else "check_on_train_epoch_end"] = True
    for where, chosen in [("checkpoint.", config.checkpoint), *_own(config)]:
        for interval in ("every_n_train_steps", "train_time_interval"):
            if chosen.get(interval) and str(chosen.monitor).startswith("val/"):
                raise UsageError(
                    f"{where}{interval}: {chosen.monitor} is measured by validations, so a checkpoint "
                    "between two of them has none; set trainer.val_check_interval instead"
                )


def _own(config: Any) -> Iterator[tuple[str, Any]]:
    """What messages name, and the settings, of each of the user's callbacks that monitors a metric."""
    callbacks = config.trainer.callbacks
    for callback in callbacks if isinstance(callbacks, list) else [callbacks]:
        owner = locate(callback.class_path) if callback else None
        if isinstance(owner, type) and issubclass(owner, (EarlyStopping, ModelCheckpoint)):
            settings = callback.get("init_args") or {}
            if "monitor" in settings:  # else a subclass that sets it itself
                yield f"trainer.callbacks: {owner.__name__}.", settings


def _contradiction(where: str, chosen: Any, mode: str, advice: str) -> UsageError:
    is_better = f"{chosen.monitor} is better when {'lower' if mode == 'min' else 'higher'}"
    return UsageError(f"{where}mode {chosen.mode!r} contradicts its monitor: {is_better}; {advice}")


def better(task_class: type[Task[Any, Any]], metric: str) -> Literal["min", "max"]:
    """Whether less or more of a metric is better.

    Args:
        task_class: the task that logs it.
        metric: its full name, such as `val/loss`.
    """
    stage, _, name = metric.partition("/")
    return "min" if stage == "train" or name in task_class.lower_is_better else "max"


def check_monitors(task: Task[Any, Any], config: Any) -> None:
    """Check that the metrics which are monitored exist, and the modes of the user's own callbacks.

    Args:
        task: the task that is trained.
        config: the configuration of the verb.

    Raises:
        UsageError: names the metrics that there are; or a mode contradicts its metric.
    """
    known = logged_metrics(task)
    for where, chosen in _own(config):
        # A subclass may have no such argument, and set it itself.
        if chosen.monitor in known and (mode := better(type(task), chosen.monitor)) != chosen.get(
            "mode", mode
        ):
            raise _contradiction(where, chosen, mode, f"set mode: {mode}")
    others = [(where, chosen) for where, chosen in _own(config) if str(chosen.monitor).startswith("val/")]
    for where, chosen in [*((f"{group}.", config[group]) for group in MONITORS), *others]:
        monitor = chosen.monitor
        if monitor is not None and monitor not in known:
            near = difflib.get_close_matches(monitor, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise UsageError(
                f"{where}monitor: {task.name} has no metric {monitor!r}{hint} It has {join_names(known)}"
            )


def check_distinct(callbacks: Sequence[Callback | None]) -> None:
    """Refuse callbacks of one kind on one metric, whose states in a checkpoint would have the same name.

    Args:
        callbacks: those of the run and the user's own.

    Raises:
        UsageError: there are two; the message says which settings to use instead.
    """
    known: set[str] = set()
    for callback in callbacks:
        if isinstance(callback, (EarlyStopping, ModelCheckpoint)):
            if callback.state_key in known:
                group = "early_stopping" if isinstance(callback, EarlyStopping) else "checkpoint"
                raise UsageError(
                    f"trainer.callbacks: a second {type(callback).__name__} on {callback.monitor}; change "
                    f"the settings of the first one, --{group}, instead"
                )
            known.add(callback.state_key)
