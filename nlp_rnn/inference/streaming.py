"""Streaming: a text that is answered after each piece of it."""

from __future__ import annotations

from typing import Any

import torch
from typing_extensions import override

from nlp_rnn.lite import streaming
from nlp_rnn.tasks.base import Task


class Stream(streaming.Stream):
    """One text that arrives in pieces; see `nlp_rnn.lite.streaming.Stream`.

    Args:
        task: the model with its processor.
        history: the number of last pieces that can be undone.

    Raises:
        UsageError: models of this task, or this model, answer whole inputs only; or `history` is negative.
    """

    # Without `fast_matmul`: it halves the speed of an LSTM step of 300 units for one row.

    @torch.inference_mode()
    def __init__(self, task: Task, history: int = 1) -> None:
        super().__init__(task, history)

    @override
    @torch.inference_mode()
    def __call__(self, piece: Any) -> dict[str, Any]:
        return super().__call__(piece)
