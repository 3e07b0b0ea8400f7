"""The tasks whose answers are labels of whole texts, or numbers and labels of series."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import UsageError, check_number
from ..models.builder import Builder
from ..models.linear import sigmoid, softmax
from ..models.scorers import Classifier, PairClassifier, Regressor, SeriesTagger
from ..text.batches import pad, pad_vectors
from ..text.number_readers import SeriesReader
from ..text.readers import PairReader, Reader, TextReader
from ..text.vocabulary import Vocabulary
from . import answers
from .task import (
    StreamState,
    Task,
    require_unidirectional,
    stored_names,
    stored_number,
    stored_numbers,
)

_ENCODER = {
    "embedding_dim": 128,
    "hidden_dim": 128,
    "num_layers": 1,
    "cell": "lstm",
    "bidirectional": True,
}
_LAYERS = {"hidden_dim": 64, "num_layers": 1, "cell": "lstm"}


class SingleLabelTask(Task):
    """A task that predicts one label per row."""

    training = frozenset({"calibrate"})

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.labels = stored_names(self.stored, "labels")
        self.temperature: float = self.settings["temperature"]
        check_number("temperature", self.temperature, 1e-3, 1e3)
        self.be_unsure_below(self.settings["unsure_below"])

    def be_unsure_below(self, threshold: float) -> None:
        """See `Task`."""
        check_number("unsure_below", threshold, 0, 1)
        answers.check_unsure(threshold, self.labels)
        self.unsure_below = threshold

    def cells(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """See `Task`."""
        return {"prediction": answer.get("label"), "probability": answer.get("score")}

    def label_answers(self, logits: np.ndarray) -> list[dict[str, Any]]:
        """Answers from logits [B, C]."""
        probabilities = softmax(logits / np.float32(self.temperature))
        return answers.label_answers(probabilities.tolist(), self.labels, self.unsure_below)

    def whole_answers(self, logits: np.ndarray, lengths: np.ndarray) -> list[dict[str, Any]]:
        """Answers from logits [B, C]; none where lengths [B] are 0."""
        pairs = zip(self.label_answers(logits), lengths.tolist(), strict=True)
        return [answer if length else self.no_answer() for answer, length in pairs]

    format_answer = staticmethod(answers.format_label)
    no_answer = staticmethod(answers.no_label)


class _TextStream(Task):
    """A task that scores texts with `Classifier`, whole or while they arrive."""

    columns = ("text",)

    @staticmethod
    def no_answer() -> dict[str, Any]:
        """The answer to an empty text."""
        raise NotImplementedError  # pragma: no cover

    def label_answers(self, logits: np.ndarray) -> list[dict[str, Any]]:
        """Answers from logits [B, C]."""
        raise NotImplementedError  # pragma: no cover

    @classmethod
    def make_reader(cls, vocabularies: Mapping[str, Vocabulary], stored: Mapping[str, Any]) -> Reader:
        """See `Task`."""
        reader = TextReader()
        reader.tokens = vocabularies["tokens"]
        reader.max_length = stored_number(stored, "max_length", 256)
        return reader

    @classmethod
    def make_engine(
        cls, build: Builder, reader: Any, settings: Mapping[str, Any], stored: Mapping[str, Any]
    ) -> Any:
        """See `Task`."""
        return Classifier(build, len(reader.tokens), len(stored["labels"]), settings)

    def answer(self, rows: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
        """See `Task`."""
        ids, lengths = pad(rows["token_ids"])
        pairs = zip(self.label_answers(self.engine.logits(ids, lengths)), lengths.tolist(), strict=True)
        return [answer if length else self.no_answer() for answer, length in pairs]

    def start_stream(self) -> StreamState:
        """See `Task`."""
        require_unidirectional(self.engine.is_bidirectional)
        return StreamState(self.no_answer(), self.engine.initial_state(1))

    def read_stream(self, piece: str, stream: StreamState) -> StreamState:
        """See `Task`."""
        (ids,) = self.processor.tokens.encode([piece])
        state, logits = stream.state, None
        for token in ids:
            logits, state = self.engine.step(np.array([token]), state)
        if logits is None:
            return stream
        # To a model of characters white space is tokens, yet alone it is no text.
        is_blank = stream.answer == self.no_answer() and not piece.strip()
        return StreamState(stream.answer if is_blank else self.label_answers(logits)[0], state)


class Sentiment(SingleLabelTask, _TextStream):
    """One label per text."""

    name = "sentiment"
    defaults = {**_ENCODER, "pooling": "last", "temperature": 1.0, "unsure_below": 0.0}


class MultiLabel(_TextStream):
    """Any number of labels per text."""

    name = "multi_label"
    defaults = {**_ENCODER, "pooling": "max", "thresholds": None}
    training = frozenset({"tune_thresholds"})
    separator = answers.SEPARATOR

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.labels = stored_names(self.stored, "labels")
        thresholds = self.settings["thresholds"]
        if thresholds is None:
            thresholds = [0.5] * len(self.labels)
        if len(thresholds) != len(self.labels):
            raise UsageError(f"{len(thresholds)} thresholds do not fit {len(self.labels)} labels")
        for threshold in thresholds:
            check_number("thresholds", threshold, 0, 1)
        self.thresholds = np.array(thresholds, np.float32)

    def cells(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """See `Task`."""
        return {"prediction": answer.get("labels")}

    def label_answers(self, logits: np.ndarray) -> list[dict[str, Any]]:
        """Answers from logits [B, C]."""
        probabilities = sigmoid(logits)
        given = (probabilities >= self.thresholds).tolist()
        return answers.label_set_answers(given, probabilities.tolist(), self.labels)

    format_answer = staticmethod(answers.format_label_set)
    no_answer = staticmethod(answers.no_label_set)


class TextPairs(SingleLabelTask):
    """One label per pair of texts."""

    name = "text_pairs"
    columns = ("first", "second")
    defaults = {**_ENCODER, "pooling": "max", "temperature": 1.0, "unsure_below": 0.0}

    @classmethod
    def make_reader(cls, vocabularies: Mapping[str, Vocabulary], stored: Mapping[str, Any]) -> Reader:
        """See `Task`."""
        reader = PairReader()
        reader.tokens = vocabularies["tokens"]
        reader.max_length = stored_number(stored, "max_length", 256)
        return reader

    @classmethod
    def make_engine(
        cls, build: Builder, reader: Any, settings: Mapping[str, Any], stored: Mapping[str, Any]
    ) -> Any:
        """See `Task`."""
        return PairClassifier(build, len(reader.tokens), len(stored["labels"]), settings)

    def answer(self, rows: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
        """See `Task`."""
        (first, first_lengths), (second, second_lengths) = pad(rows["first_ids"]), pad(rows["second_ids"])
        logits = self.engine.logits(first, second, first_lengths, second_lengths)
        return self.whole_answers(logits, first_lengths + second_lengths)


class _SeriesTask(Task):
    """A task that reads series of numbers."""

    @classmethod
    def make_reader(cls, vocabularies: Mapping[str, Vocabulary], stored: Mapping[str, Any]) -> Reader:
        """See `Task`."""
        reader = SeriesReader()
        reader.inputs = stored_names(stored, "inputs")
        reader.means = stored_numbers(stored, "means")
        reader.deviations = stored_numbers(stored, "deviations")
        if not len(reader.inputs) == len(reader.means) == len(reader.deviations):
            raise UsageError("inputs, means and deviations do not fit together")
        return reader

    def outputs(self, rows: Mapping[str, list[Any]]) -> tuple[np.ndarray, np.ndarray]:
        """What the engine computes, and the lengths [B]."""
        vectors, lengths = pad_vectors(rows["vectors"], len(self.processor.inputs))
        return self.engine.outputs(vectors, lengths), lengths


class SeriesTagging(_SeriesTask):
    """One label per step of a series."""

    name = "series_tagging"
    defaults = {**_LAYERS, "bidirectional": False}

    @classmethod
    def make_engine(
        cls, build: Builder, reader: Any, settings: Mapping[str, Any], stored: Mapping[str, Any]
    ) -> Any:
        """See `Task`."""
        return SeriesTagger(build, len(reader.inputs), len(stored_names(stored, "labels")), settings)

    def answer(self, rows: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
        """See `Task`."""
        logits, lengths = self.outputs(rows)
        probabilities = softmax(logits)
        ids, scores = probabilities.argmax(-1).T.tolist(), probabilities.max(-1).T.tolist()
        return answers.step_answers(ids, scores, lengths.tolist(), self.stored["labels"])

    format_answer = staticmethod(answers.format_steps)


class Forecasting(_SeriesTask):
    """The numbers that follow a series."""

    name = "forecasting"
    defaults = _LAYERS

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._horizon = stored_number(self.stored, "horizon", 1)
        self._means = stored_numbers(self.stored, "target_means")
        self._deviations = stored_numbers(self.stored, "target_deviations")
        if not len(self._means) == len(self._deviations) == len(_targets(self.stored)):
            raise UsageError("targets, target_means and target_deviations do not fit together")

    @classmethod
    def make_engine(
        cls, build: Builder, reader: Any, settings: Mapping[str, Any], stored: Mapping[str, Any]
    ) -> Any:
        """See `Task`."""
        outputs = stored_number(stored, "horizon", 1) * len(_targets(stored))
        return Regressor(build, len(reader.inputs), outputs, settings)

    def answer(self, rows: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
        """See `Task`."""
        scaled, _ = self.outputs(rows)
        steps = scaled.astype(np.float64).reshape(len(scaled), self._horizon, len(self._means))
        values = steps * self._deviations + self._means
        if len(self._means) == 1:
            values = values[..., 0]
        return [{"values": row} for row in values.tolist()]

    format_answer = staticmethod(answers.format_values)


def _targets(stored: Mapping[str, Any]) -> list[str]:
    """The columns that are predicted."""
    return stored_names(stored, "targets" if stored.get("targets") else "inputs")
