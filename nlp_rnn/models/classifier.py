"""Many to one: a sequence of ids in, one score a class out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nlp_rnn.models.dropout import Dropout
from nlp_rnn.models.recurrent import recurrent_layer

POOLINGS = ("last", "mean", "max")


class Classifier(nn.Module):
    """Embedding, recurrent layers, pooling over time, linear.

    Pooling `last` takes the state at each end that the layers read towards; `mean` and `max` go over the
    outputs of all the sequence's own steps.

    Raises:
        ValueError: unknown cell or pooling.
    """

    def __init__(
        self,
        vocab_size: int,
        num_classes: int,
        embedding_dim: int,
        hidden_dim: int,
        num_layers: int,
        dropout: float,
        cell: str = "lstm",
        bidirectional: bool = True,
        pooling: str = "last",
    ) -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise ValueError(f"unknown pooling {pooling!r}: use one of {', '.join(POOLINGS)}")
        self.pooling = pooling
        self.embedding = nn.Embedding(vocab_size, embedding_dim)
        self.rnn = recurrent_layer(cell, embedding_dim, hidden_dim, num_layers, dropout, bidirectional)
        self.fc_out = nn.Linear(hidden_dim * (2 if bidirectional else 1), num_classes)
        self.dropout = Dropout(dropout)

    def forward(self, tokens: Tensor, lengths: Tensor | None = None) -> Tensor:
        """[T, B] int64 ids, [B] lengths (all T if left out) -> logits [B, num_classes].

        An empty sequence gets the scores of an all-zero summary.
        """
        output, state = self.rnn(self.dropout(self.embedding(tokens)), lengths=lengths)  # [T, B, D * H]
        if lengths is None:
            lengths = torch.full((tokens.size(1),), tokens.size(0))
        return self.fc_out(self.dropout(self._pool(output, state[0], lengths.to(output.device))))

    def _pool(self, output: Tensor, hidden: Tensor, lengths: Tensor) -> Tensor:
        if self.pooling == "last":
            directions = 2 if self.rnn.bidirectional else 1
            return torch.cat(list(hidden[-directions:]), dim=-1)  # [B, D * H]
        if self.pooling == "mean" or output.size(0) == 0:
            return output.sum(0) / lengths.clamp(min=1)[:, None]
        padding = torch.arange(output.size(0), device=output.device)[:, None] >= lengths  # [T, B]
        best = output.masked_fill(padding.unsqueeze(-1), float("-inf")).amax(0)
        return torch.where(lengths[:, None] > 0, best, torch.zeros_like(best))
