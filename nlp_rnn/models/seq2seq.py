"""Many to many, sequence to sequence: an encoder, a decoder, and between them only the final state.

The model of Sutskever et al. (2014), without attention. Tensors are time-major, [T, B].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nlp_rnn.models.layers.base import State
from nlp_rnn.models.layers.cells import cell_name, recurrent_layer
from nlp_rnn.models.layers.dropout import Dropout


class Encoder(nn.Module):
    """Reads a sequence of ids into a recurrent state."""

    def __init__(
        self,
        vocab_size: int,
        embedding_dim: int,
        hidden_dim: int,
        num_layers: int,
        dropout: float,
        cell: str = "lstm",
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_dim)
        self.rnn = recurrent_layer(cell, embedding_dim, hidden_dim, num_layers, dropout)
        self.dropout = Dropout(dropout)

    def forward(self, source: Tensor, lengths: Tensor | None = None) -> State:
        """[S, B] int64 ids, [B] lengths (all S if left out) -> state, tensors of [num_layers, B, H]."""
        return self.rnn(self.dropout(self.embedding(source)), lengths=lengths)[1]


class Decoder(nn.Module):
    """Scores the next target word, given the words before it and a recurrent state."""

    def __init__(
        self,
        vocab_size: int,
        embedding_dim: int,
        hidden_dim: int,
        num_layers: int,
        dropout: float,
        cell: str = "lstm",
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_dim)
        self.rnn = recurrent_layer(cell, embedding_dim, hidden_dim, num_layers, dropout)
        self.fc_out = nn.Linear(hidden_dim, vocab_size)
        self.dropout = Dropout(dropout)

    def forward(self, target: Tensor, state: State) -> tuple[Tensor, State]:
        """All steps in one call: [T, B] int64 ids -> logits [T, B, vocab_size] and the state after them."""
        features, state = self._read(target, state)
        return self.fc_out(features), state

    def features(self, target: Tensor, state: State, lengths: Tensor | None = None) -> Tensor:
        """What `fc_out` makes logits of: [T, B] int64 ids -> [T, B, H], zero behind each of `lengths` [B]."""
        return self.dropout(self.rnn.outputs(self.dropout(self.embedding(target)), state, lengths))

    def greedy_token(self, target: Tensor, state: State) -> tuple[Tensor, State]:
        """The likeliest word after the last of `target` [T, B], as [B] int64 ids, and the state then."""
        features, state = self._read(target, state)
        return self.fc_out(features[-1]).argmax(-1), state

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """One step: [B] int64 ids -> logits [B, vocab_size] and the new state."""
        logits, state = self(tokens[None], state)
        return logits[0], state

    def _read(self, target: Tensor, state: State) -> tuple[Tensor, State]:
        output, state = self.rnn(self.dropout(self.embedding(target)), state)  # [T, B, H]
        return self.dropout(output), state


class Seq2Seq(nn.Module):
    """An encoder whose final state starts a decoder.

    Raises:
        ValueError: the two do not fit together: other cells, layer counts or state sizes.
    """

    def __init__(self, encoder: Encoder, decoder: Decoder) -> None:
        super().__init__()
        ours, theirs = encoder.rnn, decoder.rnn
        for what, left, right in (
            ("cell", cell_name(ours), cell_name(theirs)),
            ("hidden_dim", ours.hidden_size, theirs.hidden_size),
            ("num_layers", ours.num_layers, theirs.num_layers),
        ):
            if left != right:
                raise ValueError(
                    f"encoder and decoder do not fit: {what} is {left} in the encoder and {right} in the "
                    "decoder"
                )
        self.encoder = encoder
        self.decoder = decoder

    def forward(
        self,
        source: Tensor,
        target: Tensor,
        source_lengths: Tensor | None = None,
        teacher_forcing: float = 1.0,
    ) -> Tensor:
        """Score the word that follows each target word.

        Args:
            source: [S, B] int64 ids.
            target: [T, B] int64 ids, the first row the beginning of sentence.
            source_lengths: [B]; all S if left out.
            teacher_forcing: probability, drawn for each step, that the decoder is shown the true word and
                not its own best guess (scheduled sampling, Bengio et al. 2015). The guesses are made first,
                without gradients; then the decoder is called once for all steps.

        Returns:
            Logits [T, B, target vocabulary]: row t scores the word after `target[t]`.

        Raises:
            ValueError: `teacher_forcing` is outside 0..1.
        """
        state = self.encoder(source, source_lengths)
        return self.decoder(self._scheduled_sampling(target, state, teacher_forcing), state)[0]

    def features(
        self,
        source: Tensor,
        target: Tensor,
        source_lengths: Tensor | None = None,
        target_lengths: Tensor | None = None,
        teacher_forcing: float = 1.0,
    ) -> Tensor:
        """As `forward`, but before the decoder's last layer: [T, B, H], zero behind each target's end.

        A loss over a large vocabulary is made of these, see `nlp_rnn.models.loss`.
        """
        state = self.encoder(source, source_lengths)
        return self.decoder.features(
            self._scheduled_sampling(target, state, teacher_forcing), state, target_lengths
        )

    @torch.no_grad()
    def _scheduled_sampling(self, target: Tensor, state: State, teacher_forcing: float) -> Tensor:
        """[T, B] ids, some of the words after the first replaced by the decoder's own guesses."""
        if not 0.0 <= teacher_forcing <= 1.0:
            raise ValueError(f"teacher_forcing must lie between 0 and 1, not {teacher_forcing}")
        guessed = (torch.rand(max(0, target.size(0) - 1)) >= teacher_forcing).nonzero()[:, 0].tolist()
        shown = target.clone()
        read = 0
        for step in guessed:
            shown[step + 1], state = self.decoder.greedy_token(shown[read : step + 1], state)
            read = step + 1
        return shown
