"""How results with tensors show themselves: by shapes rather than by thousands of numbers."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from torch import Tensor

_MOST = 60  # characters of one value


def shapes_repr(self: Any) -> str:
    """The `__repr__` of a dataclass: its class, and each field, a tensor as its shape.

    Args:
        self: the dataclass.
    """
    shown = (f"{field.name}={_short(getattr(self, field.name))}" for field in fields(self))
    return f"{type(self).__name__}({', '.join(shown)})"


def _short(value: Any) -> str:
    if isinstance(value, Tensor):
        return str(list(value.shape))
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_short(item)}' for key, item in value.items())}}}"
    text = repr(value)
    if isinstance(value, (list, tuple)) and len(text) > _MOST:
        return f"{len(value)} values"
    return text if len(text) <= _MOST else f"{text[:_MOST]} …"
