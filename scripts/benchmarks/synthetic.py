"""Translation on random ids: sentences of any length, vocabularies of any size."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.options import Options
from benchmarks.recipes import with_process_settings
from benchmarks.worker import Channel, process_memory
from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.data.batching import IGNORED
from nlp_rnn.data.vocabulary import BOS, EOS, SPECIALS
from nlp_rnn.tasks.translation import Translation
from nlp_rnn.tasks.translation.data import TranslationBatch, TranslationProcessor


def make_translation(options: Options, vocabulary_size: int) -> Translation:
    """Make a translation task of default sizes, with made-up vocabularies (the source's has at most 8000)."""
    torch.manual_seed(0)
    vocabularies = []
    for size in (min(vocabulary_size, 8000), vocabulary_size):
        settings = VocabularySettings(min_frequency=1, max_size=size)
        words = [[f"w{number}" for number in range(size - len(SPECIALS))]]
        vocabularies.append(Vocabulary.train_on_words(words, settings))
    sizes: dict[str, Any] = {"embedding_dim": 16, "hidden_dim": 32} if options.quick else {}
    processor = TranslationProcessor(vocabularies[0], vocabularies[1])
    return Translation(processor, **sizes).to(options.device).train()


def random_batch(task: Translation, batch_size: int, length: int) -> TranslationBatch:
    """Make a batch of random sentence pairs; every sentence has `length` tokens."""
    source = torch.randint(EOS + 1, len(task.processor.source), (length, batch_size))
    target = torch.randint(EOS + 1, len(task.processor.target), (length, batch_size))
    lengths = torch.full((batch_size,), length)
    return TranslationBatch(
        list(range(batch_size)),
        lengths,
        source,
        target=torch.cat([torch.full((1, batch_size), BOS), target]),
        target_lengths=lengths + 1,
        labels=torch.cat([target, torch.full((1, batch_size), EOS)]),
    ).to(task.device)


@with_process_settings
def train(options: Options, channel: Channel, length: int, batch_size: int, vocabulary_size: int) -> None:
    """Train on sentences of one length; a turn is a number of training steps.

    Args:
        options: the benchmark's options.
        channel: connection to the benchmark. A unit is one time step of one sentence.
        length: tokens per sentence.
        batch_size: sentence pairs per batch.
        vocabulary_size: size of the target vocabulary.
    """
    task = make_translation(options, vocabulary_size)
    optimizer = task.configure_optimizers()["optimizer"]
    batch = random_batch(task, batch_size, length)
    for steps in channel.rounds():
        with channel.timed("token-steps", options.device) as measurement:
            for _ in range(steps):
                task.loss(batch).backward()
                torch.nn.utils.clip_grad_norm_(task.model.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()
            measurement.update(units=steps * batch_size * (2 * length + 1))


@with_process_settings
def compute_loss(
    options: Options,
    channel: Channel,
    method: Literal["task", "plain"],
    length: int,
    batch_size: int,
    vocabulary_size: int,
) -> None:
    """Compute a loss and its gradients; a turn is a number of repeats.

    Args:
        options: the benchmark's options.
        channel: connection to the benchmark.
        method: task (the loss of nlp_rnn) or plain (the cross-entropy of all logits at once).
        length: tokens per sentence.
        batch_size: sentence pairs per batch.
        vocabulary_size: size of the target vocabulary.
    """
    task = make_translation(options, vocabulary_size)
    batch = random_batch(task, batch_size, length)
    for parameter in task.model.parameters():  # as in every step but the first
        parameter.grad = torch.zeros_like(parameter)
    facts = {"base_mib": process_memory("VmRSS"), "parameters_mib": _parameters_mib(task)}
    for repeats in channel.rounds(facts):
        with channel.timed("target tokens", options.device) as measurement:
            for _ in range(repeats):
                loss = task.loss(batch) if method == "task" else _plain_loss(task, batch)
                loss.backward()
            measurement.update(units=repeats * batch_size * (length + 1), loss=loss.item())


def _plain_loss(task: Translation, batch: TranslationBatch) -> Tensor:
    assert batch.target is not None
    assert batch.labels is not None
    logits = task.model(batch.source, batch.target, batch.lengths)
    return F.cross_entropy(logits.flatten(0, 1), batch.labels.flatten(), ignore_index=IGNORED)


def _parameters_mib(task: Translation) -> float:
    return sum(parameter.numel() * parameter.element_size() for parameter in task.parameters()) / 2**20
