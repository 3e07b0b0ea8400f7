"""Which words an answer comes from: integrated gradients, and the answer without each word."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from nlp_rnn.data.vocabulary import UNK
from nlp_rnn.errors import UsageError
from nlp_rnn.inspection.inspector import read_text
from nlp_rnn.inspection.reading import answer_names, exact_model, final_logits, log_odds, reading_part
from nlp_rnn.inspection.representation import shapes_repr
from nlp_rnn.models.layers.base import RecurrentLayer, SequenceLayer, State
from nlp_rnn.tasks.base import Task
from nlp_rnn.tasks.pretrained import from_pretrained

TOLERANCE = 1e-4
"""Nats by which integrated gradients may miss the difference that they are to sum up to."""

_POINTS, _MAX_PIECES = 32, 256


@dataclass(frozen=True)
class Attribution:
    """What each of T tokens adds to an answer.

    All values are log-odds of that answer against all others, in nats.
    """

    tokens: list[str]
    """[T], as the model reads them; a language model begins with BOS."""
    answer: str
    """The label, or the next token, that the model predicts."""
    log_odds: float
    """Of the answer to the text."""
    baseline: float
    """Those of the same answer if the recurrent layers read zeros."""
    gradients: Tensor
    """[T] float64: integrated gradients, whose sum is `log_odds - baseline` up to `TOLERANCE`."""
    undone: Tensor
    """[T] float64: by how much the log-odds fall if the token is left out; NaN for BOS."""
    replaced: Tensor
    """[T] float64: likewise if the unknown token stands in its place."""
    answers_without: list[str | None]
    """[T], the answer to the text without the token; None for BOS."""

    __repr__ = shapes_repr

    def turning(self) -> list[int]:
        """The indices of the tokens without which the answer is another one."""
        return [
            index
            for index, other in enumerate(self.answers_without)
            if other is not None and other != self.answer
        ]


class _Path(SequenceLayer):
    """Recurrent layers whose input is multiplied by a number per row of the batch.

    Args:
        layer: the layers.
        factors: [B].

    Attributes:
        input: the input of the last call [T, B, I], whose gradient can be computed.
    """

    def __init__(self, layer: RecurrentLayer, factors: Tensor) -> None:
        super().__init__()
        self._copy_sizes(layer)
        self.layer = layer
        self.factors = factors
        self.input = torch.empty(0)

    @override
    def _run(
        self, input: Tensor, state: State, lengths: Tensor | None, exact_state: bool
    ) -> tuple[Tensor, State]:
        self.input = (input * self.factors[:, None]).detach().requires_grad_()
        output, state = self.layer(self.input, state, lengths)
        return output, state


def attribute(model: str | Path | Task, text: str) -> Attribution:
    """Explain an answer word by word, in two ways that have the same unit.

    Integrated gradients (Sundararajan et al. 2017) follow the straight line from an input of zeros to the
    text: the gradient at each point, times the input, integrated by Gauss-Legendre quadrature, on ever more
    pieces of the line until the sum is right. What the tokens get adds up to the whole difference
    (completeness), so nothing is counted twice or lost. Leaving a word out asks what the model would have
    answered instead; these differences need not add up. The input is what the recurrent layers read.

    Args:
        model: a model folder, a checkpoint or a hub id, as for `from_pretrained`; or a loaded task.
        text: the text.

    Raises:
        UsageError: the model has not one answer per text, or cannot be inspected; or the text has no words.

    Examples:
        >>> explained = attribute("runs/sentiment_builtin/latest/model", "not a bad film")
        >>> dict(zip(explained.tokens, explained.gradients.tolist()))
    """
    task = model if isinstance(model, Task) else from_pretrained(model)
    names = answer_names(task)
    rows, _, tokens = read_text(task, text)
    if not tokens:
        raise UsageError("the text has no words: give a sentence")
    (ids,) = rows[task.processor.length_columns[0]]
    copied = exact_model(task)
    with torch.no_grad():
        logits = final_logits(task, copied, [ids])[0]
        answer = int(logits.argmax())
        full = log_odds(logits, answer)
        places = range(len(ids))
        without = final_logits(task, copied, [[*ids[:place], *ids[place + 1 :]] for place in places])
        unknown = final_logits(task, copied, [[*ids[:place], UNK, *ids[place + 1 :]] for place in places])
    gradients, baseline = _integrate(task, copied, ids, answer)
    before = len(tokens) - len(ids)  # BOS, which cannot be left out
    skipped = full.new_full((before,), torch.nan)
    return Attribution(
        tokens,
        names[answer],
        float(full),
        baseline,
        gradients,
        torch.cat([skipped, full - log_odds(without, answer)]),
        torch.cat([skipped, full - log_odds(unknown, answer)]),
        [None] * before + [names[best] for best in without.argmax(-1).tolist()],
    )


def _integrate(task: Task, model: nn.Module, ids: list[int], answer: int) -> tuple[Tensor, float]:
    """Integrated gradients [T] of the log-odds of an answer, and the log-odds at the input of zeros."""
    part = reading_part(model)
    layer = part.rnn

    def at(factors: Tensor) -> tuple[Tensor, Tensor]:
        """The log-odds [S] at S points of the path, and the input [T, S, I] of the layers there."""
        part.rnn = path = _Path(layer, factors)
        return log_odds(final_logits(task, model, [ids] * len(factors)), answer), path.input

    ends, whole = at(torch.tensor([0.0, 1.0], dtype=torch.float64))
    points, weights = map(torch.from_numpy, np.polynomial.legendre.leggauss(_POINTS))  # from -1 to 1
    pieces = 1
    while True:  # where a trained model turns from one answer to another, the path is steep
        mean = torch.zeros_like(whole[:, 1])  # [T, I], of the gradient over the path
        for piece in range(pieces):
            scores, input = at((piece + (points + 1) / 2) / pieces)
            (gradient,) = torch.autograd.grad(scores.sum(), input)
            mean += torch.einsum("tsi,s->ti", gradient, weights) / 2 / pieces
        gradients = (mean * whole[:, 1]).sum(-1).detach()
        if abs(gradients.sum() - (ends[1] - ends[0]).detach()) < TOLERANCE or pieces == _MAX_PIECES:
            part.rnn = layer
            return gradients, float(ends[0].detach())
        pieces *= 2
