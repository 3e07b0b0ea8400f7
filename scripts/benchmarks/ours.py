"""Our side, built from the parts that users build it from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from benchmarks.given import Given
from benchmarks.worker import Caller
from nlp_rnn.cpu import fast_matmul, retain_freed_memory
from nlp_rnn.data import Batching, Corpus, SentimentData, TaggingData, TranslationData
from nlp_rnn.data.module import DataModule
from nlp_rnn.tasks import Sentiment, Tagging, Task, Translation

TRAINER_PRECISION = {"fp32": "32-true", "bf16": "bf16-mixed"}
UNITS = {"translation": "pairs", "sentiment": "reviews", "tagging": "sentences"}


def settled(contestant: Callable[..., None]) -> Callable[..., None]:
    """A contestant whose process is set up as our command line sets up its own."""

    @wraps(contestant)
    def run(given: Given, caller: Caller, **options: Any) -> None:
        retain_freed_memory()
        # Of the whole process, so not where all contestants share one.
        with nullcontext() if given.quick else fast_matmul():
            contestant(given, caller, **options)

    return run


def data_of(given: Given) -> DataModule:
    """The corpus, as our configurations read it."""
    corpus = Corpus(given.data, max_examples=given.max_examples)
    batching = Batching(given.batch_size)
    if given.task == "translation":
        return TranslationData(corpus, batching=batching)
    if given.task == "sentiment":
        return SentimentData(corpus, batching=batching, max_length=32 if given.quick else 256)
    return TaggingData(corpus, batching=batching)


def task_of(given: Given, data: DataModule, teacher_forcing: float = 1.0, cell: str = "lstm") -> Task:
    """The model: the printout's, the sentiment tutorial's, or that of conf/tagging_ewt.yaml."""
    torch.manual_seed(0)
    if given.task == "translation":
        sizes: dict[str, Any] = {"embedding_dim": 16, "hidden_dim": 32} if given.quick else {}
        return Translation(data.processor, cell=cell, teacher_forcing=teacher_forcing, **sizes)
    if given.task == "sentiment":
        width = 16 if given.quick else 300
        both = given.command != "stream"
        return Sentiment(
            data.processor, width, width, num_layers=2, dropout=0.5, cell=cell, bidirectional=both
        )
    if given.quick:
        return Tagging(data.processor, embedding_dim=16, hidden_dim=16, cell=cell)
    return Tagging(
        data.processor,
        embedding_dim=150,
        hidden_dim=250,
        character_embedding_dim=64,
        character_hidden_dim=100,
        label_smoothing=0.1,
        word_dropout=0.2,
        cell=cell,
    )


def autocast(precision: str, device: str) -> AbstractContextManager:
    """What a precision means for a forward pass."""
    return torch.autocast(device, torch.bfloat16) if precision == "bf16" else nullcontext()


Lengths = dict[str, Tensor]
"""Of one batch, the lengths of all that is padded, by field; `lengths` has one a row."""


def counted(batches: Sequence[Lengths]) -> dict[str, Any]:
    """Of batches the rows (`units`), real tokens without marks, and the share of padding, also by field."""
    sums: dict[str, list[int]] = {}
    for batch in batches:
        for name, lengths in batch.items():
            real, positions = sums.setdefault(name, [0, 0])
            sums[name] = [real + int(lengths.sum()), positions + int(lengths.max()) * len(lengths)]
    rows = sum(len(batch["lengths"]) for batch in batches)
    tokens = sums["lengths"][0]
    if "target_lengths" in sums:
        tokens += sums["target_lengths"][0] - rows  # they count the mark of the end
    shares = {name: 1 - real / max(1, positions) for name, (real, positions) in sums.items()}
    real, positions = (sum(column) for column in zip(*sums.values(), strict=True))
    return {
        "units": rows,
        "tokens": tokens,
        "padding": 1 - real / max(1, positions),
        "padding_by_field": shares,
    }
