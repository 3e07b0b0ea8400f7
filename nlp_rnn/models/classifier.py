"""Many to one: a sequence of ids in, one score a class out."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from nlp_rnn.models.layers.base import State
from nlp_rnn.models.layers.cells import recurrent_layer
from nlp_rnn.models.layers.dropout import Dropout

Pooling = Literal["last", "mean", "max"]
POOLINGS = get_args(Pooling)


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

    def initial_state(self, batch: int) -> State:
        """Where `step` starts `batch` sequences: the layers' state, and behind it what is pooled so far."""
        like = self.fc_out.bias
        state = self.rnn.initial_state(batch, like)
        if self.pooling == "mean":  # the outputs' sum, and of how many
            exact = torch.float32 if like.device.type == "mps" else torch.float64  # which MPS has not
            sums = like.new_zeros(batch, self.rnn.hidden_size, dtype=exact)
            return *state, sums, sums[:, :1].clone()
        if self.pooling == "max":
            return *state, like.new_full((batch, self.rnn.hidden_size), -torch.inf)
        return state

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """One step more: [B] int64 ids -> logits [B, num_classes] of all read so far, and the new state.

        Raises:
            ValueError: the layers read from both ends.
        """
        if self.rnn.bidirectional:
            raise ValueError("a classifier that reads from both ends has no steps")
        parts = self.rnn.state_tensors
        output, layers = self.rnn(self.dropout(self.embedding(tokens[None])), state[:parts])
        summary, pooled = output[0], state[parts:]  # [B, H]
        if self.pooling == "mean":
            pooled = pooled[0] + summary, pooled[1] + 1
            summary = (pooled[0] / pooled[1]).to(summary.dtype)
        elif self.pooling == "max":
            summary = torch.maximum(pooled[0], summary)
            pooled = (summary,)
        return self.fc_out(self.dropout(summary)), (*layers, *pooled)

    def _pool(self, output: Tensor, hidden: Tensor, lengths: Tensor) -> Tensor:
        if self.pooling == "last":
            directions = 2 if self.rnn.bidirectional else 1
            return torch.cat(list(hidden[-directions:]), dim=-1)  # [B, D * H]
        if self.pooling == "mean" or output.size(0) == 0:
            return output.sum(0) / lengths.clamp(min=1)[:, None]
        padding = torch.arange(output.size(0), device=output.device)[:, None] >= lengths  # [T, B]
        best = output.masked_fill(padding.unsqueeze(-1), float("-inf")).amax(0)
        return torch.where(lengths[:, None] > 0, best, torch.zeros_like(best))
