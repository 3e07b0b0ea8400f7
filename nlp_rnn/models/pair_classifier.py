"""Two to one: two sequences of token ids in, one score per class out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nlp_rnn.models.classifier import Classifier


class PairClassifier(Classifier):
    """Two texts are read by one encoder; a linear layer compares their summaries u and v.

    It reads u, v, |u - v| and u * v, as in InferSent (Conneau et al. 2017). The encoder is `Classifier`'s.

    Args:
        vocab_size: number of token ids.
        num_classes: number of classes.
        embedding_dim: size of the token embeddings.
        hidden_dim: the hidden size of the recurrent layers, per direction.
        num_layers: number of recurrent layers.
        dropout: probability of dropout on embeddings, between layers and before the output layer.
        cell: a name in `CELLS`.
        bidirectional: whether to read backwards too.
        pooling: how the outputs over time become one summary, see `Pooling`.
        locked: use one mask of `dropout` for all steps of a text (Gal & Ghahramani 2016).

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
        pooling: str = "max",
        locked: bool = False,
    ) -> None:
        sizes = (vocab_size, num_classes, embedding_dim, hidden_dim, num_layers)
        super().__init__(*sizes, dropout, cell, bidirectional, pooling, locked)
        self.fc_out = nn.Linear(4 * self.fc_out.in_features, num_classes)

    def forward(  # type: ignore[override]  # of one text
        self, first: Tensor, second: Tensor, first_lengths: Tensor, second_lengths: Tensor
    ) -> Tensor:
        """Score the classes of each pair.

        Args:
            first: [T, B] int64 ids.
            second: [S, B] int64 ids.
            first_lengths: [B].
            second_lengths: [B].

        Returns:
            Logits [B, num_classes]. An empty sequence has a summary of zeros.
        """
        u, v = self.summarize(first, first_lengths), self.summarize(second, second_lengths)
        return self._output(torch.cat([u, v, (u - v).abs(), u * v], dim=-1))
