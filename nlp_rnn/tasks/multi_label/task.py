"""Multi-label classification: any number of labels per text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import compress
from operator import itemgetter
from typing import Any, Self

import pyarrow as pa
import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric
from typing_extensions import override

from nlp_rnn.data.labels import UNSEEN
from nlp_rnn.errors import UsageError, printable
from nlp_rnn.lite.tasks.answers import SEPARATOR, format_label_set, label_set_answers, no_label_set
from nlp_rnn.models.classifier import Classifier
from nlp_rnn.models.ensemble import Ensemble, mean_independent_probabilities
from nlp_rnn.models.layers.cells import CellName
from nlp_rnn.models.pooling import PoolingName
from nlp_rnn.settings import DropProbability, LayerSize, NumLayers
from nlp_rnn.tasks.baselines import ALWAYS, BAG_OF_WORDS, BagOfWords, most_frequent
from nlp_rnn.tasks.interface import (
    AnswerColumn,
    Answers,
    Baseline,
    Decision,
    EncodedSplit,
    Judgement,
    Probe,
    RowScore,
)
from nlp_rnn.tasks.metrics import MeanLoss
from nlp_rnn.tasks.multi_label.data import MultiLabelBatch, MultiLabelProcessor
from nlp_rnn.tasks.multi_label.metrics import LabelSetCounts, best_thresholds
from nlp_rnn.tasks.optimization import Optimization
from nlp_rnn.tasks.regularization import LabelSetTargets, Regularization, check_locked, regularized_loss
from nlp_rnn.tasks.single_label import Threshold
from nlp_rnn.tasks.text_classification import TextReader
from nlp_rnn.tasks.transfer import initialize_layers
from nlp_rnn.tasks.views import View, label_scores

_OVERALL = ("precision", "recall", "f1", "macro_f1", "exact_match")

UNKNOWN_LABEL = "(unknown label)"
"""What reports call a label of the data that the model does not know."""


class MultiLabel(TextReader[MultiLabelProcessor, MultiLabelBatch]):
    """Trains `Classifier` on texts with any number of labels, each of which is decided by itself.

    Metrics: `precision`, `recall` and `f1` over all labels of all texts (micro), `macro_f1`, the mean F1 of
    the labels, and `exact_match`, the fraction of texts whose labels are all right. A label of the data that
    the model does not know counts as one that it missed.

    Args:
        processor: vocabulary and labels; linked from the data.
        embedding_dim: size of the embedding.
        hidden_dim: size of the recurrent state, per direction.
        num_layers: number of recurrent layers.
        dropout: on the embedding, between layers and before the output layer.
        cell: the recurrent cell, a name in `nlp_rnn.models.layers.cells.CELLS`.
        bidirectional: read in both directions.
        pooling: what the output layer reads: the last state, the mean or max of the outputs, all three
            joined (concat), or a mean with learned weights (attention).
        word_dropout: fraction of tokens replaced by the unknown token in training.
        locked: use one dropout mask for all tokens of a text (Gal & Ghahramani 2016).
        init_encoder: folder or checkpoint of a trained language model, whose embedding and recurrent weights
            are copied, in each direction that it has; not stored, and not needed after training.
        vectors: file of word vectors (GloVe, fastText .vec, word2vec) to initialize the embedding with,
            scaled to the size of its random values; not stored, and not needed after training.
        tune_thresholds: choose for each label the threshold with the best F1 on validation when training has
            ended.
        thresholds: the probability from which a label is given, one per label; 0.5 for all if left out.
        regularization: terms that are added to the training loss.
        optimization: initialization, optimizer and schedule.
    """

    name = "multi_label"
    progress_bar_metrics = ("f1",)
    example = "not a bad film"
    processor_class = MultiLabelProcessor
    row_score = RowScore("F1 of the labels")
    fitted = frozenset({"thresholds"})

    def __init__(
        self,
        processor: MultiLabelProcessor,
        embedding_dim: LayerSize = 128,
        hidden_dim: LayerSize = 128,
        num_layers: NumLayers = 1,
        dropout: DropProbability = 0.5,
        cell: CellName = "lstm",
        bidirectional: bool = True,
        pooling: PoolingName = "max",
        word_dropout: DropProbability = 0.0,
        locked: bool = False,
        init_encoder: str | None = None,
        vectors: str | None = None,
        tune_thresholds: bool = True,
        thresholds: Sequence[Threshold] | None = None,
        regularization: Regularization = Regularization(),
        optimization: Optimization = Optimization(),
    ) -> None:
        regularization.check_dropout(dropout, word_dropout)
        check_locked(locked, dropout)
        sizes = (len(processor.tokens), len(processor.labels), embedding_dim, hidden_dim, num_layers)
        model = Classifier(*sizes, dropout, cell, bidirectional, pooling, locked)
        super().__init__(processor, model, optimization)
        self.word_dropout = word_dropout
        self.regularization = regularization
        self.tune_thresholds = tune_thresholds
        self.thresholds: Sequence[float] | None = None
        self.apply_settings({"thresholds": thresholds})
        initialize_layers(processor.tokens, model.embedding, model.rnn, init_encoder, vectors)

    @property
    @override
    def labels(self) -> list[str]:
        labels: list[str] = self.processor.labels
        return labels

    @property
    @override
    def metric_labels(self) -> Sequence[str]:
        return self.labels

    @override
    def loss(self, batch: MultiLabelBatch) -> Tensor:
        return regularized_loss(
            self.regularization,
            lambda: self.training_logits(batch),
            self._targets(batch),
            self.model,
        )

    def _targets(self, batch: MultiLabelBatch) -> LabelSetTargets:
        assert batch.labels is not None
        return LabelSetTargets(batch.labels[:, :-1])

    @override
    def make_metrics(self) -> dict[str, Metric]:
        return {"loss": MeanLoss(), "counts": LabelSetCounts(len(self.labels) + 1)}

    @override
    def update_metrics(self, batch: MultiLabelBatch, metrics: Mapping[str, Any]) -> Answers:
        assert batch.labels is not None
        logits = self.logits(batch)
        metrics["loss"].update(self._targets(batch).loss(logits) * len(batch), len(batch))
        predicted = F.pad(self._is_given(logits), (0, 1))  # labels that the model does not know
        metrics["counts"].update(predicted, batch.labels.bool())
        return partial(self.label_answers, logits)

    @override
    def judge(self, answer: dict[str, Any], row: Mapping[str, Any]) -> Judgement:
        """Each label is a decision; its absence is called "no LABEL"."""
        ids, given = set(row["label_ids"]), set(answer["labels"])
        names = [label for id, label in enumerate(self.labels) if id in ids]
        decisions = []
        for label, score in answer["scores"].items():
            true, answered = label in names, label in given
            reference, predicted = (label if present else f"no {label}" for present in (true, answered))
            decisions.append(Decision(reference, predicted, score if answered else 1 - score))
        if UNSEEN in ids:
            names.append(UNKNOWN_LABEL)
            decisions.append(Decision(UNKNOWN_LABEL, f"no {UNKNOWN_LABEL}"))
        total = len(names) + len(given)
        f1 = 2 * len(given & set(names)) / total if total else 1.0
        return Judgement(SEPARATOR.join(names), f1, decisions)

    @override
    def baselines(self, measured: EncodedSplit, train: EncodedSplit | None) -> list[Baseline]:
        labels = self._sets(measured)
        often = most_frequent(map(tuple, (labels if train is None else self._sets(train)).tolist()))
        always = torch.tensor(often).expand(len(labels), -1)
        name = f"{ALWAYS}s, {SEPARATOR.join(compress(self.labels, often)) or 'none'}"
        baselines = [Baseline(name, self._results(always, labels))]
        if train is not None:
            bag = BagOfWords(
                [(text,) for text in train.columns["text"]], self._sets(train)[:, :-1].float(), True
            )
            logits = bag.logits([(text,) for text in measured.columns["text"]])
            baselines.append(Baseline(BAG_OF_WORDS, self._results(F.pad(logits > 0, (0, 1)), labels)))
        return baselines

    def _sets(self, split: EncodedSplit) -> Tensor:
        """The labels of all rows, [N, C + 1] bool, the last for those that the model does not know."""
        sets = torch.zeros(len(split.rows), len(self.labels) + 1, dtype=torch.bool)
        for row, ids in enumerate(split.rows[list(range(len(split.rows)))]["label_ids"]):
            sets[row, [len(self.labels) if id == UNSEEN else id for id in ids.tolist()]] = True
        return sets

    def _results(self, predicted: Tensor, labels: Tensor) -> dict[str, float]:
        counts = LabelSetCounts(len(self.labels) + 1)
        counts.update(predicted, labels)
        scores = counts.compute()
        return {name: scores[name].item() for name in _OVERALL}

    @override
    def record_columns(self) -> dict[str, AnswerColumn]:
        return self.answer_columns(scores=True)

    @override
    def compute_metrics(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        scores = metrics["counts"].compute()
        by_label = zip(self.labels, scores["label_f1"].tolist(), strict=False)
        return {
            "loss": metrics["loss"].compute().item(),
            **{name: scores[name].item() for name in _OVERALL},
            **{f"f1_{printable(label)}": f1 for label, f1 in by_label},
        }

    @override
    def report_tables(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        scores = metrics["counts"].compute()
        columns = (
            scores[name].tolist() for name in ("label_precision", "label_recall", "label_f1", "support")
        )
        rows = zip(self.labels, self._thresholds().tolist(), *columns, strict=False)
        keys = ("label", "threshold", "precision", "recall", "f1", "support")
        return {"labels": [dict(zip(keys, row, strict=True)) for row in rows]}

    @override
    def ensembled(self, tasks: Sequence[Self]) -> Self:
        models = [task.model for task in tasks]
        task = self.with_model(Ensemble(models, mean_independent_probabilities))
        task.thresholds = torch.stack([task._thresholds().double() for task in tasks]).mean(0).tolist()
        return task

    @override
    @torch.no_grad()
    def fit_to_validation(self, batches: Iterable[MultiLabelBatch]) -> dict[str, Any]:
        if not self.tune_thresholds:
            return {}
        probabilities, labels = [], []
        for batch in batches:
            assert batch.labels is not None
            probabilities.append(self.logits(batch.to(self.device)).float().sigmoid().cpu())
            labels.append(batch.labels[:, :-1].bool())
        self.thresholds = best_thresholds(torch.cat(probabilities), torch.cat(labels))
        return {"thresholds": self.thresholds}

    @override
    def apply_settings(self, settings: Mapping[str, Any]) -> None:
        thresholds = settings.get("thresholds")
        if thresholds is None:  # what was fitted stays
            return
        if len(thresholds) != len(self.labels):
            raise UsageError(f"{len(thresholds)} thresholds do not fit {len(self.labels)} labels")
        self.thresholds = thresholds

    def _thresholds(self) -> Tensor:
        """[C] float32, on the CPU."""
        return torch.tensor(self.thresholds if self.thresholds is not None else [0.5] * len(self.labels))

    def _is_given(self, logits: Tensor) -> Tensor:
        """[B, C] bool: whether a label is one of the answer, from logits [B, C]."""
        return logits.float().sigmoid() >= self._thresholds().to(logits.device)

    @override
    def label_answers(self, logits: Tensor) -> list[dict[str, Any]]:
        """Per row the `labels`, of which there may be none, and the probabilities of all labels, `scores`.

        Of a row without tokens the `labels` are None.
        """
        probabilities = logits.float().sigmoid().tolist()
        return label_set_answers(self._is_given(logits).tolist(), probabilities, self.labels)

    @override
    @staticmethod
    def no_answer() -> dict[str, Any]:
        return no_label_set()

    @override
    @staticmethod
    def format_answer(answer: dict[str, Any]) -> str:
        return format_label_set(answer)

    @override
    def answer_columns(self, scores: bool = False) -> dict[str, AnswerColumn]:
        columns = {"prediction": AnswerColumn(pa.list_(pa.string()), itemgetter("labels"), SEPARATOR)}
        for label in self.labels if scores else ():
            columns[f"probability_{label}"] = AnswerColumn(pa.float32(), _score_of(label))
        return columns

    @override
    def views(self) -> tuple[View, ...]:
        return (
            View("text", "labels", lambda _, answer: ", ".join(answer["labels"] or ()) or "(none)"),
            View("scores", "probability of each label", label_scores),
        )

    @override
    def probe(self) -> Probe:
        return Probe("tokens", lambda model, batch: model(batch.tokens, batch.lengths)[None])


def _score_of(label: str) -> Callable[[dict[str, Any]], float | None]:
    return lambda answer: answer["scores"].get(label)
