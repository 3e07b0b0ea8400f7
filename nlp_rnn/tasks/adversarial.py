"""Small changes of embedded inputs that change a model's answer the most (Miyato et al. 2017)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nlp_rnn.data.vocabulary import PAD


@dataclass
class Embedded:
    """What an embedding was called with, and what it returned.

    Args:
        ids: [T, B] int64, `PAD` behind the end of a sequence.
        vectors: [T, B, E] float.
    """

    ids: Tensor
    vectors: Tensor


@contextmanager
def recorded(embedding: nn.Module) -> Iterator[list[Embedded]]:
    """Record the calls of an embedding in a list, in their order; gradients reach what it returned."""
    calls: list[Embedded] = []

    def record(_: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        if not output.requires_grad:  # the embedding is frozen
            output = output.detach().requires_grad_()
        calls.append(Embedded(inputs[0], output))
        return output

    with _hooked(embedding, record):
        yield calls


@contextmanager
def replaced(embedding: nn.Module, outputs: Sequence[Tensor]) -> Iterator[None]:
    """Let the calls of an embedding return `outputs`, one after the other.

    So a pass reads the same tokens as the recorded one, where words were dropped at random, too.
    """
    remaining = iter(outputs)
    with _hooked(embedding, lambda *_: next(remaining)):
        yield


@contextmanager
def _hooked(module: nn.Module, hook: Any) -> Iterator[None]:
    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def perturbed(calls: Sequence[Embedded], logits: Tensor, direction: Tensor, size: float) -> list[Tensor]:
    """Embedded inputs, moved so that the logits move in a direction as far as a step of a size can move them.

    To first order, the step is along the gradient of the logits' product with the direction. Each sequence is
    moved by itself, and padding not at all. The length of its step is `size` times the root mean square of
    the values of its own embedded tokens. The paper normalizes the embedding by the frequencies of the words
    instead, to the same end: a model cannot escape by a larger embedding.

    Args:
        calls: what the embedding returned.
        logits: [..., B, C], computed of it.
        direction: [..., B, C] float32; of each sequence, its length does not matter.
        size: the length of a step, for embedded values of mean square 1.

    Returns:
        For each call [T, B, E].
    """
    others = [dim for dim in range(direction.ndim) if dim != direction.ndim - 2]
    if direction.numel():  # sentences without words have no logits
        longest = direction.abs().amax(others, keepdim=True)
        direction = direction / longest.clamp(min=torch.finfo(torch.float32).tiny)
    vectors = [call.vectors for call in calls]
    with torch.autocast(logits.device.type, enabled=False):  # as in any backward pass
        wanted = direction.to(logits.dtype)
        gradients = torch.autograd.grad(
            logits, vectors, wanted, retain_graph=True, allow_unused=True, materialize_grads=True
        )  # unused where all texts are empty
    return [
        call.vectors + _step(call, gradient, size).to(call.vectors.dtype)
        for call, gradient in zip(calls, gradients, strict=True)
    ]


def _step(call: Embedded, gradient: Tensor, size: float) -> Tensor:
    """[T, B, E] float32 along the gradient, of the length that `perturbed` says."""
    padding = (call.ids == PAD)[..., None]  # [T, B, 1]
    squares = call.vectors.detach().float().square().masked_fill(padding, 0)
    values = (~padding).sum((0, 2), keepdim=True).clamp(min=1) * squares.size(-1)
    rms = (squares.sum((0, 2), keepdim=True) / values).sqrt()  # [1, B, 1]
    gradient = gradient.float().masked_fill(padding, 0)
    largest = gradient.abs().amax((0, 2), keepdim=True) if len(gradient) else rms
    gradient = gradient / largest.clamp(min=torch.finfo(torch.float32).tiny)  # else its squares may be 0
    norm = gradient.square().sum((0, 2), keepdim=True).sqrt()  # at least 1, unless there is no gradient
    return size * rms * gradient / norm.clamp(min=1)
