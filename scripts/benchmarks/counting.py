"""Count the rows, tokens and padding of training batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

UNITS = {"translation": "pairs", "sentiment": "reviews", "tagging": "sentences"}
"""What a row of each task's corpus is called."""

Lengths = dict[str, Tensor]
"""The lengths of all padded sequences of one batch, by field; `lengths` has one entry per row."""


def count_batches(batches: Sequence[Lengths]) -> dict[str, Any]:
    """Count what is in some batches.

    Returns:
        `units`: rows. `tokens`: real tokens, without BOS and EOS. `padding`: the fraction of all positions
        that is padding. `padding_by_field`: the same for each padded field.
    """
    sums: dict[str, list[int]] = {}
    for batch in batches:
        for name, lengths in batch.items():
            real, positions = sums.setdefault(name, [0, 0])
            sums[name] = [real + int(lengths.sum()), positions + int(lengths.max()) * len(lengths)]
    rows = sum(len(batch["lengths"]) for batch in batches)
    tokens = sums["lengths"][0]
    if "target_lengths" in sums:
        tokens += sums["target_lengths"][0] - rows  # target lengths include EOS
    padding = {name: 1 - real / max(1, positions) for name, (real, positions) in sums.items()}
    real, positions = (sum(column) for column in zip(*sums.values(), strict=True))
    return {
        "units": rows,
        "tokens": tokens,
        "padding": 1 - real / max(1, positions),
        "padding_by_field": padding,
    }
