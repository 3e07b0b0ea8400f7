"""Many to one: a sequence of token ids in, one score per class out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nlp_rnn.models.layers.base import State
from nlp_rnn.models.layers.cells import recurrent_layer
from nlp_rnn.models.layers.devices import to_device
from nlp_rnn.models.layers.dropout import Dropout
from nlp_rnn.models.layers.dropout import dropout as drop
from nlp_rnn.models.layers.embedding import Embedding
from nlp_rnn.models.pooling import Pooling


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
        pooling: `last`, `mean`, `max`, `concat` or `attention`, see `Pooling`.
        locked: use one mask of `dropout` for all steps of a sequence (Gal & Ghahramani 2016).

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
        locked: bool = False,
    ) -> None:
        super().__init__()
        self._pooling = Pooling(pooling, hidden_dim * (2 if bidirectional else 1))
        self.pooling = pooling
        self.embedding = Embedding(vocab_size, embedding_dim)
        self.rnn = recurrent_layer(
            cell,
            embedding_dim,
            hidden_dim,
            num_layers=num_layers,
            dropout=dropout,
            bidirectional=bidirectional,
            locked=locked,
        )
        self.fc_out = nn.Linear(self._pooling.output_size, num_classes)
        self.query = self._pooling.query()
        self.dropout = Dropout(dropout, locked)

    def forward(self, tokens: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Score the classes of each sequence.

        Args:
            tokens: [T, B] int64 ids.
            lengths: [B]; all T if left out.

        Returns:
            Logits [B, num_classes]. An empty sequence is scored as a summary of zeros.
        """
        return self._output(self.summarize(tokens, lengths))

    def summarize(self, tokens: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The summary of each text: [T, B] int64 ids, [B] lengths -> [B, S]; zeros if empty."""
        output, state = self.rnn(self.dropout(self.embedding(tokens)), lengths=lengths)  # [T, B, D * H]
        if lengths is None:
            lengths = torch.full((tokens.size(1),), tokens.size(0))
        last = torch.cat(list(state[0][-2 if self.rnn.bidirectional else -1 :]), dim=-1)
        return self._pooling.summarize(output, last, to_device(lengths, output.device), self.query)

    def _output(self, features: Tensor) -> Tensor:
        """Logits [B, num_classes] from features [B, F], whose dropout is never locked: there is no time."""
        logits: Tensor = self.fc_out(drop(features, self.dropout.p, self.training))
        return logits

    @property
    def bidirectional(self) -> bool:
        """Whether it reads backwards too."""
        return self.rnn.bidirectional

    def initial_state(self, batch: int) -> State:
        """The state before the first `step` of `batch` sequences: the layers' state, then the pooling's."""
        like = self.fc_out.bias
        return *self.rnn.initial_state(batch, like), *self._pooling.initial_state(batch, like)

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
        summary, pooled = self._pooling.step(output[0], state[layer_tensors:], self.query)
        return self._output(summary), (*layers, *pooled)
