"""Batches: how ids become tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from nlp_rnn.data.labels import IGNORED as IGNORED  # also importable from here
from nlp_rnn.data.vocabulary import BOS, EOS, PAD
from nlp_rnn.lite.text import batches
from nlp_rnn.settings import DropProbability, Range, Seed, Settings

BatchSize = Annotated[int, Range(1, 1_000_000)]

BatchType = TypeVar("BatchType", bound="Batch")


@dataclass(frozen=True)
class Batching(Settings):
    """How rows are batched.

    Args:
        size: maximum number of sequences per batch.
        max_tokens: maximum number of tokens per batch, padding included, BOS and EOS not; for pairs of
            sequences, on the longer side. `size` still applies. A longer row is a batch by itself. No limit
            if left out.
        num_workers: number of worker processes that prepare batches.
        seed: seed of the order of the rows, which differs in each epoch, and of `subword_dropout`.
        subword_dropout: probability with which each merge of subwords is left out in training, so that rows
            are split into other subwords in each epoch (BPE-dropout, Provilkov et al. 2020). Rows get longer
            than `max_tokens` plans. For vocabularies of level bpe; 0 for always the same subwords.
    """

    size: BatchSize = 64
    max_tokens: Annotated[int, Range(1, 1_000_000_000)] | None = None
    num_workers: Annotated[int, Range(0, 256)] = 0
    seed: Seed = 0
    subword_dropout: DropProbability = 0.0


@dataclass
class Batch:
    """The tensors of one batch; time-major, [T, B].

    Fields whose names end in `lengths` stay on the CPU, where the recurrent layers need them.
    """

    rows: list[int]
    """[B] row numbers within the split."""
    lengths: Tensor
    """[B] int64, lengths of the input sequences."""
    labels: Tensor | None = field(default=None, kw_only=True)
    """[B] or, with one label per step, [T, B] int64: the target ids; `IGNORED` where nothing is scored."""

    def __len__(self) -> int:
        return len(self.rows)

    def all_lengths(self) -> dict[str, Tensor]:
        """Return the lengths of all padded sequences, by field name; empty ones are left out."""
        names = [item.name for item in fields(self) if item.name.endswith("lengths")]
        tensors = {name: getattr(self, name) for name in names}
        return {name: lengths for name, lengths in tensors.items() if lengths is not None and len(lengths)}

    def to(self: BatchType, device: torch.device | str, non_blocking: bool = False) -> BatchType:
        """Return the batch with all tensors but lengths moved to a device.

        Args:
            device: the device.
            non_blocking: go on before the copy is complete, as is always done from pinned memory.
        """
        return self._map(lambda value: value.to(device, non_blocking=non_blocking or value.is_pinned()))

    def pin_memory(self: BatchType) -> BatchType:
        """Return the batch with all tensors but lengths in pinned memory; DataLoader calls this."""
        return self._map(Tensor.pin_memory)

    def _map(self: BatchType, change: Callable[[Tensor], Tensor]) -> BatchType:
        changed: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            on_device = isinstance(value, Tensor) and not item.name.endswith("lengths")
            changed[item.name] = change(value) if on_device else value
        return type(self)(**changed)


def pad(sequences: Sequence[Sequence[int] | np.ndarray], value: int = 0) -> tuple[Tensor, Tensor]:
    """Pad sequences to one length.

    Returns:
        [T, B] int64, padded with `value`; [B] int64 lengths.
    """
    padded, lengths = batches.pad(sequences, value)
    return torch.from_numpy(padded), torch.from_numpy(lengths)


def pad_vectors(flat: Sequence[np.ndarray], width: int) -> tuple[Tensor, Tensor]:
    """Pad series of vectors to one length.

    Args:
        flat: one flat array [T * C] per series, step by step.
        width: C, the numbers per step.

    Returns:
        [T, B, C] float32, padded with 0; [B] int64 lengths.
    """
    padded, lengths = batches.pad_vectors(flat, width)
    return torch.from_numpy(padded), torch.from_numpy(lengths)


def shift_targets(sequences: Sequence[Sequence[int] | np.ndarray]) -> tuple[Tensor, Tensor, Tensor]:
    """Make the input and the labels of a decoder from target ids. No other code shifts targets.

    Returns:
        [T, B] int64 input: BOS and the ids, padded with 0; [T, B] int64 labels: the ids and EOS, padded with
        `IGNORED`; [B] int64 lengths of both, with BOS or EOS.
    """
    ids, ends = pad(sequences, IGNORED)
    first = torch.full((1, len(ends)), BOS)
    inputs = torch.cat([first, ids.masked_fill(ids == IGNORED, PAD)])
    labels = torch.cat([ids, torch.full_like(first, IGNORED)]).scatter(0, ends[None], EOS)
    return inputs, labels, ends + 1
