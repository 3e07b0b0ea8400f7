"""The cells registry: one row per cell, with all that other code asks about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from nlp_rnn.models.layers import equations, int8_recurrent
from nlp_rnn.models.layers.base import RecurrentLayer
from nlp_rnn.models.layers.equations import Equations
from nlp_rnn.models.layers.int8_recurrent import Int8Step
from nlp_rnn.models.layers.minimal import MinGRU, MinLSTM
from nlp_rnn.models.layers.recurrent import GRU, LSTM, RNN
from nlp_rnn.settings import Choices


@dataclass(frozen=True)
class Cell:
    """A recurrent cell. Call it to make its layer: `CELLS["lstm"](8, 16, num_layers=2)`.

    Args:
        layer: the class of its layers; it says how many state tensors there are.
        equations: one step written out, for inspection; None if it cannot be inspected.
        states: the names that `equations` gives the state tensors, in their order.
        forget_gate: which block of H rows of the weights is the gate that keeps the old state, if one is.
        input_gate: likewise of the gate that lets new content in.
        int8_step: one step with int8 weights; None if the cell has none.
        squash: brings numbers of any size into the range of the cell's state, to start from them.
    """

    layer: type[RecurrentLayer]
    equations: Equations | None = None
    states: tuple[str, ...] = ("hidden",)
    forget_gate: int | None = None
    input_gate: int | None = None
    int8_step: Int8Step | None = None
    squash: Callable[[Tensor], Tensor] = torch.tanh

    def __call__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        bidirectional: bool = False,
        locked: bool = False,
        weight_dropout: float = 0.0,
    ) -> RecurrentLayer:
        """Make a layer; see `recurrent_layer` for the arguments."""
        return self.layer(input_size, hidden_size, num_layers, dropout, bidirectional, locked, weight_dropout)


CELLS: dict[str, Cell] = {
    "rnn": Cell(RNN, equations.rnn, int8_step=int8_recurrent.RNN_STEP),
    "gru": Cell(
        GRU, equations.gru, forget_gate=1, int8_step=int8_recurrent.GRU_STEP
    ),  # r, z, n; torch's z keeps
    "lstm": Cell(
        LSTM,
        equations.lstm,
        ("hidden", "cell"),
        forget_gate=1,  # i, f, g, o
        input_gate=0,
        int8_step=int8_recurrent.LSTM_STEP,
    ),
    "mingru": Cell(MinGRU, equations.mingru, input_gate=0),  # z, c
    "minlstm": Cell(MinLSTM, equations.minlstm, forget_gate=1, input_gate=0),  # i, f, c
}

CellName = Annotated[str, Choices(CELLS)]
"""A setting that names a cell."""


def cell_name(layer: nn.Module) -> str:
    """The name of a layer's cell in `CELLS`; that of its class if it has no row."""
    if isinstance(layer, int8_recurrent.Int8Recurrent):
        return layer.cell
    return next((name for name, cell in CELLS.items() if cell.layer is type(layer)), type(layer).__name__)


def recurrent_layer(
    cell: str,
    input_size: int,
    hidden_size: int,
    num_layers: int,
    dropout: float,
    bidirectional: bool = False,
    locked: bool = False,
    weight_dropout: float = 0.0,
) -> RecurrentLayer:
    """Make recurrent layers by the name of their cell.

    Args:
        cell: a name in `CELLS`.
        input_size: I, numbers per step of the input.
        hidden_size: H, numbers per step and direction of the output.
        num_layers: layers, each reading the outputs of the one before.
        dropout: probability of dropout between layers, so without effect on one layer alone.
        bidirectional: whether to read from the end too.
        locked: whether `dropout` uses one mask for all time steps.
        weight_dropout: probability of dropout on the hidden-to-hidden weights, one mask per call.

    Returns:
        The layers as one module.

    Raises:
        ValueError: unknown cell, or it has no weights of that kind to drop.
    """
    if cell not in CELLS:
        raise ValueError(f"unknown cell {cell!r}: use one of {', '.join(CELLS)}")
    between = dropout if num_layers > 1 else 0.0
    return CELLS[cell](input_size, hidden_size, num_layers, between, bidirectional, locked, weight_dropout)
