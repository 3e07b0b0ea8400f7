"""Streaming: a text that is answered after each piece of it."""

from __future__ import annotations

from typing import Any

import torch

from nlp_rnn.errors import UsageError
from nlp_rnn.tasks.base import Task
from nlp_rnn.tasks.interface import StreamState


class Stream:
    """One text that arrives in pieces; made by `Pipeline.stream`.

    A call with a piece returns the answer to all that was read, equal to the pipeline's answer to the whole
    text. A tagger answers for the words of the piece only, and a language model predicts the next token. A
    call costs the same time at the thousandth word as at the first, and only the recurrent state is kept.

    A piece is one word or several; for a model of characters any part of the text, since nothing is inserted
    between two pieces. White space alone changes nothing. The maximum length of the pipeline does not apply.

    Args:
        task: the model with its processor.

    Raises:
        UsageError: models of this task, or this model, answer whole inputs only.

    Examples:
        >>> stream = pipeline("sentiment", "path/to/model").stream()
        >>> for word in "not a bad film".split():
        ...     print(word, stream(word)["label"])
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._pending: Any = None  # the end of the last piece, which may belong to a longer token
        self._settled = self._start()  # the state after all that comes before it

    @torch.inference_mode()
    def _start(self) -> StreamState:
        return self._task.start_stream()

    @torch.inference_mode()
    def __call__(self, piece: Any) -> dict[str, Any]:
        """The answer to what has been read so far, this piece included.

        Raises:
            UsageError: the piece is not text, or contains a lone surrogate; the stream is then unchanged.
        """
        # Without `fast_matmul`: it halves the speed of an LSTM step of 300 units for one row.
        processor = self._task.processor
        if not processor.is_input(piece):
            raise UsageError(f"the piece is no {processor.input_description}: {piece!a:.60}")
        prefix, pending = processor.split_stable_prefix(self._pending, piece)
        settled = self._task.read_stream(prefix, self._settled)
        answer = (self._task.read_stream(pending, settled) if pending else settled).answer
        self._pending, self._settled = pending, settled
        return answer
