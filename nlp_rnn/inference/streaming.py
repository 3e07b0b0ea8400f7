"""A text read as it comes, and answered after each piece of it."""

from __future__ import annotations

from typing import Any

import torch

from nlp_rnn.errors import UsageError
from nlp_rnn.tasks.base import Task


class Stream:
    """One text that comes a piece at a time: what is kept of it is a recurrent state, however long it grows.

    Call it with a piece, and it answers for all that it has read: as the pipeline answers the whole text, in
    the same time at its thousandth word as at its first; but a tagger answers for the piece's own words, and
    a language model for what comes next. A piece is a word, or several; where the model reads
    characters it is any part of the text, and nothing is put between two of them. A blank piece changes
    nothing. The maximum length, to which a pipeline cuts texts, does not hold here.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._open: Any = None
        self._reading = self._begin()

    @torch.inference_mode()
    def _begin(self) -> Any:
        return self._task.start_stream()

    @torch.inference_mode()
    def __call__(self, piece: Any) -> dict[str, Any]:
        """The answer for what has been read so far, this piece included.

        Raises:
            UsageError: the piece is no text, or has a lone surrogate; the stream is then as it was before.
        """
        # Not within `fast_products`: of one row they are slower, an LSTM's step of 300 units half as fast.
        processor = self._task.processor
        if not processor.is_input(piece):
            raise UsageError(f"the piece is no {processor.input_description}: {piece!a:.60}")
        settled, pending = processor.split_stable_prefix(self._open, piece)
        reading = self._task.read_stream(settled, self._reading)
        answer = (self._task.read_stream(pending, reading) if pending else reading).answer
        self._open, self._reading = pending, reading
        return answer
