"""Text pairs: one label per pair of texts."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from typing_extensions import override

from nlp_rnn.data.vocabulary import UNK
from nlp_rnn.models.layers.cells import CellName
from nlp_rnn.models.pair_classifier import PairClassifier
from nlp_rnn.models.pooling import PoolingName
from nlp_rnn.settings import DropProbability, LayerSize, NumLayers, Smoothing
from nlp_rnn.tasks.losses import drop_words
from nlp_rnn.tasks.optimization import Optimization
from nlp_rnn.tasks.regularization import Regularization, check_locked
from nlp_rnn.tasks.single_label import SingleLabelTask, Temperature, Threshold
from nlp_rnn.tasks.text_pairs.data import TextPairsBatch, TextPairsProcessor
from nlp_rnn.tasks.transfer import initialize_layers


class TextPairs(SingleLabelTask[TextPairsProcessor, TextPairsBatch]):
    """Trains `PairClassifier` on labeled pairs of texts.

    Args:
        processor: vocabulary and labels; linked from the data.
        embedding_dim: size of the embedding.
        hidden_dim: size of the recurrent state, per direction.
        num_layers: number of recurrent layers.
        dropout: on the embedding, between layers and before the output layer.
        cell: the recurrent cell, a name in `nlp_rnn.models.layers.cells.CELLS`.
        bidirectional: read in both directions.
        pooling: how the outputs over time become the summary of a text: the last state, the mean or max, all
            three joined (concat), or a mean with learned weights (attention).
        label_smoothing: fraction of probability spread over all labels in the training loss.
        word_dropout: fraction of tokens replaced by the unknown token in training.
        locked: use one dropout mask for all tokens of a text (Gal & Ghahramani 2016).
        init_encoder: folder or checkpoint of a trained language model, whose embedding and recurrent weights
            are copied, in each direction that it has; not stored, and not needed after training.
        vectors: file of word vectors (GloVe, fastText .vec, word2vec) to initialize the embedding with,
            scaled to the size of its random values; not stored, and not needed after training.
        calibrate: fit the temperature on validation when training has ended, so that an answer of probability
            p is right in a fraction p of cases; needs 100 rows of validation.
        temperature: what the scores are divided by before they become probabilities.
        unsure_below: the probability below which the answer is "unsure".
        regularization: terms that are added to the training loss.
        optimization: initialization, optimizer and schedule.
    """

    name = "text_pairs"
    example = ["a man plays a guitar", "a man makes music"]
    processor_class = TextPairsProcessor

    def __init__(
        self,
        processor: TextPairsProcessor,
        embedding_dim: LayerSize = 128,
        hidden_dim: LayerSize = 128,
        num_layers: NumLayers = 1,
        dropout: DropProbability = 0.3,
        cell: CellName = "lstm",
        bidirectional: bool = True,
        pooling: PoolingName = "max",
        label_smoothing: Smoothing = 0.0,
        word_dropout: DropProbability = 0.0,
        locked: bool = False,
        init_encoder: str | None = None,
        vectors: str | None = None,
        calibrate: bool = True,
        temperature: Temperature = 1.0,
        unsure_below: Threshold = 0.0,
        regularization: Regularization = Regularization(),
        optimization: Optimization = Optimization(),
    ) -> None:
        regularization.check_dropout(dropout, word_dropout)
        check_locked(locked, dropout)
        sizes = (len(processor.tokens), len(processor.labels), embedding_dim, hidden_dim, num_layers)
        model = PairClassifier(*sizes, dropout, cell, bidirectional, pooling, locked)
        training = (label_smoothing, word_dropout, processor.label_weights)
        answering = (calibrate, temperature, unsure_below)
        super().__init__(processor, model, optimization, *training, *answering, regularization)
        initialize_layers(processor.tokens, model.embedding, model.rnn, init_encoder, vectors)

    @override
    def logits(self, batch: TextPairsBatch) -> Tensor:
        return self._logits(batch, batch.first, batch.second)

    @override
    def training_logits(self, batch: TextPairsBatch) -> Tensor:
        first, second = (drop_words(ids, self.word_dropout, UNK) for ids in (batch.first, batch.second))
        return self._logits(batch, first, second)

    def _logits(self, batch: TextPairsBatch, first: Tensor, second: Tensor) -> Tensor:
        """Logits [B, C] with `first` [T, B] and `second` [S, B] in place of those of the batch."""
        logits: Tensor = self.model(first, second, batch.lengths, batch.second_lengths)
        return logits

    @override
    def row_names(self) -> dict[str, Sequence[str]]:
        labels = self.labels
        return {
            "embedding.weight": self.processor.tokens.tokens(),
            "fc_out.weight": labels,
            "fc_out.bias": labels,
        }
