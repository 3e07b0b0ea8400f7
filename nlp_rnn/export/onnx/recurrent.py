"""Recurrent layers as ONNX operators: one per layer and direction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from onnx import helper
from torch import Tensor

from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.export.onnx.graph import INT32, Graph
from nlp_rnn.models.layers.base import RecurrentLayer
from nlp_rnn.models.layers.minimal import MinGRU, MinLSTM
from nlp_rnn.models.layers.recurrent import GRU, LSTM, RNN


class Call(NamedTuple):
    """One layer and direction, and what it reads."""

    name: str
    """What begins the names of its constants."""
    weights: Sequence[Tensor]
    """As in `RecurrentLayer.all_weights`."""
    hidden_size: int
    input: str
    """[T, B, I] float32."""
    lengths: str
    """[B] int64; empty if every sequence has T steps."""
    state: Sequence[str]
    """The initial state, each tensor [1, B, H]; empty for zeros."""
    backwards: bool


class Result(NamedTuple):
    """What one layer and direction computes."""

    output: str
    """[T, B, H] float32, zero behind each sequence's end."""
    state: list[str]
    """The state at each sequence's end, each tensor [1, B, H]; of an empty sequence it has no meaning."""


CellGraph = Callable[[Graph, Call], Result]
"""Adds one layer and direction to a graph."""


def _operator(operator: str, gates: Sequence[int], states: int = 1, **attributes: int) -> CellGraph:
    """A cell that ONNX has an operator for.

    Args:
        operator: its name.
        gates: which of torch's gates, counted in blocks of rows, are those of the operator, in its order.
        states: number of state tensors.
        attributes: of the operator.
    """

    def build(graph: Graph, call: Call) -> Result:
        weight_ih, weight_hh, bias_ih, bias_hh = (_in_order(weight, gates) for weight in call.weights)
        constants = {"W": weight_ih, "R": weight_hh, "B": torch.cat([bias_ih, bias_hh])}
        output, *state = graph.ops(
            operator,
            1 + states,
            call.input,
            *(graph.weight(f"{call.name}.{name}", value[None]) for name, value in constants.items()),
            graph.op("Cast", call.lengths, to=INT32) if call.lengths else "",
            *call.state,
            hidden_size=call.hidden_size,
            direction="reverse" if call.backwards else "forward",
            **attributes,
        )
        return Result(graph.op("Squeeze", output, graph.ints(1)), state)  # [T, 1, B, H] -> [T, B, H]

    return build


def _in_order(weight: Tensor, gates: Sequence[int]) -> Tensor:
    """Reorder the blocks of rows of a weight [G * H, ...]."""
    blocks = weight.detach().chunk(len(gates))
    return torch.cat([blocks[gate] for gate in gates])


def _min_gru_weight(graph: Graph, gates: Sequence[str]) -> str:
    return graph.op("Sigmoid", gates[0])


def _min_lstm_weight(graph: Graph, gates: Sequence[str]) -> str:
    # log sigmoid(i) - log sigmoid(f), where log sigmoid(x) = -softplus(-x)
    i, f = (_softplus(graph, graph.op("Neg", gate)) for gate in gates[:2])
    return graph.op("Sigmoid", graph.op("Sub", f, i))


def _softplus(graph: Graph, value: str) -> str:
    """log(1 + exp(x)) as max(x, 0) + log(1 + exp(-|x|)); the operator Softplus is slower."""
    small = graph.op("Exp", graph.op("Neg", graph.op("Abs", value)))
    return graph.op(
        "Add", graph.op("Relu", value), graph.op("Log", graph.op("Add", small, graph.scalar(1.0)))
    )


def _scan(num_gates: int, candidate_weight: Callable[[Graph, Sequence[str]], str]) -> CellGraph:
    """A cell whose gates see the input only; a Scan computes h_t = h_{t-1} + z_t (c_t - h_{t-1}).

    Args:
        num_gates: number of blocks of rows of its weights; the last one is the candidate c.
        candidate_weight: computes z from the gates before that.
    """

    def build(graph: Graph, call: Call) -> Result:
        weight, bias = call.weights
        inside = graph.inside(call.lengths, call.input) if call.lengths else ""
        # What stands behind a sequence's end may be NaN, which no product with 0 removes.
        value = graph.where_inside(inside, call.input) if inside else call.input
        product = graph.op("MatMul", value, graph.weight(f"{call.name}.W.T", weight.detach().t()))
        projected = graph.op("Add", product, graph.weight(f"{call.name}.B", bias))
        *gates, c = graph.ops("Split", num_gates, projected, axis=-1)
        z = candidate_weight(graph, gates)
        if inside:
            z = graph.where_inside(inside, z)  # keep the state
        start = graph.op("Squeeze", call.state[0], graph.ints(0)) if call.state else _zeros(graph, call)
        names = {part: f"{part}_{start}_{z}" for part in ("h", "z", "c", "change", "step", "new", "out")}
        nodes = [
            helper.make_node("Sub", [names["c"], names["h"]], [names["change"]]),
            helper.make_node("Mul", [names["z"], names["change"]], [names["step"]]),
            helper.make_node("Add", [names["h"], names["step"]], [names["new"]]),
            helper.make_node("Identity", [names["new"]], [names["out"]]),
        ]
        direction = int(call.backwards)
        final, output = graph.ops(
            "Scan",
            2,
            start,
            z,
            c,
            body=graph.body(nodes, [names[part] for part in "hzc"], [names["new"], names["out"]]),
            num_scan_inputs=2,
            scan_input_directions=[direction] * 2,
            scan_output_directions=[direction],
        )
        if inside:
            output = graph.where_inside(inside, output)
        return Result(output, [graph.op("Unsqueeze", final, graph.ints(0))])

    return build


