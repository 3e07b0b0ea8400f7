"""Many to one: a sequence of token ids in, one score per class out."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from nlp_rnn.models.layers.base import State
from nlp_rnn.models.layers.cells import recurrent_layer
from nlp_rnn.models.layers.devices import has_float64, to_device
from nlp_rnn.models.layers.dropout import Dropout
from nlp_rnn.models.layers.embedding import Embedding

Pooling = Literal["last", "mean", "max"]
POOLINGS = get_args(Pooling)


class Classifier(nn.Module):
    """Embedding, recurrent layers, pooling over time, linear. Sequences are time-major, [T, B].

    Args:
        vocab_size: number of token ids.
        num_classes: number of classes.
        embedding_dim: size of the token embeddings.
        hidden_dim: H, the hidden size of the recurrent layers, per direction.
        num_layers: number of recurrent layers.
        dropout: probability of dropout on embeddings, between layers and before the output layer.
        cell: a name in `CELLS`.
        bidirectional: whether to read backwards too; D directions in all.
        pooling: `last` takes the final state of each direction; `mean` and `max` are over the outputs of the
            sequence's steps.

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
        self.embedding = Embedding(vocab_size, embedding_dim)
        self.rnn = recurrent_layer(
            cell,
            embedding_dim,
            hidden_dim,
            num_layers=num_layers,
            dropout=dropout,
            bidirectional=bidirectional,
        )
        self.fc_out = nn.Linear(hidden_dim * (2 if bidirectional else 1), num_classes)
        self.dropout = Dropout(dropout)

    def forward(self, tokens: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Score the classes of each sequence.

        Args:
            tokens: [T, B] int64 ids.
            lengths: [B]; all T if left out.

        Returns:
            Logits [B, num_classes]. An empty sequence is scored as a summary of zeros.
        """
        logits: Tensor = self.fc_out(self.dropout(self.summarize(tokens, lengths)))
        return logits

    def summarize(self, tokens: Tensor, lengths: Tensor | None = None) -> Tensor:
        """What the output layer reads: [T, B] int64 ids, [B] lengths -> [B, D * H]; zeros if empty."""
        output, state = self.rnn(self.dropout(self.embedding(tokens)), lengths=lengths)  # [T, B, D * H]
        if lengths is None:
            lengths = torch.full((tokens.size(1),), tokens.size(0))
        return self._pool(output, state[0], to_device(lengths, output.device))

    @property
    def bidirectional(self) -> bool:
        """Whether it reads backwards too."""
        return self.rnn.bidirectional

    def initial_state(self, batch: int) -> State:
        """The state before the first `step` of `batch` sequences: the layers' state, then the pooling's."""
        like = self.fc_out.bias
        state = self.rnn.initial_state(batch, like)
        if self.pooling == "mean":  # the sum of the outputs, and their number
            exact = torch.float64 if has_float64(like.device) else torch.float32
            sums = like.new_zeros(batch, self.rnn.hidden_size, dtype=exact)
            return *state, sums, sums[:, :1].clone()
        if self.pooling == "max":
            return *state, like.new_full((batch, self.rnn.hidden_size), -torch.inf)
        return state

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one more token of each sequence.

        Args:
            tokens: [B] int64 ids.
            state: that of `initial_state`, or of the step before.

        Returns:
            Logits [B, num_classes] of all tokens so far, and the new state.

        Raises:
            ValueError: the layers are bidirectional.
        """
        if self.rnn.bidirectional:
            raise ValueError("a bidirectional classifier cannot run step by step")
        layer_tensors = self.rnn.state_tensors
        output, layers = self.rnn(self.dropout(self.embedding(tokens[None])), state[:layer_tensors])
        summary, pooled = output[0], state[layer_tensors:]  # [B, H]
        if self.pooling == "mean":
            pooled = pooled[0] + summary, pooled[1] + 1
            summary = (pooled[0] / pooled[1]).to(summary.dtype)
        elif self.pooling == "max":
            summary = torch.maximum(pooled[0], summary)
            pooled = (summary,)
        return self.fc_out(self.dropout(summary)), (*layers, *pooled)

    def _pool(self, output: Tensor, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Summarize outputs [T, B, D * H] or final hidden states [layers * D, B, H]: [B, D * H]."""
        if self.pooling == "last":
            directions = 2 if self.rnn.bidirectional else 1
            return torch.cat(list(hidden[-directions:]), dim=-1)
        if self.pooling == "mean" or output.size(0) == 0:
            return output.sum(0) / lengths.clamp(min=1)[:, None]
        padding = torch.arange(output.size(0), device=output.device)[:, None] >= lengths  # [T, B]
        highest = output.masked_fill(padding.unsqueeze(-1), float("-inf")).amax(0)
        return torch.where(lengths[:, None] > 0, highest, torch.zeros_like(highest))
