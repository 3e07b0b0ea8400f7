"""Captioning: a vector of numbers described in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

import torch
from torch import Tensor
from torchmetrics import Metric
from typing_extensions import override

from nlp_rnn.data.batching import IGNORED
from nlp_rnn.data.vocabulary import UNK
from nlp_rnn.models.captioner import Captioner
from nlp_rnn.models.layers.cells import CellName
from nlp_rnn.models.writer_ensemble import CaptionerEnsemble
from nlp_rnn.settings import DropProbability, LayerSize, NumLayers, Range, Smoothing
from nlp_rnn.tasks.baselines import most_frequent
from nlp_rnn.tasks.captioning.data import CaptioningBatch, CaptioningProcessor
from nlp_rnn.tasks.generation import BeamSettings, ReferencedTask, text_scores
from nlp_rnn.tasks.interface import Answers, Baseline, Decision, EncodedSplit, Judgement
from nlp_rnn.tasks.losses import drop_words, token_loss
from nlp_rnn.tasks.metrics import MeanLoss, sentence_chrf
from nlp_rnn.tasks.optimization import Optimization


class Captioning(ReferencedTask[CaptioningProcessor, CaptioningBatch]):
    """Trains `Captioner` on vectors with captions.

    Metrics: `loss` per token in nats, `perplexity`, `bleu`, `chrf`, and `exact`, the fraction of captions
    equal to their reference. The last three ignore case. BLEU counts n-grams of up to four words, so it says
    little about captions of fewer words.

    Args:
        processor: vocabulary of the captions, length and scale of the vectors; linked from the data.
        embedding_dim: size of the embedding.
        hidden_dim: size of the recurrent state.
        num_layers: number of recurrent layers.
        dropout: on the embedding, between layers and before the output layer.
        cell: the recurrent cell, a name in `nlp_rnn.models.layers.cells.CELLS`.
        noise: standard deviation of Gaussian noise added to the scaled vectors in training.
        label_smoothing: fraction of probability spread over all tokens in the training loss.
        word_dropout: fraction of the decoder's input tokens replaced by the unknown token in training.
        decoding: how texts are decoded in validation, in testing and for answers.
        optimization: initialization, optimizer and schedule.
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

    @override
    def ensembled(self, tasks: Sequence[Self]) -> Self:
        return self.with_model(CaptionerEnsemble([task.model for task in tasks]))

    @override
    def make_metrics(self) -> dict[str, Metric]:
        return super().make_metrics() | {"exact": MeanLoss()}

    @override
    def loss(self, batch: CaptioningBatch) -> Tensor:
        assert batch.target is not None
        vectors = batch.vectors
        if self.noise:
            vectors = vectors + self.noise * torch.randn_like(vectors)
        inputs = drop_words(batch.target[1:], self.word_dropout, UNK)  # all but BOS
        return self._mean_loss(batch, vectors, torch.cat([batch.target[:1], inputs]), self.label_smoothing)

    def _mean_loss(
        self, batch: CaptioningBatch, vectors: Tensor, target: Tensor, label_smoothing: float
    ) -> Tensor:
        """Mean loss per token when the decoder reads `target` [T, B]."""
        assert batch.labels is not None
        assert batch.target_lengths is not None
        features = self.model.features(vectors, target, batch.target_lengths)
        return token_loss(
            self.model.decoder.cross_entropy, features, batch.labels, batch.target_lengths, label_smoothing
        )

    @override
    def update_metrics(self, batch: CaptioningBatch, metrics: Mapping[str, Any]) -> Answers:
        assert batch.labels is not None
        assert batch.target is not None
        assert batch.references is not None
        count = (batch.labels != IGNORED).sum()
        loss = self._mean_loss(batch, batch.vectors, batch.target, label_smoothing=0.0)
        metrics["loss"].update(loss * count, count)
        answers = self.answer(batch)
        texts = [answer["text"] for answer in answers]
        exact = [
            _normalize(text) == _normalize(reference)
            for text, reference in zip(texts, batch.references, strict=True)
        ]
        metrics["exact"].update(torch.tensor(exact).sum(), len(exact))
        metrics["bleu"].update(texts, batch.references)
        metrics["chrf"].update(texts, batch.references)
        return lambda: answers

    @override
    def judge(self, answer: dict[str, Any], row: Mapping[str, Any]) -> Judgement:
        """A caption is one decision: equal to its reference, or not."""
        text, reference = answer["text"], row["caption"]
        decision = Decision(_normalize(reference), _normalize(text))
        return Judgement(reference, sentence_chrf(text, reference), [decision])

    @override
    def baselines(self, measured: EncodedSplit, train: EncodedSplit | None) -> list[Baseline]:
        captions = list(measured.columns["caption"])
        always = most_frequent(captions if train is None else train.columns["caption"])
        exact = [_normalize(caption) == _normalize(always) for caption in captions]
        scores = text_scores([always] * len(captions), captions)
        name = f"most frequent caption, {always}"
        return [Baseline(name, scores | {"exact": sum(exact) / len(exact)})]

    @override
    def compute_metrics(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        return super().compute_metrics(metrics) | {"exact": metrics["exact"].compute().item()}

    @override
    def row_names(self) -> dict[str, Sequence[str]]:
        parts = ("embedding.weight", "fc_out.weight", "fc_out.bias")
        return dict.fromkeys([f"decoder.{part}" for part in parts], self.processor.target.tokens())

    @override
    def answer(self, batch: CaptioningBatch) -> list[dict[str, Any]]:
        """Per vector the best caption `text`, its `score`, and the `n_best` of both."""
        empty = torch.zeros(len(batch), dtype=torch.bool)
        return self.decode(
            self.model.decoder.step, self.model.start(batch.vectors), self.processor.target, empty
        )


def _normalize(text: str) -> str:
    """A text as `exact` compares it: in lower case, with single spaces."""
    return " ".join(text.lower().split())
