"""Sentiment: one label a text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric
from torchmetrics.classification import MulticlassConfusionMatrix

from nlp_rnn.data.sentiment import SentimentBatch, SentimentProcessor
from nlp_rnn.data.vocabulary import UNK
from nlp_rnn.metrics import MeanLoss
from nlp_rnn.models.classifier import Classifier
from nlp_rnn.tasks.module import (
    Reading,
    Task,
    check_forward,
    class_details,
    class_figures,
    drop_words,
    plain_settings,
)
from nlp_rnn.tasks.optimization import Optimization
from nlp_rnn.tasks.transfer import take_encoder


class Sentiment(Task[SentimentProcessor, SentimentBatch]):
    """Trains `Classifier` on labelled texts.

    Args:
        processor: vocabulary and labels; linked from the data.
        embedding_dim: size of the embedding.
        hidden_dim: size of the recurrent state, in each direction.
        num_layers: recurrent layers.
        dropout: on the embedding, between layers and before the last linear layer.
        cell: rnn, gru, lstm, mingru or minlstm.
        bidirectional: read from both ends.
        pooling: last (state), mean or max (of the outputs).
        label_smoothing: share of probability spread over all labels in the training loss.
        word_dropout: share of words hidden while the model trains.
        init_encoder: a trained language model, folder or checkpoint, to take the embedding and the recurrent
            weights from where they fit; it is not looked for again, nor stored.
        optimization: how the weights are moved.
    """

    name = "sentiment"
    shown = ("accuracy",)
    example = "not a bad film"
    processor_class = SentimentProcessor

    def __init__(
        self,
        processor: SentimentProcessor,
        embedding_dim: int = 128,
        hidden_dim: int = 128,
        num_layers: int = 1,
        dropout: float = 0.5,
        cell: str = "lstm",
        bidirectional: bool = True,
        pooling: str = "last",
        label_smoothing: float = 0.0,
        word_dropout: float = 0.0,
        init_encoder: str | None = None,
        optimization: Optimization = Optimization(),
    ) -> None:
        settings = plain_settings(locals())
        self.num_classes = len(processor.labels)
        model = Classifier(
            len(processor.tokens),
            self.num_classes,
            embedding_dim,
            hidden_dim,
            num_layers,
            dropout,
            cell,
            bidirectional,
            pooling,
        )
        super().__init__(processor, model, settings, optimization)
        self.model: Classifier
        self.label_smoothing = label_smoothing
        self.word_dropout = word_dropout
        if init_encoder is not None:
            take_encoder(init_encoder, processor.tokens, model.embedding, model.rnn)

    def make_metrics(self) -> dict[str, Metric]:
        return {"loss": MeanLoss(), "confusion": MulticlassConfusionMatrix(self.num_classes)}

    def loss(self, batch: SentimentBatch) -> Tensor:
        assert batch.labels is not None
        logits = self.model(drop_words(batch.tokens, self.word_dropout, UNK), batch.lengths)
        return F.cross_entropy(logits.float(), batch.labels, label_smoothing=self.label_smoothing)

    def measure(self, batch: SentimentBatch, metrics: Mapping[str, Any]) -> None:
        assert batch.labels is not None
        logits = self.model(batch.tokens, batch.lengths).float()
        metrics["loss"].update(F.cross_entropy(logits, batch.labels, reduction="sum"), len(batch))
        metrics["confusion"].update(logits, batch.labels)

    def results(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        figures = class_figures(metrics["confusion"].compute(), self.processor.labels)
        return {"loss": metrics["loss"].compute().item(), **figures}

    def details(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        return class_details(metrics["confusion"].compute(), self.processor.labels)

    def answer(self, batch: SentimentBatch) -> list[dict[str, Any]]:
        """Of each text its `label`, the probability of it as `score`, and all `scores` by label."""
        return self._answers(self.model(batch.tokens, batch.lengths))

    def begin(self) -> Reading:
        check_forward(self.model)
        empty = torch.zeros(0, 1, dtype=torch.int64, device=self.device)
        return Reading(self._answers(self.model(empty))[0], self.model.initial_state(1))

    def advance(self, piece: str, reading: Reading) -> Reading:
        (ids,) = self.processor.tokens.encode([piece])
        state = reading.state
        for token in ids:
            logits, state = self.model.step(torch.tensor([token], device=self.device), state)
        return Reading(self._answers(logits)[0], state) if ids else reading

    def _answers(self, logits: Tensor) -> list[dict[str, Any]]:
        shares = logits.float().softmax(-1)
        answers = []
        for best, row in zip(shares.argmax(-1).tolist(), shares.tolist(), strict=True):
            scores = dict(zip(self.processor.labels, row, strict=True))
            answers.append({"label": self.processor.labels[best], "score": row[best], "scores": scores})
        return answers

    @staticmethod
    def plain(answer: dict[str, Any]) -> str:
        return answer["label"]
