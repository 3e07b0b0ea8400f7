"""Regularization of what a model answers: consistency between passes with different dropout (R-Drop)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

from torch import Tensor
from torch.nn import functional as F

from nlp_rnn.data.batching import IGNORED
from nlp_rnn.settings import Range, Settings
from nlp_rnn.tasks.losses import label_loss

Weight = Annotated[float, Range(0, 1_000)]


@dataclass(frozen=True)
class Regularization(Settings):
    """Terms that are added to the training loss; 0 leaves a term, and its time, out.

    Args:
        consistency: weight of the symmetric Kullback-Leibler divergence between two passes over a batch with
            different dropout (R-Drop, Liang et al. 2021); needs dropout or word dropout, and twice the time.

    Raises:
        UsageError: a value is out of range.
    """

    consistency: Weight = 0.0


class Targets(Protocol):
    """The targets of a batch, which say what logits [..., C] mean."""

    def loss(self, logits: Tensor) -> Tensor:
        """The mean loss per target, a float32 scalar."""

    def divergence(self, logits: Tensor, others: Tensor) -> Tensor:
        """The Kullback-Leibler divergence of `others` from `logits`, the mean per target, a scalar."""


@dataclass
class LabelTargets:
    """One label of C each.

    Args:
        labels: [...] int64, `IGNORED` where nothing is scored.
        label_smoothing: fraction of probability spread over all labels in the loss.
        weights: [C] what the loss of each label is multiplied by; 1 if None.
    """

    labels: Tensor
    label_smoothing: float = 0.0
    weights: Sequence[float] | None = None

    def loss(self, logits: Tensor) -> Tensor:
        """See `Targets`."""
        return label_loss(logits, self.labels, self.label_smoothing, self.weights)

    def divergence(self, logits: Tensor, others: Tensor) -> Tensor:
        """See `Targets`."""
        ours, theirs = (scores.float().log_softmax(-1) for scores in (logits, others))
        scored = self.labels != IGNORED
        each = (ours.exp() * (ours - theirs)).sum(-1).masked_fill(~scored, 0)
        return each.sum() / scored.sum().clamp(min=1)


@dataclass
class LabelSetTargets:
    """Any number of C labels each.

    Args:
        labels: [B, C], 1 for those that are given and 0 for others.
    """

    labels: Tensor

    def loss(self, logits: Tensor) -> Tensor:
        """See `Targets`; it is the mean over the labels, too."""
        logits = logits.float()
        return F.binary_cross_entropy_with_logits(logits, self.labels.to(logits.dtype))

    def divergence(self, logits: Tensor, others: Tensor) -> Tensor:
        """See `Targets`; it is the mean over the labels, too."""
        ours, theirs = logits.float(), others.float()
        given = ours.sigmoid() * (F.logsigmoid(ours) - F.logsigmoid(theirs))
        not_given = (-ours).sigmoid() * (F.logsigmoid(-ours) - F.logsigmoid(-theirs))
        return (given + not_given).mean()


def regularized_loss(
    settings: Regularization, logits: Callable[[], Tensor], targets: Targets, training: bool
) -> Tensor:
    """The loss of a batch with all terms of `settings`.

    Args:
        settings: which terms.
        logits: computes the logits of the batch, with dropout drawn anew at each call.
        targets: of the batch.
        training: whether there is dropout; without it there is nothing to regularize.

    Returns:
        A float32 scalar.
    """
    first = logits()
    loss = targets.loss(first)
    if not training:
        return loss
    if settings.consistency:
        second = logits()
        divergence = targets.divergence(first, second) + targets.divergence(second, first)
        mean_loss = (loss + targets.loss(second)) / 2
        loss = mean_loss + settings.consistency / 2 * divergence
    return loss
