"""CoNLL-U files: read sentences for training, and tag a file without changing anything else in it."""

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import conllu

from nlp_rnn.errors import UsageError
from nlp_rnn.files import read_lines, shorten

log = logging.getLogger(__name__)

_WORD_ID = re.compile(r"[0-9]{1,9}")
_OTHER_ID = re.compile(r"[0-9]{1,9}[-.][0-9]{1,9}")  # a multiword token 3-4 or an empty node 3.1
_FIELDS = ("id", "form", "lemma", "upos")


def read_conllu(path: str | Path) -> list[tuple[list[str], list[str]]]:
    """Read the sentences of a CoNLL-U file.

    Returns:
        (forms, UPOS tags) per sentence, with one entry per syntactic word; multiword tokens and empty nodes
        are left out. A word without a tag has the tag "_"; one warning counts such words.

    Raises:
        UsageError: the file cannot be read, or a line is malformed; the message has the line number.
    """
    sentences: list[tuple[list[str], list[str]]] = []
    untagged = 0
    for block in conllu_blocks((line + "\n" for line in read_lines(path)), str(path)):
        lines = [line for line in block.split("\n") if _columns(line)]
        if not lines:  # only comments
            continue
        try:
            parsed = conllu.parse_token_and_metadata("\n".join(lines), fields=_FIELDS)
        except conllu.exceptions.ParseException as error:
            raise UsageError(f"{path}, sentence {len(sentences) + 1}: {error}") from None
        words = [token for token in parsed if isinstance(token["id"], int)]
        sentences.append(([word["form"] for word in words], [word["upos"] for word in words]))
        untagged += sum(word["upos"] == "_" for word in words)
    if untagged:
        log.warning("%s: %d word(s) without a UPOS tag are left out of scoring", path, untagged)
    return sentences


def conllu_blocks(lines: Iterable[str], name: str = "input") -> Iterator[str]:
    r"""Split CoNLL-U text into blocks of one sentence, with its comments and the blank lines after it.

    Nothing is lost: `"".join(conllu_blocks(lines)) == "".join(lines)`.

    Args:
        lines: lines with their ends, such as a text stream opened with encoding="utf-8", newline="\n".
        name: what messages call the input.

    Raises:
        UsageError: a token line has no valid ID or not ten columns; the message has the line number.
    """
    block: list[str] = []
    blank_before = False
    for number, line in enumerate(lines, 1):
        blank = not line.strip()
        if blank_before and not blank:
            yield "".join(block)
            block = []
        block.append(line)
        blank_before = blank
        if columns := _columns(line):
            _check_columns(columns, f"{name}, line {number}")
    if block:
        yield "".join(block)


def block_words(block: str) -> list[str]:
    """Return the forms of the syntactic words in a block of one sentence."""
    return [columns[1] for line in block.split("\n") if _is_word(columns := _columns(line))]


def replace_upos(block: str, tags: Sequence[str]) -> str:
    """Replace the UPOS column of the words in a block; all other text stays the same.

    Args:
        block: the text of one sentence.
        tags: one tag per syntactic word.

    Raises:
        ValueError: the numbers of words and tags differ.
    """
    lines = block.split("\n")
    words = [i for i, line in enumerate(lines) if _is_word(_columns(line))]
    for i, tag in zip(words, tags, strict=True):
        columns = lines[i].split("\t")
        lines[i] = "\t".join([*columns[:3], tag, *columns[4:]])
    return "\n".join(lines)


def _columns(line: str) -> list[str]:
    """The columns of a token line; [] for comments and blank lines."""
    line = line.removeprefix("\ufeff")
    return [] if line.startswith("#") or not line.strip() else line.rstrip("\r\n").split("\t")


def _is_word(columns: list[str]) -> bool:
    return bool(columns) and _WORD_ID.fullmatch(columns[0]) is not None


def _check_columns(columns: list[str], where: str) -> None:
    if len(columns) != 10:
        raise UsageError(f"{where}: 10 columns separated by tabs expected, {len(columns)} found")
    if not (_WORD_ID.fullmatch(columns[0]) or _OTHER_ID.fullmatch(columns[0])):
        raise UsageError(f"{where}: {shorten(columns[0])} is not a word ID such as 3, 3-4 or 3.1")
    if not all(columns[:4]):
        raise UsageError(f"{where}: an empty column; write _ for no value")
    if any("  " in column for column in columns[:4]):  # the conllu package would split there
        raise UsageError(f"{where}: two spaces in a row inside a column; use one")
