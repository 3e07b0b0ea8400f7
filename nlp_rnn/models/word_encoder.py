"""Words by their characters: features of words that no vocabulary has."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nlp_rnn.models.layers.cells import recurrent_layer
from nlp_rnn.models.layers.embedding import Embedding


class WordEncoder(nn.Module):
    """A word's vector from its characters: the final states of bidirectional recurrent layers.

    The character model of Ling et al. (2015), "Finding Function in Form".

    Args:
        vocab_size: number of character ids.
        embedding_dim: size of the character embeddings.
        hidden_dim: the hidden size, per direction.
        cell: a name in `CELLS`.
    """

    def __init__(self, vocab_size: int, embedding_dim: int, hidden_dim: int, cell: str = "lstm") -> None:
        super().__init__()
        self.embedding = Embedding(vocab_size, embedding_dim)
        self.rnn = recurrent_layer(
            cell, embedding_dim, hidden_dim, num_layers=1, dropout=0.0, bidirectional=True
        )
        self.output_dim = 2 * hidden_dim

    def forward(self, characters: Tensor, lengths: Tensor) -> Tensor:
        """[C, U] int64 character ids of U words, [U] lengths -> vectors [U, output_dim]."""
        _, state = self.rnn(self.embedding(characters), lengths=lengths)
        return torch.cat(list(state[0]), dim=-1)
