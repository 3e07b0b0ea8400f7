"""Many to one over real-valued vectors: a sequence of vectors in, numbers out."""

from __future__ import annotations

from torch import Tensor, nn

from nlp_rnn.models.layers.cells import recurrent_layer
from nlp_rnn.models.layers.dropout import Dropout


class Regressor(nn.Module):
    """Recurrent layers over vectors, linear from the final state. Sequences are time-major, [T, B].

    Args:
        input_dim: size of the input vectors.
        output_dim: number of values to predict.
        hidden_dim: H, the hidden size of the recurrent layers.
        num_layers: number of recurrent layers.
        dropout: probability of dropout between layers and before the output layer.
        cell: a name in `CELLS`.

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
        self.rnn = recurrent_layer(cell, input_dim, hidden_dim, num_layers=num_layers, dropout=dropout)
        self.fc_out = nn.Linear(hidden_dim, output_dim)
        self.dropout = Dropout(dropout)

    def forward(self, vectors: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Predict the values of each sequence.

        Args:
            vectors: [T, B, input_dim], float.
            lengths: [B]; all T if left out.

        Returns:
            [B, output_dim], float. An empty sequence is answered from a state of zeros.
        """
        _, state = self.rnn(match_dtype(self.rnn, vectors), lengths=lengths)
        values: Tensor = self.fc_out(self.dropout(state[0][-1]))
        return values


def match_dtype(layer: nn.Module, vectors: Tensor) -> Tensor:
    """Convert vectors to the floating-point dtype of a layer's weights."""
    dtypes = (weight.dtype for weight in layer.parameters() if weight.is_floating_point())
    return vectors.to(next(dtypes, vectors.dtype))
