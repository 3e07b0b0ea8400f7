"""Translation: the encoder-decoder without attention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from nlp_rnn.data.batching import IGNORED
from nlp_rnn.data.vocabulary import BOS, UNK
from nlp_rnn.models.layers.cells import CellName
from nlp_rnn.models.seq2seq import Decoder, Encoder, Seq2Seq
from nlp_rnn.plots.bleu import bleu_by_length_figure
from nlp_rnn.settings import DropProbability, LayerSize, NumLayers, Range, Smoothing
from nlp_rnn.tasks.base import Probe
from nlp_rnn.tasks.generation import BeamSettings, ReferencedTask
from nlp_rnn.tasks.losses import drop_words, token_loss
from nlp_rnn.tasks.metrics import BLEU
from nlp_rnn.tasks.optimization import Optimization
from nlp_rnn.tasks.translation.data import TranslationBatch, TranslationProcessor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Source lengths, in tokens, by which an evaluation splits BLEU.
_LENGTHS = {
    "0-5": (0, 5),
    "6-10": (6, 10),
    "11-15": (11, 15),
    "16-20": (16, 20),
    "21-30": (21, 30),
    "over 30": (31, 1 << 62),
}


class Translation(ReferencedTask[TranslationProcessor, TranslationBatch]):
    """Trains `Seq2Seq` on sentence pairs; BLEU and chrF disregard case.

    Args:
        processor: vocabularies of both languages; linked from the data.
        embedding_dim: size of both embeddings.
        hidden_dim: size of the recurrent state.
        num_layers: recurrent layers a side.
        dropout: on embeddings, between layers and before the last linear layer.
        cell: rnn, gru, lstm, mingru or minlstm.
        teacher_forcing: probability that the decoder is shown the true word while it trains.
        label_smoothing: share of probability spread over all words in the training loss.
        word_dropout: share of target words hidden from the decoder while it trains.
        decoding: how validation and test decode.
        optimization: how the weights are moved.
    """

    name = "translation"
    progress_bar_metrics = ("bleu",)
    example = "zwei hunde spielen im schnee."
    processor_class = TranslationProcessor

    def __init__(
        self,
        processor: TranslationProcessor,
        embedding_dim: LayerSize = 256,
        hidden_dim: LayerSize = 512,
        num_layers: NumLayers = 2,
        dropout: DropProbability = 0.5,
        cell: CellName = "lstm",
        teacher_forcing: Annotated[float, Range(0, 1)] = 1.0,
        label_smoothing: Smoothing = 0.0,
        word_dropout: DropProbability = 0.0,
        decoding: BeamSettings = BeamSettings(),
        optimization: Optimization = Optimization(),
    ) -> None:
        sizes = (embedding_dim, hidden_dim, num_layers, dropout, cell)
        model = Seq2Seq(Encoder(len(processor.source), *sizes), Decoder(len(processor.target), *sizes))
        super().__init__(processor, model, optimization, decoding)
        self.model: Seq2Seq
        self.teacher_forcing = teacher_forcing
        self.label_smoothing = label_smoothing
        self.word_dropout = word_dropout

    def make_metrics(self) -> dict[str, Metric]:
        return super().make_metrics() | {f"bleu_{name}": BLEU(lowercase=True) for name in _LENGTHS}

    def loss(self, batch: TranslationBatch) -> Tensor:
        assert batch.target is not None
        assert batch.labels is not None
        shown = drop_words(batch.target[1:], self.word_dropout, UNK)
        target = torch.cat([batch.target[:1], shown])
        return self._mean_loss(batch, target, self.teacher_forcing, self.label_smoothing)

    def _mean_loss(
        self, batch: TranslationBatch, target: Tensor, teacher_forcing: float, label_smoothing: float
    ) -> Tensor:
        """A scored word's mean loss, the decoder being shown `target` [T, B]."""
        assert batch.labels is not None
        features = self.model.features(
            batch.source, target, batch.lengths, batch.target_lengths, teacher_forcing
        )
        return token_loss(self.model.decoder, features, batch.labels, label_smoothing)

    def update_metrics(self, batch: TranslationBatch, metrics: Mapping[str, Any]) -> None:
        assert batch.labels is not None
        assert batch.target is not None
        assert batch.references is not None
        count = (batch.labels != IGNORED).sum()
        loss = self._mean_loss(batch, batch.target, teacher_forcing=1.0, label_smoothing=0.0)
        metrics["loss"].update(loss * count, count)
        texts = [answer["text"] for answer in self.answer(batch)]
        metrics["bleu"].update(texts, batch.references)
        metrics["chrf"].update(texts, batch.references)
        for name, (least, most) in _LENGTHS.items():
            chosen = [i for i, length in enumerate(batch.lengths.tolist()) if least <= length <= most]
            metrics[f"bleu_{name}"].update([texts[i] for i in chosen], [batch.references[i] for i in chosen])

    def report_tables(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        by_length = [
            {"source_tokens": name, "bleu": float(metric.compute()), "sentences": int(metric.count)}
            for name in _LENGTHS
            for metric in [metrics[f"bleu_{name}"]]
        ]
        return super().report_tables(metrics) | {
            "bleu_by_length": [entry for entry in by_length if entry["sentences"]]
        }

    def plots(self, report: Mapping[str, Any]) -> dict[str, Figure]:
        by_length = report["bleu_by_length"]
        names, scores, counts = (
            [entry[key] for entry in by_length] for key in ("source_tokens", "bleu", "sentences")
        )
        return {"bleu_by_length": bleu_by_length_figure(names, scores, counts)} if by_length else {}

    def probe(self) -> Probe:
        return Probe("source", _first_word_logits)

    def answer(self, batch: TranslationBatch) -> list[dict[str, Any]]:
        """Of each sentence its best translation `text`, the `score` and all `n_best` of them."""
        state = self.model.encoder(batch.source, batch.lengths)
        # Where nothing was said, nothing is translated, rather than the likeliest sentence of all.
        return self.decode(self.model.decoder.step, state, self.processor.target, batch.lengths == 0)


def _first_word_logits(model: nn.Module, batch: TranslationBatch) -> Tensor:
    """Logits [1, B, V] of the first word of each translation."""
    assert isinstance(model, Seq2Seq)
    first = torch.full((1, len(batch)), BOS)
    return model.decoder(first, model.encoder(batch.source, batch.lengths))[0]
