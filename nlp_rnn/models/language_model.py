"""A language model: the probability of the next token, given the tokens so far."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nlp_rnn.models.layers.base import RecurrentLayer, State
from nlp_rnn.models.layers.cells import recurrent_layer
from nlp_rnn.models.layers.dropout import Dropout
from nlp_rnn.models.layers.embedding import Embedding
from nlp_rnn.models.layers.loss import linear_cross_entropy

_TIED_INIT_RANGE = 0.1  # initialization of tied weights as in Merity et al. (2018)


class LanguageModel(nn.Module):
    """Embedding, recurrent layers, linear (Mikolov et al. 2010). Sequences are time-major, [T, B].

    With tied weights, locked dropout and weight dropout it is regularized as the AWD-LSTM (Merity et al.
    2018). A bidirectional one is two language models that share embedding and output layer, one of which
    reads backward (Peters et al. 2018). Nothing that reads forward depends on the other direction.

    Args:
        vocab_size: number of token ids.
        embedding_dim: size of the token embeddings.
        hidden_dim: H, the hidden size of the recurrent layers.
        num_layers: number of recurrent layers.
        dropout: probability of dropout on embeddings, between layers and before the output layer.
        cell: a name in `CELLS`.
        tie_weights: share one weight matrix between the embedding and the output layer (Press & Wolf 2017,
            Inan et al. 2017). The output layer then has only a bias of its own.
        locked: use one mask of `dropout` for all time steps.
        weight_dropout: probability of dropout on the hidden-to-hidden weights.
        bidirectional: have further layers, `backward_rnn`, that read texts from their end.

    Raises:
        ValueError: unknown cell; or tied weights with different embedding and hidden sizes.
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
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        if tie_weights and embedding_dim != hidden_dim:
            raise ValueError(
                f"tie_weights needs embedding_dim and hidden_dim to be equal, not {embedding_dim} and "
                f"{hidden_dim}"
            )
        options: dict[str, Any] = {
            "num_layers": num_layers,
            "dropout": dropout,
            "locked": locked,
            "weight_dropout": weight_dropout,
        }
        self.embedding = Embedding(vocab_size, embedding_dim)
        self.rnn = recurrent_layer(cell, embedding_dim, hidden_dim, **options)
        self.backward_rnn: RecurrentLayer | None = None
        if bidirectional:
            self.backward_rnn = recurrent_layer(cell, embedding_dim, hidden_dim, **options)
        self.dropout = Dropout(dropout, locked)
        self.fc_out: nn.Linear | None = None
        if tie_weights:
            nn.init.uniform_(self.embedding.weight, -_TIED_INIT_RANGE, _TIED_INIT_RANGE)
            self.bias = nn.Parameter(torch.zeros(vocab_size))
        else:
            self.fc_out = nn.Linear(hidden_dim, vocab_size)

    def forward(
        self, tokens: Tensor, state: State | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Score the token that follows each token.

        Args:
            tokens: [T, B] int64 ids.
            state: the initial state, tensors of [num_layers, B, H]; zeros if left out.
            lengths: [B]; all T if left out.

        Returns:
            Logits [T, B, vocab_size], and the state at each sequence's own end.
        """
        features, state = self.read(tokens, state, lengths)
        return self.logits(features), state

    def read(
        self, tokens: Tensor, state: State | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """As `forward`, but before the output layer.

        A loss over a large vocabulary is computed from these features by `cross_entropy`.

        Returns:
            Features [T, B, H], zero behind each sequence's end, and the state at each sequence's own end.
        """
        return self._read(self.rnn, tokens, state, lengths)

    def read_backward(
        self, tokens: Tensor, state: State | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """As `read`, with the layers that read backward.

        Args:
            tokens: [T, B] int64 ids, in the order in which they are read: the last one of a text first.
            state: as for `read`.
            lengths: as for `read`.
        """
        assert self.backward_rnn is not None
        return self._read(self.backward_rnn, tokens, state, lengths)

    def _read(
        self, rnn: RecurrentLayer, tokens: Tensor, state: State | None, lengths: Tensor | None
    ) -> tuple[Tensor, State]:
        features, state = rnn(self.dropout(self.embedding(tokens)), state, lengths)
        return self.dropout(features), state

    def features(self, tokens: Tensor, lengths: Tensor | None = None, backward: bool = False) -> Tensor:
        """The features of `read` from a zero state, without the final state: cheaper where lengths differ.

        Args:
            tokens: as for `read`, or for `read_backward`.
            lengths: [B]; all T if left out.
            backward: use the layers that read backward.
        """
        rnn = self.rnn
        if backward:
            assert self.backward_rnn is not None
            rnn = self.backward_rnn
        features: Tensor = self.dropout(rnn.outputs(self.dropout(self.embedding(tokens)), lengths=lengths))
        return features

    def logits(self, features: Tensor) -> Tensor:
        """The output layer: [..., H] -> [..., vocab_size]."""
        if self.fc_out is None:
            return F.linear(features, *self.output)
        logits: Tensor = self.fc_out(features)
        return logits

    def cross_entropy(self, features: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
        """The mean loss of `logits` of features [N, H], without all of them in memory.

        Args:
            features: [N, H], float.
            labels: [N] int64.
            label_smoothing: fraction of probability spread over the vocabulary.

        Returns:
            A scalar, see `nlp_rnn.models.layers.loss`.
        """
        return linear_cross_entropy(features, *self.output, labels, label_smoothing)

    @property
    def output(self) -> tuple[Tensor, Tensor]:
        """The output layer's weight [vocab_size, H] and bias [vocab_size]."""
        if self.fc_out is not None:
            return self.fc_out.weight, self.fc_out.bias
        return self.embedding.weight, self.bias

    @property
    def bidirectional(self) -> bool:
        """Whether it has layers that read backward too."""
        return self.backward_rnn is not None

    @property
    def state_tensors(self) -> int:
        """The number of tensors of the state of the layers that read forward; the others have as many."""
        return self.rnn.state_tensors

    def initial_state(self, batch: int) -> State:
        """The state before the first `step` of `batch` sequences."""
        return self.rnn.initial_state(batch, self.embedding.weight)

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one token per sequence: [B] int64 ids -> logits [B, vocab_size] and the new state."""
        logits, state = self(tokens[None], state)
        return logits[0], state
