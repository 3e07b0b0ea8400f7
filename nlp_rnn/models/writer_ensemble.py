"""Ensembles of models that generate tokens: each step has the mean of the members' probabilities.

The features of an ensemble are those of its members, one behind the other in the last dimension, as its state
is (see `nlp_rnn.models.ensemble`). So search, sampling and the loss see one model. Tensors are time-major.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from nlp_rnn.models.captioner import Captioner
from nlp_rnn.models.ensemble import join, mean_probabilities, mean_values, split
from nlp_rnn.models.language_model import LanguageModel
from nlp_rnn.models.layers.base import State
from nlp_rnn.models.layers.loss import rows_per_chunk
from nlp_rnn.models.seq2seq import Decoder, Encoder, Seq2Seq


class OutputEnsemble(nn.Module):
    """The output layers of several models, which read the members' features one behind the other.

    Args:
        members: the models, which score the same tokens.
    """

    def __init__(self, members: Sequence[Decoder | LanguageModel]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self._sizes = [member.output[0].shape[1] for member in members]

    def forward(self, features: Tensor) -> Tensor:
        """[..., sum of the members' H] -> log-probabilities [..., vocab_size], at least float32."""
        parts = features.split(self._sizes, -1)
        members = cast(Sequence[Decoder | LanguageModel], self.members)
        return mean_probabilities([m.logits(part) for m, part in zip(members, parts, strict=True)])

    def cross_entropy(self, features: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
        """As `Decoder.cross_entropy`, of the mean probabilities; a few rows at a time."""
        total = torch.zeros((), device=features.device)
        rows = rows_per_chunk(len(cast(Decoder, self.members[0]).output[1]))
        for part, targets in zip(features.split(rows), labels.split(rows), strict=True):
            total = total + F.cross_entropy(
                self(part), targets, label_smoothing=label_smoothing, reduction="sum"
            )
        return total / max(1, len(features))


class EncoderEnsemble(nn.Module):
    """Encoders, whose states are one behind the other.

    Args:
        members: the encoders, which read the same tokens.
    """

    def __init__(self, members: Sequence[Encoder]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, source: Tensor, lengths: Tensor | None = None) -> State:
        """As `Encoder.forward`."""
        return join(member(source, lengths) for member in self.members)


class DecoderEnsemble(Decoder):
    """Decoders that score the next token together, see `Decoder`.

    Args:
        members: the decoders, which score the same tokens.
        state_sizes: the number of tensors of each member's state.
    """

    def __init__(self, members: Sequence[Decoder], state_sizes: Sequence[int]) -> None:
        nn.Module.__init__(self)  # without layers of its own
        self.combined = OutputEnsemble(members)
        self._state_sizes = state_sizes

    def _parts(self, state: State) -> list[tuple[Decoder, State]]:
        members = cast(Sequence[Decoder], self.combined.members)
        return list(zip(members, split(state, self._state_sizes), strict=True))

    @override
    def logits(self, features: Tensor) -> Tensor:
        logits: Tensor = self.combined(features)
        return logits

    @override
    def cross_entropy(self, features: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
        return self.combined.cross_entropy(features, labels, label_smoothing)

    @override
    def features(self, target: Tensor, state: State, lengths: Tensor | None = None) -> Tensor:
        return torch.cat([m.features(target, part, lengths) for m, part in self._parts(state)], -1)

    @override
    def alignment(self, target: Tensor, state: State) -> Tensor | None:
        """The mean of the weights of the members that look at the source; None if none does."""
        weights = [member.alignment(target, part) for member, part in self._parts(state)]
        known = [one for one in weights if one is not None]
        return mean_values(known) if known else None

    @override
    def _features_and_state(self, target: Tensor, state: State) -> tuple[Tensor, State]:
        return _joined([member._features_and_state(target, part) for member, part in self._parts(state)])

    @override
    def extra_repr(self) -> str:
        return ""


class Seq2SeqEnsemble(Seq2Seq):
    """Sequence-to-sequence models that translate together, see `Seq2Seq`.

    Args:
        members: the models, which read and write the same tokens.
    """

    encoder: EncoderEnsemble  # type: ignore[assignment]

    def __init__(self, members: Sequence[Seq2Seq]) -> None:
        nn.Module.__init__(self)  # the members' cells and sizes may differ
        self.encoder = EncoderEnsemble([member.encoder for member in members])
        token = torch.zeros(1, 1, dtype=torch.int64, device=next(self.parameters()).device)
        with torch.no_grad():
            sizes = [len(member.encoder(token)) for member in members]
        self.decoder = DecoderEnsemble([member.decoder for member in members], sizes)


class CaptionerEnsemble(Captioner):
    """Captioners that describe a vector together, see `Captioner`.

    Args:
        members: the models, which read vectors of one size and write the same tokens.
    """

    def __init__(self, members: Sequence[Captioner]) -> None:
        nn.Module.__init__(self)
        self.members = nn.ModuleList(members)
        decoders = [member.decoder for member in members]
        self.decoder = DecoderEnsemble(decoders, [decoder.rnn.state_tensors for decoder in decoders])

    @override
    def start(self, vectors: Tensor) -> State:
        return join(cast(Captioner, member).start(vectors) for member in self.members)


class LanguageModelEnsemble(LanguageModel):
    """Language models that score the next token together, see `LanguageModel`.

    Args:
        members: the models, which read the same tokens.
    """

    def __init__(self, members: Sequence[LanguageModel]) -> None:
        nn.Module.__init__(self)  # without layers of its own
        self.combined = OutputEnsemble(members)

    @property
    def _members(self) -> Sequence[LanguageModel]:
        return cast(Sequence[LanguageModel], self.combined.members)

    @override
    def initial_state(self, batch: int) -> State:
        return join(member.initial_state(batch) for member in self._members)

    @property
    @override
    def bidirectional(self) -> bool:
        return all(member.bidirectional for member in self._members)

    @property
    @override
    def state_tensors(self) -> int:
        return sum(member.state_tensors for member in self._members)

    @override
    def read(
        self, tokens: Tensor, state: State | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        return _joined([m.read(tokens, part, lengths) for m, part in self._parts(state)])

    @override
    def read_backward(
        self, tokens: Tensor, state: State | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        return _joined([m.read_backward(tokens, part, lengths) for m, part in self._parts(state)])

    def _parts(self, state: State | None) -> list[tuple[LanguageModel, State | None]]:
        sizes = [member.state_tensors for member in self._members]
        parts = [None] * len(sizes) if state is None else split(state, sizes)
        return list(zip(self._members, parts, strict=True))

    @override
    def features(self, tokens: Tensor, lengths: Tensor | None = None, backward: bool = False) -> Tensor:
        return torch.cat([member.features(tokens, lengths, backward) for member in self._members], -1)

    @override
    def logits(self, features: Tensor) -> Tensor:
        logits: Tensor = self.combined(features)
        return logits

    @override
    def cross_entropy(self, features: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
        return self.combined.cross_entropy(features, labels, label_smoothing)


def _joined(results: Sequence[tuple[Tensor, State]]) -> tuple[Tensor, State]:
    """The features and states of the members, one behind the other."""
    return torch.cat([features for features, _ in results], -1), join(state for _, state in results)
