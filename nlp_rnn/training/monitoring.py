"""The metric that chooses the best checkpoint or stops training: that it exists, and which way is better."""

from __future__ import annotations

import difflib
import warnings
from typing import Any, Literal

from nlp_rnn.errors import UsageError
from nlp_rnn.tasks.base import Task

MONITORS = ("checkpoint", "early_stopping")
"""The settings of a run with a `monitor`."""
AUTO = "auto"
"""The value of `mode` that leaves it to the metric."""

_SHOWN_METRICS = 20


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
    for group in MONITORS:
        chosen = config[group]
        if chosen.monitor is None:  # the latest checkpoint is kept
            continue
        mode = better(task_class, chosen.monitor)
        if chosen.mode not in (AUTO, mode):
            order = "lower" if mode == "min" else "higher"
            raise UsageError(
                f"{group}.mode {chosen.mode!r} contradicts {group}.monitor: {chosen.monitor} is better when "
                f"{order}; leave the mode out"
            )
        chosen.mode = mode
        if chosen.monitor.startswith("train/"):
            chosen["save_on_train_epoch_end" if group == "checkpoint" else "check_on_train_epoch_end"] = True


def better(task_class: type[Task[Any, Any]], metric: str) -> Literal["min", "max"]:
    """Whether less or more of a metric is better.

    Args:
        task_class: the task that logs it.
        metric: its full name, such as `val/loss`.
    """
    stage, _, name = metric.partition("/")
    return "min" if stage == "train" or name in task_class.lower_is_better else "max"


def check_monitors(task: Task[Any, Any], config: Any) -> None:
    """Check that the metrics which are monitored exist.

    Args:
        task: the task that is trained.
        config: the configuration of the verb.

    Raises:
        UsageError: names the metrics that there are.
    """
    known = logged_metrics(task)
    for group in MONITORS:
        monitor = config[group].monitor
        if monitor is not None and monitor not in known:
            near = difflib.get_close_matches(monitor, known, 1, 0.0)[0]
            shown = [*known[:_SHOWN_METRICS], *(["..."] if len(known) > _SHOWN_METRICS else [])]
            raise UsageError(
                f"{group}.monitor: {task.name} has no metric {monitor!r}; did you mean {near!r}? "
                f"It has {', '.join(shown)}"
            )
