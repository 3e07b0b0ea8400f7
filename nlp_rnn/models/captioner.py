"""One to many: a vector in, a sequence of token ids out."""

from __future__ import annotations

from torch import Tensor, nn

from nlp_rnn.models.layers.base import State
from nlp_rnn.models.layers.cells import CELLS
from nlp_rnn.models.seq2seq import Decoder


class Captioner(nn.Module):
    """A decoder that describes a vector: the model of Vinyals et al. (2015), without their image network.

    The initial state of all layers is a linear function of the vector, squashed into the range of the cell's
    state (tanh for all cells here). Sequences are time-major, [T, B].

    Args:
        num_features: F, the size of the vector.
        vocab_size: number of token ids.
        embedding_dim: size of the token embeddings.
        hidden_dim: H, the hidden size of the recurrent layers.
        num_layers: number of recurrent layers.
        dropout: probability of dropout on embeddings, between layers and before the output layer.
        cell: a name in `CELLS`.

    Raises:
        ValueError: unknown cell.
    """

    def __init__(
        self,
        num_features: int,
        vocab_size: int,
        embedding_dim: int,
        hidden_dim: int,
        num_layers: int,
        dropout: float,
        cell: str = "lstm",
    ) -> None:
        super().__init__()
        decoder = Decoder(
            vocab_size=vocab_size,
            embedding_dim=embedding_dim,
            hidden_dim=hidden_dim,
            num_layers=num_layers,
            dropout=dropout,
            cell=cell,
        )
        self.projection = nn.Linear(num_features, decoder.rnn.state_tensors * num_layers * hidden_dim)
        self.decoder = decoder
        self.squash = CELLS[cell].squash

    def start(self, vectors: Tensor) -> State:
        """The decoder's initial state, tensors of [num_layers, B, H], from vectors [B, F]."""
        rnn = self.decoder.rnn
        state = self.squash(self.projection(vectors.to(self.projection.bias.dtype)))
        state = state.view(-1, rnn.state_tensors, rnn.num_layers, rnn.hidden_size)
        return tuple(tensor.transpose(0, 1).contiguous() for tensor in state.unbind(1))

    def forward(self, vectors: Tensor, target: Tensor) -> Tensor:
        """Score the token that follows each target token.

        Args:
            vectors: [B, F], float.
            target: [T, B] int64 ids, the first row BOS.

        Returns:
            Logits [T, B, vocab_size]; row t scores the token after `target[t]`.
        """
        logits: Tensor = self.decoder(target, self.start(vectors))[0]
        return logits

    def features(self, vectors: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """As `forward`, but before the output layer: [T, B, H], zero behind each of `lengths` [B]."""
        return self.decoder.features(target, self.start(vectors), lengths)
