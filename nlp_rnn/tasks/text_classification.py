"""What tasks share that predict one label per text, with `Classifier`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

import torch
from torch import Tensor
from typing_extensions import override

from nlp_rnn.data.vocabulary import UNK, Vocabulary
from nlp_rnn.models.classifier import Classifier
from nlp_rnn.tasks.base import B, P
from nlp_rnn.tasks.classification import LabelProcessor, require_unidirectional
from nlp_rnn.tasks.interface import Probe, StreamState
from nlp_rnn.tasks.losses import drop_words, label_loss
from nlp_rnn.tasks.single_label import SingleLabelTask, no_answer


class TextProcessor(LabelProcessor, Protocol):
    """What a `TextClassificationTask` needs of its processor."""

    tokens: Vocabulary


class TextBatch(Protocol):
    """What a `TextClassificationTask` needs of its batches."""

    tokens: Tensor
    """[T, B] int64, padded with 0."""


class TextClassificationTask(SingleLabelTask[P, B]):
    """A task that predicts one label per row of tokens with `Classifier`.

    Its processor is a `TextProcessor`, its batches are `TextBatch`es, and its constructor sets the attributes
    below.
    """

    model: Classifier
    label_smoothing: float
    word_dropout: float

    @override
    def logits(self, batch: B) -> Tensor:
        return self._logits(batch, cast(TextBatch, batch).tokens)

    def _logits(self, batch: B, tokens: Tensor) -> Tensor:
        """Logits [B, C] with `tokens` [T, B] in place of those of the batch."""
        logits: Tensor = self.model(tokens, batch.lengths)
        return logits

    @override
    def loss(self, batch: B) -> Tensor:
        assert batch.labels is not None
        tokens = drop_words(cast(TextBatch, batch).tokens, self.word_dropout, UNK)
        return label_loss(self._logits(batch, tokens), batch.labels, self.label_smoothing, self.label_weights)

    @override
    def row_names(self) -> dict[str, Sequence[str]]:
        tokens = cast(TextProcessor, self.processor).tokens.tokens()
        return {"embedding.weight": tokens, "fc_out.weight": self.labels, "fc_out.bias": self.labels}

    @override
    def probe(self) -> Probe:
        return Probe("tokens", lambda model, batch: model(batch.tokens, batch.lengths)[None], "running")

    @override
    def start_stream(self) -> StreamState:
        require_unidirectional(self.model.rnn)
        return StreamState(no_answer(), self.model.initial_state(1))

    @override
    def read_stream(self, piece: str, stream: StreamState) -> StreamState:
        (ids,) = cast(TextProcessor, self.processor).tokens.encode([piece])
        state = stream.state
        for token in ids:
            logits, state = self.model.step(torch.tensor([token], device=self.device), state)
        if not ids:
            return stream
        # To a model of characters white space is tokens, yet alone it is no text.
        is_blank = stream.answer["label"] is None and not piece.strip()
        return StreamState(stream.answer if is_blank else self.label_answers(logits)[0], state)
