"""Tagging: one tag per word, such as parts of speech."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import Metric
from typing_extensions import override

from nlp_rnn.data.batching import IGNORED
from nlp_rnn.data.labels import UNSEEN
from nlp_rnn.data.vocabulary import UNK
from nlp_rnn.models.layers.cells import CellName
from nlp_rnn.models.tagger import Tagger
from nlp_rnn.settings import DropProbability, LayerSize, NumLayers, Smoothing
from nlp_rnn.tasks.classification import (
    ClassificationTask,
    require_unidirectional,
    step_answers,
)
from nlp_rnn.tasks.interface import Probe, StreamState
from nlp_rnn.tasks.losses import drop_words, label_loss
from nlp_rnn.tasks.metrics import MeanLoss
from nlp_rnn.tasks.optimization import Optimization
from nlp_rnn.tasks.tagging.data import TaggingBatch, TaggingProcessor
from nlp_rnn.tasks.tagging.scoring import ClassScorer
from nlp_rnn.tasks.transfer import initialize_embedding, initialize_encoder


class Tagging(ClassificationTask[TaggingProcessor, TaggingBatch]):
    """Trains `Tagger` on tagged sentences.

    Besides the metrics of a `ClassificationTask` it has `known_accuracy` and `unknown_accuracy`, of the words
    that the vocabulary contains and of those that it does not.

    Args:
        processor: vocabularies and tags; linked from the data.
        embedding_dim: size of the word embedding.
        hidden_dim: size of the recurrent state, per direction.
        num_layers: number of recurrent layers.
        dropout: on the word features, between layers and before the output layer.
        cell: the recurrent cell, a name in `nlp_rnn.models.layers.cells.CELLS`.
        bidirectional: read in both directions.
        character_embedding_dim: size of the character embedding.
        character_hidden_dim: size of the recurrent state over the characters of a word, per direction.
        label_smoothing: fraction of probability spread over all tags in the training loss.
        word_dropout: fraction of words replaced by the unknown word in training; their characters remain.
        init_encoder: folder or checkpoint of a trained language model, whose embedding and recurrent weights
            are copied where their shapes match; not stored, and not needed after training.
        vectors: file of word vectors (GloVe, fastText .vec, word2vec) to initialize the embedding with; not
            stored, and not needed after training.
        optimization: initialization, optimizer and schedule.
    """

    name = "tagging"
    example = "i work at google"
    processor_class = TaggingProcessor

    def __init__(
        self,
        processor: TaggingProcessor,
        embedding_dim: LayerSize = 100,
        hidden_dim: LayerSize = 200,
        num_layers: NumLayers = 1,
        dropout: DropProbability = 0.5,
        cell: CellName = "lstm",
        bidirectional: bool = True,
        character_embedding_dim: LayerSize = 32,
        character_hidden_dim: LayerSize = 64,
        label_smoothing: Smoothing = 0.0,
        word_dropout: DropProbability = 0.0,
        init_encoder: str | None = None,
        vectors: str | None = None,
        optimization: Optimization = Optimization(),
    ) -> None:
        model = Tagger(
            vocab_size=len(processor.words),
            num_tags=len(processor.labels),
            embedding_dim=embedding_dim,
            hidden_dim=hidden_dim,
            num_layers=num_layers,
            dropout=dropout,
            cell=cell,
            bidirectional=bidirectional,
            character_vocab_size=len(processor.characters) if processor.characters is not None else 0,
            character_embedding_dim=character_embedding_dim,
            character_hidden_dim=character_hidden_dim,
        )
        self.scorer = ClassScorer(processor.tag_column)
        super().__init__(processor, model, optimization)
        self.model: Tagger
        self.label_smoothing = label_smoothing
        self.word_dropout = word_dropout
        self.conllu_columns = dict.fromkeys(processor.column_names, "tags")
        if init_encoder is not None:
            initialize_encoder(init_encoder, processor.words, model.embedding, model.rnn)
        if vectors is not None:
            initialize_embedding(vectors, processor.words, model.embedding)

    @override
    def make_metrics(self) -> dict[str, Metric]:
        return {"loss": MeanLoss(), **self.scorer.make_metrics()}

    @override
    def logits(self, batch: TaggingBatch) -> Tensor:
        return self._logits(batch, batch.words)

    def _logits(self, batch: TaggingBatch, words: Tensor) -> Tensor:
        return _logits(self.model, batch, words)

    @override
    def loss(self, batch: TaggingBatch) -> Tensor:
        assert batch.labels is not None
        logits = self._logits(batch, drop_words(batch.words, self.word_dropout, UNK))
        return label_loss(logits, batch.labels, self.label_smoothing)

    @override
    def update_metrics(self, batch: TaggingBatch, metrics: Mapping[str, Any]) -> None:
        assert batch.labels is not None
        logits = self.logits(batch).float()  # [T, B, tags]
        seen = batch.labels.masked_fill(batch.labels == UNSEEN, IGNORED)
        loss = F.cross_entropy(logits.flatten(0, 1), seen.flatten(), ignore_index=IGNORED, reduction="sum")
        metrics["loss"].update(loss, (seen != IGNORED).sum())
        self.scorer.update(metrics, logits.argmax(-1), batch.labels, batch.words > UNK)

    @override
    def compute_metrics(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        return {"loss": metrics["loss"].compute().item(), **self.scorer.compute(metrics)}

    @override
    def report_tables(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        return self.scorer.tables(metrics)

    @override
    def answer(self, batch: TaggingBatch) -> list[dict[str, Any]]:
        """Per sentence the `tags`, up to the maximum length, and their probabilities `scores`."""
        return step_answers(self.logits(batch), batch.lengths, self.labels, "tags")

    @override
    def row_names(self) -> dict[str, Sequence[str]]:
        characters = self.processor.characters
        letters = {} if characters is None else {"word_encoder.embedding.weight": characters.tokens()}
        words = self.processor.words.tokens()
        return {"embedding.weight": words, **letters} | dict.fromkeys(
            ("fc_out.weight", "fc_out.bias"), self.labels
        )

    @override
    def probe(self) -> Probe:
        return Probe("words", lambda model, batch: _logits(model, batch, batch.words), "per_step")

    @override
    def start_stream(self) -> StreamState:
        require_unidirectional(self.model.rnn)
        return StreamState({"tags": [], "scores": []}, self.model.initial_state(1))

    @override
    def read_stream(self, piece: str | Sequence[str], stream: StreamState) -> StreamState:
        """The state after a piece; its answer has the tags of the words of this piece only."""
        (words,) = self.processor.rows([piece])["tokens"]
        state, scores, tags = stream.state, [], []
        for word in words:
            row = self.processor.encode({"tokens": [[word]]})
            batch = self.processor.collate({"row": [0], **row}).to(self.device)
            spelling = None if batch.spelling is None else batch.spelling[0]
            logits, state = self.model.step(
                batch.words[0], state, batch.characters, batch.character_lengths, spelling
            )
            score, tag = logits[0].float().softmax(-1).max(-1)
            scores.append(score.item())
            tags.append(self.labels[int(tag)])
        return StreamState({"tags": tags, "scores": scores}, state) if tags else stream

    @override
    @staticmethod
    def format_answer(answer: dict[str, Any]) -> str:
        return " ".join(answer["tags"])


def _logits(model: nn.Module, batch: TaggingBatch, words: Tensor) -> Tensor:
    """Logits [T, B, C] with `words` [T, B] in place of those of the batch."""
    logits: Tensor = model(words, batch.lengths, batch.characters, batch.character_lengths, batch.spelling)
    return logits
