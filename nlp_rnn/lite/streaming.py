"""Streaming: a text that is answered after each piece of it, forked, and undone."""

from __future__ import annotations

from collections import deque
from copy import copy
from typing import Any, Self

from .errors import UsageError, check_number


class Stream:
    """One text that arrives in pieces; made by `Pipeline.stream`.

    A call with a piece returns the answer to all that was read, equal to the pipeline's answer to the whole
    text. A tagger answers for the words of the piece only, and a language model predicts the next token. A
    call costs the same time at the thousandth word as at the first, and only recurrent states are kept: the
    last one, and one for each piece that can be undone.

    A piece is one word or several; for a model of characters any part of the text, since nothing is inserted
    between two pieces. White space alone changes nothing. The maximum length of the pipeline does not apply.

    Args:
        task: the model with its processor.
        history: the number of last pieces that can be undone.

    Raises:
        UsageError: models of this task, or this model, answer whole inputs only; or `history` is negative.

    Attributes:
        answer: the answer to what has been read so far.

    Examples:
        >>> stream = pipeline("sentiment", "path/to/model").stream()
        >>> for word in "not a bad film".split():
        ...     print(word, stream(word)["label"])
        >>> other = stream.fork()
        >>> other.undo()
        >>> print(stream("again")["label"], other("play")["label"])
    """

    def __init__(self, task: Any, history: int = 1) -> None:
        check_number("history", history, 0, 1_000_000, int)
        self._task = task
        self._pending: Any = None  # the end of the last piece, which may belong to a longer token
        self._settled = task.start_stream()  # the state after all that comes before it
        self.answer: dict[str, Any] = self._settled.answer
        self._past: deque[tuple[Any, Any, dict[str, Any]]] = deque(maxlen=history)

    def __repr__(self) -> str:
        undo = f"{len(self._past)} of at most {self._past.maxlen} pieces can be undone"
        return f"Stream({self._task.name}; answer so far {self.answer}; {undo})"

    def __call__(self, piece: Any) -> dict[str, Any]:
        """The answer to what has been read so far, this piece included.

        Raises:
            UsageError: the piece is not text, or contains a lone surrogate; the stream is then unchanged.
        """
        processor = self._task.processor
        if not processor.is_input(piece):
            raise UsageError(f"the piece is no {processor.input_description}: {piece!a:.60}")
        prefix, pending = processor.split_stable_prefix(self._pending, piece)
        settled = self._task.read_stream(prefix, self._settled)
        latest = self._task.read_stream(pending, settled) if pending else settled
        self._past.append((self._pending, self._settled, self.answer))
        self._pending, self._settled, self.answer = pending, settled, latest.answer
        return self.answer

    def fork(self) -> Self:
        """Another stream that has read the same text; what one of them reads does not change the other.

        It costs no time and no memory, since states are never changed but replaced.
        """
        other = copy(self)
        other._past = self._past.copy()
        return other

    def undo(self) -> dict[str, Any]:
        """Take the last piece back; all is then, bit for bit, as it was before.

        Returns:
            The answer to what was read before that piece.

        Raises:
            UsageError: nothing has been read, or more was undone than is kept.
        """
        if not self._past:
            raise UsageError(
                f"there is no piece to undo: this stream keeps the last {self._past.maxlen}; open it with a "
                "larger history"
            )
        self._pending, self._settled, self.answer = self._past.pop()
        return self.answer
