"""A language model: what may follow the tokens so far, and how likely. Tensors are time-major, [T, B]."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nlp_rnn.models.layers.base import State
from nlp_rnn.models.layers.cells import recurrent_layer
from nlp_rnn.models.layers.dropout import Dropout

_TIED = 0.1  # the first weights where inputs and outputs share them, as Merity et al. have them


class LanguageModel(nn.Module):
    """Embedding, recurrent layers, linear (Mikolov et al. 2010).

    With tied weights, locked and weight dropout it is regularised as the AWD-LSTM (Merity et al. 2018).

    Args:
        tie_weights: the last layer's weight is the embedding's, so that it has but a bias of its own (Press &
            Wolf 2017, Inan et al. 2017).
        locked: let `dropout` have one mask for all time steps.
        weight_dropout: on the hidden-to-hidden weights.

    Raises:
        ValueError: unknown cell; or weights to be tied of unequal sizes.
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_dim: int,
        hidden_dim: int,
        num_layers: int,
        dropout: float,
        cell: str = "lstm",
        tie_weights: bool = False,
        locked: bool = False,
        weight_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if tie_weights and embedding_dim != hidden_dim:
            raise ValueError(
                f"tie_weights needs embedding_dim and hidden_dim to be equal, not {embedding_dim} and "
                f"{hidden_dim}"
            )
        self.embedding = nn.Embedding(vocab_size, embedding_dim)
        self.rnn = recurrent_layer(
            cell, embedding_dim, hidden_dim, num_layers, dropout, False, locked, weight_dropout
        )
        self.dropout = Dropout(dropout, locked)
        self.fc_out: nn.Linear | None = None
        if tie_weights:
            nn.init.uniform_(self.embedding.weight, -_TIED, _TIED)
            self.bias = nn.Parameter(torch.zeros(vocab_size))
        else:
            self.fc_out = nn.Linear(hidden_dim, vocab_size)

    def forward(
        self, tokens: Tensor, state: State | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Score what follows each token.

        Args:
            tokens: [T, B] int64 ids.
            state: where to go on, tensors of [num_layers, B, H]; zeros if left out.
            lengths: [B]; all T if left out.

        Returns:
            Logits [T, B, vocab_size], and the state at each sequence's own end.
        """
        features, state = self.read(tokens, state, lengths)
        return self.logits(features), state

    def read(
        self, tokens: Tensor, state: State | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """As `forward`, but before the last layer: features [T, B, H], zero behind each end, and the state.

        A loss over a large vocabulary is made of these and `output`, see `nlp_rnn.models.loss`.
        """
        features, state = self.rnn(self.dropout(self.embedding(tokens)), state, lengths)
        return self.dropout(features), state

    def features(self, tokens: Tensor, lengths: Tensor | None = None) -> Tensor:
        """As `read` from a zero state, the features alone: cheaper where lengths differ."""
        return self.dropout(self.rnn.outputs(self.dropout(self.embedding(tokens)), lengths=lengths))

    def logits(self, features: Tensor) -> Tensor:
        """[..., H] -> [..., vocab_size]."""
        return self.fc_out(features) if self.fc_out is not None else F.linear(features, *self.output)

    @property
    def output(self) -> tuple[Tensor, Tensor]:
        """The last layer's weight [vocab_size, H] and bias [vocab_size]."""
        if self.fc_out is not None:
            return self.fc_out.weight, self.fc_out.bias
        return self.embedding.weight, self.bias

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """One step: [B] int64 ids -> logits [B, vocab_size] and the new state."""
        logits, state = self(tokens[None], state)
        return logits[0], state
