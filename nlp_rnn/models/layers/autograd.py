"""The base class of operations with gradients of their own."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from typing_extensions import override

Result = TypeVar("Result")


class Function(torch.autograd.Function):
    """`torch.autograd.Function`, whose `apply` torch leaves without types."""

    if TYPE_CHECKING:

        @classmethod
        @override
        def apply(cls, *arguments: Any) -> Any: ...


def first_derivative_only(
    instead: str,
) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Decorate a `backward` that cannot be differentiated: it refuses `create_graph=True`.

    torch's `once_differentiable` does not suffice. Its error stands on the path to the gradient of the output
    only. What else a gradient depends on counts as constant, so `torch.autograd.grad` silently returns a
    wrong second derivative.

    Args:
        instead: what to do for second derivatives, as the end of the error's sentence.
    """

    def decorate(backward: Callable[..., Result]) -> Callable[..., Result]:
        @wraps(backward)
        def checked(*arguments: Any) -> Result:
            if torch.is_grad_enabled():
                raise RuntimeError(f"create_graph=True: there is no second derivative here; {instead}")
            return backward(*arguments)

        return checked

    return decorate
