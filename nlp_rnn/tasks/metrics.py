"""Metrics over a whole corpus, exact on any number of devices.

Each metric keeps sums only, never means of batches. So the states of several devices add up to the state of
one device that saw all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from sacrebleu.metrics.bleu import BLEU as SacreBLEU
from sacrebleu.metrics.chrf import CHRF as SacreCHRF
from torch import Tensor, nn
from torchmetrics import Metric
from typing_extensions import override

from nlp_rnn.errors import UsageError
from nlp_rnn.models.layers.devices import has_float64


class ExactMetric(Metric):
    """Base class of metrics in float64 and int64, whatever the device and the precision of the model.

    The states are on the model's device, where several devices reduce them. They stay on the CPU if the
    device has no float64; such a device is never one of several.
    """

    is_differentiable = False
    full_state_update = False

    @override
    def _apply(self, fn: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = "") -> nn.Module:
        # Of what `fn` does, only the device counts: `task.to(torch.bfloat16)` must not round the sums.
        device = fn(torch.zeros(1, device=self.device)).device
        place = device if has_float64(device) else torch.device("cpu")
        return super()._apply(lambda state: state.to(place), exclude_state)


class _SacreMetric(ExactMetric):
    """A corpus score of sacreBLEU, from 0 to 100, with one reference per sentence.

    It sums sacreBLEU's statistics of each sentence and lets sacreBLEU compute the score of the sum. Both use
    private methods of sacreBLEU, for its public ones need all sentences at once;
    tests/tasks/test_sacrebleu.py states what is assumed of them.

    Args:
        scorer: the metric of sacreBLEU.
        size: the number of statistics per sentence.
    """

    higher_is_better = True
    statistics: Tensor  # [size] int64: sums of counts, in sacreBLEU's order
    count: Tensor  # int64 scalar: number of sentences

    def __init__(self, scorer: SacreBLEU | SacreCHRF, size: int) -> None:
        super().__init__()
        self.scorer = scorer
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("statistics", torch.zeros(size, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predictions: Sequence[str], references: Sequence[str]) -> None:
        """Add sentences.

        Raises:
            ValueError: the numbers of predictions and references differ.
        """
        if len(predictions) != len(references):
            raise ValueError(f"{len(predictions)} predictions do not match {len(references)} references")
        if len(predictions) == 0:
            return
        rows = self.scorer._extract_corpus_statistics(list(predictions), [list(references)])
        self.count += len(rows)
        self.statistics += torch.tensor(rows, dtype=torch.int64).sum(0).to(self.statistics.device)

    def compute(self) -> Tensor:
        """The corpus score, a float64 scalar; 0 if no sentence has been added."""
        score = self.scorer._compute_score_from_stats(self.statistics.tolist()).score
        return torch.tensor(score, dtype=torch.float64, device=self.statistics.device)

    @property
    def signature(self) -> str:
        """SacreBLEU's signature, to be reported with each score: the settings that the score depends on."""
        self.scorer.num_refs = 1  # sacreBLEU sets it in its public methods only
        return str(self.scorer.get_signature())


class BLEU(_SacreMetric):
    """Corpus BLEU (Papineni et al. 2002), equal to `sacrebleu.corpus_bleu` (Post 2018).

    Args:
        lowercase: ignore case.
        tokenize: name of a sacreBLEU tokenizer.

    Raises:
        UsageError: sacreBLEU has no such tokenizer.
    """

    def __init__(self, lowercase: bool = False, tokenize: str = "13a") -> None:
        if tokenize not in SacreBLEU.TOKENIZERS:
            known = ", ".join(sorted(SacreBLEU.TOKENIZERS))
            raise UsageError(f"BLEU has no tokenizer {tokenize!r}; choose one of {known}")
        # `force` does nothing but silence a warning about text that looks tokenized.
        scorer = SacreBLEU(lowercase=lowercase, tokenize=tokenize, force=True)
        # The lengths of prediction and reference, then matched and total n-grams of each order.
        super().__init__(scorer, size=2 + 2 * scorer.max_ngram_order)