def _zeros(graph: Graph, call: Call) -> str:
    """[B, H] of zeros."""
    batch = graph.op("Slice", graph.op("Shape", call.input), graph.ints(1), graph.ints(2))
    return graph.op("Expand", graph.scalar(0.0), graph.concat([batch, graph.ints(call.hidden_size)], 0))


CELL_GRAPHS: dict[type[RecurrentLayer], CellGraph] = {
    RNN: _operator("RNN", (0,)),
    GRU: _operator("GRU", (1, 0, 2), linear_before_reset=1),  # r, z, n -> z, r, h
    LSTM: _operator("LSTM", (0, 3, 1, 2), states=2),  # i, f, g, o -> i, o, f, c
    MinGRU: _scan(2, _min_gru_weight),
    MinLSTM: _scan(3, _min_lstm_weight),
}
"""The graph of a cell by the class of its layers. To add one, give it a row."""


class States(NamedTuple):
    """The final states of recurrent layers."""

    computed: list[list[str]]
    """Per layer and direction, in torch's order, the tensors of its state, [1, B, H] each."""
    starts: list[list[str]]
    """Likewise the initial state; no tensors for zeros."""
    lengths: str
    """[B] int64; empty if every sequence has T steps."""

    def top(self, graph: Graph, directions: int) -> str:
        """The hidden state of each direction of the top layer, [B, directions * H]."""
        count = len(self.computed)
        hidden = graph.concat(self._exact(graph, range(count - directions, count), 0))
        return graph.op("Squeeze", hidden, graph.ints(0))

    def stacked(self, graph: Graph) -> list[str]:
        """The state as tensors [num_layers * directions, B, H]."""
        indices = range(len(self.computed))
        return [graph.concat(self._exact(graph, indices, n), 0) for n in range(len(self.computed[0]))]

    def joined(self, graph: Graph) -> list[str]:
        """The state with both directions of each layer joined, as tensors [num_layers, B, 2 * H]."""
        starts = range(0, len(self.computed), 2)
        return [
            graph.concat([graph.concat(self._exact(graph, (start, start + 1), n)) for start in starts], 0)
            for n in range(len(self.computed[0]))
        ]

    def _exact(self, graph: Graph, indices: Sequence[int], number: int) -> list[str]:
        """A tensor of the state of some layers, where empty sequences end in their initial state.

        ONNX does not define their state, and it is arbitrary in some versions of ONNX Runtime.
        """
        computed = [self.computed[index][number] for index in indices]
        if not self.lengths:
            return computed
        is_empty = graph.op("Unsqueeze", graph.op("Equal", self.lengths, graph.scalar(0)), graph.ints(-1))
        starts = [
            self.starts[index][number] if self.starts[index] else graph.scalar(0.0) for index in indices
        ]
        return [
            graph.op("Where", is_empty, start, tensor) for start, tensor in zip(starts, computed, strict=True)
        ]


def recurrent(
    graph: Graph,
    name: str,
    layer: RecurrentLayer,
    value: str,
    lengths: str = "",
    state: Sequence[str] = (),
) -> tuple[str, States]:
    """Add recurrent layers to a graph.

    Args:
        graph: the graph.
        name: what begins the names of their constants.
        layer: the layers.
        value: their input [T, B, I].
        lengths: [B] int64; empty if every sequence has T steps.
        state: the initial state, tensors of [num_layers * directions, B, H]; empty for zeros.

    Returns:
        The output [T, B, directions * H], and the state at each sequence's end.

    Raises:
        UsageError: the cell has no graph.
    """
    build = CELL_GRAPHS.get(type(layer))
    if build is None:
        known = join_names(known.__name__ for known in CELL_GRAPHS)
        raise UsageError(f"the layer {type(layer).__name__} has no ONNX graph; those of {known} have one")
    directions = 2 if layer.bidirectional else 1
    count = layer.num_layers * directions
    starts = [graph.ops("Split", count, tensor, axis=0) if count > 1 else [tensor] for tensor in state]
    finals: list[list[str]] = []
    every_start = [[parts[index] for parts in starts] for index in range(count)]
    for number in range(layer.num_layers):
        outputs = []
        for direction in range(directions):
            index = number * directions + direction
            suffix = "_reverse" if direction else ""
            result = build(
                graph,
                Call(
                    f"{name}.l{number}{suffix}",
                    layer.all_weights[index],
                    layer.hidden_size,
                    value,
                    lengths,
                    every_start[index],
                    bool(direction),
                ),
            )
            outputs.append(result.output)
            finals.append(result.state)
        value = graph.concat(outputs)
    return value, States(finals, every_start, lengths)
