"""What tasks share whose answers are generated texts, and how they decode."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Annotated, Any, Self

import pyarrow as pa
from torch import Tensor, nn
from torchmetrics import Metric
from typing_extensions import override

from nlp_rnn.data.vocabulary import BOS, EOS, PAD, UNK, Vocabulary
from nlp_rnn.errors import UsageError
from nlp_rnn.lite.decoding.constraints import Demand, check_demands
from nlp_rnn.lite.decoding.hypotheses import Hypothesis
from nlp_rnn.lite.tasks.answers import format_text, text_answers
from nlp_rnn.models.constraints import constrained_beam_search, force_prefixes
from nlp_rnn.models.decoding import StepFunction
from nlp_rnn.models.layers.base import State
from nlp_rnn.models.row_sampling import row_uniforms, sample_rows
from nlp_rnn.models.search import beam_search
from nlp_rnn.settings import MaxOutput, Range, Seed, Settings
from nlp_rnn.tasks.base import B, P, Task
from nlp_rnn.tasks.interface import AnswerColumn, RowScore
from nlp_rnn.tasks.metrics import BLEU, ChrF, MeanLoss
from nlp_rnn.tasks.optimization import Optimization
from nlp_rnn.tasks.views import View, hypotheses


@dataclass(frozen=True)
class BeamSettings(Settings):
    """How a trained model decodes its answers: by beam search.

    Args:
        beam: width of the beam; 1 is greedy decoding.
        length_penalty: exponent alpha of Wu et al. (2016), equation 14; 0 favors short answers.
        n_best: answers per input, at most `beam`.
        max_output: maximum number of tokens in an answer.

    Raises:
        UsageError: a value is out of range, or `n_best` is larger than `beam`.
    """

    beam: Annotated[int, Range(1, 1_000)] = 1
    length_penalty: Annotated[float, Range(0, 10)] = 1.0
    n_best: Annotated[int, Range(1, 1_000)] = 1
    max_output: MaxOutput = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_best > self.beam:
            raise UsageError(f"n_best must be at most the beam's width, {self.beam}, not {self.n_best}")


@dataclass(frozen=True)
class SamplingSettings(Settings):
    """How a text is continued token by token: greedily, or by sampling.

    Args:
        max_output: maximum number of tokens.
        temperature: tokens are sampled from the logits divided by it; greedy decoding if left out.
        top_k: sample from the k most probable tokens only (Fan et al. 2018).
        top_p: sample from the fewest most probable tokens whose probabilities sum to at least this (nucleus
            sampling, Holtzman et al. 2020).
        seed: of the random numbers; each text is different if left out.

    Raises:
        UsageError: a value is out of range, or one for sampling is given without a temperature.
    """

    max_output: MaxOutput = 100
    temperature: Annotated[float, Range(1e-3, 1_000)] | None = None
    top_k: Annotated[int, Range(1, 10**8)] | None = None
    top_p: Annotated[float, Range(1e-6, 1)] | None = None
    seed: Seed | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.temperature is None and (self.top_k, self.top_p, self.seed) != (None, None, None):
            raise UsageError("top_k, top_p and seed are for sampling: set a temperature too")


class GenerationTask(Task[P, B]):
    """A task whose model generates its answers token by token.

    Args:
        processor: turns inputs into ids and ids into batches.
        model: computes the scores.
        optimization: initialization, optimizer and schedule.
        decoding: how answers are decoded.
    """

    lower_is_better = frozenset({"loss", "perplexity"})
    processor_metrics = frozenset({"loss", "perplexity"})  # per token
    sampling: SamplingSettings | None = None
    """How answers are sampled; None for beam search."""

    def __init__(
        self,
        processor: P,
        model: nn.Module,
        optimization: Optimization,
        decoding: BeamSettings,
    ) -> None:
        super().__init__(processor, model, optimization)
        self.decoding = decoding

    def decode(
        self,
        step: StepFunction,
        state: State,
        vocabulary: Vocabulary,
        empty: Tensor,
        first: Tensor | int = BOS,
    ) -> list[dict[str, Any]]:
        """Answers by beam search.

        Args:
            step: one step of the model: (tokens [B], state) -> logits [B, V] and the next state.
            state: the state before the first step.
            vocabulary: of the generated tokens.
            empty: [B] bool, the rows whose answer is the empty text, without a score.
            first: the first input token, one for all rows or [B].

        Returns:
            Per row the best `text`, its `score`, and the `n_best` of both as a list.
        """
        best = self.search(step, state, first)
        texts = [[vocabulary.decode(hypothesis.tokens) for hypothesis in row] for row in best]
        return text_answers(best, texts, empty.tolist())

    def search(
        self,
        step: StepFunction,
        state: State,
        first: Tensor | int = BOS,
        forbidden: Sequence[int] = (PAD, UNK, BOS),
        demands: Sequence[Demand] = (),
        keys: Sequence[Sequence[int]] = (),
    ) -> list[list[Hypothesis]]:
        """The best hypotheses of each row by beam search, or samples, see `with_sampling`.

        Args:
            step: one step of the model: (tokens [B], state) -> logits [B, V] and the next state.
            state: the state before the first step.
            first: the first input token, one for all rows or [B].
            forbidden: ids that are never produced.
            demands: one per row, or none at all.
            keys: integers that stand for each row where answers are sampled, such as its source ids.

        Raises:
            UsageError: a demand needs more tokens than `max_output`, or constraints that samples cannot keep.
        """
        max_output = self._max_output()
        check_demands(demands, max_output)
        if any(demand.prefix for demand in demands):
            step, state = force_prefixes(step, state, [demand.prefix for demand in demands])
        if self.sampling is not None:
            if any(demand.constraints for demand in demands):
                raise UsageError("constraints are kept by beam search, not by samples: do not sample")
            return self._samples(self.sampling, step, state, first, forbidden, keys)
        options: dict[str, Any] = {
            "bos_id": first,
            "eos_id": EOS,
            "max_length": max_output,
            "width": self.decoding.beam,
            "length_penalty": self.decoding.length_penalty,
            "n_best": self.decoding.n_best,
            "forbidden": forbidden,
        }
        if any(demand.constraints for demand in demands):
            return constrained_beam_search(step, state, [demand.constraints for demand in demands], **options)
        return beam_search(step, state, **options)

    def _samples(
        self,
        sampling: SamplingSettings,
        step: StepFunction,
        state: State,
        first: Tensor | int,
        forbidden: Sequence[int],
        keys: Sequence[Sequence[int]],
    ) -> list[list[Hypothesis]]:
        """`n_best` samples of each row."""
        assert sampling.temperature is not None
        assert sampling.seed is not None
        count, limit = self.decoding.n_best, self._max_output()
        samples = [
            sample_rows(
                step,
                state,
                row_uniforms([(number, *key) for key in keys], limit, sampling.seed),
                bos_id=first,
                eos_id=EOS,
                max_length=limit,
                temperature=sampling.temperature,
                top_k=sampling.top_k,
                forbidden=forbidden,
            )
            for number in range(count)
        ]
        return [list(row) for row in zip(*samples, strict=True)]

    @override
    @staticmethod
    def format_answer(answer: dict[str, Any]) -> str:
        return format_text(answer)

    @override
    def answer_columns(self, scores: bool = False) -> dict[str, AnswerColumn]:
        columns = super().answer_columns(scores) | {"score": AnswerColumn(pa.float64(), itemgetter("score"))}
        if self.decoding.n_best > 1:
            hypothesis = pa.struct([("text", pa.string()), ("score", pa.float64())])
            columns["n_best"] = AnswerColumn(pa.list_(hypothesis), itemgetter("n_best"))
        return columns

    @override
    def views(self) -> tuple[View, ...]:
        return (
            View("text", "text", lambda _, answer: self.format_answer(answer)),
            View("table", "best texts of the beam", hypotheses),
        )

    @override
    def with_decoding(
        self, beam: int | None = None, n_best: int | None = None, copy_unknown: bool | None = None
    ) -> Self:
        if copy_unknown is not None:
            super().with_decoding(copy_unknown=copy_unknown)  # which refuses it
        if n_best is None:
            n_best = min(self.decoding.n_best, beam or self.decoding.beam)
        beam = max(n_best, self.decoding.beam) if beam is None else beam
        task = copy.copy(self)
        task.decoding = replace(self.decoding, beam=beam, n_best=n_best)
        return task

    @override
    def apply_settings(self, settings: Mapping[str, Any]) -> None:
        self.decoding = settings.get("decoding", BeamSettings())

    def _max_output(self) -> int:
        # An untrained model rarely emits EOS: the sanity check before training would decode to the limit.
        in_sanity_check = self._trainer is not None and self._trainer.sanity_checking
        return min(2, self.decoding.max_output) if in_sanity_check else self.decoding.max_output


class ReferencedTask(GenerationTask[P, B]):
    """A task whose texts are compared with references, by case-insensitive BLEU and chrF."""

    row_score = RowScore("chrF")

    @override
    def make_metrics(self) -> dict[str, Metric]:
        return {"loss": MeanLoss(), "bleu": BLEU(lowercase=True), "chrf": ChrF(lowercase=True)}

    @override
    def compute_metrics(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        loss = metrics["loss"].compute()
        return {
            "loss": loss.item(),
            "perplexity": loss.exp().item(),
            "bleu": float(metrics["bleu"].compute()),
            "chrf": float(metrics["chrf"].compute()),
        }

    @override
    def report_tables(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "bleu_signature": metrics["bleu"].signature,
            "chrf_signature": metrics["chrf"].signature,
            "decoding": {"beam": self.decoding.beam, "length_penalty": self.decoding.length_penalty},
        }


def text_scores(texts: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """The `bleu` and `chrf` of texts, ignoring case."""
    metrics = {"bleu": BLEU(lowercase=True), "chrf": ChrF(lowercase=True)}
    for metric in metrics.values():
        metric.update(texts, references)
    return {name: float(metric.compute()) for name, metric in metrics.items()}