class ChrF(_SacreMetric):
    """Corpus chrF2 (Popović 2015), equal to `sacrebleu.corpus_chrf`.

    Args:
        lowercase: ignore case.
    """

    def __init__(self, lowercase: bool = False) -> None:
        scorer = SacreCHRF(lowercase=lowercase)
        # N-grams of prediction, of reference, and in both, of each order.
        super().__init__(scorer, size=3 * scorer.order)


def sentence_chrf(prediction: str, reference: str) -> float:
    """The chrF2 of one sentence, from 0 to 100, ignoring case."""
    score: float = _SENTENCE_CHRF.sentence_score(prediction, [reference]).score
    return score


_SENTENCE_CHRF = SacreCHRF(lowercase=True)


class MeanLoss(ExactMetric):
    """Mean of a quantity over all items of the corpus, such as the cross-entropy per token, in nats."""

    higher_is_better = False
    total: Tensor  # float64 scalar
    count: Tensor  # int64 scalar

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, total: Tensor, count: int | Tensor) -> None:
        """Add a batch.

        Args:
            total: the sum over its items, a scalar.
            count: the number of its items.
        """
        self.total += total.detach().to(self.total.device)
        self.count += count.to(self.count.device) if isinstance(count, Tensor) else count

    def compute(self) -> Tensor:
        """The mean, a float64 scalar; NaN if nothing has been added."""
        return self.total / self.count


class RegressionErrors(ExactMetric):
    """Mean squared error, mean absolute error and R2 of each of K predicted numbers.

    The true numbers may be far from 0: their sums of squares are taken around their means (Chan et al. 1983).

    Args:
        size: K.
    """

    higher_is_better = False
    moments: Tensor
    """[5, K] float64: the number of rows; mean of the true numbers; their sum of squares around it; the sums
    of squared and of absolute errors."""

    def __init__(self, size: int) -> None:
        super().__init__()
        moments = torch.zeros(5, size, dtype=torch.float64)
        self.add_state("moments", moments, dist_reduce_fx=_merge_moments)

    def update(self, predicted: Tensor, truth: Tensor) -> None:
        """Add rows of predicted and true numbers, [B, K] each."""
        if len(truth) == 0:
            return
        predicted, truth = (tensor.detach().to(self.moments.device).double() for tensor in (predicted, truth))
        errors, mean = predicted - truth, truth.mean(0)
        batch = torch.stack(
            [
                torch.full_like(mean, len(truth)),
                mean,
                (truth - mean).square().sum(0),
                errors.square().sum(0),
                errors.abs().sum(0),
            ]
        )
        self.moments = _merge_moments(torch.stack([self.moments, batch]))

    def compute(self) -> Tensor:
        """[3, K] float64: mean squared error, mean absolute error, R2 (the fraction of variance explained).

        NaN if nothing has been added; R2 is also NaN if all true numbers are equal.
        """
        count, mean, variation, squared, absolute = self.moments
        # Equal numbers vary by rounding alone.
        variation = torch.where(variation > count * (1e-12 * mean).square(), variation, torch.nan)
        return torch.stack([squared / count, absolute / count, 1 - squared / variation])


def _merge_moments(parts: Tensor) -> Tensor:
    """The moments of `RegressionErrors` of all rows, [5, K], from those of parts of them, [N, 5, K]."""
    count, mean, variation, squared, absolute = parts.unbind(1)
    total = count.sum(0)
    overall = (count * mean).sum(0) / total.clamp(min=1)
    variation = variation + count * (mean - overall).square()
    return torch.stack([total, overall, variation.sum(0), squared.sum(0), absolute.sum(0)])


