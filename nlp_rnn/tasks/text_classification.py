"""What tasks share that read texts with `Classifier`, and those of them that predict one label per text."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol, cast

import torch
from torch import Tensor
from typing_extensions import override

from nlp_rnn.data.vocabulary import UNK, Vocabulary
from nlp_rnn.models.classifier import Classifier
from nlp_rnn.tasks.base import B, P, Task
from nlp_rnn.tasks.classification import LabelProcessor, require_unidirectional
from nlp_rnn.tasks.interface import Probe, StreamState
from nlp_rnn.tasks.losses import drop_words
from nlp_rnn.tasks.single_label import SingleLabelTask


class TextProcessor(LabelProcessor, Protocol):
    """What a `TextReader` needs of its processor."""

    tokens: Vocabulary


class TextBatch(Protocol):
    """What a `TextReader` needs of its batches."""

    tokens: Tensor
    """[T, B] int64, padded with 0."""


class TextReader(Task[P, B]):
    """A task that scores texts with `Classifier`, whole or while they arrive.

    Its processor is a `TextProcessor`, its batches are `TextBatch`es, and its constructor sets the attributes
    below. A subclass defines `label_answers`.
    """

    model: Classifier
    word_dropout: float

    @property
    @abstractmethod
    def labels(self) -> list[str]:
        """The names of the labels, in the order of their ids."""

    @abstractmethod
    def label_answers(self, logits: Tensor) -> list[dict[str, Any]]:
        """Answers from logits [B, C]."""

    @staticmethod
    @abstractmethod
    def no_answer() -> dict[str, Any]:
        """The answer to an empty text."""

    def logits(self, batch: B) -> Tensor:
        """Scores [B, C] of the labels."""
        return self._logits(batch, cast(TextBatch, batch).tokens)

    def training_logits(self, batch: B) -> Tensor:
        """Scores [B, C] of the labels, after word dropout."""
        return self._logits(batch, drop_words(cast(TextBatch, batch).tokens, self.word_dropout, UNK))

    def _logits(self, batch: B, tokens: Tensor) -> Tensor:
        """Logits [B, C] with `tokens` [T, B] in place of those of the batch."""
        logits: Tensor = self.model(tokens, batch.lengths)
        return logits

    @override
    def answer(self, batch: B) -> list[dict[str, Any]]:
        answers = self.label_answers(self.logits(batch))
        return [
            answer if length else self.no_answer()
            for answer, length in zip(answers, batch.lengths.tolist(), strict=True)
        ]

    @override
    def row_names(self) -> dict[str, Sequence[str]]:
        tokens = cast(TextProcessor, self.processor).tokens.tokens()
        return {"embedding.weight": tokens, "fc_out.weight": self.labels, "fc_out.bias": self.labels}

    @override
    def probe(self) -> Probe:
        return Probe("tokens", lambda model, batch: model(batch.tokens, batch.lengths)[None], "running")

    @override
    def start_stream(self) -> StreamState:
        require_unidirectional(self.model.bidirectional)
        return StreamState(self.no_answer(), self.model.initial_state(1))

    @override
    def read_stream(self, piece: str, stream: StreamState) -> StreamState:
        (ids,) = cast(TextProcessor, self.processor).tokens.encode([piece])
        state = stream.state
        for token in ids:
            logits, state = self.model.step(torch.tensor([token], device=self.device), state)
        if not ids:
            return stream
        # To a model of characters white space is tokens, yet alone it is no text.
        is_blank = stream.answer == self.no_answer() and not piece.strip()
        return StreamState(stream.answer if is_blank else self.label_answers(logits)[0], state)


class TextClassificationTask(SingleLabelTask[P, B], TextReader[P, B]):
    """A task that predicts one label per text with `Classifier`."""

    @override
    def logits(self, batch: B) -> Tensor:
        return TextReader.logits(self, batch)

    @override
    def training_logits(self, batch: B) -> Tensor:
        return TextReader.training_logits(self, batch)

    @override
    def probe(self) -> Probe:
        return replace(super().probe(), temperature=self.temperature)
