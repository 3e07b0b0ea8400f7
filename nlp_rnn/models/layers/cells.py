"""The cells registry: one row per cell, with everything that other code asks about it."""

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

    To add a cell, write its layer, a subclass of `RecurrentLayer`, and give it a row in `CELLS`:
    `CELLS["mycell"] = Cell(MyLayer)`. All other fields are optional.

    Args:
        layer: the class of its layers; `layer.state_tensors` is the number of state tensors.
        equations: one time step written out, for inspection; None if the cell cannot be inspected.
        states: the names of the state tensors in the result of `equations`, in their order.
        forget_gate: the index of the gate that keeps the old state, counted in blocks of H rows of the
            weights; None if the cell has no such gate.
        input_gate: likewise the gate that lets new content in.
        blocks: the names of the blocks of H rows of the hidden-to-hidden weights, in their order, where the
            cell has such weights.
        int8_step: one time step with int8 weights; None if the cell has none.
        squash: maps real numbers into the range of the cell's state, to make an initial state of them.

    Raises:
        TypeError: `layer` is no subclass of `RecurrentLayer`.
    """

    layer: type[RecurrentLayer]
    equations: Equations | None = None
    states: tuple[str, ...] = ("hidden",)
    forget_gate: int | None = None
    input_gate: int | None = None
    blocks: tuple[str, ...] = ()
    int8_step: Int8Step | None = None
    squash: Callable[[Tensor], Tensor] = torch.tanh

    def __post_init__(self) -> None:
        if not (isinstance(self.layer, type) and issubclass(self.layer, RecurrentLayer)):
            raise TypeError(f"the layer of a cell must be a subclass of RecurrentLayer, not {self.layer!r}")

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
        return self.layer(
            input_size,
            hidden_size,
            num_layers=num_layers,
            dropout=dropout,
            bidirectional=bidirectional,
            locked=locked,
            weight_dropout=weight_dropout,
        )


CELLS: dict[str, Cell] = {
    "rnn": Cell(RNN, equations.rnn, blocks=("hidden",), int8_step=int8_recurrent.RNN_STEP),
    "gru": Cell(
        GRU,
        equations.gru,
        forget_gate=1,  # the order of gates is r, z, n; torch's z keeps the old state
        blocks=("reset", "update", "candidate"),
        int8_step=int8_recurrent.GRU_STEP,
    ),
    "lstm": Cell(
        LSTM,
        equations.lstm,
        ("hidden", "cell"),
        forget_gate=1,  # i, f, g, o
        input_gate=0,
        blocks=("input", "forget", "candidate", "output"),
        int8_step=int8_recurrent.LSTM_STEP,
    ),
    "mingru": Cell(MinGRU, equations.mingru, input_gate=0),  # z, c
    "minlstm": Cell(MinLSTM, equations.minlstm, forget_gate=1, input_gate=0),  # i, f, c
}

CellName = Annotated[str, Choices(CELLS)]
"""A setting that names a cell."""


def cell_name(layer: nn.Module) -> str:
    """The name of a layer's cell in `CELLS`, or the name of its class if it is not registered."""
    if isinstance(layer, int8_recurrent.Int8Recurrent):
        return layer.cell
    for base in type(layer).__mro__:  # its own class first: a subclass is of the cell of its base
        for name, cell in CELLS.items():
            if cell.layer is base:
                return name
    return type(layer).__name__


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
        input_size: I, the size of the input at each step.
        hidden_size: H, the size of the output per direction.
        num_layers: number of layers; each reads the outputs of the one before.
        dropout: probability of dropout between layers; no effect with one layer.
        bidirectional: whether to read backwards too.
        locked: whether `dropout` uses one mask for all time steps.
        weight_dropout: probability of dropout on the hidden-to-hidden weights, one mask per call.

    Returns:
        The layers as one module.

    Raises:
        ValueError: unknown cell, or `weight_dropout` for a cell without hidden-to-hidden weights.

    Examples:
        layer = recurrent_layer("lstm", 8, 16, num_layers=2, dropout=0.5)
        outputs, (h, c) = layer(torch.randn(5, 3, 8), lengths=[5, 2, 4])
    """
    if cell not in CELLS:
        raise ValueError(f"unknown cell {cell!r}: use one of {', '.join(CELLS)}")
    return CELLS[cell](
        input_size,
        hidden_size,
        num_layers=num_layers,
        dropout=dropout if num_layers > 1 else 0.0,
        bidirectional=bidirectional,
        locked=locked,
        weight_dropout=weight_dropout,
    )