class ClassCounts(ExactMetric):
    """Counts of true and predicted classes, in memory that grows with their number, not with its square.

    Args:
        size: C, the number of classes.
        shown: K, the number of those that the confusion matrix distinguishes: the first ones.
    """

    higher_is_better = True
    counts: Tensor
    """[3, C] int64: how often each class was right, was true, and was predicted."""
    confusion: Tensor
    """[K + 1, K + 1] int64: rows are true classes, columns predicted ones; the last is all other classes."""

    def __init__(self, size: int, shown: int) -> None:
        super().__init__()
        self.add_state("counts", torch.zeros(3, size, dtype=torch.int64), dist_reduce_fx="sum")
        pairs = torch.zeros(shown + 1, shown + 1, dtype=torch.int64)
        self.add_state("confusion", pairs, dist_reduce_fx="sum")

    def update(self, predicted: Tensor, truth: Tensor) -> None:
        """Add classes, [N] int64 each."""
        predicted, truth = (classes.to(self.counts.device) for classes in (predicted, truth))
        size, side = self.counts.size(1), len(self.confusion)
        kinds = (truth[predicted == truth], truth, predicted)
        self.counts += torch.stack([kind.bincount(minlength=size) for kind in kinds])
        pairs = truth.clamp(max=side - 1) * side + predicted.clamp(max=side - 1)
        self.confusion += pairs.bincount(minlength=side * side).view(side, side)

    def compute(self) -> tuple[Tensor, Tensor]:
        """The counts [3, C] and the confusion matrix [K + 1, K + 1]."""
        return self.counts, self.confusion


class AnswerCounts(ExactMetric):
    """How many answers of each kind were right, were true, and were predicted.

    Args:
        size: C, the number of kinds.
    """

    higher_is_better = True
    counts: Tensor  # [3, C] int64

    def __init__(self, size: int) -> None:
        super().__init__()
        self.add_state("counts", torch.zeros(3, size, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, counts: Tensor) -> None:
        """Add counts, [3, C] int64."""
        self.counts += counts.to(self.counts.device)

    def compute(self) -> Tensor:
        """The sums, [3, C]."""
        return self.counts


@dataclass(frozen=True)
class ClassReport:
    """Scores from a confusion matrix, see `class_report`; from 0 to 1, per class in tensors [C]."""

    precision: Tensor
    """Float64, the fraction correct of those predicted as the class; 0 if none is."""
    recall: Tensor
    """Float64, the fraction correct of those that truly are of the class; 0 if none is."""
    f1: Tensor
    """Float64, the harmonic mean of both; 0 if both are 0."""
    support: Tensor
    """Int64, the number that truly are of the class."""
    accuracy: float
    macro_f1: float


def class_report(matrix: Tensor) -> ClassReport:
    """Accuracy, macro F1 and the scores of each class from a confusion matrix.

    Macro F1 is the mean over the classes that are true or predicted at least once, as in scikit-learn and
    torchmetrics.

    Args:
        matrix: [C, C] counts; rows are true classes, columns predicted ones, as in torchmetrics'
            `MulticlassConfusionMatrix`.

    Returns:
        The scores; all 0 if nothing has been counted.

    Raises:
        ValueError: the matrix is not square.
    """
    if matrix.dim() != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"a confusion matrix must be square, not of shape {tuple(matrix.shape)}")
    return counts_report(torch.stack([matrix.diagonal(), matrix.sum(1), matrix.sum(0)]))


def counts_report(counts: Tensor) -> ClassReport:
    """As `class_report`, from how often each class was right, was true, and was predicted.

    Args:
        counts: [3, C].
    """
    correct, support, predicted = counts.cpu().double()
    f1 = 2 * correct / (support + predicted).clamp(min=1)  # = 2PR / (P + R), and 0 where both are 0
    occurring = (support + predicted > 0).sum().clamp(min=1)
    return ClassReport(
        precision=correct / predicted.clamp(min=1),
        recall=correct / support.clamp(min=1),
        f1=f1,
        support=support.long(),
        accuracy=float(correct.sum() / support.sum().clamp(min=1)),
        macro_f1=float(f1.sum() / occurring),
    )
