"""A stream of text in, a stream of answers out."""

from __future__ import annotations

import json
import logging
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, Literal, TextIO

from nlp_rnn.data.corpus.conllu import block_words, conllu_blocks, replace_upos
from nlp_rnn.data.corpus.validation import UNTAGGED
from nlp_rnn.data.processor import collect_warnings
from nlp_rnn.errors import UsageError
from nlp_rnn.files import atomic_write, open_bytes
from nlp_rnn.inference.pipelines import Pipeline, pipeline
from nlp_rnn.tasks.pretrained import from_pretrained

log = logging.getLogger(__name__)


def predict(
    model: str | Path,
    source: str = "-",
    output: str = "-",
    as_json: bool = False,
    conllu: bool = False,
    beam: int | None = None,
    n_best: int = 1,
    batch_size: int = 64,
    device: str = "cpu",
    precision: Literal["fp32", "bf16"] = "fp32",
) -> None:
    """Answer a file or standard input, a line each and in order, in constant memory.

    Args:
        model: what `from_pretrained` takes.
        source: a file, or - for standard input: one text a line, or CoNLL-U.
        output: a file, which appears when it is whole, or - for standard output.
        as_json: write JSON objects with scores rather than bare answers.
        conllu: read and write CoNLL-U; all but the UPOS column stays as it is.
        beam, n_best: of tasks that write text.
        batch_size: most texts computed together.
        device: where to compute.
        precision: of `pipeline`.

    Raises:
        UsageError: the model or the source cannot be read; for a fault in the text, with its line; or
            settings do not go together.
    """
    if as_json and conllu:
        raise UsageError("JSON or CoNLL-U: choose one")
    if n_best > 1 and not as_json:
        raise UsageError("several answers a sentence (--n-best) are shown as JSON alone: add --json")
    task = from_pretrained(model)
    if conllu and task.conllu_answer is None:
        raise UsageError(f"CoNLL-U is for taggers; {model} is for {task.name}")
    answerer = pipeline(task.name, task, batch_size, device, beam, n_best, precision)  # type: ignore[arg-type]
    with collect_warnings(), _reading(source) as stream, _writing(output) as sink:
        # Someone who types wants each answer at once, who feeds a pipe wants them soon; a file is better
        # read far ahead.
        window = 1 if stream.isatty() else None if _is_file(stream) else batch_size
        name = "standard input" if source == "-" else source
        lines = decoded_lines(stream, name)
        if conllu:
            answers = _tagged_blocks(answerer, lines, name)
        else:
            answers = _answered(answerer, lines, name, as_json, window)
        for text in answers:
            sink.write(text)
            if window:
                sink.flush()


def decoded_lines(stream: BinaryIO, name: str) -> Iterator[str]:
    """Lines with their ends, which are at "\\n" only, from UTF-8 bytes; a byte-order mark is kept."""
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


def _answered(
    answerer: Pipeline, lines: Iterable[str], name: str, as_json: bool, window: int | None
) -> Iterator[str]:
    lines = iter(lines)
    first = next(lines, "").removeprefix("\ufeff")
    lines = (line.removesuffix("\n").removesuffix("\r") for line in chain([first] if first else [], lines))
    inputs = _parsed(answerer, lines, name)
    for answer in answerer.iterate(inputs, window):
        if as_json:
            yield json.dumps(answer, ensure_ascii=False) + "\n"
        else:
            yield answerer.task.format_answer(answer).replace("\n", " ") + "\n"


def _parsed(answerer: Pipeline, lines: Iterable[str], name: str) -> Iterator[Any]:
    for number, line in enumerate(lines, 1):
        try:
            yield answerer.task.processor.parse(line)
        except UsageError as error:
            raise UsageError(f"{name}, line {number}: {error}") from None


def _tagged_blocks(answerer: Pipeline, lines: Iterable[str], name: str) -> Iterator[str]:
    blocks = conllu_blocks(lines, name)
    while chunk := list(islice(blocks, 16 * answerer.batch_size)):
        words = [block_words(block) for block in chunk]
        for block, sentence, answer in zip(chunk, words, answerer(words), strict=True):
            # What is beyond the model's longest sentence stays untagged.
            tags = answer[answerer.task.conllu_answer]
            tags = tags + [UNTAGGED] * (len(sentence) - len(tags))
            yield replace_upos(block, tags)


def _is_file(stream: BinaryIO) -> bool:
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except OSError:  # not of the operating system
        return False


@contextmanager
def _reading(source: str) -> Iterator[BinaryIO]:
    if source == "-":
        yield sys.stdin.buffer
    else:
        with open_bytes(source) as file:
            yield file


@contextmanager
def _writing(output: str) -> Iterator[TextIO]:
    if output == "-":
        sys.stdout.reconfigure(encoding="utf-8", newline="\n")  # type: ignore[union-attr]
        yield sys.stdout
        sys.stdout.flush()
        return
    path = Path(os.path.realpath(output))  # through a link, what it leads to is replaced
    if path.is_dir():
        raise UsageError(f"{output}: is a directory; give a file")
    if path.exists() and not path.is_file():  # a pipe or a device stays what it is
        with path.open("w", encoding="utf-8", newline="\n") as file:
            yield file
        return
    try:
        with atomic_write(path) as half, half.open("w", encoding="utf-8", newline="\n") as file:
            yield file
    except OSError as error:
        raise UsageError(f"{output}: cannot be written ({error.strerror or error})") from error
