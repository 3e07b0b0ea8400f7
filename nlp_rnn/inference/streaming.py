"""Streaming: a text that is answered after each piece of it."""

from __future__ import annotations

from typing import Any

import torch
from typing_extensions import override

from nlp_rnn.lite import pipelines
from nlp_rnn.tasks.base import Task


class Stream(pipelines.Stream):
    """One text that arrives in pieces; see `nlp_rnn.lite.pipelines.Stream`.

    Args:
        task: the model with its processor.

    Raises:
        UsageError: models of this task, or this model, answer whole inputs only.
    """

    # Without `fast_matmul`: it halves the speed of an LSTM step of 300 units for one row.

    @torch.inference_mode()
    def __init__(self, task: Task) -> None:
        super().__init__(task)

    @override
    @torch.inference_mode()
    def __call__(self, piece: Any) -> dict[str, Any]:
        return super().__call__(piece)
