"""What a conversion gives, and the check that it answers as the original does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nlp_rnn.errors import UsageError
from nlp_rnn.tasks.base import Task

TOLERANCE = 1e-5
"""The largest difference to the original that is accepted, relative to the largest score."""

_LENGTHS = (1, 2, 3, 5, 8, 13, 30)  # of the random sequences that are compared

Draw = Callable[[int, int], Tensor]
"""(number of a vocabulary, length) -> random ids of it, [length] int64."""


@dataclass(frozen=True)
class Request:
    """What a user asks to convert.

    Args:
        weights: the file of the weights.
        vocabularies: the files of the vocabularies, in the order that the recipe says.
        max_length: the maximum number of tokens per text.
        reverse_source: whether a translator reads its source from the end.
    """

    weights: Path
    vocabularies: Sequence[Path]
    max_length: int = 512
    reverse_source: bool = False


@dataclass(frozen=True)
class Imported:
    """A converted model.

    Args:
        task: the model with its processor.
        compare: (draw, length) -> the scores that the original and `task` have of random sequences.
        known: per vocabulary the other one's ids that have a token.
        notes: what a user should know, each in one line.
    """

    task: Task
    compare: Callable[[Draw, int], tuple[Tensor, Tensor]]
    known: Sequence[Sequence[int]]
    notes: list[str]


@torch.inference_mode()
def largest_difference(imported: Imported, seed: int = 0) -> float:
    """The largest difference between the scores of the original and of the converted model.

    Sequences of random tokens are read one by one, by the original as torch's own layers compute it.

    Args:
        imported: the converted model.
        seed: of the random tokens.

    Returns:
        The difference, relative to the largest absolute score or to 1, whichever is larger.

    Raises:
        UsageError: it is larger than `TOLERANCE`, so the conversion is wrong.
    """
    generator = torch.Generator().manual_seed(seed)

    def draw(vocabulary: int, length: int) -> Tensor:
        known = torch.tensor(imported.known[vocabulary])
        return known[torch.randint(len(known), (length,), generator=generator)]

    imported.task.eval()
    largest = 0.0
    for length in _LENGTHS:
        theirs, ours = imported.compare(draw, length)
        scale = max(1.0, theirs.abs().max().item())
        difference = (theirs - ours).abs().max().item() / scale
        largest = max(largest, difference if difference == difference else float("inf"))  # of NaN
    if not largest <= TOLERANCE:
        raise UsageError(
            f"the converted model differs from the original by {largest:.2g}, more than {TOLERANCE:.0e}: "
            "nothing was written; its layers are used otherwise than in the models that are known"
        )
    return largest


def renumber(ids: Tensor, places: dict[int, int]) -> Tensor:
    """Ids of the other vocabulary -> ours."""
    return torch.tensor([places[int(id)] for id in ids])


def make_task(task_class: Any, processor: Any, settings: dict[str, Any], weights: dict[str, Tensor]) -> Task:
    """A task with these weights.

    Raises:
        UsageError: a tensor has another shape than the settings say.
    """
    task: Task = task_class(processor, **settings)
    try:
        task.model.load_state_dict(weights)
    except RuntimeError as error:
        raise UsageError(f"the weights do not fit together: {error}") from error
    return task.eval()
