"""Our translation task on random ids: sentences of any length, vocabularies of any size."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from benchmarks.given import Given
from benchmarks.ours import settled
from benchmarks.worker import Caller, resident
from nlp_rnn.data import VocabularySettings
from nlp_rnn.data.batching import IGNORED
from nlp_rnn.data.vocabulary import BOS, EOS, SPECIALS, Vocabulary
from nlp_rnn.tasks import Translation
from nlp_rnn.tasks.translation.data import TranslationBatch, TranslationProcessor


def translation(given: Given, words: int) -> Translation:
    """The printout's model with so many target words."""
    torch.manual_seed(0)
    sides = []
    for size in (min(words, 8000), words):
        settings = VocabularySettings(min_frequency=1, max_size=size)
        names = [[f"w{number}" for number in range(size - len(SPECIALS))]]
        sides.append(Vocabulary.train_on_words(names, settings))
    sizes: dict[str, Any] = {"embedding_dim": 16, "hidden_dim": 32} if given.quick else {}
    return Translation(TranslationProcessor(sides[0], sides[1]), **sizes).to(given.device).train()


def random_batch(task: Translation, size: int, steps: int) -> TranslationBatch:
    """Pairs of sentences of so many random words each."""
    source = torch.randint(EOS + 1, len(task.processor.source), (steps, size))
    target = torch.randint(EOS + 1, len(task.processor.target), (steps, size))
    lengths = torch.full((size,), steps)
    return TranslationBatch(
        list(range(size)),
        lengths,
        source,
        target=torch.cat([torch.full((1, size), BOS), target]),
        target_lengths=lengths + 1,
        labels=torch.cat([target, torch.full((1, size), EOS)]),
    ).to(task.device)


@settled
def steps(given: Given, caller: Caller, length: int, size: int, words: int) -> None:
    """Turns of so many training steps on sentences of one length; units are steps of one sentence."""
    task = translation(given, words)
    optimizer = task.configure_optimizers()["optimizer"]
    batch = random_batch(task, size, length)
    for times in caller.rounds():
        with caller.measured("token-steps", given.device) as found:
            for _ in range(times):
                task.loss(batch).backward()
                torch.nn.utils.clip_grad_norm_(task.model.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()
            found.update(units=times * size * (2 * length + 1))


@settled
def loss(given: Given, caller: Caller, how: str, length: int, size: int, words: int) -> None:
    """Turns of so many losses and their gradients.

    Args:
        how: ours (the task's own loss) or plain (cross-entropy of all logits at once).
        length, size: of the sentences and of the batch.
        words: target words.
    """
    task = translation(given, words)
    batch = random_batch(task, size, length)
    for parameter in task.model.parameters():  # as in any step but the first
        parameter.grad = torch.zeros_like(parameter)
    for times in caller.rounds(base_mib=resident("VmRSS"), parameters_mib=_parameters_mib(task)):
        with caller.measured("target tokens", given.device) as found:
            for _ in range(times):
                value = task.loss(batch) if how == "ours" else _plain(task, batch)
                value.backward()
            found.update(units=times * size * (length + 1), loss=value.item())


def _plain(task: Translation, batch: TranslationBatch) -> torch.Tensor:
    assert batch.target is not None
    assert batch.labels is not None
    logits = task.model(batch.source, batch.target, batch.lengths)
    return F.cross_entropy(logits.flatten(0, 1), batch.labels.flatten(), ignore_index=IGNORED)


def _parameters_mib(task: Translation) -> float:
    return sum(parameter.numel() * parameter.element_size() for parameter in task.parameters()) / 2**20
