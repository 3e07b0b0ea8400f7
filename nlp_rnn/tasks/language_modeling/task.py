"""Language modelling: what comes next."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric

from nlp_rnn.data.batching import IGNORED
from nlp_rnn.data.processor import collect_warnings
from nlp_rnn.data.vocabulary import BOS, EOS, PAD, UNK
from nlp_rnn.models.language_model import LanguageModel
from nlp_rnn.models.layers.base import State
from nlp_rnn.models.layers.cells import CellName
from nlp_rnn.models.layers.loss import linear_cross_entropy
from nlp_rnn.models.sampling import stream
from nlp_rnn.settings import DropProbability, LayerSize, NumLayers, Smoothing
from nlp_rnn.tasks.base import Encoder, Probe, Step, StreamState
from nlp_rnn.tasks.generation import BeamSettings, GenerationTask, SamplingSettings
from nlp_rnn.tasks.language_modeling.data import LanguageModelingBatch, LanguageModelingProcessor
from nlp_rnn.tasks.losses import drop_words
from nlp_rnn.tasks.metrics import MeanLoss
from nlp_rnn.tasks.optimization import Optimization

NEVER_GENERATED = (PAD, UNK, BOS)


class LanguageModeling(GenerationTask[LanguageModelingProcessor, LanguageModelingBatch]):
    """Trains `LanguageModel` on texts.

    Args:
        processor: vocabulary, and how texts are read; linked from the data.
        embedding_dim: size of the embedding.
        hidden_dim: size of the recurrent state.
        num_layers: recurrent layers.
        dropout: on the embedding, between layers and before the last linear layer.
        cell: rnn, gru, lstm, mingru or minlstm.
        tie_weights: let the last layer's weight be the embedding's, of equal size then.
        locked: let dropout have one mask for all time steps.
        weight_dropout: on the hidden-to-hidden weights.
        label_smoothing: share of probability spread over all tokens in the training loss.
        word_dropout: share of tokens hidden while the model trains.
        decoding: how a text is continued.
        optimization: how the weights are moved.
    """

    name = "language_modeling"
    progress_bar_metrics = ("perplexity",)
    example = "the film is"
    processor_class = LanguageModelingProcessor

    def __init__(
        self,
        processor: LanguageModelingProcessor,
        embedding_dim: LayerSize = 256,
        hidden_dim: LayerSize = 256,
        num_layers: NumLayers = 1,
        dropout: DropProbability = 0.2,
        cell: CellName = "lstm",
        tie_weights: bool = False,
        locked: bool = False,
        weight_dropout: DropProbability = 0.0,
        label_smoothing: Smoothing = 0.0,
        word_dropout: DropProbability = 0.0,
        decoding: BeamSettings = BeamSettings(),
        optimization: Optimization = Optimization(),
    ) -> None:
        model = LanguageModel(
            vocab_size=len(processor.tokens),
            embedding_dim=embedding_dim,
            hidden_dim=hidden_dim,
            num_layers=num_layers,
            dropout=dropout,
            cell=cell,
            tie_weights=tie_weights,
            locked=locked,
            weight_dropout=weight_dropout,
        )
        super().__init__(processor, model, optimization, decoding)
        self.model: LanguageModel
        self.label_smoothing = label_smoothing
        self.word_dropout = word_dropout
        self._reached: dict[str, State] = {}  # of running text, where training and measuring are

    def make_metrics(self) -> dict[str, Metric]:
        return {"loss": MeanLoss(), "loss_a_character": MeanLoss(), "unknown": MeanLoss()}

    def loss(self, batch: LanguageModelingBatch) -> Tensor:
        hidden = drop_words(batch.tokens, self.word_dropout, UNK)
        tokens = torch.where(batch.tokens == BOS, BOS, hidden)
        return self._mean_loss(batch, tokens, "training", self.label_smoothing)

    def _mean_loss(
        self, batch: LanguageModelingBatch, tokens: Tensor, reader: str, label_smoothing: float
    ) -> Tensor:
        """A label's mean loss, the model being shown `tokens` [T, B] where this reader is."""
        assert batch.labels is not None
        if self.processor.window is None:
            features = self.model.features(tokens, batch.lengths)
        else:
            start = None if batch.fresh else self._reached.get(reader)
            features, state = self.model.read(tokens, start)
            self._reached[reader] = tuple(part.detach() for part in state)
        scored = batch.labels != IGNORED
        return linear_cross_entropy(
            features[scored], *self.model.output, batch.labels[scored], label_smoothing
        )

    def update_metrics(self, batch: LanguageModelingBatch, metrics: Mapping[str, Any]) -> None:
        assert batch.labels is not None
        assert batch.characters is not None
        count = (batch.labels != IGNORED).sum()
        total = self._mean_loss(batch, batch.tokens, "measuring", label_smoothing=0.0) * count
        metrics["loss"].update(total, count)
        metrics["loss_a_character"].update(total, batch.characters.sum())
        metrics["unknown"].update((batch.labels == UNK).sum(), count)

    def compute_metrics(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        loss = metrics["loss"].compute()
        return {
            "loss": loss.item(),
            "perplexity": loss.exp().item(),
            "bits_per_character": metrics["loss_a_character"].compute().item() / math.log(2),
        }

    def report_tables(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        """How many tokens, marks of end among them, are foretold; and the share of these that are unknown.

        An unknown token is foretold as such: the more there are, the lower are loss and bits a character.
        """
        tokens = int(metrics["loss"].count)
        return {"tokens": tokens, "unknown_tokens": metrics["unknown"].compute().item()}

    def answer(self, batch: LanguageModelingBatch) -> list[dict[str, Any]]:
        """Of each text what follows it as `text`, the `score` and all `n_best`; and what is said of itself.

        That is its `log_prob`, in nats, without that of its end; and, with a `probability`, the token that is
        likeliest to come `next`, perhaps the end.
        """
        # All but each text's last token is read; that one is what writing begins with.
        ends = batch.lengths - 1
        features, state = self.model.read(batch.tokens[:-1], lengths=ends)
        last = batch.tokens.gather(0, ends.to(batch.tokens.device)[None])[0]
        following = batch.tokens[1:].where(
            torch.arange(len(features))[:, None].to(last.device) < ends.to(last.device), IGNORED
        )
        log_prob = torch.zeros(len(batch), device=last.device)
        for read, next in zip(features, following, strict=True):  # the logits of one step at a time
            log_prob -= F.cross_entropy(self.model.logits(read).float(), next, reduction="none")
        found = self.decode(
            self.model.step, state, self.processor.tokens, torch.zeros(len(batch), dtype=torch.bool), last
        )
        ahead = self._ahead(self.model.step(last, state)[0], log_prob)
        return [one | other for one, other in zip(found, ahead, strict=True)]

    def probe(self) -> Probe:
        return Probe("tokens", lambda model, batch: model(batch.tokens, lengths=batch.lengths)[0])

    def encoder(self) -> Encoder:
        return Encoder(self.processor.tokens, self.model.embedding, self.model.rnn)

    def start_stream(self) -> StreamState:
        like = self.model.embedding.weight
        first = torch.tensor([BOS], device=self.device)
        logits, state = self.model.step(first, self.model.rnn.initial_state(1, like))
        log_prob = torch.zeros(1, device=self.device)
        return StreamState(self._ahead(logits, log_prob)[0], (*state, logits, log_prob))

    def read_stream(self, piece: str, reading: StreamState) -> StreamState:
        """The answer says what comes next, and how likely all is that has been read."""
        *state, logits, log_prob = reading.state
        (ids,) = self.processor.tokens.encode([piece])
        for id in ids:
            token = torch.tensor([id], device=self.device)
            log_prob = log_prob - F.cross_entropy(logits.float(), token)
            logits, state = self.model.step(token, tuple(state))  # type: ignore[assignment]
        return StreamState(self._ahead(logits, log_prob)[0], (*state, logits, log_prob)) if ids else reading

    def _ahead(self, logits: Tensor, log_prob: Tensor) -> list[dict[str, Any]]:
        """Of texts with these logits [B, vocab_size] of what follows, and these log-probabilities [B]."""
        never = torch.tensor(NEVER_GENERATED, device=logits.device)
        best, ids = logits.float().index_fill(1, never, -torch.inf).softmax(1).max(1)
        name = self.processor.tokens.tokenizer.id_to_token
        return [
            {"log_prob": own, "next": name(id), "probability": share}
            for own, id, share in zip(log_prob.tolist(), ids.tolist(), best.tolist(), strict=True)
        ]

    def generate(self, prompt: str, settings: SamplingSettings) -> Iterator[Step]:
        """Read a beginning, then write on, a step at a time and at the same cost for each.

        Of the beginning's steps `written` is the likeliest token, whatever really comes next.

        Raises:
            UsageError: the beginning has a lone surrogate; found, as unknown tokens are, before any step.
        """
        with collect_warnings():
            rows = self.processor.rows([prompt])
            batch = self.processor.collate({"row": [0], **self.processor.encode(rows)})
        return self._generate(batch.to(self.device), prompt[-1:].isspace(), settings)

    @torch.inference_mode()
    def _generate(
        self, batch: LanguageModelingBatch, spaced: bool, settings: SamplingSettings
    ) -> Iterator[Step]:
        """The steps from a batch of one beginning, which may end in a space already."""
        vocabulary = self.processor.tokens
        names = vocabulary.tokens()
        ids = batch.tokens[:, 0].tolist()  # the mark of beginning first
        logits, state = self.model(batch.tokens[:-1])
        for id, share in zip(ids[1:-1], logits[1:, 0].float().softmax(-1), strict=True):
            best = int(share.argmax())
            yield Step(names[id], names[best], float(share[best]), "")
        generator = torch.Generator(self.device)
        if settings.seed is None:
            generator.seed()
        else:
            generator.manual_seed(settings.seed)
        last = ids[-1]
        for id, log_prob in stream(
            self.model.step,
            state,
            bos_id=last,
            eos_id=EOS,
            max_length=settings.max_output,
            temperature=settings.temperature,
            top_k=settings.top_k,
            top_p=settings.top_p,
            generator=generator,
            forbidden=NEVER_GENERATED,
        ):
            piece = "" if id == EOS else vocabulary.piece(last, id)
            if spaced and piece != names[id]:  # a space that is set, not one that is itself a token
                piece = piece.removeprefix(" ")
            yield Step(names[last], names[id], math.exp(log_prob), piece)
            last, spaced = id, False
