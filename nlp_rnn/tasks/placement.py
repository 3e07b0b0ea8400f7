"""Moving a task to a device and a precision."""

from __future__ import annotations

import copy

import torch

from nlp_rnn.errors import UsageError
from nlp_rnn.models.layers.quantization import is_quantized
from nlp_rnn.tasks.base import Task

PRECISIONS = ("fp32", "bf16")


def on_device(task: Task, device: str | torch.device) -> Task:
    """The task, moved.

    Raises:
        UsageError: there is no such device here.
    """
    try:
        return task.to(device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).split("\n")[0]
        raise UsageError(f"device {device}: cannot be used here ({reason}); try cpu") from error


def in_precision(task: Task, precision: str) -> Task:
    """The task, or one that shares all with it but a model with bfloat16 weights.

    Raises:
        UsageError: there is no such precision, or the weights are int8.
    """
    if precision not in PRECISIONS:
        raise UsageError(f"precision must be one of {', '.join(PRECISIONS)}, not {precision!r}")
    if precision == "fp32":
        return task
    if is_quantized(task.model):
        raise UsageError("the weights are int8, which is a precision of its own: leave fp32")
    task = copy.copy(task)
    task._modules = {**task._modules, "model": copy.deepcopy(task.model).to(torch.bfloat16)}
    return task
