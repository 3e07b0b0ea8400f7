"""Lines of text, from a file, a pipe or a terminal, and their answers."""

from __future__ import annotations

import json
import logging
import os
import stat
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, BinaryIO, TypeVar

from .errors import UsageError
from .pipelines import BasePipeline
from .text.notices import warn_columns
from .text.readers import Reader

log = logging.getLogger(__name__)

_READ_BYTES = 65536  # at once: what a pipe of Linux holds
T = TypeVar("T")


class Arriving:
    """The lines of a terminal, a pipe or a file, of which it is known whether the next one is here already.

    Args:
        stream: the bytes.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lines: deque[bytes] = deque()
        self._is_file = _is_file(stream)

    def __iter__(self) -> Iterator[bytes]:
        begun: list[bytes] = []  # the parts of a line whose end is not here yet
        # At most one read of the system, which returns what has arrived.
        while data := self._stream.read1(_READ_BYTES):  # type: ignore[attr-defined]
            *lines, rest = data.split(b"\n")
            if lines:
                lines[0] = b"".join([*begun, lines[0]])
                begun = []
                self._lines.extend(line + b"\n" for line in lines)
            if rest:
                begun.append(rest)
            while self._lines:
                yield self._lines.popleft()
        if begun:
            yield b"".join(begun)

    def chunks(self, items: Iterator[T], answerer: BasePipeline) -> Iterator[list[T]]:
        """What is read from the lines, in chunks that wait for no further line, and of at most 16 batches."""
        chunk = []
        for item in items:
            chunk.append(item)
            if len(chunk) == 16 * answerer.batch_size or not (self._is_file or self._lines):
                yield chunk
                chunk = []
        if chunk:
            yield chunk


def decoded_lines(stream: Iterable[bytes], name: str) -> Iterator[str]:
    r"""Decode UTF-8 line by line; lines end at "\n" only.

    Args:
        stream: the bytes.
        name: the name of the source in messages.

    Yields:
        Lines with their ends; a byte-order mark is kept.

    Raises:
        UsageError: a line is not valid UTF-8.
    """
    offset = nuls = 0
    for number, raw in enumerate(stream, 1):
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UsageError(
                f"{name}, line {number}: invalid UTF-8 at byte offset {offset + error.start}; convert it"
            ) from None
        offset += len(raw)
        nuls += line.count("\0")
        yield line
    if nuls:
        log.warning("%s: kept %d NUL character(s) as text", name, nuls)


def stripped_lines(lines: Iterator[str]) -> Iterator[str]:
    """Lines without their ends, and without a byte-order mark at the start."""
    first = next(lines, "").removeprefix("\ufeff")
    for line in chain([first] if first else [], lines):
        yield line.removesuffix("\n").removesuffix("\r")


def parse_line(reader: Reader, line: str, where: str) -> Any:
    """What a model reads of a line.

    Args:
        reader: of the model.
        line: without its end.
        where: the place of the line, for messages.

    Raises:
        UsageError: the line is not an input.
    """
    try:
        value = reader.parse(line)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None
    if value is line:
        warn_columns(line, where)
    return value


def answer_lines(answerer: BasePipeline, inputs: list[Any], as_json: bool) -> Iterator[str]:
    """The answers to inputs, each a line with its end: a JSON object, or text."""
    for answer in answerer.iterate(inputs):
        if as_json:
            yield json.dumps(answer, ensure_ascii=False) + "\n"
        else:
            yield answerer.task.format_answer(answer).replace("\n", " ") + "\n"


def _is_file(stream: BinaryIO) -> bool:
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except OSError:  # a stream without a file descriptor
        return False
