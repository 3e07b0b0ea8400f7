"""Moving a task to a device and to a precision."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch

from nlp_rnn.errors import UsageError
from nlp_rnn.models.layers.quantization import is_quantized

if TYPE_CHECKING:
    from nlp_rnn.tasks.base import Task

PRECISIONS = ("fp32", "bf16")


def on_device(task: Task, device: str | torch.device) -> Task:
    """Move a task to a device, in place.

    Args:
        task: the task.
        device: such as "cpu", "cuda" or "cuda:1".

    Returns:
        The same task.

    Raises:
        UsageError: there is no such device, or torch cannot use it.
    """
    try:
        if torch.device(device).type == "meta":
            raise NotImplementedError("it holds shapes, but no numbers")
        return task.to(device)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        reason = str(error).split("\n")[0]
        raise UsageError(f"device {device}: cannot be used here ({reason}); try cpu") from error


def in_precision(task: Task, precision: str) -> Task:
    """A task with weights of a precision.

    Args:
        task: the task, which does not change.
        precision: fp32 or bf16.

    Returns:
        For fp32 the task itself. For bf16 a task that shares all but the model, a copy with bfloat16 weights.

    Raises:
        UsageError: there is no such precision, or the weights are int8.
    """
    if precision not in PRECISIONS:
        raise UsageError(f"precision must be one of {', '.join(PRECISIONS)}, not {precision!r}")
    if precision == "fp32":
        return task
    if is_quantized(task.model):
        raise UsageError("the weights are int8, which cannot be combined with bf16: leave precision at fp32")
    return task.with_model(copy.deepcopy(task.model).to(torch.bfloat16))
