"""C source text of numbers, strings and matrices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from nlp_rnn.models.layers.int8 import Int8Embedding, Int8Linear, Int8Weight
from nlp_rnn.models.layers.int8_recurrent import Int8Recurrent

_LINE = 108  # characters


def string(text: str) -> str:
    """A string literal: UTF-8, others than printable ASCII in octal, which cannot run into what follows."""
    plain = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}"
        for byte in text.encode()
    )
    return f'"{plain}"'


def array(kind: str, name: str, items: Iterable[str], size: str = "", public: bool = False) -> str:
    """A constant array, its items in lines of bounded length.

    Args:
        kind: the type of the items.
        name: the array's name.
        items: the items as C source.
        size: what stands between the brackets, and further brackets behind them.
        public: whether other files may use it.
    """
    lines: list[str] = []
    line: list[str] = []
    width = 0
    for item in items:
        if line and width + len(item) + 2 > _LINE:
            lines.append(", ".join(line) + ",")
            line, width = [], 0
        line.append(item)
        width += len(item) + 2
    if line:
        lines.append(", ".join(line))
    body = "\n    ".join(lines)
    return f"{'' if public else 'static '}const {kind} {name}[{size}] = {{\n    {body}\n}};"


def floats(values: Iterable[float]) -> list[str]:
    """Literals that give back the same float32 numbers."""
    return [_float(value) for value in values]


def doubles(values: Iterable[float]) -> list[str]:
    """Literals that give back the same float64 numbers."""
    return [repr(float(value)) for value in values]


def _float(value: float) -> str:
    text = f"{value:.9g}"
    return f"{text if any(mark in text for mark in '.en') else text + '.0'}f"


def matrix(
    name: str, weight: Tensor | Int8Weight, bias: Tensor | None = None, by_row: bool = False
) -> tuple[str, str]:
    """The arrays of a matrix, and the initializer of an `nlp_matrix` that points to them.

    Args:
        name: what the arrays' names begin with.
        weight: [N, K]: float, or with int8 weights.
        bias: [N]; that of an int8 layer is its own.
        by_row: write the weights row by row, as those of an embedding are.
    """
    scales = "NULL"
    parts = []
    if isinstance(weight, Int8Weight):
        bias = weight.bias if isinstance(weight, Int8Linear) and bias is None else bias
        values = weight.int8.detach()
        parts.append(array("float", f"{name}_scales", floats(weight.scale.tolist())))
        scales = f"{name}_scales"
    else:
        values = weight.detach()
    numbers = (values if by_row else values.t()).flatten().tolist()
    literals = floats(numbers) if values.is_floating_point() else map(str, numbers)
    parts.append(array("nlp_weight", f"{name}_weights", literals))
    if bias is not None:
        parts.append(array("float", f"{name}_bias", floats(bias.detach().tolist())))
    rows, columns = values.shape
    biases = "NULL" if bias is None else f"{name}_bias"
    return "\n".join(parts), f"{{{name}_weights, {scales}, {biases}, {rows}, {columns}}}"


def linear(name: str, module: nn.Module) -> str:
    """The definition of an `nlp_matrix` of a linear layer or an embedding, float or int8."""
    by_row = isinstance(module, (nn.Embedding, Int8Embedding))
    weight = module if isinstance(module, Int8Weight) else module.weight
    assert isinstance(weight, (Tensor, Int8Weight))
    return define(name, weight, module.bias if isinstance(module, nn.Linear) else None, by_row)


def define(name: str, weight: Tensor | Int8Weight, bias: Tensor | None = None, by_row: bool = False) -> str:
    """The definition of an `nlp_matrix`, with its arrays; see `matrix`."""
    arrays, initializer = matrix(name, weight, bias, by_row)
    return f"{arrays}\nstatic const nlp_matrix {name} = {initializer};"


def layers(name: str, rnn: Any) -> str:
    """The definition of an array of `nlp_layer`, one per layer and direction.

    Args:
        name: the array's name.
        rnn: recurrent layers, float or int8.
    """
    arrays, rows = [], []
    directions = ("", "_reverse") if rnn.bidirectional else ("",)
    for key in (f"l{layer}{direction}" for layer in range(rnn.num_layers) for direction in directions):
        initializers = []
        for part in ("ih", "hh"):
            if isinstance(rnn, Int8Recurrent):
                made = matrix(f"{name}_{part}_{key}", cast(Int8Linear, rnn.parts[f"{part}_{key}"]))
            elif hasattr(rnn, f"weight_{part}_{key}"):
                bias = getattr(rnn, f"bias_{part}_{key}", None)
                made = matrix(f"{name}_{part}_{key}", getattr(rnn, f"weight_{part}_{key}"), bias)
            else:  # a minimal cell does not read its state
                made = "", "{NULL, NULL, NULL, 0, 0}"
            arrays.append(made[0])
            initializers.append(made[1])
        rows.append(f"{{{', '.join(initializers)}}}")
    return "\n".join([*filter(None, arrays), array("nlp_layer", name, rows)])


def table(name: str, tokens: Sequence[str], first: int) -> str:
    """The definition of an array of `nlp_entry`, sorted by the bytes of the tokens.

    Args:
        name: the array's name.
        tokens: in the order of their ids.
        first: the first id that texts can have.
    """
    entries = sorted((token.encode(), id) for id, token in enumerate(tokens) if id >= first)
    return array("nlp_entry", name, [f"{{{string(token.decode())}, {id}}}" for token, id in entries])


def ranges(codes: np.ndarray) -> list[str]:
    """The ranges {first, last} of sorted code points."""
    breaks = np.flatnonzero(np.diff(codes) > 1)
    firsts, lasts = codes[np.r_[0, breaks + 1]], codes[np.r_[breaks, len(codes) - 1]]
    return [f"{{0x{first:X}, 0x{last:X}}}" for first, last in zip(firsts, lasts, strict=True)]


def is_float(model: nn.Module) -> bool:
    """Whether a model has float weights alone."""
    return not any(isinstance(module, Int8Weight) for module in model.modules())


def finite(values: Tensor, lowest: float = -1e30) -> list[str]:
    """Float literals, those below `lowest` replaced by it."""
    return floats(torch.clamp(values.detach().float(), min=lowest).flatten().tolist())
