"""Many to one over real-valued vectors: a sequence of vectors in, numbers out."""

from __future__ import annotations

from torch import Tensor, nn

from nlp_rnn.models.layers.cells import recurrent_layer
from nlp_rnn.models.layers.dropout import Dropout


class Regressor(nn.Module):
    """Recurrent layers over vectors, linear from the last state.

    Raises:
        ValueError: unknown cell.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        hidden_dim: int,
        num_layers: int,
        dropout: float,
        cell: str = "lstm",
    ) -> None:
        super().__init__()
        self.rnn = recurrent_layer(cell, input_dim, hidden_dim, num_layers, dropout)
        self.fc_out = nn.Linear(hidden_dim, output_dim)
        self.dropout = Dropout(dropout)

    def forward(self, vectors: Tensor, lengths: Tensor | None = None) -> Tensor:
        """[T, B, input_dim] float, [B] lengths (all T if left out) -> [B, output_dim].

        An empty sequence gets the answer of an all-zero state.
        """
        _, state = self.rnn(match_dtype(self.rnn, vectors), lengths=lengths)
        return self.fc_out(self.dropout(state[0][-1]))


def match_dtype(layer: nn.Module, vectors: Tensor) -> Tensor:
    """Vectors in the floating-point type of a layer's weights."""
    kinds = (weight.dtype for weight in layer.parameters() if weight.is_floating_point())
    return vectors.to(next(kinds, vectors.dtype))
