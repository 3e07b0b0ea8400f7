"""Regularization of what a model answers, under other dropout (R-Drop) and under adversarial inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nlp_rnn.data.batching import IGNORED
from nlp_rnn.errors import UsageError
from nlp_rnn.settings import Range, Settings
from nlp_rnn.tasks.adversarial import Embedded, perturbed, recorded, replaced
from nlp_rnn.tasks.losses import label_loss

Weight = Annotated[float, Range(0, 1_000)]


@dataclass(frozen=True)
class Regularization(Settings):
    """Terms that are added to the training loss; 0 leaves a term, and its time, out.

    Args:
        consistency: weight of the symmetric Kullback-Leibler divergence between two passes over a batch with
            different dropout (R-Drop, Liang et al. 2021); needs dropout or word dropout, and about twice the
            time.
        adversarial: weight of the loss where the embedded inputs are moved so that it rises the most
            (Miyato et al. 2017); takes about 2.4 times the time.
        virtual_adversarial: weight of the divergence between the answers to inputs and to those moved so that
            it rises the most, whatever the labels (Miyato et al. 2017); about 2.4 times the time, too.
        perturbation: how far either of these two moves an embedded input, relative to the root mean square of
            its values.

    Raises:
        UsageError: a value is out of range, or `perturbation` is set and nothing moves inputs.
    """

    consistency: Weight = 0.0
    adversarial: Weight = 0.0
    virtual_adversarial: Weight = 0.0
    perturbation: Annotated[float, Range(1e-6, 1e6)] = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.perturbation != type(self).perturbation and not (
            self.adversarial or self.virtual_adversarial
        ):
            raise UsageError(
                "regularization.perturbation has no effect alone: set regularization.adversarial or "
                "virtual_adversarial above 0, or leave it out"
            )

    def check_dropout(self, dropout: float, word_dropout: float) -> None:
        """Refuse consistency of passes that are equal, which would take time and change nothing.

        Args:
            dropout: that of the model.
            word_dropout: that of its inputs.

        Raises:
            UsageError: there is no dropout of either kind.
        """
        if self.consistency and not dropout and not word_dropout:
            raise UsageError(
                "regularization.consistency needs different dropout in both passes: set dropout or "
                "word_dropout above 0, or consistency to 0"
            )


def check_locked(locked: bool, dropout: float) -> None:
    """Refuse locked dropout where there is no dropout.

    Args:
        locked: whether one mask of dropout is used for all steps.
        dropout: that of the model.

    Raises:
        UsageError: it would have no effect.
    """
    if locked and not dropout:
        raise UsageError("locked has no effect without dropout: set dropout above 0, or locked to false")


class Targets(Protocol):
    """The targets of a batch, which say what logits [..., C] mean."""

    def loss(self, logits: Tensor) -> Tensor:
        """The mean loss per target, a float32 scalar."""

    def divergence(self, logits: Tensor, others: Tensor) -> Tensor:
        """The Kullback-Leibler divergence of `others` from `logits`, the mean per target, a scalar."""

    def divergence_gradient(self, logits: Tensor, change: Tensor) -> Tensor:
        """The gradient of the divergence where `change` is added to logits, to first order in it.

        Both are [..., C] float32. It is the Fisher information of the answer times the change.
        """


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

    def divergence_gradient(self, logits: Tensor, change: Tensor) -> Tensor:
        """See `Targets`."""
        probabilities = logits.softmax(-1).masked_fill((self.labels == IGNORED)[..., None], 0)
        return probabilities * (change - (probabilities * change).sum(-1, keepdim=True))


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

    def divergence_gradient(self, logits: Tensor, change: Tensor) -> Tensor:
        """See `Targets`."""
        return logits.sigmoid() * (-logits).sigmoid() * change


def regularized_loss(
    settings: Regularization, logits: Callable[[], Tensor], targets: Targets, model: nn.Module
) -> Tensor:
    """The loss of a batch with all terms of `settings`.

    Args:
        settings: which terms.
        logits: computes the logits of the batch, with dropout drawn anew at each call.
        targets: of the batch.
        model: computes them, from what its `embedding` returns; its loss is plain unless it is in training
            mode.

    Virtual adversarial training moves inputs along one step of a power iteration, as in the paper. There it
    starts from a random step of the inputs, by finite differences; here from a random step of the logits,
    which needs no further pass, and is exact with any dropout and precision. The Hessian of the divergence is
    J' F J, of the model's Jacobian J and the Fisher information F of its answer: of J' F J d, a random step
    of the logits stands for J d. With two labels both directions are the same.

    Returns:
        A float32 scalar.
    """
    if not model.training:
        return targets.loss(logits())
    calls: list[Embedded] = []
    with ExitStack() as stack:
        if settings.adversarial or settings.virtual_adversarial:
            calls = stack.enter_context(recorded(_embedding(model)))
        first = logits()
    loss = targets.loss(first)
    if settings.consistency:
        second = logits()
        divergence = targets.divergence(first, second) + targets.divergence(second, first)
        mean_loss = (loss + targets.loss(second)) / 2
        loss = mean_loss + settings.consistency / 2 * divergence
    scores = first.detach().float()
    if settings.adversarial:
        direction = _loss_gradient(targets, scores)
        with replaced(_embedding(model), perturbed(calls, first, direction, settings.perturbation)):
            loss = loss + settings.adversarial * targets.loss(logits())
    if settings.virtual_adversarial:
        direction = targets.divergence_gradient(scores, torch.randn_like(scores))
        with replaced(_embedding(model), perturbed(calls, first, direction, settings.perturbation)):
            loss = loss + settings.virtual_adversarial * targets.divergence(scores, logits())
    return loss


def _embedding(model: nn.Module) -> nn.Module:
    return cast(nn.Module, model.embedding)


def _loss_gradient(targets: Targets, logits: Tensor) -> Tensor:
    """The gradient of the loss at logits, of their shape."""
    logits = logits.clone().requires_grad_()
    gradient: Tensor
    (gradient,) = torch.autograd.grad(targets.loss(logits), logits)
    return gradient
