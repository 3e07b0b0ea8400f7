"""Attention: decoders that look at all of the encoder's outputs at each step. Tensors are time-major."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn
from typing_extensions import override

from nlp_rnn.models.context import ContextDecoder
from nlp_rnn.models.layers.base import State
from nlp_rnn.models.layers.devices import to_device
from nlp_rnn.models.seq2seq import Encoder


class AttentiveEncoder(Encoder):
    """An encoder that also hands on its outputs, see `Encoder`.

    `key` maps each output to what a decoder's state is compared with. It stands here, so that it is computed
    once per sentence rather than at each step.
    """

    @override
    def _add_layers(self, hidden_dim: int) -> None:
        self.key = nn.Linear(hidden_dim, hidden_dim, bias=False)

    @override
    def forward(self, source: Tensor, lengths: Tensor | None = None) -> State:
        """Read a sequence.

        Args:
            source: [S, B] int64 ids.
            lengths: [B]; all S if left out.

        Returns:
            The state, tensors of [num_layers, B, H]; outputs [S, B, H]; keys [S, B, H]; and a bool mask
            [S, B], true within each sequence.
        """
        outputs, state = self._read(source, lengths)
        inside = torch.ones(source.shape, dtype=torch.bool)
        if lengths is not None:
            inside = torch.arange(len(source))[:, None] < torch.as_tensor(lengths).cpu()
        return *state, outputs, self.key(outputs), to_device(inside, outputs.device)


class AttentiveDecoder(ContextDecoder):
    """Base of decoders with attention; a subclass defines `_attend`."""

    def alignment(self, target: Tensor, state: State) -> Tensor:
        """The weights of the source positions when the token after each of `target` [T, B] is scored.

        Args:
            target: [T, B] int64 ids, the first row BOS.
            state: what the encoder returned.

        Returns:
            [T, B, S] float; 0 behind the end of a source, otherwise a sum of 1 over S.
        """
        return self._attend(self.dropout(self.embedding(target)), *self._split(state))[2]

    @override
    def _read(self, words: Tensor, own: State, seen: State) -> tuple[Tensor, Tensor, State]:
        hidden, contexts, _, own = self._attend(words, own, seen)
        return hidden, contexts, own

    @abstractmethod
    def _attend(self, words: Tensor, own: State, seen: State) -> tuple[Tensor, Tensor, Tensor, State]:
        """As `_read`, with the weights [T, B, S] before the state."""


class LuongDecoder(AttentiveDecoder):
    """Attention of Luong et al. (2015), "global" and "general", without input feeding; see `Decoder`.

    A hidden state h looks at output o with the score h W o. The output layer reads tanh(W [context; h]). No
    step needs the context of the step before, so all steps of training are computed at once.
    """

    reads_context = False

    @override
    def _attend(self, words: Tensor, own: State, seen: State) -> tuple[Tensor, Tensor, Tensor, State]:
        outputs, keys, inside = seen
        hidden, own = self.rnn(words, own)  # [T, B, H]
        scores = torch.bmm(hidden.transpose(0, 1), keys.permute(1, 2, 0).to(hidden.dtype))  # [B, T, S]
        weights = normalize(scores, inside.t().unsqueeze(1))
        contexts = torch.bmm(weights.to(hidden.dtype), outputs.transpose(0, 1).to(hidden.dtype))
        return hidden, contexts.transpose(0, 1), weights.transpose(0, 1), own


class BahdanauDecoder(AttentiveDecoder):
    """Attention of Bahdanau et al. (2015); see `Decoder`.

    Before each step, the state s of the top layer looks at output o with the score v tanh(W s + U o). The
    recurrent layers read the word and the context; the output layer reads tanh(W [s; context; word]). As each
    step needs the state of the step before, training takes a loop over steps.
    """

    @override
    def _add_layers(self, embedding_dim: int, hidden_dim: int) -> None:
        super()._add_layers(embedding_dim, hidden_dim)
        self.query = nn.Linear(hidden_dim, hidden_dim)
        self.energy = nn.Linear(hidden_dim, 1, bias=False)

    @override
    def _attend(self, words: Tensor, own: State, seen: State) -> tuple[Tensor, Tensor, Tensor, State]:
        outputs, keys, inside = seen
        steps: list[tuple[Tensor, Tensor, Tensor]] = []
        for word in words:
            scores = self.energy(torch.tanh(self.query(own[0][-1]) + keys)).squeeze(-1)  # [S, B]
            weights = normalize(scores.t(), inside.t())  # [B, S]
            context = torch.einsum("bs,sbh->bh", weights.to(outputs.dtype), outputs)
            hidden, own = self.rnn(torch.cat((word, context), -1)[None], own)
            steps.append((hidden[0], context, weights))
        if not steps:
            empty = outputs.new_zeros(0, *outputs.shape[1:])
            return empty, empty, outputs.new_zeros(0, outputs.shape[1], len(outputs)), own
        hidden, contexts, weights = (torch.stack(tensors) for tensors in zip(*steps, strict=True))
        return hidden, contexts, weights, own


def normalize(scores: Tensor, inside: Tensor) -> Tensor:
    """Turn scores into weights: a softmax over what is inside a sequence, and exactly 0 elsewhere.

    Args:
        scores: [..., S], float.
        inside: bool, of a shape that expands to that of the scores.

    Returns:
        [..., S], at least float32: a sum of 1 over S; all 0 where nothing is inside.
    """
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    scores = scores.masked_fill(~inside, torch.finfo(scores.dtype).min)  # not -inf, whose softmax is NaN
    return scores.softmax(-1).masked_fill(~inside, 0)
