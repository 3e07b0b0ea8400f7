"""Many to many, in step: a sequence of words or vectors in, one score a tag and step out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nlp_rnn.models.layers.base import State
from nlp_rnn.models.layers.cells import recurrent_layer
from nlp_rnn.models.layers.dropout import Dropout
from nlp_rnn.models.regressor import match_dtype


class WordEncoder(nn.Module):
    """A word's vector from its characters: the final states of recurrent layers in both directions.

    The character half of Ling et al. (2015), "Finding Function in Form".
    """

    def __init__(self, vocab_size: int, embedding_dim: int, hidden_dim: int, cell: str = "lstm") -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_dim)
        self.rnn = recurrent_layer(cell, embedding_dim, hidden_dim, 1, 0.0, bidirectional=True)
        self.output_dim = 2 * hidden_dim

    def forward(self, characters: Tensor, lengths: Tensor) -> Tensor:
        """[C, U] int64 character ids of U words, [U] lengths -> vectors [U, output_dim]."""
        _, state = self.rnn(self.embedding(characters), lengths=lengths)
        return torch.cat(list(state[0]), dim=-1)


class _StepTagger(nn.Module):
    """Recurrent layers, and linear at every step; what they read is the subclass's affair."""

    def _add_layers(
        self,
        width: int,
        num_tags: int,
        hidden_dim: int,
        num_layers: int,
        dropout: float,
        cell: str,
        bidirectional: bool,
    ) -> None:
        """For features of this width; after the subclass's own, for the order in which they print."""
        self.rnn = recurrent_layer(cell, width, hidden_dim, num_layers, dropout, bidirectional)
        self.fc_out = nn.Linear(hidden_dim * (2 if bidirectional else 1), num_tags)
        self.dropout = Dropout(dropout)

    def _scores(self, features: Tensor, lengths: Tensor | None) -> Tensor:
        """[T, B, width], [B] -> [T, B, num_tags]."""
        output, _ = self.rnn(features, lengths=lengths)  # [T, B, D * H]
        return self.fc_out(self.dropout(output))


class SeriesTagger(_StepTagger):
    """Recurrent layers over vectors, linear at every step.

    Raises:
        ValueError: unknown cell.
    """

    def __init__(
        self,
        input_dim: int,
        num_tags: int,
        hidden_dim: int,
        num_layers: int,
        dropout: float,
        cell: str = "lstm",
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        self._add_layers(input_dim, num_tags, hidden_dim, num_layers, dropout, cell, bidirectional)

    def forward(self, vectors: Tensor, lengths: Tensor | None = None) -> Tensor:
        """[T, B, input_dim] float, [B] lengths (all T if left out) -> logits [T, B, num_tags].

        What stands behind a sequence's end has no meaning.
        """
        return self._scores(match_dtype(self.rnn, vectors), lengths)


class Tagger(_StepTagger):
    """Word embedding, beside it an optional character-level word encoder, recurrent layers, linear.

    `character_vocab_size` 0 leaves the word encoder out.

    Raises:
        ValueError: unknown cell.
    """

    def __init__(
        self,
        vocab_size: int,
        num_tags: int,
        embedding_dim: int,
        hidden_dim: int,
        num_layers: int,
        dropout: float,
        cell: str = "lstm",
        bidirectional: bool = True,
        character_vocab_size: int = 0,
        character_embedding_dim: int = 32,
        character_hidden_dim: int = 64,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_dim)
        self.word_encoder = None
        width = embedding_dim
        if character_vocab_size:
            self.word_encoder = WordEncoder(
                character_vocab_size, character_embedding_dim, character_hidden_dim, cell
            )
            width += self.word_encoder.output_dim
        self._add_layers(width, num_tags, hidden_dim, num_layers, dropout, cell, bidirectional)

    def forward(
        self,
        words: Tensor,
        lengths: Tensor | None = None,
        characters: Tensor | None = None,
        character_lengths: Tensor | None = None,
        spelling: Tensor | None = None,
    ) -> Tensor:
        """Score every word's tags.

        Args:
            words: [T, B] int64 ids.
            lengths: [B]; all T if left out.
            characters: [C, U] int64 ids of the U different words of the batch.
            character_lengths: [U].
            spelling: [T, B] int64, which of the U words stands where.

        Returns:
            Logits [T, B, num_tags]; what stands behind a sequence's end has no meaning.

        Raises:
            ValueError: the tagger reads characters and got none.
        """
        features = self._features(words, characters, character_lengths, spelling)
        return self._scores(self.dropout(features), lengths)

    def initial_state(self, batch: int) -> State:
        """Where `step` starts `batch` sequences."""
        return self.rnn.initial_state(batch, self.fc_out.bias)

    def step(
        self,
        words: Tensor,
        state: State,
        characters: Tensor | None = None,
        character_lengths: Tensor | None = None,
        spelling: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """One word more: [B] int64 ids -> its logits [B, num_tags] and the new state.

        The other arguments are those of `forward`, `spelling` [B].

        Raises:
            ValueError: the layers read from both ends, or the tagger reads characters and got none.
        """
        if self.rnn.bidirectional:
            raise ValueError("a tagger that reads from both ends has no steps")
        spelling = None if spelling is None else spelling[None]
        features = self._features(words[None], characters, character_lengths, spelling)
        output, state = self.rnn(self.dropout(features), state)
        return self.fc_out(self.dropout(output[0])), state

    def _features(
        self,
        words: Tensor,
        characters: Tensor | None,
        character_lengths: Tensor | None,
        spelling: Tensor | None,
    ) -> Tensor:
        features = self.embedding(words)  # [T, B, E]
        if self.word_encoder is not None:
            if characters is None or character_lengths is None or spelling is None:
                raise ValueError("this tagger reads characters: give characters, lengths and spelling")
            vectors = self.word_encoder(characters, character_lengths)  # [U, 2 * character_hidden_dim]
            features = torch.cat([features, vectors[spelling].to(features.dtype)], dim=-1)
        return features
