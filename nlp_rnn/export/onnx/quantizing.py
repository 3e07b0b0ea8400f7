"""Graphs with int8 weights, by the dynamic quantization of ONNX Runtime."""

from __future__ import annotations

import logging
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

_OPERATORS = ["MatMul", "LSTM", "Gather"]
"""The operators that get int8 weights: linear layers, LSTMs, embeddings."""

_FLOAT_OPERATORS = {"GRU", "RNN"}
"""The operators whose weights stay float: ONNX Runtime has no int8 form of them (onnxruntime#9796)."""


def quantize(graph: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a graph with int8 weights where ONNX Runtime has int8 operators.

    Activations are rounded to 8 bits at run time, with one scale per call. Weights take 7 of their 8 bits:
    processors with AVX2 and without VNNI add two products in 16 bits, which larger weights overflow, and
    answers would be wrong by a quarter.
    """
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it advises to optimize the graph first, which ours does not need
    try:
        with TemporaryDirectory() as folder:
            out = Path(folder, "int8.onnx")
            copy = onnx.ModelProto()
            copy.CopyFrom(graph)  # some versions take the weights out of what they are given
            quantize_dynamic(
                copy,
                out,
                op_types_to_quantize=_OPERATORS,
                per_channel=True,
                reduce_range=True,
                weight_type=QuantType.QInt8,
            )
            return onnx.load(out)
    finally:
        root.setLevel(level)


def float_operators(graph: onnx.ModelProto) -> list[str]:
    """The recurrent operators of a graph that `quantize` leaves as they are."""
    return sorted({node.op_type for node in graph.graph.node} & _FLOAT_OPERATORS)
