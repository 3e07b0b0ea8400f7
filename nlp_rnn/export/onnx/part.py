"""What an exporter makes of a model: its parts, each one ONNX file, and how each is compared with torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import onnx
import torch
from torch import Tensor, nn

from nlp_rnn.export.onnx.graph import FLOAT, Graph
from nlp_rnn.models.layers.base import RecurrentLayer, State

MODEL = "model.onnx"
ENCODER = "encoder.onnx"
DECODER_STEP = "decoder_step.onnx"


class Case(NamedTuple):
    """One call: what a graph is given, and what torch computes of it."""

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


@dataclass(frozen=True)
class Part:
    """One ONNX file of a model.

    Args:
        file: its name.
        graph: the graph.
        owner: the module that computes the same in torch.
        method: the name of the owner's method that does.
        case: a call of that method, by its arguments.
        sample: random arguments of that method: (number of steps, number of sequences) -> arguments.
    """

    file: str
    graph: onnx.ModelProto
    owner: nn.Module
    method: str
    case: Callable[..., Case]
    sample: Callable[[int, int], Sequence[Any]]


def random_lengths(steps: int, batch: int, least: int = 1) -> Tensor:
    """[B] int64 lengths from `least` to `steps`, of which one is `steps` and, of several, one `least`."""
    lengths = torch.randint(least, steps + 1, (batch,))
    lengths[-1] = steps
    if batch > 1:
        lengths[0] = least
    return lengths


def random_ids(steps: int, batch: int, embedding: nn.Embedding) -> Tensor:
    """[T, B] int64 ids of an embedding, also where padding is in a corpus."""
    return torch.randint(embedding.num_embeddings, (steps, batch))


def random_state(layer: RecurrentLayer, batch: int) -> State:
    """A state of a layer, in the range of all cells."""
    like = next(layer.parameters())
    return tuple(torch.rand_like(tensor) * 2 - 1 for tensor in layer.initial_state(batch, like))


def all_steps(sequence: Tensor, lengths: Tensor | None) -> Tensor:
    """The lengths [B] int64 of a sequence [T, B, ...]: those given, or T."""
    if lengths is not None:
        return lengths
    return torch.full((sequence.size(1),), sequence.size(0))


def add_state(graph: Graph, layer: RecurrentLayer) -> list[str]:
    """Add the tensors of a state as inputs, and return their names."""
    shape = (layer.num_layers, "batch", layer.hidden_size)
    return [graph.input(name, FLOAT, shape) for name in state_names(layer.state_tensors)]


def return_state(graph: Graph, layer: RecurrentLayer, state: Sequence[str], prefix: str = "") -> None:
    """Make the tensors of a state outputs, with a prefix before their names."""
    for name, value in zip(state_names(len(state), prefix), state, strict=True):
        graph.output(name, value, FLOAT, (layer.num_layers, "batch", layer.hidden_size))


def state_names(count: int, prefix: str = "") -> list[str]:
    """The names of the tensors of a state."""
    return [f"{prefix}state_{number}" for number in range(count)]


def named_state(state: State, prefix: str = "") -> dict[str, Tensor]:
    """The tensors of a state by their names."""
    return dict(zip(state_names(len(state), prefix), state, strict=True))
