"""The base class of operations with gradients of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from typing_extensions import override


class Function(torch.autograd.Function):
    """`torch.autograd.Function`, whose `apply` torch leaves without types."""

    if TYPE_CHECKING:

        @classmethod
        @override
        def apply(cls, *arguments: Any) -> Any: ...
