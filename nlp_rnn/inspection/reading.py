"""What the inspections share: the answer of a model to lists of token ids, in float64 on the CPU."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nlp_rnn.data.vocabulary import Vocabulary
from nlp_rnn.errors import UsageError
from nlp_rnn.models.layers.quantization import is_quantized
from nlp_rnn.tasks.base import Task

BATCH = 256
"""Texts that are read at once."""


def exact_model(task: Task) -> nn.Module:
    """A copy of a task's model in float64 on the CPU, without dropout.

    Raises:
        UsageError: its weights are int8.
    """
    if is_quantized(task.model):
        raise UsageError("the weights are int8: inspect the model that was quantized")
    return copy.deepcopy(task.model).cpu().double().eval()


def reading_part(model: nn.Module) -> Any:
    """The part of a model that has the recurrent layers that read the text, as `rnn`."""
    return getattr(model, "encoder", model)


def vocabulary_of(task: Task) -> Vocabulary:
    """The vocabulary of the tokens that a task's model reads."""
    vocabulary: Vocabulary = getattr(task.processor, task.probe().tokens)
    return vocabulary


def answer_names(task: Task) -> list[str]:
    """The names of the scores of an answer to a whole text: labels, or tokens that may come next.

    Raises:
        UsageError: the task's models do not give one answer per text, or cannot be inspected.
    """
    answers = task.probe().answers
    if answers == "running":
        return list(task.processor.labels)
    if answers == "next":
        return vocabulary_of(task).tokens()
    raise UsageError(
        f"a model for {task.name} has not one answer per text to explain: give one that predicts a label per "
        "text, or the next token"
    )


def require_labels(task: Task) -> list[str]:
    """The labels of a model that predicts one per text.

    Raises:
        UsageError: it does not.
    """
    if task.probe().answers != "running":
        raise UsageError(f"a model for {task.name} does not predict a label per text: give one that does")
    return list(task.processor.labels)


def batch_of(task: Task, texts: Sequence[Sequence[int]]) -> Any:
    """A batch of lists of token ids.

    Raises:
        UsageError: the model reads more than these, such as the letters of words.
    """
    name = task.processor.length_columns[0]
    try:
        return task.processor.collate({"row": [*range(len(texts))], name: list(texts)})
    except KeyError as error:
        raise UsageError(
            "the model reads the letters of words too: give one trained with --data.characters false"
        ) from error


def final_logits(task: Task, model: nn.Module, texts: Sequence[Sequence[int]]) -> Tensor:
    """The scores of the answer to each text, whose softmax is the probabilities that the model answers with.

    Args:
        task: whose processor makes the batches.
        model: its model, or a copy of it.
        texts: N lists of token ids, without BOS.

    Returns:
        [N, C].
    """
    probe, logits = task.probe(), []
    for start in range(0, len(texts), BATCH):
        part = texts[start : start + BATCH]
        batch = batch_of(task, part)
        scores = probe.logits(model, batch) / probe.temperature  # [T, B, C] or [1, B, C]
        ends = (batch.lengths - 1).clamp(min=0, max=len(scores) - 1)
        logits.append(scores[ends, torch.arange(len(part))])
    return torch.cat(logits)


def log_odds(logits: Tensor, answer: int) -> Tensor:
    """[..., C] logits -> [...] the log-odds of one answer against all others, in nats."""
    others = torch.cat([logits[..., :answer], logits[..., answer + 1 :]], -1)
    return logits[..., answer] - others.logsumexp(-1)
