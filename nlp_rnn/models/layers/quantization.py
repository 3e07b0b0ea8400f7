"""Replace a model's layers by layers with int8 weights."""

from __future__ import annotations

from typing import TypeVar

from torch import nn

from nlp_rnn.errors import UsageError
from nlp_rnn.models.layers.base import RecurrentLayer
from nlp_rnn.models.layers.cells import CELLS, cell_name
from nlp_rnn.models.layers.int8 import Int8Embedding, Int8Linear, Int8Weight
from nlp_rnn.models.layers.int8_recurrent import Int8Recurrent, Int8Step

INT8 = "int8"
"""The value of `weights` in the `config.json` of a quantized model."""

M = TypeVar("M", bound=nn.Module)


def quantize(model: M) -> M:
    """Replace every embedding, linear and recurrent layer by one with int8 weights, in place.

    Args:
        model: a model with float weights.

    Returns:
        The same model, in evaluation mode.

    Raises:
        UsageError: the weights are int8 already, or a recurrent layer has no int8 step. The model is
            unchanged then.

    Examples:
        task = nlp_rnn.from_pretrained("runs/sentiment_builtin/latest/model")
        quantize(task.model)
        nlp_rnn.save_pretrained(task, "small")
    """
    if is_quantized(model):
        raise UsageError("the weights are int8 already")
    for module in model.modules():
        if isinstance(module, RecurrentLayer):
            _int8_step(module)
        elif isinstance(module, nn.RNNBase):
            raise UsageError(f"{type(module).__name__} is torch's own layer: make it with `recurrent_layer`")
    return _replace_layers(model).eval()


def is_quantized(model: nn.Module) -> bool:
    """Whether any layer has int8 weights."""
    return any(isinstance(module, Int8Weight) for module in model.modules())


def quantize_layer(layer: RecurrentLayer) -> Int8Recurrent:
    """Make a recurrent layer with int8 weights from one with float weights.

    Raises:
        UsageError: the cell has no int8 step.
    """
    return Int8Recurrent(layer, cell_name(layer), _int8_step(layer))


def _int8_step(layer: RecurrentLayer) -> Int8Step:
    name = cell_name(layer)
    step = CELLS[name].int8_step if name in CELLS else None
    if step is None:
        supported = ", ".join(known for known, cell in CELLS.items() if cell.int8_step is not None)
        raise UsageError(f"the cell {name} has no int8 weights: use one of {supported}")
    return step


def _replace_layers(model: M) -> M:
    for name, child in list(model.named_children()):
        if isinstance(child, nn.Embedding):
            setattr(model, name, Int8Embedding(child.weight))
        elif isinstance(child, nn.Linear):
            setattr(model, name, Int8Linear(child.weight, child.bias))
        elif isinstance(child, RecurrentLayer):
            setattr(model, name, quantize_layer(child))
        else:
            _replace_layers(child)
    return model
