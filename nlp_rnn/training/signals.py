"""SIGTERM and SIGINT (Ctrl-C): what was asked for is stopped, and the exit code says by which signal."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from nlp_rnn.errors import Interrupted

SIGNALS = (signal.SIGTERM, signal.SIGINT)

# Programs such as `timeout` send a signal to the process and to its group. Within this time it counts as one.
_SAME_SIGNAL_SECONDS = 1.0


@contextmanager
def handling(handler: Callable[[int, FrameType | None], Any], *others: signal.Signals) -> Iterator[None]:
    """Call `handler` at SIGTERM, SIGINT and other signals; in threads other than the main one, do nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in (*SIGNALS, *others)}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def stop_at_once(number: int, frame: FrameType | None = None) -> None:
    """Handle a signal by an exception.

    Raises:
        Interrupted: always.
    """
    raise Interrupted(number)


class StopRequest:
    """Remembers the first signal, so that a loop can stop where it is safe; a second one stops at once."""

    def __init__(self) -> None:
        self.number = 0
        """The signal; 0 if there was none."""
        self._time = 0.0
        self._process = os.getpid()

    def __call__(self, number: int, frame: FrameType | None = None) -> None:
        """Handle a signal."""
        if os.getpid() != self._process:  # a worker that prepares batches, and was forked with this handler
            if number != signal.SIGINT:  # which a terminal sends to all of them; the main process ends them
                os._exit(128 + number)
        elif not self.number:
            self.number, self._time = number, time.monotonic()
        elif time.monotonic() - self._time > _SAME_SIGNAL_SECONDS:
            raise Interrupted(number)
