"""The training loss of tags, of one column or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from nlp_rnn.data.batching import IGNORED
from nlp_rnn.models.layers.crf import LinearChainCRF
from nlp_rnn.tasks.regularization import LabelTargets


@dataclass
class TagTargets:
    """The tags of a batch, all columns; `nlp_rnn.tasks.regularization.Targets`.

    Its logits are [T, B, C], those of the columns one behind the other.

    Args:
        labels: [T, B] int64, or [K, T, B] of K columns; `IGNORED` where nothing is scored.
        sizes: the number of tags of each column.
        lengths: [B] int64.
        label_smoothing: fraction of probability spread over all tags of a column in the loss.
        crf: scores the tags of the first column as a whole.
    """

    labels: Tensor
    sizes: Sequence[int]
    lengths: Tensor
    label_smoothing: float = 0.0
    crf: LinearChainCRF | None = None

    def total(self, logits: Tensor) -> Tensor:
        """The sum over all words and columns, times the number of columns.

        So its mean over the targets is the sum of the columns' means, where each word has all tags.
        """
        losses: list[Tensor] = []
        for scores, labels in self._columns(logits):
            if self.crf is not None and not losses:
                losses.append(-self.crf.log_likelihood(scores, labels, self.lengths).sum())
                continue
            losses.append(
                F.cross_entropy(
                    scores.flatten(0, 1).float(),
                    labels.flatten(),
                    ignore_index=IGNORED,
                    label_smoothing=self.label_smoothing,
                    reduction="sum",
                )
            )
        return torch.stack(losses).sum() * len(losses)

    def loss(self, logits: Tensor) -> Tensor:
        """The mean of `total` per target."""
        return self.total(logits) / (self.labels != IGNORED).sum().clamp(min=1)

    def divergence(self, logits: Tensor, others: Tensor) -> Tensor:
        """That of each word's tags, without a CRF: the sum of the columns' means per target."""
        pairs = zip(self._columns(logits), self._columns(others), strict=True)
        each = [LabelTargets(labels).divergence(ours, theirs) for (ours, labels), (theirs, _) in pairs]
        return torch.stack(each).sum()

    def divergence_gradient(self, logits: Tensor, change: Tensor) -> Tensor:
        """Without a CRF, see `nlp_rnn.tasks.regularization.Targets`."""
        pairs = zip(self._columns(logits), change.split(list(self.sizes), -1), strict=True)
        each = [LabelTargets(labels).divergence_gradient(ours, part) for (ours, labels), part in pairs]
        return torch.cat(each, -1)

    def _columns(self, logits: Tensor) -> list[tuple[Tensor, Tensor]]:
        """The logits [T, B, C] and the labels [T, B] of each column."""
        return list(zip(logits.split(list(self.sizes), -1), by_column(self.labels), strict=True))


def by_column(labels: Tensor) -> Tensor:
    """[K, T, B] the labels of each column, from [T, B] if there is one."""
    return labels if labels.dim() == 3 else labels[None]
