"""Part-of-speech tagging: one tag a word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric
from torchmetrics.classification import MulticlassConfusionMatrix

from nlp_rnn.data.batching import IGNORED
from nlp_rnn.data.tagging import TaggingBatch, TaggingProcessor
from nlp_rnn.data.vocabulary import UNK
from nlp_rnn.metrics import MeanLoss, class_report
from nlp_rnn.models.tagger import Tagger
from nlp_rnn.tasks.module import (
    Reading,
    Task,
    check_forward,
    class_details,
    class_figures,
    drop_words,
    mean_loss,
    plain_settings,
)
from nlp_rnn.tasks.optimization import Optimization
from nlp_rnn.tasks.transfer import take_encoder


class Tagging(Task[TaggingProcessor, TaggingBatch]):
    """Trains `Tagger` on tagged sentences.

    Args:
        processor: vocabularies and tags; linked from the data.
        embedding_dim: size of the word embedding.
        hidden_dim: size of the recurrent state, in each direction.
        num_layers: recurrent layers.
        dropout: on the words' vectors, between layers and before the last linear layer.
        cell: rnn, gru, lstm, mingru or minlstm.
        bidirectional: read from both ends.
        character_embedding_dim: size of the letters' embedding.
        character_hidden_dim: size of the state that reads a word's letters, in each direction.
        label_smoothing: share of probability spread over all tags in the training loss.
        word_dropout: share of words hidden while the model trains; their letters are still read.
        init_encoder: a trained language model, folder or checkpoint, to take the embedding and the recurrent
            weights from where they fit; it is not looked for again, nor stored.
        optimization: how the weights are moved.
    """

    name = "tagging"
    shown = ("accuracy",)
    example = "i work at google"
    processor_class = TaggingProcessor

    def __init__(
        self,
        processor: TaggingProcessor,
        embedding_dim: int = 100,
        hidden_dim: int = 200,
        num_layers: int = 1,
        dropout: float = 0.5,
        cell: str = "lstm",
        bidirectional: bool = True,
        character_embedding_dim: int = 32,
        character_hidden_dim: int = 64,
        label_smoothing: float = 0.0,
        word_dropout: float = 0.0,
        init_encoder: str | None = None,
        optimization: Optimization = Optimization(),
    ) -> None:
        settings = plain_settings(locals())
        self.num_tags = len(processor.labels)
        model = Tagger(
            len(processor.words),
            self.num_tags,
            embedding_dim,
            hidden_dim,
            num_layers,
            dropout,
            cell,
            bidirectional,
            len(processor.characters) if processor.characters is not None else 0,
            character_embedding_dim,
            character_hidden_dim,
        )
        super().__init__(processor, model, settings, optimization)
        self.model: Tagger
        self.label_smoothing = label_smoothing
        self.word_dropout = word_dropout
        if init_encoder is not None:
            take_encoder(init_encoder, processor.words, model.embedding, model.rnn)

    def make_metrics(self) -> dict[str, Metric]:
        matrices = {name: MulticlassConfusionMatrix(self.num_tags) for name in ("known", "unknown")}
        return {"loss": MeanLoss(), **matrices}

    def _logits(self, batch: TaggingBatch, words: Tensor) -> Tensor:
        return self.model(words, batch.lengths, batch.characters, batch.character_lengths, batch.spelling)

    def loss(self, batch: TaggingBatch) -> Tensor:
        assert batch.labels is not None
        logits = self._logits(batch, drop_words(batch.words, self.word_dropout, UNK))
        return mean_loss(logits, batch.labels, self.label_smoothing)

    def measure(self, batch: TaggingBatch, metrics: Mapping[str, Any]) -> None:
        assert batch.labels is not None
        scored = batch.labels != IGNORED
        logits = self._logits(batch, batch.words)[scored].float()  # [words, tags]
        labels, known = batch.labels[scored], (batch.words > UNK)[scored]
        metrics["loss"].update(F.cross_entropy(logits, labels, reduction="sum"), len(labels))
        metrics["known"].update(logits[known], labels[known])
        metrics["unknown"].update(logits[~known], labels[~known])

    def results(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        known, unknown = metrics["known"].compute(), metrics["unknown"].compute()
        return {
            "loss": metrics["loss"].compute().item(),
            **class_figures(known + unknown, self.processor.labels),
            "known_accuracy": class_report(known).accuracy,
            "unknown_accuracy": class_report(unknown).accuracy,
        }

    def details(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        known, unknown = metrics["known"].compute(), metrics["unknown"].compute()
        words = {"known_words": int(known.sum()), "unknown_words": int(unknown.sum())}
        return words | class_details(known + unknown, self.processor.labels)

    def answer(self, batch: TaggingBatch) -> list[dict[str, Any]]:
        """Of each sentence its `tags` and the probability of each as `scores`, up to the maximum length."""
        best, tags = self._logits(batch, batch.words).float().softmax(-1).max(-1)  # [T, B] each
        labels = self.processor.labels
        return [
            {"tags": [labels[tag] for tag in row[:length]], "scores": scores[:length]}
            for row, scores, length in zip(
                tags.t().tolist(), best.t().tolist(), batch.lengths.tolist(), strict=True
            )
        ]

    def begin(self) -> Reading:
        check_forward(self.model)
        return Reading({"tags": [], "scores": []}, self.model.initial_state(1))

    def advance(self, piece: str | Sequence[str], reading: Reading) -> Reading:
        """The answer is of the piece's own words."""
        (words,) = self.processor.rows([piece])["tokens"]
        state, found = reading.state, []
        for word in words:
            row = self.processor.encode({"tokens": [[word]]})
            batch = self.processor.collate({"row": [0], **row}).to(self.device)
            spelling = None if batch.spelling is None else batch.spelling[0]
            logits, state = self.model.step(
                batch.words[0], state, batch.characters, batch.character_lengths, spelling
            )
            found.append(logits[0].float().softmax(-1).max(-1))
        if not found:
            return reading
        tags = [self.processor.labels[int(tag)] for _, tag in found]
        return Reading({"tags": tags, "scores": [score.item() for score, _ in found]}, state)

    @staticmethod
    def plain(answer: dict[str, Any]) -> str:
        return " ".join(answer["tags"])
