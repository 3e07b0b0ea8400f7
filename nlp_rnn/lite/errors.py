"""The exceptions of which programs show the user one line, without a traceback, and its form."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

_MAX_LISTED = 20  # names in a message
_MAX_MESSAGE = 1_000  # characters of a message
_KEPT_END = 300  # of a message that is cut: what to do stands there

# What a terminal obeys rather than shows: control characters, marks of the direction of writing, separators
# of lines; and lone surrogates, which cannot be written.
_CONTROLS = re.compile("[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


# What torch, NumPy, Arrow and the system say.
_NO_MEMORY = re.compile("out of memory|(can't|cannot|unable to) allocate|not enough memory|bad.alloc", re.I)


class UsageError(ValueError):
    """A file, setting or argument of the user is wrong.

    The message is one line: what is wrong, where, and what to do. Command-line programs print it without a
    traceback and exit with code 2.

    Args:
        message: it is made printable, and cut in the middle if it is very long.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class RunError(RuntimeError):
    """A run cannot go on, though its files, settings and arguments are in order.

    The message is one line, as that of a `UsageError`. Command-line programs exit with code 1.
    """


class Interrupted(BaseException):
    """A signal ended the work. Not an `Exception`: no handler of errors is to catch it.

    Args:
        number: the signal.
        message: what became of the work, and how it goes on.
    """

    def __init__(self, number: int, message: str = "") -> None:
        super().__init__(number, message)
        self.number = number
        self.message = message


def own_cause(error: BaseException | None) -> UsageError | RunError | None:
    """The error of this package, where a library has wrapped it in an exception of its own."""
    while error is not None and not isinstance(error, (UsageError, RunError)):
        error = error.__cause__ or error.__context__
    return error


@contextmanager
def naming_memory(remedy: str) -> Iterator[None]:
    """Turn an error for want of memory, whatever library raises it, into one line.

    Args:
        remedy: the settings to lower.

    Raises:
        RunError: memory ran out.
    """
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        is_known = isinstance(error, RunError) or not (
            isinstance(error, MemoryError) or _NO_MEMORY.search(str(error))
        )
        if is_known:
            raise
        raise RunError(f"out of memory; lower {remedy}") from error


def printable(text: str) -> str:
    r"""A text with control characters as escapes, such as `\x1b`, so that a terminal shows all of it."""
    return _CONTROLS.sub(lambda match: ascii(match[0])[1:-1], text)


def one_line(message: object) -> str:
    """A message on one line of at most 1,000 characters, without control characters."""
    text = printable(" ".join(str(message).split()))
    if len(text) <= _MAX_MESSAGE:
        return text
    return f"{text[: _MAX_MESSAGE - _KEPT_END - 5]} ... {text[-_KEPT_END:]}"


def join_names(names: Iterable[object]) -> str:
    """Names with commas between them, for a message: at most 20 of them, the rest counted."""
    names = list(names)
    more = [f"... ({len(names) - _MAX_LISTED:,} more)"] if len(names) > _MAX_LISTED else []
    return ", ".join([*map(str, names[:_MAX_LISTED]), *more])


def check_number(name: str, value: Any, low: float, high: float, kind: type = float) -> None:
    """Refuse what is no number in a range.

    Args:
        name: of the setting, for messages.
        value: the value.
        low: the smallest number.
        high: the largest number.
        kind: int for whole numbers.

    Raises:
        UsageError: names the setting, its value and the range.
    """
    types = (int,) if kind is int else (int, float)
    if not isinstance(value, types) or isinstance(value, bool):
        words = "a whole number" if kind is int else "a number"
        raise UsageError(f"{name} must be {words}, not {value!r:.60}")
    if not low <= value <= high:
        raise UsageError(f"{name} must be between {low:g} and {high:g}, not {value}")
