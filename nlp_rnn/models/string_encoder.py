"""Contextual string embeddings (Akbik et al. 2018): features of words from a language model of characters."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nlp_rnn.lite.text.strings import Strings
from nlp_rnn.models.layers.cells import recurrent_layer
from nlp_rnn.models.layers.embedding import Embedding


class StringEncoder(nn.Module):
    """The states of a trained language model at the ends of words, within their sentence; not trained on.

    Of the layers that read forward it is the output behind a word's last character, and of those that read
    backward the output behind its first character.

    Args:
        vocab_size: number of character ids.
        embedding_dim: size of the character embeddings.
        hidden_dim: H, the hidden size of the recurrent layers.
        num_layers: number of recurrent layers.
        cell: a name in `CELLS`.
        bidirectional: whether there are layers that read backward.

    Raises:
        ValueError: unknown cell.
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_dim: int,
        hidden_dim: int,
        num_layers: int,
        cell: str,
        bidirectional: bool,
    ) -> None:
        super().__init__()
        self.embedding = Embedding(vocab_size, embedding_dim)
        self.rnn = recurrent_layer(cell, embedding_dim, hidden_dim, num_layers, dropout=0.0)
        self.backward_rnn = None
        if bidirectional:
            self.backward_rnn = recurrent_layer(cell, embedding_dim, hidden_dim, num_layers, dropout=0.0)
        self.output_dim = hidden_dim * (2 if bidirectional else 1)
        self.requires_grad_(False)

    @torch.no_grad()
    def forward(self, strings: Strings) -> Tensor:
        """The features of each word, [T, B, output_dim]; those of padding are undefined."""
        lengths = strings.lengths.to(strings.ids.device)
        rows = torch.arange(len(lengths), device=lengths.device)
        outputs, _ = self.rnn(self.embedding(strings.ids), lengths=strings.lengths)  # [C, B, H]
        features = [outputs[strings.lasts, rows]]
        if self.backward_rnn is not None:
            places = lengths - torch.arange(len(strings.ids), device=lengths.device)[:, None]  # [C, B]
            places[0] = 0  # BOS
            backward = strings.ids.gather(0, places.clamp(min=0))
            outputs, _ = self.backward_rnn(self.embedding(backward), lengths=strings.lengths)
            firsts = (lengths - strings.firsts).clamp(0, len(outputs) - 1)
            features.append(outputs[firsts, rows])
        return torch.cat(features, -1)
