"""Decoders that see a context vector at each step, and the one whose context never changes.

What they look at travels with the recurrent state: its first tensors are the recurrent layers', those behind
them are the encoder's. Dimension 1 of each is the batch, so a search may reorder and remove rows. Tensors are
time-major, [T, B].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from typing_extensions import override

from nlp_rnn.models.layers.base import State
from nlp_rnn.models.layers.devices import to_device
from nlp_rnn.models.seq2seq import Decoder, Encoder


class ContextEncoder(Encoder):
    """An encoder whose final hidden state of the top layer is also the decoder's context, see `Encoder`."""

    @override
    def forward(self, source: Tensor, lengths: Tensor | None = None) -> State:
        """[S, B] int64 ids, [B] lengths (all S if left out) -> state, and the context [1, B, H]."""
        state = super().forward(source, lengths)
        return *state, state[0][-1:]


class ContextDecoder(Decoder):
    """A decoder that reads the context at each step (Cho et al. 2014), see `Decoder`.

    The recurrent layers read the word and the context. The output layer reads
    tanh(W [hidden state; context; word]), where Cho et al. have maxout.

    It is the base of decoders whose context changes: they override `_read`, and `reads_context` if their
    recurrent layers do not read it.
    """

    reads_context = True
    combine: nn.Linear | None
    """The layer before the output layer."""

    @override
    def _add_layers(self, embedding_dim: int, hidden_dim: int) -> None:
        combined_dim = 2 * hidden_dim + (embedding_dim if self.reads_context else 0)
        self.combine = nn.Linear(combined_dim, hidden_dim, bias=False)

    @override
    def features(self, target: Tensor, state: State, lengths: Tensor | None = None) -> Tensor:
        features = self._features_and_state(target, state)[0]
        if lengths is None:
            return features
        padding = torch.arange(len(target))[:, None] >= lengths  # [T, B]
        return features.masked_fill(to_device(padding, features.device).unsqueeze(-1), 0)

    @override
    def _features_and_state(self, target: Tensor, state: State) -> tuple[Tensor, State]:
        words = self.dropout(self.embedding(target))  # [T, B, E]
        own, seen = self._split(state)
        hidden, contexts, own = self._read(words, own, seen)
        return self.dropout(self._combined(hidden, contexts, words)), (*own, *seen)

    def _combined(self, hidden: Tensor, contexts: Tensor, words: Tensor) -> Tensor:
        """What the output layer reads: [T, B, H], [T, B, H], [T, B, E] -> [T, B, H]."""
        parts = (hidden, contexts, words) if self.reads_context else (hidden, contexts)
        assert self.combine is not None
        return torch.tanh(self.combine(torch.cat(parts, -1)))

    def _split(self, state: State) -> tuple[State, State]:
        """The recurrent layers' own part of a state, and what the decoder looks at."""
        return state[: self.rnn.state_tensors], state[self.rnn.state_tensors :]

    def _read(self, words: Tensor, own: State, seen: State) -> tuple[Tensor, Tensor, State]:
        """Run all steps.

        Args:
            words: [T, B, E], the embedded target words.
            own: the recurrent layers' state.
            seen: what the decoder looks at.

        Returns:
            Hidden states [T, B, H], contexts [T, B, H] and the recurrent layers' state after the last step.
        """
        contexts = seen[0].expand(len(words), -1, -1)
        hidden, own = self.rnn(torch.cat((words, contexts), -1), own)
        return hidden, contexts, own


class DirectContextDecoder(ContextDecoder):
    """A decoder whose output layer reads word, hidden state and context themselves, see `ContextDecoder`.

    It has no layer between, as the model of widely copied tutorials.
    """

    @override
    def _output_dim(self, embedding_dim: int, hidden_dim: int) -> int:
        return embedding_dim + 2 * hidden_dim

    @override
    def _add_layers(self, embedding_dim: int, hidden_dim: int) -> None:
        self.combine = None

    @override
    def _combined(self, hidden: Tensor, contexts: Tensor, words: Tensor) -> Tensor:
        """What the output layer reads: [T, B, H], [T, B, H], [T, B, E] -> [T, B, E + 2 H]."""
        return torch.cat((words, hidden, contexts), -1)
