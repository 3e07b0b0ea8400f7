"""Translation: sentence to sentence, by an encoder-decoder (Sutskever et al. 2014)."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, repeat
from typing import TYPE_CHECKING, Annotated, Any, Self

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from typing_extensions import override

from nlp_rnn.data.batching import IGNORED, pad
from nlp_rnn.data.vocabulary import BOS, EOS, UNK
from nlp_rnn.errors import UsageError
from nlp_rnn.lite.decoding.constraints import Demand
from nlp_rnn.lite.decoding.hypotheses import Hypothesis
from nlp_rnn.lite.tasks.answers import text_answers
from nlp_rnn.models.layers.base import State
from nlp_rnn.models.layers.cells import CellName
from nlp_rnn.models.seq2seq import Seq2Seq
from nlp_rnn.models.translator import AttentionName, ReadoutName, Tied, make_seq2seq
from nlp_rnn.models.writer_ensemble import Seq2SeqEnsemble
from nlp_rnn.plots.bleu import bleu_by_length_figure
from nlp_rnn.settings import DropProbability, LayerSize, NumLayers, Range, Smoothing, check_value
from nlp_rnn.tasks.generation import BeamSettings, ReferencedTask, SamplingSettings, text_scores
from nlp_rnn.tasks.interface import (
    Alignment,
    Answers,
    Baseline,
    EncodedSplit,
    Finding,
    Judgement,
    Probe,
    Target,
    TextPair,
)
from nlp_rnn.tasks.losses import drop_words, token_loss
from nlp_rnn.tasks.metrics import BLEU, sentence_chrf
from nlp_rnn.tasks.optimization import Optimization
from nlp_rnn.tasks.placement import on_device
from nlp_rnn.tasks.translation.data import TranslationBatch, TranslationProcessor
from nlp_rnn.tasks.translation.errors import find_errors
from nlp_rnn.tasks.translation.flaws import find_flaw
from nlp_rnn.tasks.translation.scoring import rerank

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Ranges of source lengths in tokens, for which BLEU is reported separately.
_LENGTHS = {
    "0-5": (0, 5),
    "6-10": (6, 10),
    "11-15": (11, 15),
    "16-20": (16, 20),
    "21-30": (21, 30),
    "over 30": (31, 1 << 62),
}


class Translation(ReferencedTask[TranslationProcessor, TranslationBatch]):
    """Trains `Seq2Seq` on sentence pairs.

    Metrics: `loss` per token in nats, `perplexity`, and case-insensitive `bleu` and `chrf`.

    Args:
        processor: vocabularies of both languages; linked from the data.
        embedding_dim: size of both embeddings.
        hidden_dim: size of the recurrent state.
        num_layers: number of recurrent layers of the encoder, and of the decoder.
        dropout: on embeddings, between layers and before the output layer.
        cell: the recurrent cell, a name in `nlp_rnn.models.layers.cells.CELLS`.
        tie_embeddings: share one weight between the decoder's embedding and output layer (decoder), and the
            encoder's embedding too (all, with data.shared_vocabulary); needs embedding_dim = hidden_dim.
        context: feed the encoder's final state to the decoder at each step (Cho et al. 2014).
        readout: what the output layer reads with context: a layer that combines hidden state, context and
            word (combined), or these themselves (direct).
        attention: look at all source words at each step: none, bahdanau (2015) or luong (2015).
        bidirectional: let the encoder read the source in both directions, with half of hidden_dim for each.
        teacher_forcing: probability that the decoder reads the true token, not its own prediction, in
            training (scheduled sampling, Bengio et al. 2015).
        label_smoothing: fraction of probability spread over all words in the training loss.
        word_dropout: fraction of the decoder's input tokens replaced by the unknown token in training.
        decoding: how texts are decoded in validation, in testing and for answers.
        copy_unknown: let answers have unknown words, and copy them from the source: the word that attention
            weighs most; without attention, the source's unknown words in their order.
        optimization: initialization, optimizer and schedule.
    """

    name = "translation"
    progress_bar_metrics = ("bleu",)
    example = "zwei hunde spielen im schnee."
    processor_class = TranslationProcessor
    reranker: tuple[Translation, float] | None = None
    """Another model that chooses among the beam's translations, and the weight of its scores."""
    tells_finished = False
    """Whether each of the `n_best` says if it is `finished`, if EOS came before the maximum length."""

    def __init__(
        self,
        processor: TranslationProcessor,
        embedding_dim: LayerSize = 256,
        hidden_dim: LayerSize = 512,
        num_layers: NumLayers = 2,
        dropout: DropProbability = 0.5,
        cell: CellName = "lstm",
        tie_embeddings: Tied = "none",
        context: bool = False,
        readout: ReadoutName = "combined",
        attention: AttentionName = "none",
        bidirectional: bool = False,
        teacher_forcing: Annotated[float, Range(0, 1)] = 1.0,
        label_smoothing: Smoothing = 0.0,
        word_dropout: DropProbability = 0.0,
        decoding: BeamSettings = BeamSettings(),
        copy_unknown: bool = False,
        optimization: Optimization = Optimization(),
    ) -> None:
        if tie_embeddings == "all" and processor.source.fingerprint != processor.target.fingerprint:
            raise UsageError(
                "tie_embeddings all needs one vocabulary for both languages: set data.shared_vocabulary to "
                "true, or tie_embeddings to decoder"
            )
        model = make_seq2seq(
            len(processor.source),
            len(processor.target),
            embedding_dim,
            hidden_dim,
            num_layers,
            dropout,
            cell,
            tie_embeddings=tie_embeddings,
            context=context,
            readout=readout,
            attention=attention,
            bidirectional=bidirectional,
        )
        super().__init__(processor, model, optimization, decoding)
        self.model: Seq2Seq
        self.teacher_forcing = teacher_forcing
        self.label_smoothing = label_smoothing
        self.word_dropout = word_dropout
        self.copy_unknown = copy_unknown

    @override
    def ensembled(self, tasks: Sequence[Self]) -> Self:
        return self.with_model(Seq2SeqEnsemble([task.model for task in tasks]))

    @override
    def make_metrics(self) -> dict[str, Metric]:
        return super().make_metrics() | {f"bleu_{name}": BLEU(lowercase=True) for name in _LENGTHS}

    @override
    def loss(self, batch: TranslationBatch) -> Tensor:
        assert batch.target is not None
        assert batch.labels is not None
        inputs = drop_words(batch.target[1:], self.word_dropout, UNK)  # all but BOS
        target = torch.cat([batch.target[:1], inputs])
        return self._mean_loss(batch, target, self.teacher_forcing, self.label_smoothing)

    def _mean_loss(
        self, batch: TranslationBatch, target: Tensor, teacher_forcing: float, label_smoothing: float
    ) -> Tensor:
        """Mean loss per token when the decoder reads `target` [T, B]."""
        assert batch.labels is not None
        assert batch.target_lengths is not None
        features = self.model.features(
            batch.source, target, batch.lengths, batch.target_lengths, teacher_forcing
        )
        return token_loss(
            self.model.decoder.cross_entropy, features, batch.labels, batch.target_lengths, label_smoothing
        )

    @override
    def update_metrics(self, batch: TranslationBatch, metrics: Mapping[str, Any]) -> Answers:
        assert batch.labels is not None
        assert batch.target is not None
        assert batch.references is not None
        count = (batch.labels != IGNORED).sum()
        loss = self._mean_loss(batch, batch.target, teacher_forcing=1.0, label_smoothing=0.0)
        metrics["loss"].update(loss * count, count)
        answers = self.answer(batch)
        texts = [answer["text"] for answer in answers]
        metrics["bleu"].update(texts, batch.references)
        metrics["chrf"].update(texts, batch.references)
        for name, (least, most) in _LENGTHS.items():
            chosen = [i for i, length in enumerate(batch.lengths.tolist()) if least <= length <= most]
            metrics[f"bleu_{name}"].update([texts[i] for i in chosen], [batch.references[i] for i in chosen])
        return lambda: answers

    @override
    def baselines(self, measured: EncodedSplit, train: EncodedSplit | None) -> list[Baseline]:
        texts = (list(measured.columns[name]) for name in ("source", "target"))
        return [Baseline("source copied", text_scores(*texts))]

    @override
    def findings(self, pairs: Sequence[TextPair]) -> list[Finding]:
        return find_errors(pairs)

    @override
    def judge(self, answer: dict[str, Any], row: Mapping[str, Any]) -> Judgement:
        return Judgement(row["target"], sentence_chrf(answer["text"], row["target"]))

    @override
    def report_tables(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        by_length = [
            {"source_tokens": name, "bleu": float(metric.compute()), "sentences": int(metric.count)}
            for name in _LENGTHS
            for metric in [metrics[f"bleu_{name}"]]
        ]
        tables = super().report_tables(metrics)
        if self.reranker is not None:
            tables["decoding"]["rerank_weight"] = self.reranker[1]
        return tables | {"bleu_by_length": [entry for entry in by_length if entry["sentences"]]}

    @override
    def plots(self, report: Mapping[str, Any]) -> dict[str, Figure]:
        by_length = report["bleu_by_length"]
        names, scores, counts = (
            [entry[key] for entry in by_length] for key in ("source_tokens", "bleu", "sentences")
        )
        return {"bleu_by_length": bleu_by_length_figure(names, scores, counts)} if by_length else {}

    @override
    def row_names(self) -> dict[str, Sequence[str]]:
        encoder, decoder = self.model.encoder, self.model.decoder
        output = ("bias",) if decoder.fc_out is None else ("fc_out.weight", "fc_out.bias")
        parts = [f"decoder.{part}" for part in ("embedding.weight", *output)]
        names: dict[str, Sequence[str]] = {}
        if hasattr(encoder, "embedding"):  # it is the decoder's where all are tied
            names["encoder.embedding.weight"] = self.processor.source.tokens()
        return names | dict.fromkeys(parts, self.processor.target.tokens())

    @override
    def probe(self) -> Probe:
        return Probe(
            "source",
            _first_token_logits,
            alignment=self._alignment,
            reads_from_end=self.processor.reverse_source,
        )

    @torch.inference_mode()
    def _alignment(self, batch: TranslationBatch) -> Alignment | None:
        """The weights of attention for the best translation of the only sentence of a batch."""
        state = self.model.encoder(batch.source, batch.lengths)
        best = self.search(self.model.decoder.step, state)[0][0]
        target = torch.tensor([BOS, *best.tokens], device=batch.source.device)[:, None]
        weights = self.model.decoder.alignment(target, state)
        if weights is None:
            return None
        names = self.processor.target.tokens()
        written = [*best.tokens, EOS] if best.finished else best.tokens
        return Alignment([names[id] for id in written], weights[: len(written), 0].float().cpu())

    @override
    def answer(self, batch: TranslationBatch) -> list[dict[str, Any]]:
        """Per sentence the best translation `text`, its `score`, and the `n_best` of both."""
        if self.reranker is None:
            return self._search_answers(batch)
        if self.decoding.beam == 1:
            raise UsageError("a single translation cannot be reranked: set a beam, such as --beam 5")
        assert batch.source_texts is not None
        model, weight = self.reranker
        wide = self.with_decoding(n_best=self.decoding.beam)
        on_device(model, batch.source.device)
        found = wide._search_answers(batch)
        answers = rerank([wide, model], batch.source_texts, found, [1 - weight, weight])
        return [answer | {"n_best": answer["n_best"][: self.decoding.n_best]} for answer in answers]

    def _search_answers(self, batch: TranslationBatch) -> list[dict[str, Any]]:
        """The answers of this model alone, see `answer`."""
        state = self.model.encoder(batch.source, batch.lengths)
        nothing: list[Any] = [[]] * len(batch)
        pairs = zip(batch.prefixes or nothing, batch.constraints or nothing, strict=True)
        demands = [Demand(prefix, constraints) for prefix, constraints in pairs]
        forbidden = self.processor.never_written(self.copy_unknown)
        keys: list[list[int]] = []
        if self.sampling is not None:
            pairs_of = zip(batch.source.t().tolist(), batch.lengths.tolist(), strict=True)
            keys = [ids[:length] for ids, length in pairs_of]
        best = self.search(self.model.decoder.step, state, forbidden=forbidden, demands=demands, keys=keys)
        copied = self._copied(batch, state, best) if self.copy_unknown else repeat([])
        decode, order = self.processor.target.decode, self.processor.target_order
        read = [order([hypothesis.tokens for hypothesis in row]) for row in best]
        texts = [[decode(tokens, next(copied)) for tokens in row] for row in read]
        # The translation of an empty text is empty, not the most probable of all sentences.
        asked = torch.tensor([demand.size > 0 for demand in demands], dtype=torch.bool)
        answers = text_answers(best, texts, ((batch.lengths == 0) & ~asked).tolist())
        if self.tells_finished:
            for row, answer in zip(best, answers, strict=True):
                for hypothesis, entry in zip(row, answer["n_best"], strict=True):
                    entry["finished"] = hypothesis.finished
        return answers

    def _copied(
        self, batch: TranslationBatch, state: State, best: Sequence[Sequence[Hypothesis]]
    ) -> Iterator[list[str]]:
        """For each hypothesis of each row, the source words that stand for its unknown tokens.

        Args:
            batch: the source sentences.
            state: what the encoder returned for them.
            best: of each row its best hypotheses.

        Yields:
            The words in reading order.
        """
        assert batch.source_texts is not None
        rows = [row for row, hypotheses in enumerate(best) for _ in hypotheses]
        targets = [[BOS, *hypothesis.tokens] for hypotheses in best for hypothesis in hypotheses]
        device = batch.source.device
        repeated = tuple(tensor.index_select(1, torch.tensor(rows, device=device)) for tensor in state)
        weights = self.model.decoder.alignment(pad(targets)[0].to(device), repeated)  # [T, hypotheses, S]
        places = weights.argmax(-1).t().tolist() if weights is not None and len(batch.source) else []
        for number, (row, target) in enumerate(zip(rows, targets, strict=True)):
            parts = list(
                islice(self.processor.source.parts(batch.source_texts[row]), int(batch.lengths[row]))
            )
            if not places or not parts:
                yield [part for id, part in parts if id == UNK]
                continue
            if self.processor.reverse_source:
                parts.reverse()
            steps = zip(target[1:], places[number], strict=False)  # the row of the last token scores EOS
            words = [parts[place][1] for token, place in steps if token == UNK]
            yield words[::-1] if self.processor.reverse_target else words

    @override
    def with_sampling(self, temperature: float, seed: int, n_best: int = 1, top_k: int | None = None) -> Self:
        task = self.with_decoding(n_best, n_best)
        task.sampling = SamplingSettings(temperature=temperature, top_k=top_k, seed=seed)
        return task

    @override
    def reranked(self, model: Any, weight: float = 0.5) -> Self:
        check_value(Annotated[float, Range(0, 1)], weight, "rerank weight")
        if not isinstance(model, Translation):
            raise UsageError(f"translations are reranked by a model for translation, not for {model.name}")
        task = copy.copy(self)
        task.reranker = model, weight
        return task

    @override
    def as_teacher(self) -> Self:
        task = copy.copy(self)
        task.tells_finished = True
        return task

    @override
    def targets(self, answer: dict[str, Any]) -> list[Target]:
        return [
            Target(
                {"target": best["text"], "score": best["score"]}, find_flaw(best["text"], best["finished"])
            )
            for best in answer["n_best"]
            if best["text"]
        ]

    @override
    def with_decoding(
        self, beam: int | None = None, n_best: int | None = None, copy_unknown: bool | None = None
    ) -> Self:
        task = super().with_decoding(beam, n_best)
        task.copy_unknown = self.copy_unknown if copy_unknown is None else copy_unknown
        return task

    @override
    def apply_settings(self, settings: Mapping[str, Any]) -> None:
        super().apply_settings(settings)
        self.copy_unknown = settings.get("copy_unknown", False)


def _first_token_logits(model: nn.Module, batch: TranslationBatch) -> Tensor:
    """Logits [1, B, V] of the first token of each translation."""
    assert isinstance(model, Seq2Seq)
    first = torch.full((1, len(batch)), BOS)
    logits: Tensor = model.decoder(first, model.encoder(batch.source, batch.lengths))[0]
    return logits
