"""Checks of the arguments of a recurrent layer, without operations on tensors but on lengths.

Kernels trust what they get. torch's LSTM kernel reads and writes out of bounds where a state or an input is
of another size than the weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nlp_rnn.errors import UsageError

NOT_TRACEABLE = (
    "torch.jit.trace, torch.jit.script and ONNX export would make constants of one batch's lengths: run the "
    "model as it is, call model.compile(), or save it as a model folder"
)


def refuse_tracing() -> None:
    """Refuse to be recorded by `torch.jit.trace`, which makes constants of lengths and numbers of steps.

    Raises:
        UsageError: a trace is recorded.
    """
    if torch.jit._trace.is_tracing():
        raise UsageError(NOT_TRACEABLE)


def validate_sizes(**sizes: int) -> None:
    """Check the sizes that a layer is made with.

    Args:
        sizes: the arguments of its constructor by name.

    Raises:
        ValueError: one is no whole number of 1 or more.
    """
    for name, size in sizes.items():
        if type(size) is not int or size < 1:
            raise ValueError(f"{name} must be a whole number, 1 or more, not {size!r}")


def validate_input(input: Tensor, dimensions: str, size: int) -> torch.Size:
    """Check the input of a layer or of one step.

    Args:
        input: [*dimensions, size].
        dimensions: the names of all dimensions but the last, one letter each.
        size: I, the number of features.

    Returns:
        The shape of the input.

    Raises:
        ValueError: another shape.
    """
    shape = input.shape
    if len(shape) != len(dimensions) + 1 or shape[-1] != size:
        expected = ", ".join([*dimensions, str(size)])
        raise ValueError(f"input must be of shape [{expected}], not {[*shape]}")
    return shape


def validate_state(
    state: Tensor | Sequence[Tensor], tensors: int, shape: tuple[int, int, int]
) -> tuple[Tensor, ...]:
    """Check the state that a layer or a step starts from.

    Args:
        state: its tensors, or the tensor itself if there is only one.
        tensors: the number of tensors.
        shape: the shape of each, (num_layers * directions, B, H).

    Returns:
        The state as a tuple.

    Raises:
        ValueError: another number of tensors, or another shape.
    """
    if not isinstance(state, tuple):
        state = (state,) if isinstance(state, Tensor) else tuple(state)
    if len(state) != tensors:
        raise ValueError(f"the state must be {tensors} tensors of shape {[*shape]}, not {len(state)}")
    for tensor in state:
        if not isinstance(tensor, Tensor):
            raise ValueError(f"the state must be tensors of shape {[*shape]}, not {type(tensor).__name__}")
        if tensor.shape != shape:
            raise ValueError(
                f"tensors of the state must be of shape {[*shape]} [layers * directions, B, hidden size], "
                f"not {[*tensor.shape]}"
            )
    return state


def validate_dtypes(input: Tensor, state: Sequence[Tensor], weight: Tensor) -> None:
    """Check that input and state have the dtype of the weights; autocast converts any.

    Args:
        input: the input of a layer.
        state: its state.
        weight: one of its weights.

    Raises:
        ValueError: they differ.
    """
    dtype = weight.dtype
    for name, tensor in (("input", input), *(("state", tensor) for tensor in state)):
        if tensor.dtype != dtype and not torch.is_autocast_enabled(tensor.device.type):
            raise ValueError(f"{name} is {tensor.dtype}, but the weights are {dtype}: convert one of them")


def validate_lengths(lengths: Tensor | Sequence[int], steps: int, batch: int) -> Tensor | None:
    """Check the lengths of a batch.

    Args:
        lengths: [B] integers.
        steps: T, the number of steps.
        batch: B, the number of sequences.

    Returns:
        The lengths [B] as an int64 tensor on the CPU, or None where every sequence has all steps.

    Raises:
        ValueError: `lengths` is not of shape [B], no integers, or has values outside 0..T.
    """
    lengths = torch.as_tensor(lengths).cpu()
    if lengths.shape != (batch,):
        raise ValueError(f"lengths has shape {list(lengths.shape)}, the batch has {batch} sequences")
    if not batch:
        return None
    if lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool:
        raise ValueError(f"lengths must be integers, not {lengths.dtype}")
    lengths = lengths.long()
    if not 0 <= int(lengths.min()) <= int(lengths.max()) <= steps:
        raise ValueError(f"lengths must lie between 0 and {steps}, the number of steps")
    return None if bool((lengths == steps).all()) else lengths
