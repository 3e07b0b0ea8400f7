"""Many to many, sequence to sequence: an encoder, a decoder, and between them only the final state.

The model of Sutskever et al. (2014), without attention. Tensors are time-major, [T, B].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nlp_rnn.models.recurrent import State, recurrent_layer


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
        self.dropout = nn.Dropout(dropout)

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
        self.dropout = nn.Dropout(dropout)

    def forward(self, target: Tensor, state: State) -> tuple[Tensor, State]:
        """All steps in one call: [T, B] int64 ids -> logits [T, B, vocab_size] and the state after them."""
        output, state = self.rnn(self.dropout(self.embedding(target)), state)  # [T, B, H]
        return self.fc_out(self.dropout(output)), state

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """One step: [B] int64 ids -> logits [B, vocab_size] and the new state."""
        logits, state = self(tokens[None], state)
        return logits[0], state


class Seq2Seq(nn.Module):
    """An encoder whose final state starts a decoder.

    Raises:
        ValueError: the two do not fit together: other cells, layer counts or state sizes.
    """

    def __init__(self, encoder: Encoder, decoder: Decoder) -> None:
        super().__init__()
        ours, theirs = encoder.rnn, decoder.rnn
        for what, left, right in (
            ("cell", type(ours).__name__, type(theirs).__name__),
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
                not its own best guess (scheduled sampling, Bengio et al. 2015). At 1 the decoder is called
                once for all steps.

        Returns:
            Logits [T, B, target vocabulary]: row t scores the word after `target[t]`.

        Raises:
            ValueError: `teacher_forcing` is outside 0..1.
        """
        if not 0.0 <= teacher_forcing <= 1.0:
            raise ValueError(f"teacher_forcing must lie between 0 and 1, not {teacher_forcing}")
        state = self.encoder(source, source_lengths)
        if teacher_forcing == 1.0 or target.size(0) <= 1:
            return self.decoder(target, state)[0]
        shown = torch.rand(target.size(0) - 1).lt(teacher_forcing).tolist()
        tokens = target[0]
        outputs = []
        for step in range(target.size(0)):
            logits, state = self.decoder.step(tokens, state)  # [B, V]
            outputs.append(logits)
            if step < len(shown):
                tokens = target[step + 1] if shown[step] else logits.argmax(-1)
        return torch.stack(outputs)
