"""The data, models and process settings of nlp_rnn that all benchmarks share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from types import MappingProxyType
from typing import Any, Literal

import torch

from benchmarks.options import Options
from benchmarks.worker import Channel
from nlp_rnn.cpu import fast_matmul, retain_freed_memory
from nlp_rnn.data import Batching, Corpus, DataModule
from nlp_rnn.tasks.base import Task
from nlp_rnn.tasks.sentiment import Sentiment, SentimentData
from nlp_rnn.tasks.tagging import Tagging, TaggingData
from nlp_rnn.tasks.translation import Translation, TranslationData

TRAINER_PRECISION: dict[str, Literal["32-true", "bf16-mixed"]] = {"fp32": "32-true", "bf16": "bf16-mixed"}
"""The `precision` of Lightning's Trainer."""


def with_process_settings(contestant: Callable[..., None]) -> Callable[..., None]:
    """Run a contestant in a process that is set up as nlp-rnn sets up its own."""

    @wraps(contestant)
    def run(options: Options, channel: Channel, **arguments: Any) -> None:
        retain_freed_memory()
        # fast_matmul concerns the whole process, so it is left out where all contestants share one.
        with nullcontext() if options.quick else fast_matmul():
            contestant(options, channel, **arguments)

    return run


def make_data(options: Options) -> DataModule:
    """Make the DataModule of a benchmark's task and corpus, with the package's default settings."""
    corpus = Corpus(options.data, max_examples=options.max_examples)
    batching = Batching(options.batch_size)
    if options.task == "translation":
        return TranslationData(corpus, batching=batching)
    if options.task == "sentiment":
        return SentimentData(corpus, batching=batching, max_length=32 if options.quick else 256)
    return TaggingData(corpus, batching=batching)


def make_task(
    options: Options,
    data: DataModule,
    teacher_forcing: float = 1.0,
    cell: str = "lstm",
    variant: Mapping[str, Any] = MappingProxyType({}),
) -> Task:
    """Make the untrained task that a benchmark measures.

    Translation has the package's default sizes, sentiment those of a common tutorial (a BiLSTM of 2 layers of
    300), tagging those of conf/tagging_ewt.yaml. With `--quick` all are tiny.

    Args:
        options: the benchmark's options.
        data: the DataModule of the task.
        teacher_forcing: for translation, the probability of the true previous token as the decoder's input.
        cell: of all recurrent layers.
        variant: for translation, more settings of the model.
    """
    torch.manual_seed(0)
    processor: Any = data.processor
    if options.task == "translation":
        sizes: dict[str, Any] = {"embedding_dim": 16, "hidden_dim": 32} if options.quick else {}
        return Translation(processor, cell=cell, teacher_forcing=teacher_forcing, **{**sizes, **variant})
    if options.task == "sentiment":
        size = 16 if options.quick else 300
        bidirectional = options.command != "stream"
        return Sentiment(
            processor, size, size, num_layers=2, dropout=0.5, cell=cell, bidirectional=bidirectional
        )
    if options.quick:
        return Tagging(processor, embedding_dim=16, hidden_dim=16, cell=cell)
    return Tagging(
        processor,
        embedding_dim=150,
        hidden_dim=250,
        character_embedding_dim=64,
        character_hidden_dim=100,
        label_smoothing=0.1,
        word_dropout=0.2,
        cell=cell,
    )


def autocast(precision: str, device: str) -> AbstractContextManager[Any]:
    """Return the context in which a forward pass computes in a precision."""
    return torch.autocast(device, torch.bfloat16) if precision == "bf16" else nullcontext()
