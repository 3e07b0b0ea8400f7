"""One to many: a vector in, a sequence of ids out."""

from __future__ import annotations

from torch import Tensor, nn

from nlp_rnn.models.layers.base import State
from nlp_rnn.models.layers.cells import CELLS
from nlp_rnn.models.seq2seq import Decoder


class Captioner(nn.Module):
    """A decoder that starts in a state made of the vector: Vinyals et al. (2015), without their network for
    pictures.

    The state, of all layers, is a linear function of the vector and then tanh, whose range every cell's
    output has.

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
        decoder = Decoder(vocab_size, embedding_dim, hidden_dim, num_layers, dropout, cell)
        self.projection = nn.Linear(num_features, decoder.rnn.state_tensors * num_layers * hidden_dim)
        self.decoder = decoder
        self._squash = CELLS[cell].squash

    def start(self, vectors: Tensor) -> State:
        """[B, F] float -> where the decoder starts, tensors of [num_layers, B, H]."""
        rnn = self.decoder.rnn
        state = self._squash(self.projection(vectors.to(self.projection.bias.dtype)))
        state = state.view(-1, rnn.state_tensors, rnn.num_layers, rnn.hidden_size)
        return tuple(part.transpose(0, 1).contiguous() for part in state.unbind(1))

    def forward(self, vectors: Tensor, target: Tensor) -> Tensor:
        """[B, F] float, [T, B] int64 ids, the first row the beginning -> logits [T, B, vocab_size].

        Row t scores the token after `target[t]`.
        """
        return self.decoder(target, self.start(vectors))[0]

    def features(self, vectors: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """As `forward`, but before the decoder's last layer: [T, B, H], zero behind each of `lengths` [B]."""
        return self.decoder.features(target, self.start(vectors), lengths)
