"""The tasks whose answers are texts: translation, captioning and language modeling."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice, repeat
from typing import Any

import numpy as np

from ..decoding.constraints import Demand, check_demands
from ..decoding.demands import constrained_search, force_prefixes
from ..decoding.hypotheses import Hypothesis
from ..decoding.search import Beam, Choice, most_probable, sampler, search, select_rows, stream
from ..errors import UsageError, check_number
from ..models.builder import Builder
from ..models.cells import State
from ..models.linear import log_softmax, softmax
from ..models.writers import Captioner, LanguageModel, Translator
from ..text.batches import pad
from ..text.notices import collect_warnings
from ..text.number_readers import VectorReader
from ..text.readers import PromptReader, Reader, SentenceReader
from ..text.tokenizer_format import BOS, PAD, UNK
from ..text.vocabulary import Vocabulary
from .answers import Step, format_text, generated_steps, text_answers
from .task import Sampling, StreamState, Task, stored_number, stored_numbers

_NEVER = (PAD, UNK, BOS)
"""The ids that an answer does not contain."""


class WritingTask(Task):
    """A task whose model writes its answers token by token."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.decoding = Beam(**self.settings["decoding"])
        self._check(self.decoding)

    def decode_with(self, beam: int | None, n_best: int | None, copy_unknown: bool | None) -> None:
        """See `Task`."""
        if copy_unknown is not None:
            super().decode_with(None, None, copy_unknown)  # which refuses it
        if n_best is None:
            n_best = min(self.decoding.n_best, beam or self.decoding.beam)
        beam = max(n_best, self.decoding.beam) if beam is None else beam
        decoding = replace(self.decoding, beam=beam, n_best=n_best)
        self._check(decoding)
        self.decoding = decoding

    @staticmethod
    def _check(decoding: Beam) -> None:
        check_number("beam", decoding.beam, 1, 1_000, int)
        check_number("length_penalty", decoding.length_penalty, 0, 10)
        check_number("n_best", decoding.n_best, 1, 1_000, int)
        check_number("max_output", decoding.max_output, 1, 100_000, int)
        if decoding.n_best > decoding.beam:
            raise UsageError(
                f"n_best must be at most the beam's width, {decoding.beam}, not {decoding.n_best}"
            )

    def cells(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """See `Task`."""
        several = {"n_best": answer.get("n_best")} if self.decoding.n_best > 1 else {}
        return {"prediction": answer.get("text"), "score": answer.get("score"), **several}

    def search(
        self, state: State, first: np.ndarray, forbidden: Sequence[int] = _NEVER
    ) -> list[list[Hypothesis]]:
        """The best hypotheses of each row by beam search, from a state and first tokens [B]."""
        return search(self.engine.step, state, first, self.decoding, forbidden)

    format_answer = staticmethod(format_text)


class Translation(WritingTask):
    """Sentence to sentence."""

    name = "translation"
    columns = ("source",)
    defaults = {
        "embedding_dim": 256,
        "hidden_dim": 512,
        "num_layers": 2,
        "cell": "lstm",
        "tie_embeddings": "none",
        "context": False,
        "readout": "combined",
        "attention": "none",
        "bidirectional": False,
        "decoding": {},
        "copy_unknown": False,
    }
    training = frozenset({"teacher_forcing"})

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.copy_unknown = bool(self.settings["copy_unknown"])

    @classmethod
    def make_reader(cls, vocabularies: Mapping[str, Vocabulary], stored: Mapping[str, Any]) -> Reader:
        """See `Task`."""
        reader = SentenceReader()
        reader.source, reader.target = vocabularies["source"], vocabularies["target"]
        reader.reverse_source = bool(stored.get("reverse_source", False))
        reader.reverse_target = bool(stored.get("reverse_target", False))
        reader.max_length = stored_number(stored, "max_length", 100)
        return reader

    @classmethod
    def make_engine(
        cls, build: Builder, reader: Any, settings: Mapping[str, Any], stored: Mapping[str, Any]
    ) -> Any:
        """See `Task`."""
        return Translator(build, len(reader.source), len(reader.target), settings)

    def decode_with(self, beam: int | None, n_best: int | None, copy_unknown: bool | None) -> None:
        """See `Task`."""
        super().decode_with(beam, n_best, None)
        self.copy_unknown = self.copy_unknown if copy_unknown is None else copy_unknown

    def answer(self, rows: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
        """See `Task`."""
        nothing: list[Any] = [[]] * len(rows["source_ids"])
        pairs = zip(rows.get("prefix_ids", nothing), rows.get("constraint_ids", nothing), strict=True)
        demands = [Demand(prefix, constraints) for prefix, constraints in pairs]
        ids, lengths = pad(self.processor.source_order(rows["source_ids"]))
        state = self.engine.encode(ids, lengths)
        forbidden = self.processor.never_written(self.copy_unknown)
        best = self._search(state, demands, forbidden)
        copied = self._copied(rows["source"], lengths, state, best) if self.copy_unknown else repeat([])
        decode, order = self.processor.target.decode, self.processor.target_order
        read = [order([hypothesis.tokens for hypothesis in row]) for row in best]
        texts = [[decode(tokens, next(copied)) for tokens in row] for row in read]
        # The translation of an empty text is empty, not the most probable of all sentences.
        empty = [length == 0 and not demand.size for length, demand in zip(lengths, demands, strict=True)]
        return text_answers(best, texts, empty)

    def _search(
        self, state: State, demands: Sequence[Demand], forbidden: Sequence[int]
    ) -> list[list[Hypothesis]]:
        """The best hypotheses of each row with what it must have."""
        check_demands(demands, self.decoding.max_output)
        step, first = self.engine.step, np.full(len(demands), BOS)
        if any(demand.prefix for demand in demands):
            step, state = force_prefixes(step, state, [demand.prefix for demand in demands])
        if any(demand.constraints for demand in demands):
            phrases = [demand.constraints for demand in demands]
            return constrained_search(step, state, first, phrases, self.decoding, forbidden)
        return search(step, state, first, self.decoding, forbidden)

    def _copied(
        self,
        sources: Sequence[str],
        lengths: np.ndarray,
        state: State,
        best: Sequence[Sequence[Hypothesis]],
    ) -> Iterator[list[str]]:
        """For each hypothesis of each row, the source words that stand for its unknown tokens."""
        rows = [row for row, hypotheses in enumerate(best) for _ in hypotheses]
        targets = [[BOS, *hypothesis.tokens] for hypotheses in best for hypothesis in hypotheses]
        weights = self.engine.alignment(pad(targets)[0], select_rows(state, rows))
        places = weights.argmax(-1).T.tolist() if weights is not None and weights.shape[-1] else []
        for number, (row, target) in enumerate(zip(rows, targets, strict=True)):
            parts = list(islice(self.processor.source.parts(sources[row]), int(lengths[row])))
            if not places or not parts:
                yield [part for id, part in parts if id == UNK]
                continue
            if self.processor.reverse_source:
                parts.reverse()
            steps = zip(target[1:], places[number], strict=False)  # the row of the last token scores EOS
            words = [parts[place][1] for token, place in steps if token == UNK]
            yield words[::-1] if self.processor.reverse_target else words


class Captioning(WritingTask):
    """Vector to text."""

    name = "captioning"
    columns = ("features",)
    defaults = {
        "embedding_dim": 64,
        "hidden_dim": 256,
        "num_layers": 1,
        "cell": "lstm",
        "decoding": {},
    }
    training = frozenset({"noise"})

    @classmethod
    def make_reader(cls, vocabularies: Mapping[str, Vocabulary], stored: Mapping[str, Any]) -> Reader:
        """See `Task`."""
        reader = VectorReader()
        reader.means = stored_numbers(stored, "means")
        reader.scale = stored["scale"]
        check_number("scale", reader.scale, 1e-300, 1e300)
        return reader

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._target: Vocabulary = self.stored["target"]

    @classmethod
    def make_engine(
        cls, build: Builder, reader: Any, settings: Mapping[str, Any], stored: Mapping[str, Any]
    ) -> Any:
        """See `Task`."""
        return Captioner(build, len(reader.means), len(stored["target"]), settings)

    def answer(self, rows: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
        """See `Task`."""
        vectors = np.stack(rows["vector"])
        best = self.search(self.engine.encode(vectors), np.full(len(vectors), BOS))
        texts = [[self._target.decode(hypothesis.tokens) for hypothesis in row] for row in best]
        return text_answers(best, texts, [False] * len(vectors))


class LanguageModeling(WritingTask):
    """Text to the text that follows."""

    name = "language_modeling"
    columns = ("text",)
    defaults = {
        "embedding_dim": 256,
        "hidden_dim": 256,
        "num_layers": 1,
        "cell": "lstm",
        "tie_weights": False,
        "bidirectional": False,
        "decoding": {},
    }
    training = frozenset({"weight_dropout"})

    @classmethod
    def make_reader(cls, vocabularies: Mapping[str, Vocabulary], stored: Mapping[str, Any]) -> Reader:
        """See `Task`."""
        reader = PromptReader()
        reader.tokens = vocabularies["tokens"]
        reader.max_length = stored_number(stored, "max_length", 256)
        return reader

    @classmethod
    def make_engine(
        cls, build: Builder, reader: Any, settings: Mapping[str, Any], stored: Mapping[str, Any]
    ) -> Any:
        """See `Task`."""
        return LanguageModel(build, len(reader.tokens), settings)

    def answer(self, rows: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
        """See `Task`."""
        spans = [np.array([BOS, *ids], np.int64) for ids in rows["token_ids"]]
        last = np.array([span[-1] for span in spans])
        state, log_probs = self._read(spans)
        best = self.search(state, last)
        decode = self.processor.tokens.decode
        texts = [[decode(hypothesis.tokens) for hypothesis in row] for row in best]
        continuations = text_answers(best, texts, [False] * len(spans))
        predictions = self._predictions(self.engine.step(last, state)[0], log_probs)
        return [
            continuation | prediction
            for continuation, prediction in zip(continuations, predictions, strict=True)
        ]

    def cells(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """See `Task`."""
        return super().cells(answer) | {
            name: answer.get(name) for name in ("log_prob", "next", "probability")
        }

    def _read(self, spans: Sequence[np.ndarray]) -> tuple[State, np.ndarray]:
        """Read all tokens but the last of each text, which is the first input of decoding.

        Returns:
            The state before the last token, and the log-probabilities [B] of the texts.
        """
        # Longest first, so that the texts still read are always the first rows.
        order = sorted(range(len(spans)), key=lambda row: -len(spans[row]))
        ids, lengths = pad([spans[row] for row in order])
        log_probs = np.zeros(len(spans), np.float32)
        state = self.engine.initial_state(len(spans))
        for place in range(len(ids) - 1):
            rows = int((lengths > place + 1).sum())
            logits, new = self.engine.step(ids[place, :rows], select_rows(state, slice(rows)))
            log_probs[:rows] += log_softmax(logits)[np.arange(rows), ids[place + 1, :rows]]
            rest = select_rows(state, slice(rows, None))
            state = tuple(np.concatenate(parts, 1) for parts in zip(new, rest, strict=True))
        inverse = np.argsort(order)
        return select_rows(state, inverse), log_probs[inverse]

    def _predictions(self, logits: np.ndarray, log_probs: np.ndarray) -> list[dict[str, Any]]:
        """What the model predicts for texts: [B, V] logits, and the log-probabilities [B] of the texts."""
        logits = logits.copy()
        logits[:, list(_NEVER)] = -np.inf
        probabilities = softmax(logits)
        token = self.processor.tokens.token
        return [
            {"log_prob": log_prob, "next": token(id), "probability": probability}
            for log_prob, id, probability in zip(
                log_probs.tolist(),
                probabilities.argmax(1).tolist(),
                probabilities.max(1).tolist(),
                strict=True,
            )
        ]

    def start_stream(self) -> StreamState:
        """See `Task`."""
        logits, state = self.engine.step(np.array([BOS]), self.engine.initial_state(1))
        log_prob = np.zeros(1, np.float32)
        return StreamState(self._predictions(logits, log_prob)[0], (state, logits, log_prob))

    def read_stream(self, piece: str, stream: StreamState) -> StreamState:
        """See `Task`; the answer has the next token and the log-probability of the text."""
        state, logits, log_prob = stream.state
        (ids,) = self.processor.tokens.encode([piece])
        for id in ids:
            log_prob = log_prob + log_softmax(logits)[:, id]
            logits, state = self.engine.step(np.array([id]), state)
        if not ids:
            return stream
        return StreamState(self._predictions(logits, log_prob)[0], (state, logits, log_prob))

    def check_generates(self) -> None:
        """See `Task`."""

    def generate(self, prompt: str, settings: Sampling) -> Iterator[Step]:
        """See `Task`; the steps of the prompt have the most probable next token as `predicted`.

        Raises:
            UsageError: the prompt contains a lone surrogate; raised by this call.
        """
        with collect_warnings():
            rows = self.processor.rows([prompt])
            (ids,) = self.processor.encode_inputs(rows)["token_ids"]
        return self._generate([BOS, *ids], prompt[-1:].isspace(), settings)

    def _generate(self, ids: list[int], after_space: bool, settings: Sampling) -> Iterator[Step]:
        vocabulary = self.processor.tokens
        names = vocabulary.tokens()
        state = self.engine.initial_state(1)
        for place, id in enumerate(ids[:-1]):
            logits, state = self.engine.step(np.array([id]), state)
            if place:
                scores = softmax(logits[0])
                best = int(scores.argmax())
                yield Step(names[id], names[best], float(scores[best]), "")
        choose: Choice = most_probable
        if settings.temperature is not None:
            generator = np.random.default_rng(settings.seed)
            choose = sampler(settings.temperature, settings.top_k, settings.top_p, generator)
        chosen = stream(self.engine.step, state, choose, ids[-1], settings.max_output, _NEVER)
        probabilities = ((id, math.exp(log_prob)) for id, log_prob in chosen)
        yield from generated_steps(vocabulary, names, ids[-1], after_space, probabilities)
