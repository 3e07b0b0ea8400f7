"""Writing ONNX graphs: a builder that names values, and the operations that several models share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

import nlp_rnn
from nlp_rnn.errors import UsageError

OPSET = 17
"""The version of the operators: the oldest that has all of them in their present form."""

_IR_VERSION = 8  # the one of this opset
_LARGEST = 2**31 - 2**20  # bytes of weights: a protocol buffer ends at 2 GiB, and the nodes need some

INT64 = TensorProto.INT64
INT32 = TensorProto.INT32
FLOAT = TensorProto.FLOAT
BOOL = TensorProto.BOOL

Shape = Sequence[int | str]
"""Sizes, and the names of those that may differ from call to call."""


class Graph:
    """A graph under construction. A value is known by its name, a string.

    Args:
        name: the name of the graph.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes: list[onnx.NodeProto] = []
        self._weights: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._count = 0

    def input(self, name: str, dtype: int, shape: Shape) -> str:
        """Add an input of the graph, and return its name."""
        self._inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def output(self, name: str, value: str, dtype: int, shape: Shape) -> None:
        """Make a value an output of the graph."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, dtype, shape))

    def weight(self, name: str, value: Tensor | np.ndarray[Any, Any]) -> str:
        """Add a constant under a name, once, and return the name. Floats become float32."""
        if name not in self._weights:
            array = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
            if array.dtype.kind == "f":
                array = array.astype(np.float32)
            self._weights[name] = numpy_helper.from_array(np.asarray(array, order="C"), name)
        return name

    def ints(self, *values: int) -> str:
        """A constant [len(values)] int64, such as the axes of an operator."""
        return self.weight("ints_" + "_".join(map(str, values)), np.array(values, dtype=np.int64))

    def scalar(self, value: float) -> str:
        """A constant of no dimension, int64 or float32."""
        kind = np.int64 if isinstance(value, int) else np.float32
        return self.weight(f"scalar_{value}", np.array(value, dtype=kind))

    def op(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output, and return the output's name. An empty input is one left out."""
        return self.ops(operator, 1, *inputs, **attributes)[0]

    def ops(self, operator: str, outputs: int, *inputs: str, **attributes: Any) -> list[str]:
        """As `op`, with several outputs."""
        self._count += 1
        names = [f"{operator}_{self._count}" + (f"_{n}" if outputs > 1 else "") for n in range(outputs)]
        self._nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names

    def body(self, nodes: Sequence[onnx.NodeProto], inputs: Sequence[str], outputs: Sequence[str]) -> Any:
        """A graph within this one, for an attribute of a node; its values are float32 of any shape."""
        self._count += 1
        taken, given = (
            [helper.make_tensor_value_info(name, FLOAT, None) for name in names]
            for names in (inputs, outputs)
        )
        return helper.make_graph(nodes, f"body_{self._count}", taken, given)

    def model(self) -> onnx.ModelProto:
        """The finished graph, checked against the ONNX specification.

        Raises:
            UsageError: the weights are larger than a file of this kind can be.
        """
        if sum(len(weight.raw_data) for weight in self._weights.values()) > _LARGEST:
            raise UsageError("the weights are larger than 2 GB, which an ONNX file cannot hold in itself")
        graph = helper.make_graph(
            self._nodes, self._name, self._inputs, self._outputs, list(self._weights.values())
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=_IR_VERSION,
            producer_name="nlp_rnn",
            producer_version=nlp_rnn.__version__,
        )
        onnx.checker.check_model(model, full_check=True)
        return model

    # What several models share.

    def concat(self, values: Sequence[str], axis: int = -1) -> str:
        """Join values along an axis; a single one is itself."""
        return values[0] if len(values) == 1 else self.op("Concat", *values, axis=axis)

    def lookup(self, name: str, embedding: nn.Embedding, ids: str) -> str:
        """[...] int64 ids -> [..., E]."""
        return self.op("Gather", self.weight(f"{name}.weight", embedding.weight), ids)

    def linear(self, name: str, layer: nn.Linear, value: str) -> str:
        """[..., I] -> [..., O]."""
        # Transposed here, so that the product is of a constant, which quantization needs.
        product = self.op("MatMul", value, self.weight(f"{name}.weight.T", layer.weight.t()))
        return product if layer.bias is None else self.op("Add", product, self.bias(name, layer.bias))

    def bias(self, name: str, bias: Tensor) -> str:
        """The constant of a layer's bias."""
        return self.weight(f"{name}.bias", bias)

    def inside(self, lengths: str, sequence: str) -> str:
        """[B] int64 lengths, [T, B, ...] -> [T, B] bool, true within each sequence."""
        steps = self.op("Gather", self.op("Shape", sequence), self.scalar(0))
        time = self.op("Range", self.scalar(0), steps, self.scalar(1))
        return self.op("Less", self.op("Unsqueeze", time, self.ints(1)), lengths)

    def where_inside(self, inside: str, value: str) -> str:
        """[T, B] bool, [T, B, K] -> [T, B, K] with zeros behind each sequence's end."""
        return self.op("Where", self.op("Unsqueeze", inside, self.ints(-1)), value, self.scalar(0.0))
