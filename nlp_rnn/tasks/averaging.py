"""Averaging weights: one model with the mean of the weights of several checkpoints of a run.

The last or best checkpoints of one training lie close together, and their mean often generalizes better than
each of them (Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better Generalization";
Vaswani et al. 2017 average checkpoints for translation). Unlike an ensemble, it costs no more than one model.
Weights of runs with different seeds have nothing in common: their mean is of no use.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nlp_rnn.errors import UsageError
from nlp_rnn.files import shorten
from nlp_rnn.models.layers.quantization import is_quantized

if TYPE_CHECKING:
    from nlp_rnn.tasks.base import Task


def average(tasks: Sequence[Task], names: Sequence[str] | None = None) -> Task:
    """Make a model with the mean of the weights of several.

    What was fitted on validation after training, such as the temperature of a classifier, belongs to the
    weights of one model: the new one has the defaults.

    Args:
        tasks: at least two trained models with float weights, the same processor, and the same settings but
            for those of the optimization.
        names: what messages call them; their numbers if left out.

    Returns:
        A new task in evaluation mode, on the CPU, with the settings of the first one. Floating-point tensors
        are the mean, computed in float64; all others are those of the models, which have them alike.

    Raises:
        UsageError: there are fewer than two models, or they do not fit together; the message names the first
            that does not.

    Examples:
        >>> folder = "runs/sentiment_builtin/latest/checkpoints"
        >>> task = average([from_pretrained(f"{folder}/{name}.ckpt") for name in ("best", "best-v1")])
    """
    if len(tasks) < 2:
        raise UsageError("an average is of at least two models: give more")
    names = names or [f"model {number}" for number in range(1, len(tasks) + 1)]
    first = tasks[0]
    for task, name in zip(tasks, names, strict=True):
        if is_quantized(task.model):
            raise UsageError(f"{name}: has int8 weights; average the models it was made of, then quantize")
    for task, name in zip(tasks[1:], names[1:], strict=True):
        try:
            task.check_fits(first)
            _check_same_settings(task, first)
        except UsageError as error:
            raise UsageError(f"{name} does not fit {names[0]}: {error}") from None
    first.check_single("averaged")
    states = [task.model.state_dict() for task in tasks]
    averaged = type(first).from_settings(first.processor, _lasting_settings(first))
    averaged.model = copy.deepcopy(first.model).cpu()
    averaged.model.load_state_dict(
        {name: _mean(name, [state[name] for state in states]) for name in states[0]}
    )
    averaged.data_columns, averaged.drawn = first.data_columns, first.drawn
    return averaged.eval()


def _lasting_settings(task: Task) -> dict[str, Any]:
    """The settings, less those that were fitted to the weights."""
    return {name: value for name, value in task.settings.items() if name not in task.fitted}


def _check_same_settings(task: Task, other: Task) -> None:
    """Raise UsageError where settings or tensors differ, except those of the optimization."""
    settings, others = _lasting_settings(task), _lasting_settings(other)
    for name, value in settings.items():
        if name != "optimization" and value != others[name]:
            raise UsageError(
                f"{name} is {shorten(str(value))} rather than {shorten(str(others[name]))}: give checkpoints "
                "of one run"
            )
    shapes, other_shapes = (_shapes(one.model.state_dict()) for one in (task, other))
    for name in sorted({*shapes, *other_shapes}):
        if shapes.get(name) != other_shapes.get(name):
            raise UsageError(f"the tensor {name} has another shape or type: give checkpoints of one run")


def _shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (value.shape, value.dtype) for name, value in state.items()}


def _mean(name: str, values: Sequence[Tensor]) -> Tensor:
    """The mean of tensors of one shape and dtype; of whole numbers, which must be equal, one of them."""
    values = [value.cpu() for value in values]
    if values[0].is_floating_point():
        total = torch.zeros_like(values[0], dtype=torch.float64)
        for value in values:
            total += value
        return (total / len(values)).to(values[0].dtype)
    if not all(torch.equal(value, values[0]) for value in values):
        raise UsageError(f"the tensor {name} is of whole numbers, which differ: they have no mean")
    return values[0]
