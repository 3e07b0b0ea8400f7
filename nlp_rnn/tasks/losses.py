"""Losses of labels and tokens, and word dropout."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from nlp_rnn.data.batching import IGNORED
from nlp_rnn.data.vocabulary import PAD
from nlp_rnn.models.layers.devices import to_device


def label_loss(
    logits: Tensor, labels: Tensor, label_smoothing: float, weights: Sequence[float] | None = None
) -> Tensor:
    """Mean cross-entropy per scored label.

    Args:
        logits: [..., C] float.
        labels: [...] int64, `IGNORED` where nothing is scored.
        label_smoothing: fraction of probability spread over all C labels.
        weights: [C] what the cross-entropy of each label is multiplied by; 1 if None.

    Returns:
        A float32 scalar; 0 where no label is scored.
    """
    total = F.cross_entropy(
        logits.flatten(0, -2).float(),
        labels.flatten(),
        weight=None if weights is None else torch.tensor(weights, device=logits.device),
        ignore_index=IGNORED,
        label_smoothing=label_smoothing,
        reduction="sum",
    )
    return total / (labels != IGNORED).sum().clamp(min=1)


def token_loss(
    cross_entropy: Callable[[Tensor, Tensor, float], Tensor],
    features: Tensor,
    labels: Tensor,
    lengths: Tensor,
    label_smoothing: float,
) -> Tensor:
    """Mean cross-entropy per token.

    Args:
        cross_entropy: of the output layer, see `nlp_rnn.models.seq2seq.Decoder`.
        features: [T, B, H] float.
        labels: [T, B] int64.
        lengths: [B] int64, on the CPU: the number of labels of each sequence, all of which are scored.
        label_smoothing: fraction of probability spread over the vocabulary.

    Returns:
        A float32 scalar.
    """
    # The CPU knows what is scored from the lengths. To ask the device would stop both.
    inside = torch.arange(len(labels))[:, None] < lengths
    scored = to_device(inside.flatten().nonzero()[:, 0], features.device)
    features, labels = (tensor.flatten(0, 1).index_select(0, scored) for tensor in (features, labels))
    return cross_entropy(features, labels, label_smoothing)


def drop_words(tokens: Tensor, fraction: float, replacement: int) -> Tensor:
    """Replace a random fraction of token ids (word dropout, Iyyer et al. 2015).

    Args:
        tokens: [T, B] int64; `PAD` stays as it is.
        fraction: the probability that an id is replaced; with 0 `tokens` itself is returned.
        replacement: the id that replaces them, such as `UNK`.

    Returns:
        [T, B] int64.
    """
    if not fraction:
        return tokens
    dropped = torch.rand(tokens.shape, device=tokens.device) < fraction
    return tokens.masked_fill(dropped & (tokens != PAD), replacement)
