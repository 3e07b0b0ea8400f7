"""What a model would have answered to other words: a stream is forked where the texts part."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from nlp_rnn.errors import UsageError
from nlp_rnn.inspection.reading import require_labels
from nlp_rnn.lite.streaming import Stream
from nlp_rnn.tasks.base import Task
from nlp_rnn.tasks.pretrained import from_pretrained


@dataclass(frozen=True)
class Fork:
    """Two texts that differ in one word, and the answers after each word of both."""

    words: list[str]
    """[T], of the text."""
    place: int
    """The index of the word that is another one in the other text."""
    replacement: str
    """What stands in its place; "" if the word is left out."""
    answers: list[dict[str, Any]]
    """[T], after each word; those before `place` are the same in both."""
    others: list[dict[str, Any]]
    """[T], after each word of the other text; where the word is left out, the answer is that before it."""


@torch.inference_mode()
def fork(model: str | Path | Task, text: str, word: str, replacement: str) -> Fork:
    """Read a text as a stream, and at one word fork it, so that another word can take its place.

    Args:
        model: a model folder, a checkpoint or a hub id, as for `from_pretrained`; or a loaded task. It must
            be able to stream.
        text: words with white space between them.
        word: a word of the text; its first occurrence is replaced.
        replacement: what takes its place; "" leaves it out.

    Raises:
        UsageError: the model cannot be loaded, does not predict a label per text, or cannot stream; or the
            word is not in the text.

    Examples:
        >>> forked = fork("runs/streaming/latest/model", "not a bad film .", "bad", "good")
        >>> forked.answers[-1]["label"], forked.others[-1]["label"]
    """
    task = model if isinstance(model, Task) else from_pretrained(model)
    require_labels(task)
    words = text.split()
    if word not in words:
        raise UsageError(
            f"the word {word!a} is not in the text: give one of its words, as it is written there"
        )
    place = words.index(word)
    stream = Stream(task)
    before = [stream(part) for part in words[:place]]
    other = stream.fork()
    answers = [*before, *(stream(part) for part in words[place:])]
    # A piece without tokens changes nothing.
    others = [*before, *(other(part) for part in [replacement, *words[place + 1 :]])]
    return Fork(words, place, replacement, answers, others)


def turns(answers: list[dict[str, Any]]) -> list[int]:
    """The indices of the words at which the label of a stream becomes another one.

    Args:
        answers: [T], after each word.
    """
    labels = [answer["label"] for answer in answers]
    return [index for index in range(1, len(labels)) if labels[index] != labels[index - 1]]
