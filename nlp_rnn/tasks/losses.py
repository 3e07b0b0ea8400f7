"""Losses of labels and tokens, and word dropout."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from nlp_rnn.data.batching import IGNORED
from nlp_rnn.models.layers.loss import linear_cross_entropy
from nlp_rnn.models.seq2seq import Decoder


def label_loss(logits: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
    """Mean cross-entropy per scored label.

    Args:
        logits: [..., C] float.
        labels: [...] int64, `IGNORED` where nothing is scored.
        label_smoothing: fraction of probability spread over all C labels.

    Returns:
        A float32 scalar; 0 where no label is scored.
    """
    total = F.cross_entropy(
        logits.flatten(0, -2).float(),
        labels.flatten(),
        ignore_index=IGNORED,
        label_smoothing=label_smoothing,
        reduction="sum",
    )
    return total / (labels != IGNORED).sum().clamp(min=1)


def token_loss(decoder: Decoder, features: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
    """Mean cross-entropy per scored token of a decoder.

    Args:
        decoder: its output layer computes the logits.
        features: [T, B, H] float.
        labels: [T, B] int64, `IGNORED` where nothing is scored.
        label_smoothing: fraction of probability spread over the vocabulary.

    Returns:
        A float32 scalar.
    """
    scored = labels != IGNORED
    output = decoder.fc_out
    return linear_cross_entropy(features[scored], output.weight, output.bias, labels[scored], label_smoothing)


def drop_words(tokens: Tensor, fraction: float, replacement: int) -> Tensor:
    """Replace a random fraction of token ids (word dropout, Iyyer et al. 2015).

    Args:
        tokens: [T, B] int64.
        fraction: the probability that an id is replaced; with 0 `tokens` itself is returned.
        replacement: the id that replaces them, such as `UNK`.

    Returns:
        [T, B] int64.
    """
    if not fraction:
        return tokens
    dropped = torch.rand(tokens.shape, device=tokens.device) < fraction
    return tokens.masked_fill(dropped, replacement)
