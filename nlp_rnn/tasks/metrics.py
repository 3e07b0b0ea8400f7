"""Metrics of the whole corpus, exact on any number of devices.

Every metric keeps sums only (never averages of batches), so the states of several devices add up to the
state of one device that saw everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from sacrebleu.metrics import BLEU as SacreBLEU
from sacrebleu.metrics import CHRF as SacreCHRF
from torch import Tensor
from torchmetrics import Metric

from nlp_rnn.errors import UsageError


class _SacreMetric(Metric):
    """The sum over sentences of a sacreBLEU metric's own sufficient statistics, scored by sacreBLEU itself.

    One reference a sentence. The score, from 0 to 100, is what sacreBLEU gives for the whole corpus.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    statistics: Tensor  # [n] int64: match counts, whose order is sacreBLEU's affair
    count: Tensor  # int64 scalar: sentences

    def __init__(self, scorer: SacreBLEU | SacreCHRF, size: int) -> None:
        super().__init__()
        self.scorer = scorer
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("statistics", torch.zeros(size, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predictions: Sequence[str], references: Sequence[str]) -> None:
        """Add sentences.

        Raises:
            ValueError: there are not as many predictions as references.
        """
        if len(predictions) != len(references):
            raise ValueError(f"{len(predictions)} predictions do not match {len(references)} references")
        if len(predictions) == 0:
            return
        rows = self.scorer._extract_corpus_statistics(list(predictions), [list(references)])
        self.count += len(rows)
        self.statistics += torch.tensor(rows, dtype=torch.int64).sum(0).to(self.statistics.device)

    def compute(self) -> Tensor:
        """The corpus score, a float64 scalar; 0 where no sentence has been added."""
        score = self.scorer._compute_score_from_stats(self.statistics.tolist()).score
        return torch.tensor(score, dtype=torch.float64, device=self.statistics.device)

    @property
    def signature(self) -> str:
        """sacreBLEU's signature, to be given with every score: it names all that the score depends on."""
        self.scorer.num_refs = 1
        return str(self.scorer.get_signature())


class BLEU(_SacreMetric):
    """Corpus BLEU (Papineni et al. 2002) as `sacrebleu.corpus_bleu` computes it (Post 2018).

    Args:
        lowercase: compare without regard to case.
        tokenize: name of a sacreBLEU tokenizer.

    Raises:
        UsageError: sacreBLEU has no such tokenizer.
    """

    def __init__(self, lowercase: bool = False, tokenize: str = "13a") -> None:
        if tokenize not in SacreBLEU.TOKENIZERS:
            known = ", ".join(sorted(SacreBLEU.TOKENIZERS))
            raise UsageError(f"BLEU has no tokenizer {tokenize!r}; choose one of {known}")
        # `force` only silences a warning about text that looks tokenized.
        scorer = SacreBLEU(lowercase=lowercase, tokenize=tokenize, force=True)
        # Hypothesis and reference length, then matched and total n-grams of each order.
        super().__init__(scorer, size=2 + 2 * scorer.max_ngram_order)


class ChrF(_SacreMetric):
    """Corpus chrF2 (Popović 2015) as `sacrebleu.corpus_chrf` computes it.

    Args:
        lowercase: compare without regard to case.
    """

    def __init__(self, lowercase: bool = False) -> None:
        scorer = SacreCHRF(lowercase=lowercase)
        super().__init__(scorer, size=3 * scorer.order)  # hypothesis, reference and matched n-grams an order


class MeanLoss(Metric):
    """Mean of a summed loss over all items of the corpus: cross-entropy a token, in nats."""

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    total: Tensor  # float64 scalar
    count: Tensor  # int64 scalar

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, total: Tensor, count: int | Tensor) -> None:
        """Add a batch: the sum of its losses (a scalar), and over how many items it is the sum."""
        self.total += total.detach()
        self.count += count

    def compute(self) -> Tensor:
        """The mean, a float64 scalar; NaN where nothing has been added."""
        return self.total / self.count


class RegressionSums(Metric):
    """What squared and absolute errors are means of, for each of K numbers that are predicted."""

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    count: Tensor  # int64 scalar: rows
    squared: Tensor  # [K] float64: sum of squared errors
    absolute: Tensor  # [K] float64: sum of absolute errors
    values: Tensor  # [K] float64: sum of the true numbers
    squares: Tensor  # [K] float64: sum of their squares

    def __init__(self, size: int) -> None:
        super().__init__()
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        for name in ("squared", "absolute", "values", "squares"):
            self.add_state(name, torch.zeros(size, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, predicted: Tensor, truth: Tensor) -> None:
        """Add rows, [B, K] each."""
        truth = truth.detach().double()
        errors = predicted.detach().double() - truth
        self.count += len(truth)
        self.squared += errors.square().sum(0)
        self.absolute += errors.abs().sum(0)
        self.values += truth.sum(0)
        self.squares += truth.square().sum(0)

    def compute(self) -> Tensor:
        """[3, K] float64: mean squared error, mean absolute error, and R2, the share of variance explained.

        NaN where nothing has been added; R2 also where the true numbers are all the same.
        """
        spread = self.squares - self.values.square() / self.count
        spread = torch.where(spread > 1e-12 * self.squares, spread, torch.nan)
        return torch.stack([self.squared / self.count, self.absolute / self.count, 1 - self.squared / spread])


@dataclass(frozen=True)
class ClassReport:
    """What a confusion matrix says, see `class_report`. Tensors are [classes]; rates are float64, 0 to 1."""

    precision: Tensor  # right among those predicted as the class; 0 where none is predicted
    recall: Tensor  # right among those that are of the class; 0 where there is none
    f1: Tensor  # harmonic mean of both; 0 where both are 0
    support: Tensor  # int64, how many are of the class
    accuracy: float
    macro_f1: float


def class_report(matrix: Tensor) -> ClassReport:
    """Accuracy, macro F1 and the scores of every class, from one confusion matrix of counts.

    Args:
        matrix: [classes, classes] counts; rows are the truth, columns the predictions, as torchmetrics'
            `MulticlassConfusionMatrix` has them.

    Macro F1 is the mean over the classes that occur, in the truth or among the predictions, which is also
    what scikit-learn and torchmetrics take. Where nothing has been counted all rates are 0.

    Raises:
        ValueError: the matrix is not square.
    """
    if matrix.dim() != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"a confusion matrix must be square, not of shape {tuple(matrix.shape)}")
    counts = matrix.to(torch.float64)
    right, support, predicted = counts.diagonal(), counts.sum(1), counts.sum(0)
    f1 = 2 * right / (support + predicted).clamp(min=1)  # = 2PR / (P + R), and 0 where both are 0
    occurring = (support + predicted > 0).sum().clamp(min=1)
    return ClassReport(
        precision=right / predicted.clamp(min=1),
        recall=right / support.clamp(min=1),
        f1=f1,
        support=support.long(),
        accuracy=float(right.sum() / counts.sum().clamp(min=1)),
        macro_f1=float(f1.sum() / occurring),
    )
