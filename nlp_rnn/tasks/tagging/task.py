"""Tagging: one tag per word, such as parts of speech."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Self, cast

import pyarrow as pa
import torch
from torch import Tensor, nn
from torchmetrics import Metric
from typing_extensions import override

from nlp_rnn.data.batching import IGNORED
from nlp_rnn.data.corpus.conllu import conllu_block
from nlp_rnn.data.labels import UNSEEN
from nlp_rnn.data.vocabulary import UNK
from nlp_rnn.errors import UsageError, printable
from nlp_rnn.lite.tasks.answers import TagAnswer, format_tags, scores_key, tag_answers
from nlp_rnn.lite.text.spans import legal_sequences
from nlp_rnn.lite.text.word_reader import RAW, RawText
from nlp_rnn.models.ensemble import TaggerEnsemble
from nlp_rnn.models.layers.cells import CellName
from nlp_rnn.models.layers.crf import LinearChain, LinearChainCRF
from nlp_rnn.models.tagger import Tagger
from nlp_rnn.settings import DropProbability, LayerSize, NumLayers, Smoothing
from nlp_rnn.tasks.classification import (
    ClassificationTask,
    require_unidirectional,
    step_columns,
)
from nlp_rnn.tasks.interface import (
    AnswerColumn,
    Answers,
    Baseline,
    EncodedSplit,
    Judgement,
    Probe,
    StreamState,
    Target,
)
from nlp_rnn.tasks.losses import drop_words
from nlp_rnn.tasks.metrics import MeanLoss
from nlp_rnn.tasks.optimization import Optimization
from nlp_rnn.tasks.regularization import Regularization, check_locked, regularized_loss
from nlp_rnn.tasks.tagging.columns import TagColumn
from nlp_rnn.tasks.tagging.data import TaggingBatch, TaggingProcessor
from nlp_rnn.tasks.tagging.judging import judge_tags, word_baseline
from nlp_rnn.tasks.tagging.scoring import make_scorer
from nlp_rnn.tasks.tagging.string_features import load_language_model, make_string_encoder
from nlp_rnn.tasks.tagging.targets import TagTargets, by_column
from nlp_rnn.tasks.transfer import initialize_layers
from nlp_rnn.tasks.views import View, marked_words, tag_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MAX_CRF_LABELS = 1_000  # a step of a batch of 32 then takes about 1 GiB in training


class Tagging(ClassificationTask[TaggingProcessor, TaggingBatch]):
    """Trains `Tagger` on tagged sentences.

    Besides the metrics of a `ClassificationTask` it has `known_accuracy` and `unknown_accuracy`, of the words
    that the vocabulary contains and of those that it does not. For tags of spans, such as named entities,
    `precision`, `recall`, `f1` and the `f1_TYPE` of each type are those of spans, as conlleval defines them.
    All are of the first column of tags; with several there are `COLUMN_accuracy`, and `COLUMN_f1` too.

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
        word_dropout: fraction of words replaced by the unknown word in training; their characters and affixes
            remain.
        locked: use one dropout mask for all words of a sentence (Gal & Ghahramani 2016).
        crf: score the tags of a sentence as a whole, by a linear-chain conditional random field; those of the
            first column, which may have 1,000 labels.
        init_encoder: folder or checkpoint of a trained language model, whose embedding and recurrent weights
            are copied, in each direction that it has; not stored, and not needed after training.
        vectors: file of word vectors (GloVe, fastText .vec, word2vec) to initialize the embedding with,
            scaled to the size of its random values; not stored, and not needed after training.
        regularization: terms that are added to the training loss, without a CRF; the adversarial ones move
            the embedded words, not characters, affixes or what a language model read.
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
        locked: bool = False,
        crf: bool = False,
        init_encoder: str | None = None,
        vectors: str | None = None,
        regularization: Regularization = Regularization(),
        optimization: Optimization = Optimization(),
    ) -> None:
        regularization.check_dropout(dropout, word_dropout)
        check_locked(locked, dropout)
        if crf and regularization != Regularization():
            raise UsageError("regularization is for models without a CRF: leave it out, or set crf to false")
        if crf and label_smoothing:
            raise UsageError("label_smoothing is for models without a CRF: set it to 0, or crf to false")
        columns = processor.tag_columns
        if crf and len(processor.labels) > _MAX_CRF_LABELS:
            raise UsageError(
                f"crf: {columns[0].name} has {len(processor.labels):,} labels, and a CRF scores all pairs "
                f"of them, of at most {_MAX_CRF_LABELS:,}; set model.crf to false"
            )
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
            more_tags=[len(column.labels) for column in columns[1:]],
            crf=LinearChainCRF(*_legal(columns[0])) if crf else None,
            locked=locked,
            num_affixes=len(processor.affixes or ()),
            affix_buckets=processor.affix_buckets or 0,
            string_encoder=make_string_encoder(processor),
        )
        self.scorers = [make_scorer(column) for column in columns]
        if columns[0].scheme:
            self.progress_bar_metrics = ("f1",)
        super().__init__(processor, model, optimization)
        self.model: Tagger
        self.label_smoothing = label_smoothing
        self.word_dropout = word_dropout
        self.regularization = regularization
        self.crf = crf
        # Without a CRF too, tags of spans are such that their sequence is legal.
        spans = {str(n): column for n, column in enumerate(columns) if column.scheme and not (crf and n == 0)}
        self.chains = nn.ModuleDict({n: LinearChain(*_legal(column)) for n, column in spans.items()})
        self.keys = ["tags", *processor.column_names[1:]]
        """The keys of an answer, one per column of tags."""
        self.conllu_columns = dict(zip(processor.column_names, self.keys, strict=True))
        initialize_layers(processor.words, model.embedding, model.rnn, init_encoder, vectors)
        if model.string_encoder is not None:
            load_language_model(model.string_encoder, processor)

    @property
    @override
    def metric_labels(self) -> Sequence[str]:
        return [label for column in self.processor.tag_columns for label in (column.name, *column.labels)]

    @override
    def check_fits(self, other: Self) -> None:
        super().check_fits(other)
        if self.crf != other.crf:
            raise UsageError("crf: the tags are scored by a CRF in one model and word by word in another")

    @override
    def ensembled(self, tasks: Sequence[Self]) -> Self:
        return self.with_model(TaggerEnsemble([task.model for task in tasks]))

    @override
    def make_metrics(self) -> dict[str, Metric]:
        metrics: dict[str, Metric] = {"loss": MeanLoss()}
        for number, scorer in enumerate(self.scorers):
            metrics |= {_prefix(number) + name: metric for name, metric in scorer.make_metrics().items()}
        return metrics

    @override
    def logits(self, batch: TaggingBatch) -> Tensor:
        """[T, B, C] the scores of the tags of all columns, one column behind the other."""
        return _logits(self.model, batch)

    @override
    def loss(self, batch: TaggingBatch) -> Tensor:
        assert batch.labels is not None
        targets = self._targets(batch, batch.labels, self.label_smoothing)
        logits = partial(self.training_logits, batch, self.character_features(batch))
        return regularized_loss(self.regularization, logits, targets, self.model)

    def character_features(self, batch: TaggingBatch) -> Tensor | None:
        """[T, B, F] those of the model, which are the same in all passes over a batch."""
        return self.model.character_features(
            batch.characters, batch.character_lengths, batch.spelling, batch.strings
        )

    def training_logits(self, batch: TaggingBatch, features: Tensor | None) -> Tensor:
        """[T, B, C] the scores of the tags from which the loss is computed, after word dropout."""
        words = drop_words(batch.words, self.word_dropout, UNK)
        return self.model.score(words, features, batch.affixes, batch.lengths)

    def _targets(self, batch: TaggingBatch, labels: Tensor, smoothing: float = 0.0) -> TagTargets:
        crf = self.model.crf if self.crf else None
        return TagTargets(labels, self.model.sizes, batch.lengths, smoothing, crf)

    @override
    def update_metrics(self, batch: TaggingBatch, metrics: Mapping[str, Any]) -> Answers:
        assert batch.labels is not None
        logits = self.logits(batch).float()  # [T, B, C]
        seen = batch.labels.masked_fill(batch.labels == UNSEEN, IGNORED)
        metrics["loss"].update(self._targets(batch, seen).total(logits), (seen != IGNORED).sum())
        known, predicted = batch.words > UNK, self._predict(logits, batch.lengths)
        for number, (labels, (ids, _)) in enumerate(zip(by_column(batch.labels), predicted, strict=True)):
            self.scorers[number].update(_of(number, metrics), ids, labels, known, batch.texts)
        return partial(self._answers, predicted, batch.lengths, *_texts(batch))

    @override
    def judge(self, answer: dict[str, Any], row: Mapping[str, Any]) -> Judgement:
        return judge_tags(self.processor.tag_columns[0], answer, row)

    @override
    def baselines(self, measured: EncodedSplit, train: EncodedSplit | None) -> list[Baseline]:
        return [] if train is None else [word_baseline(self.scorers[0], measured, train)]

    @override
    def record_columns(self) -> dict[str, AnswerColumn]:
        columns = self.answer_columns()
        del columns["prediction_words"]  # they are those of the corpus
        return columns

    def _predict(self, logits: Tensor, lengths: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Per column the ids of the tags, [T, B], and their probabilities."""
        predicted = []
        for number, scores in enumerate(logits.float().split(self.model.sizes, -1)):
            probabilities = scores.softmax(-1)
            if self.crf and number == 0:
                ids = self.model.crf.best_tags(scores, lengths)
                probabilities = self.model.crf.marginals(scores, lengths).exp()
            elif str(number) in self.chains:
                ids = cast(LinearChain, self.chains[str(number)]).best_tags(scores, lengths)
            else:
                ids = scores.argmax(-1)
            predicted.append((ids, probabilities.gather(-1, ids[..., None])[..., 0]))
        return predicted

    @override
    def compute_metrics(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        results = [scorer.compute(_of(number, metrics)) for number, scorer in enumerate(self.scorers)]
        by_column = {}
        if len(results) > 1:
            for column, values in zip(self.processor.tag_columns, results, strict=True):
                for name in ("accuracy", "f1") if column.scheme else ("accuracy",):
                    by_column[f"{printable(column.name)}_{name}"] = values[name]
        return {"loss": metrics["loss"].compute().item(), **results[0], **by_column}

    @override
    def report_tables(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        return self.scorers[0].tables(metrics)

    @override
    def plots(self, report: Mapping[str, Any]) -> dict[str, Figure]:
        return super().plots(report) if "confusion" in report else {}

    @override
    def answer(self, batch: TaggingBatch) -> list[dict[str, Any]]:
        """Per sentence the `words`, their `tags`, up to the maximum length, and their probabilities `scores`.

        Further columns of tags are under their names, and their probabilities under `COLUMN_scores`. Of a
        sentence that was a text, `offsets` has the first character of each word and the one behind the last;
        the words of a contraction share those of the contraction. Tags of spans also have `entities`: the
        `type` of each span, its first word `start` and the word behind its last one, `end`, counted from 0,
        its `text`, and its `offsets` in a sentence that was a text. Batches of a corpus have no words.
        """
        predicted = self._predict(self.logits(batch), batch.lengths)
        return self._answers(predicted, batch.lengths, *_texts(batch))

    def _answers(
        self,
        predicted: Sequence[tuple[Tensor, Tensor]],
        lengths: Tensor,
        sentences: Sequence[Sequence[str] | None],
        raw_texts: Sequence[RawText | None],
    ) -> list[dict[str, Any]]:
        """The answers from what `_predict` returned."""
        columns = (
            TagAnswer(key, column.decode, ids.t().tolist(), probabilities.t().tolist())
            for column, key, (ids, probabilities) in zip(
                self.processor.tag_columns, self.keys, predicted, strict=True
            )
        )
        has_spans = bool(self.processor.tag_columns[0].scheme)
        return tag_answers(columns, lengths.tolist(), sentences, raw_texts, has_spans)

    @override
    def as_teacher(self) -> Self:
        return self

    @override
    def targets(self, answer: dict[str, Any]) -> list[Target]:
        if not answer["words"]:
            return []
        names = self.processor.column_names
        tags = {name: answer[key] for name, key in zip(names, self.keys, strict=True)}
        return [Target({"tokens": answer["words"], **tags, "probability": min(answer["scores"])})]

    @override
    def take_words(self) -> None:
        self.processor = replace(self.processor, splitter=None)

    @override
    def conllu_block(self, text: str) -> str:
        return conllu_block(text, self.processor.split(text))

    @override
    def row_names(self) -> dict[str, Sequence[str]]:
        characters = self.processor.characters
        letters = {} if characters is None else {"word_encoder.embedding.weight": characters.tokens()}
        columns = [column.labels for column in self.processor.tag_columns]
        outputs = {"fc_out": columns[0], **{f"fc_more.{n}": labels for n, labels in enumerate(columns[1:])}}
        rows = {f"{name}.{part}": labels for name, labels in outputs.items() for part in ("weight", "bias")}
        if self.crf:
            pairs = [repr((first, second)) for first in self.labels for second in self.labels]
            rows |= {"crf.start": self.labels, "crf.end": self.labels, "crf.transitions": pairs}
        if (read := self.processor.context_characters) is not None:
            letters["string_encoder.embedding.weight"] = read.tokens()
        return {"embedding.weight": self.processor.words.tokens(), **letters, **rows}

    @override
    def views(self) -> tuple[View, ...]:
        return View("marked", "tags", marked_words), View("table", "words", tag_table)

    @override
    def probe(self) -> Probe:
        return Probe("words", _first_logits, "per_step")

    @override
    def start_stream(self) -> StreamState:
        require_unidirectional(self.model.bidirectional)
        if self.processor.strings_read:
            raise UsageError("a tagger with a language model reads whole sentences: it has no stream")
        if self.crf or len(self.chains):
            raise UsageError(
                "the tags of spans and of a CRF are chosen for whole sentences, so this model cannot answer "
                "before the text has ended: train with --model.crf false and --data.scheme none"
            )
        empty = torch.zeros(0, 1, sum(self.model.sizes), device=self.device)
        nothing = torch.tensor([0])
        (answer,) = self._answers(self._predict(empty, nothing), nothing, [()], [None])
        return StreamState(answer, self.model.initial_state(1))

    @override
    def read_stream(self, piece: str | Sequence[str], stream: StreamState) -> StreamState:
        """The state after a piece; its answer has the tags of the words of this piece only."""
        (words,) = self.processor.rows([piece])["tokens"]
        state, logits = stream.state, []
        for word in words:
            row = self.processor.encode({"tokens": [[word]]})
            batch = self.processor.collate({"row": [0], **row}).to(self.device)
            spelling = None if batch.spelling is None else batch.spelling[0]
            affixes = None if batch.affixes is None else batch.affixes[0]
            scores, state = self.model.step(
                batch.words[0], state, batch.characters, batch.character_lengths, spelling, affixes
            )
            logits.append(scores)
        if not words:
            return stream
        size = torch.tensor([len(words)])
        (answer,) = self._answers(self._predict(torch.stack(logits), size), size, [words], [None])
        return StreamState(answer, state)

    @override
    @staticmethod
    def format_answer(answer: dict[str, Any]) -> str:
        """The words with slashes before their tags, and spaces between them: `word/TAG word/TAG`."""
        return format_tags(answer)

    @override
    def answer_columns(self, scores: bool = False) -> dict[str, AnswerColumn]:
        columns = super().answer_columns(scores)
        columns["prediction_words"] = AnswerColumn(pa.list_(pa.string()), itemgetter("words"))
        for number, key in enumerate(self.keys):
            columns |= step_columns(key, scores_key(key), f"_{key}" if number else "")
        return columns


def _legal(column: TagColumn) -> tuple[Tensor, Tensor, Tensor]:
    """Which labels may begin a sentence, follow one another and end it; all of them if they are no spans."""
    if column.scheme:
        start, transitions, end = map(torch.tensor, legal_sequences(column.labels, column.scheme))
        return start, transitions, end
    every = torch.ones(len(column.labels), dtype=torch.bool)
    return every, every.expand(len(every), -1), every


def _texts(batch: TaggingBatch) -> tuple[list[Any], list[Any]]:
    """The words of each sentence, and the text that they were split from; None where they are not known."""
    unknown = [None] * len(batch)
    return batch.texts.get("tokens", unknown), batch.texts.get(RAW, unknown)


def _prefix(number: int) -> str:
    """What begins the names of a column's metrics."""
    return f"{number}_" if number else ""


def _of(number: int, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics of a column, by the names that its scorer has for them."""
    prefix = _prefix(number)
    return {name.removeprefix(prefix): metric for name, metric in metrics.items() if name.startswith(prefix)}


def _logits(model: nn.Module, batch: TaggingBatch) -> Tensor:
    """Logits [T, B, C]."""
    spelled = batch.characters, batch.character_lengths, batch.spelling
    logits: Tensor = model(batch.words, batch.lengths, *spelled, batch.affixes, batch.strings)
    return logits


def _first_logits(model: nn.Module, batch: TaggingBatch) -> Tensor:
    """The logits [T, B, C] of the first column of tags, whose softmax is the probabilities of an answer."""
    assert isinstance(model, Tagger)
    logits = _logits(model, batch).split(model.sizes, -1)[0]
    return model.crf.marginals(logits, batch.lengths) if hasattr(model, "crf") else logits
