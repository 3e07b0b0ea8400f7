"""What the tasks share whose answers are sequences."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from torch import Tensor, nn
from torchmetrics import Metric

from nlp_rnn.data.batching import IGNORED
from nlp_rnn.data.vocabulary import BOS, EOS, PAD, UNK, Vocabulary
from nlp_rnn.errors import UsageError
from nlp_rnn.metrics import BLEU, ChrF, MeanLoss
from nlp_rnn.models.decoding import StepFunction, beam_search
from nlp_rnn.models.loss import linear_cross_entropy
from nlp_rnn.models.recurrent import State
from nlp_rnn.models.seq2seq import Decoder
from nlp_rnn.tasks.module import B, P, Task
from nlp_rnn.tasks.optimization import Optimization


@dataclass(frozen=True)
class Decoding:
    """How a trained model writes its answer.

    Args:
        beam: width of the beam; 1 is greedy decoding.
        length_penalty: exponent of Wu et al. (2016), equation 14; 0 favours short answers.
        n_best: answers a sentence, at most `beam`.
        max_output: most tokens in an answer.
    """

    beam: int = 1
    length_penalty: float = 1.0
    n_best: int = 1
    max_output: int = 100

    def __post_init__(self) -> None:
        if self.n_best > max(self.beam, 1):  # a beam of none has a message of its own
            raise UsageError(
                f"decoding.n_best must be at most the beam's width, {self.beam}, not {self.n_best}"
            )


class DecodingTask(Task[P, B]):
    """A task whose model writes its answer one token at a time."""

    def __init__(
        self,
        processor: P,
        model: nn.Module,
        settings: dict[str, Any],
        optimization: Optimization,
        decoding: Decoding,
    ) -> None:
        super().__init__(processor, model, settings, optimization)
        self.decoding = decoding

    def decode(
        self,
        step: StepFunction,
        state: State,
        vocabulary: Vocabulary,
        empty: Tensor,
        first: Tensor | int = BOS,
    ) -> list[dict[str, Any]]:
        """Of each row its best `text`, the `score` and all `n_best` of them.

        Args:
            step: the model, one token at a time.
            state: where it starts.
            vocabulary: of what it writes.
            empty: [B] bool, the rows whose answer is no text at all.
            first: the token that it is shown first, one or [B].
        """
        best = beam_search(
            step,
            state,
            bos_id=first,
            eos_id=EOS,
            max_length=self.decoding.max_output,
            width=self.decoding.beam,
            length_penalty=self.decoding.length_penalty,
            n_best=self.decoding.n_best,
            forbidden=(PAD, UNK, BOS),
        )
        answers = []
        for nothing, hypotheses in zip(empty.tolist(), best, strict=True):
            texts = [
                {"text": "" if nothing else vocabulary.decode(found.tokens), "score": found.score}
                for found in hypotheses
            ]
            answers.append({**texts[0], "n_best": texts})
        return answers

    @staticmethod
    def plain(answer: dict[str, Any]) -> str:
        return answer["text"]

    def decoding_with(self, beam: int, n_best: int = 1) -> Self:
        """One that shares all with this, but for the width of the beam and how many answers are kept."""
        task = copy.copy(self)
        task.decoding = replace(self.decoding, beam=beam, n_best=n_best)
        return task


class ReferencedTask(DecodingTask[P, B]):
    """A task whose texts are compared with written ones, by BLEU and chrF that disregard case."""

    def make_metrics(self) -> dict[str, Metric]:
        return {"loss": MeanLoss(), "bleu": BLEU(lowercase=True), "chrf": ChrF(lowercase=True)}

    def results(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        loss = metrics["loss"].compute()
        return {
            "loss": loss.item(),
            "perplexity": loss.exp().item(),
            "bleu": float(metrics["bleu"].compute()),
            "chrf": float(metrics["chrf"].compute()),
        }

    def details(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "bleu_signature": metrics["bleu"].signature,
            "chrf_signature": metrics["chrf"].signature,
            "decoding": {"beam": self.decoding.beam, "length_penalty": self.decoding.length_penalty},
        }


def word_loss(decoder: Decoder, features: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
    """A scored word's mean loss: the decoder's features [T, B, H], labels [T, B] -> scalar."""
    scored = labels != IGNORED
    last = decoder.fc_out
    return linear_cross_entropy(features[scored], last.weight, last.bias, labels[scored], label_smoothing)
