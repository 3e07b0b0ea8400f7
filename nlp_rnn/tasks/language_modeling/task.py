"""Language modeling: predicting the next token, and continuing texts."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Any, Self

import pyarrow as pa
import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric
from typing_extensions import override

from nlp_rnn.data.batching import IGNORED
from nlp_rnn.data.vocabulary import BOS, EOS, PAD, UNK
from nlp_rnn.errors import UsageError
from nlp_rnn.lite.tasks.answers import Step, generated_steps
from nlp_rnn.lite.text.notices import collect_warnings
from nlp_rnn.models.language_model import LanguageModel
from nlp_rnn.models.layers.base import State
from nlp_rnn.models.layers.cells import CellName
from nlp_rnn.models.sampling import stream
from nlp_rnn.models.writer_ensemble import LanguageModelEnsemble
from nlp_rnn.settings import DropProbability, LayerSize, NumLayers, Smoothing
from nlp_rnn.tasks.baselines import counted_models
from nlp_rnn.tasks.generation import BeamSettings, GenerationTask, SamplingSettings
from nlp_rnn.tasks.interface import (
    AnswerColumn,
    Answers,
    Baseline,
    EncodedSplit,
    Encoder,
    Judgement,
    Probe,
    RowScore,
    StreamState,
)
from nlp_rnn.tasks.language_modeling.data import LanguageModelingBatch, LanguageModelingProcessor
from nlp_rnn.tasks.losses import drop_words, token_loss
from nlp_rnn.tasks.metrics import MeanLoss
from nlp_rnn.tasks.optimization import Optimization
from nlp_rnn.tasks.regularization import check_locked
from nlp_rnn.tasks.transfer import initialize_embedding

NEVER_GENERATED = (PAD, UNK, BOS)
"""Ids of the tokens that a continuation never contains."""

_LONGEST = 10_000_000  # tokens of a text, when texts of running text are read one by one


class LanguageModeling(GenerationTask[LanguageModelingProcessor, LanguageModelingBatch]):
    """Trains `LanguageModel` on texts.

    Metrics: `loss` per token in nats, `perplexity`, and `bits_per_character`. EOS counts as a token. Unknown
    tokens are scored as the unknown token, so the more of them there are, the lower are all three; the
    report has their fraction.

    Args:
        processor: vocabulary, and how texts are read; linked from the data.
        embedding_dim: size of the embedding.
        hidden_dim: size of the recurrent state.
        num_layers: number of recurrent layers.
        dropout: on the embedding, between layers and before the output layer.
        cell: the recurrent cell, a name in `nlp_rnn.models.layers.cells.CELLS`.
        tie_weights: share one weight between embedding and output layer; needs embedding_dim = hidden_dim.
        locked: use one dropout mask for all time steps (Gal & Ghahramani 2016).
        weight_dropout: dropout on the hidden-to-hidden weights (Merity et al. 2018).
        label_smoothing: fraction of probability spread over all tokens in the training loss.
        word_dropout: fraction of input tokens replaced by the unknown token in training.
        bidirectional: train a second language model with it that reads backward and shares embedding and
            output layer (Peters et al. 2018), to initialize encoders that read both ways. The metrics are
            those of both; all answers are those of the direction that reads forward.
        decoding: how answers continue a text.
        vectors: file of word vectors (GloVe, fastText .vec, word2vec) to initialize the embedding with,
            scaled to the size of its random values; not stored, and not needed after training.
        optimization: initialization, optimizer and schedule.
    """

    name = "language_modeling"
    lower_is_better = frozenset({"loss", "perplexity", "bits_per_character"})
    progress_bar_metrics = ("perplexity",)
    row_score = RowScore("log-probability per token, in nats")
    example = "the film is"
    processor_class = LanguageModelingProcessor
    row_metric = "bits_per_character"

    def __init__(
        self,
        processor: LanguageModelingProcessor,
        embedding_dim: LayerSize = 256,
        hidden_dim: LayerSize = 256,
        num_layers: NumLayers = 1,
        dropout: DropProbability = 0.2,
        cell: CellName = "lstm",
        tie_weights: bool = False,
        locked: bool = False,
        weight_dropout: DropProbability = 0.0,
        label_smoothing: Smoothing = 0.0,
        word_dropout: DropProbability = 0.0,
        bidirectional: bool = False,
        decoding: BeamSettings = BeamSettings(),
        vectors: str | None = None,
        optimization: Optimization = Optimization(),
    ) -> None:
        check_locked(locked, dropout)
        model = LanguageModel(
            vocab_size=len(processor.tokens),
            embedding_dim=embedding_dim,
            hidden_dim=hidden_dim,
            num_layers=num_layers,
            dropout=dropout,
            cell=cell,
            tie_weights=tie_weights,
            locked=locked,
            weight_dropout=weight_dropout,
            bidirectional=bidirectional,
        )
        super().__init__(processor, model, optimization, decoding)
        self.model: LanguageModel
        self.label_smoothing = label_smoothing
        self.word_dropout = word_dropout
        if vectors is not None:
            initialize_embedding(vectors, processor.tokens, model.embedding)
        # Of continuous text: the state at the end of the last window, in training and in evaluation. That of
        # the layers that read backward is behind that of the others.
        self._carried: dict[str, State] = {}

    @override
    def check_fits(self, other: Self) -> None:
        super().check_fits(other)
        if self.model.bidirectional != other.model.bidirectional:
            raise UsageError("bidirectional: one model reads both ways, and another one forward alone")

    @override
    def ensembled(self, tasks: Sequence[Self]) -> Self:
        task = self.with_model(LanguageModelEnsemble([task.model for task in tasks]))
        task._carried = {}
        return task

    @override
    def by_row(self) -> Self:
        if self.processor.window is None:
            return self
        task = copy.copy(self)  # running text is not cut off, so its texts are not either
        task.processor = replace(self.processor, window=None, max_length=_LONGEST)
        return task

    @override
    def make_metrics(self) -> dict[str, Metric]:
        return {"loss": MeanLoss(), "loss_per_character": MeanLoss(), "unknown": MeanLoss()}

    @override
    def loss(self, batch: LanguageModelingBatch) -> Tensor:
        return self._mean_loss(batch, "training", self.label_smoothing, self.word_dropout)

    def _mean_loss(
        self, batch: LanguageModelingBatch, phase: str, label_smoothing: float, word_dropout: float
    ) -> Tensor:
        """Mean loss per label, of both directions if there are two, from the carried state of a phase."""
        features, labels, lengths = self._features(batch, phase, word_dropout)
        return token_loss(self.model.cross_entropy, features, labels, lengths, label_smoothing)

    def _features(
        self, batch: LanguageModelingBatch, phase: str, word_dropout: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What the output layer reads [T, B, H], the labels [T, B] and their numbers [B].

        If there are two directions, those of the one that reads backward follow in the dimension B.
        """
        assert batch.labels is not None
        tokens, labels, lengths = self._drop(batch.tokens, word_dropout), batch.labels, batch.lengths
        backward = None
        if self.model.bidirectional:
            assert batch.backward_tokens is not None
            assert batch.backward_labels is not None
            backward = self._drop(batch.backward_tokens, word_dropout)
            labels, lengths = torch.cat([labels, batch.backward_labels], 1), lengths.repeat(2)
        if self.processor.window is None:
            features = self.model.features(tokens, batch.lengths)
            if backward is not None:
                more = self.model.features(backward, batch.lengths, backward=True)
                features = torch.cat([features, more], 1)
        else:
            start = () if batch.fresh else self._carried.get(phase, ())
            size = self.model.state_tensors
            features, state = self.model.read(tokens, start[:size] or None)
            if backward is not None:
                more, last = self.model.read_backward(backward, start[size:] or None)
                features, state = torch.cat([features, more], 1), (*state, *last)
            self._carried[phase] = tuple(part.detach() for part in state)
        return features, labels, lengths

    @staticmethod
    def _drop(tokens: Tensor, fraction: float) -> Tensor:
        """Word dropout of all tokens but BOS."""
        return torch.where(tokens == BOS, BOS, drop_words(tokens, fraction, UNK))

    @override
    def skip_step(self) -> None:
        super().skip_step()
        self._carried.pop("training", None)  # it may be NaN

    @override
    def epoch_state(self) -> dict[str, Any]:
        return {**super().epoch_state(), "carried": self._carried}

    @override
    def load_epoch_state(self, state: Mapping[str, Any]) -> None:
        super().load_epoch_state(state)
        for phase, parts in state["carried"].items():
            self._carried[phase] = tuple(part.to(self.device) for part in parts)

    @override
    def update_metrics(self, batch: LanguageModelingBatch, metrics: Mapping[str, Any]) -> Answers:
        assert batch.labels is not None
        assert batch.characters is not None
        count = (batch.labels != IGNORED).sum()
        features, labels, lengths = self._features(batch, "evaluation", word_dropout=0.0)
        total = token_loss(self.model.cross_entropy, features, labels, lengths, 0.0) * count
        metrics["loss"].update(total, count)
        metrics["loss_per_character"].update(total, batch.characters.sum())
        metrics["unknown"].update((batch.labels == UNK).sum(), count)
        if self.processor.window is not None:  # a window is no row
            return list
        rows = len(batch)
        return lambda: self._measured(features[:, :rows], labels[:, :rows])

    def _measured(self, features: Tensor, labels: Tensor) -> list[dict[str, Any]]:
        """Per text its `log_prob` in nats and the number of its `tokens`, both with EOS.

        Args:
            features: [T, B, H] of the layers that read forward.
            labels: [T, B], `IGNORED` behind the end of a text.
        """
        log_prob = torch.zeros(labels.size(1), device=labels.device)
        for step, following in zip(features, labels, strict=True):  # one step at a time, to save memory
            log_prob -= F.cross_entropy(self.model.logits(step).float(), following, reduction="none")
        counts = (labels != IGNORED).sum(0)
        return [
            {"text": "", "log_prob": text_log_prob, "tokens": count}
            for text_log_prob, count in zip(log_prob.tolist(), counts.tolist(), strict=True)
        ]

    @override
    def judge(self, answer: dict[str, Any], row: Mapping[str, Any]) -> Judgement:
        return Judgement(score=answer["log_prob"] / answer["tokens"])

    @override
    def baselines(self, measured: EncodedSplit, train: EncodedSplit | None) -> list[Baseline]:
        return [] if train is None else counted_models(measured.rows, train.rows, len(self.processor.tokens))

    @override
    def record_columns(self) -> dict[str, AnswerColumn]:
        types = {"log_prob": pa.float64(), "tokens": pa.int32()}
        return {name: AnswerColumn(arrow_type, itemgetter(name)) for name, arrow_type in types.items()}

    @override
    def compute_metrics(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        loss = metrics["loss"].compute()
        return {
            "loss": loss.item(),
            "perplexity": loss.exp().item(),
            "bits_per_character": metrics["loss_per_character"].compute().item() / math.log(2),
        }

    @override
    def report_tables(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        """The number of predicted tokens, EOS included, and the fraction of them that is unknown."""
        tokens = int(metrics["loss"].count)
        return {"tokens": tokens, "unknown_tokens": metrics["unknown"].compute().item()}

    @override
    def answer(self, batch: LanguageModelingBatch) -> list[dict[str, Any]]:
        """Per text its continuation `text`, with `score` and `n_best`, and what the model predicts for it.

        That is `log_prob`, the log-probability of the text in nats, without EOS; and `next`, the most
        probable next token, which may be EOS, with its `probability`.
        """
        # The model reads all tokens but the last of each text, which is the first input of decoding.
        ends = batch.lengths - 1
        features, state = self.model.read(batch.tokens[:-1], lengths=ends)
        last = batch.tokens.gather(0, ends.to(batch.tokens.device)[None])[0]
        following = batch.tokens[1:].where(
            torch.arange(len(features))[:, None].to(last.device) < ends.to(last.device), IGNORED
        )
        log_prob = torch.zeros(len(batch), device=last.device)
        for step, labels in zip(features, following, strict=True):  # one step at a time, to save memory
            log_prob -= F.cross_entropy(self.model.logits(step).float(), labels, reduction="none")
        continuations = self.decode(
            self.model.step, state, self.processor.tokens, torch.zeros(len(batch), dtype=torch.bool), last
        )
        predictions = self._predictions(self.model.step(last, state)[0], log_prob)
        return [
            continuation | prediction
            for continuation, prediction in zip(continuations, predictions, strict=True)
        ]

    @override
    def row_names(self) -> dict[str, Sequence[str]]:
        output = ("bias",) if self.model.fc_out is None else ("fc_out.weight", "fc_out.bias")
        return dict.fromkeys(("embedding.weight", *output), self.processor.tokens.tokens())

    @override
    def answer_columns(self, scores: bool = False) -> dict[str, AnswerColumn]:
        types = {"log_prob": pa.float64(), "next": pa.string(), "probability": pa.float32()}
        more = {name: AnswerColumn(arrow_type, itemgetter(name)) for name, arrow_type in types.items()}
        return super().answer_columns(scores) | more

    @override
    def probe(self) -> Probe:
        return Probe("tokens", lambda model, batch: model(batch.tokens, lengths=batch.lengths)[0], "next")

    @override
    def encoder(self) -> Encoder:
        model = self.model
        return Encoder(self.processor.tokens, model.embedding, model.rnn, model.backward_rnn)

    @override
    def start_stream(self) -> StreamState:
        first = torch.tensor([BOS], device=self.device)
        logits, state = self.model.step(first, self.model.initial_state(1))
        log_prob = torch.zeros(1, device=self.device)
        return StreamState(self._predictions(logits, log_prob)[0], (*state, logits, log_prob))

    @override
    def read_stream(self, piece: str, stream: StreamState) -> StreamState:
        """The state after a piece; its answer has the next token and the log-probability of the text."""
        state: State = stream.state[:-2]
        logits, log_prob = stream.state[-2:]
        (ids,) = self.processor.tokens.encode([piece])
        for id in ids:
            token = torch.tensor([id], device=self.device)
            log_prob = log_prob - F.cross_entropy(logits.float(), token)
            logits, state = self.model.step(token, state)
        if not ids:
            return stream
        return StreamState(self._predictions(logits, log_prob)[0], (*state, logits, log_prob))

    def _predictions(self, logits: Tensor, log_prob: Tensor) -> list[dict[str, Any]]:
        """What the model predicts for texts.

        Args:
            logits: [B, V] of the token after each text.
            log_prob: [B], of each text.
        """
        never = torch.tensor(NEVER_GENERATED, device=logits.device)
        probabilities, ids = logits.float().index_fill(1, never, -torch.inf).softmax(1).max(1)
        token = self.processor.tokens.token
        return [
            {"log_prob": text_log_prob, "next": token(id), "probability": probability}
            for text_log_prob, id, probability in zip(
                log_prob.tolist(), ids.tolist(), probabilities.tolist(), strict=True
            )
        ]

    @override
    def check_generates(self) -> None:
        pass

    @override
    def generate(self, prompt: str, settings: SamplingSettings) -> Iterator[Step]:
        """Read a prompt, then continue it, at constant cost per step.

        The steps of the prompt have the most probable next token as `predicted`, not the token that follows.

        Args:
            prompt: the beginning of the text; may be empty.
            settings: how tokens are chosen, and how many.

        Raises:
            UsageError: the prompt contains a lone surrogate; raised, as warnings of unknown tokens are given,
                by this call rather than by the first step.
        """
        with collect_warnings():
            rows = self.processor.rows([prompt])
            batch = self.processor.collate({"row": [0], **self.processor.encode(rows)})
        return self._generate(batch.to(self.device), prompt[-1:].isspace(), settings)

    @torch.inference_mode()
    def _generate(
        self, batch: LanguageModelingBatch, after_space: bool, settings: SamplingSettings
    ) -> Iterator[Step]:
        """The steps after a batch of one prompt, which may end in white space."""
        vocabulary = self.processor.tokens
        names = vocabulary.tokens()
        ids = batch.tokens[:, 0].tolist()  # BOS first
        logits, state = self.model(batch.tokens[:-1])
        for id, scores in zip(ids[1:-1], logits[1:, 0].float().softmax(-1), strict=True):
            best = int(scores.argmax())
            yield Step(names[id], names[best], float(scores[best]), "")
        generator = torch.Generator(self.device)
        if settings.seed is None:
            generator.seed()
        else:
            generator.manual_seed(settings.seed)
        chosen = stream(
            self.model.step,
            state,
            bos_id=ids[-1],
            eos_id=EOS,
            max_length=settings.max_output,
            temperature=settings.temperature,
            top_k=settings.top_k,
            top_p=settings.top_p,
            generator=generator,
            forbidden=NEVER_GENERATED,
        )
        probabilities = ((id, math.exp(log_prob)) for id, log_prob in chosen)
        yield from generated_steps(vocabulary, names, ids[-1], after_space, probabilities)
