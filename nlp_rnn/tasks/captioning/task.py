"""Captioning: a vector of numbers said in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from torch import Tensor
from torchmetrics import Metric

from nlp_rnn.data.batching import IGNORED
from nlp_rnn.data.vocabulary import UNK
from nlp_rnn.models.captioner import Captioner
from nlp_rnn.models.layers.cells import CellName
from nlp_rnn.settings import DropProbability, LayerSize, NumLayers, Range, Smoothing
from nlp_rnn.tasks.captioning.data import CaptioningBatch, CaptioningProcessor
from nlp_rnn.tasks.generation import BeamSettings, ReferencedTask
from nlp_rnn.tasks.losses import drop_words, token_loss
from nlp_rnn.tasks.metrics import MeanLoss
from nlp_rnn.tasks.optimization import Optimization


class Captioning(ReferencedTask[CaptioningProcessor, CaptioningBatch]):
    """Trains `Captioner` on vectors with captions.

    `exact` is the share of captions that are right to the last sign; it, BLEU and chrF disregard case. BLEU
    is of four words on end: of captions that are shorter it says nothing.

    Args:
        processor: the captions' vocabulary, the vectors' length and scale; linked from the data.
        embedding_dim: size of the embedding.
        hidden_dim: size of the recurrent state.
        num_layers: recurrent layers.
        dropout: on the embedding, between layers and before the last linear layer.
        cell: rnn, gru, lstm, mingru or minlstm.
        noise: standard deviation of Gaussian noise on the scaled vectors while the model trains.
        label_smoothing: share of probability spread over all tokens in the training loss.
        word_dropout: share of a caption's tokens hidden from the decoder while it trains.
        decoding: how validation and test decode.
        optimization: how the weights are moved.
    """

    name = "captioning"
    progress_bar_metrics = ("exact",)
    processor_class = CaptioningProcessor

    def __init__(
        self,
        processor: CaptioningProcessor,
        embedding_dim: LayerSize = 64,
        hidden_dim: LayerSize = 256,
        num_layers: NumLayers = 1,
        dropout: DropProbability = 0.2,
        cell: CellName = "lstm",
        noise: Annotated[float, Range(0, 100)] = 0.0,
        label_smoothing: Smoothing = 0.0,
        word_dropout: DropProbability = 0.0,
        decoding: BeamSettings = BeamSettings(),
        optimization: Optimization = Optimization(),
    ) -> None:
        model = Captioner(
            num_features=len(processor.means),
            vocab_size=len(processor.target),
            embedding_dim=embedding_dim,
            hidden_dim=hidden_dim,
            num_layers=num_layers,
            dropout=dropout,
            cell=cell,
        )
        super().__init__(processor, model, optimization, decoding)
        self.model: Captioner
        self.noise = noise
        self.label_smoothing = label_smoothing
        self.word_dropout = word_dropout
        self.example = [round(mean, 2) for mean in processor.means]

    def make_metrics(self) -> dict[str, Metric]:
        return super().make_metrics() | {"exact": MeanLoss()}

    def loss(self, batch: CaptioningBatch) -> Tensor:
        assert batch.target is not None
        vectors = batch.vectors
        if self.noise:
            vectors = vectors + self.noise * torch.randn_like(vectors)
        shown = drop_words(batch.target[1:], self.word_dropout, UNK)
        return self._mean_loss(batch, vectors, torch.cat([batch.target[:1], shown]), self.label_smoothing)

    def _mean_loss(
        self, batch: CaptioningBatch, vectors: Tensor, target: Tensor, label_smoothing: float
    ) -> Tensor:
        """A token's mean loss, the decoder being shown `target` [T, B]."""
        assert batch.labels is not None
        features = self.model.features(vectors, target, batch.target_lengths)
        return token_loss(self.model.decoder, features, batch.labels, label_smoothing)

    def update_metrics(self, batch: CaptioningBatch, metrics: Mapping[str, Any]) -> None:
        assert batch.labels is not None
        assert batch.target is not None
        assert batch.references is not None
        count = (batch.labels != IGNORED).sum()
        loss = self._mean_loss(batch, batch.vectors, batch.target, label_smoothing=0.0)
        metrics["loss"].update(loss * count, count)
        texts = [answer["text"] for answer in self.answer(batch)]
        right = [_plain(one) == _plain(other) for one, other in zip(texts, batch.references, strict=True)]
        metrics["exact"].update(torch.tensor(right).sum(), len(right))
        metrics["bleu"].update(texts, batch.references)
        metrics["chrf"].update(texts, batch.references)

    def compute_metrics(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        return super().compute_metrics(metrics) | {"exact": metrics["exact"].compute().item()}

    def answer(self, batch: CaptioningBatch) -> list[dict[str, Any]]:
        """Of each vector its best caption `text`, the `score` and all `n_best` of them."""
        nothing = torch.zeros(len(batch), dtype=torch.bool)
        return self.decode(
            self.model.decoder.step, self.model.start(batch.vectors), self.processor.target, nothing
        )


def _plain(text: str) -> str:
    """A text as `exact` compares it: in lower case, with single spaces."""
    return " ".join(text.lower().split())
