"""CoNLL-U files: read sentences for training, and tag a file without changing anything else in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from nlp_rnn.data.corpus.text import read_lines
from nlp_rnn.errors import UsageError
from nlp_rnn.files import shorten

_WORD_ID = re.compile(r"[0-9]{1,9}")
_OTHER_ID = re.compile(r"([0-9]{1,9})([-.])([0-9]{1,9})")  # a multiword token 3-4 or an empty node 3.1
_FIELDS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
# The first line of CoNLL-U Plus, whose files have other columns.
_PLUS = re.compile(r"#\s*global\.columns\s*=\s*(.+)")


def read_conllu(path: str | Path, encoding: str = "utf-8") -> pa.Table:
    """Read the sentences of a CoNLL-U file, or of one of CoNLL-U Plus.

    Args:
        path: the file, which may be compressed.
        encoding: its encoding.

    Returns:
        One row per sentence, and a column per field, such as tokens, lemma, upos, xpos and feats; each is a
        list with one text per syntactic word. Multiword tokens and empty nodes are left out.

    Raises:
        UsageError: the file cannot be read, or a line is malformed (with its number); or the treebank
            withholds its text.
    """
    path = Path(path)
    lines = read_lines(path, encoding)
    plus = _PLUS.match(lines[0].removeprefix("\ufeff")) if lines else None
    fields = tuple(name.strip().lower() for name in plus[1].split()) if plus else _FIELDS
    if "form" not in fields:
        raise UsageError(f"{path}, line 1: global.columns has no FORM; found {', '.join(fields)}")
    sentences = []
    for block in conllu_blocks((line + "\n" for line in lines), str(path), fields):
        tokens = [columns for line in block.split("\n") if (columns := _columns(line))]
        words = [columns for columns in tokens if fields[0] != "id" or _is_word(columns)]
        if words:
            sentences.append(words)
    form = fields.index("form")
    num_words = sum(map(len, sentences))
    withheld = sum(word[form] == "_" for words in sentences for word in words)
    if withheld > num_words / 2:
        raise UsageError(
            f"{path}: {withheld:,} of {num_words:,} words are _, for the treebank withholds its text; "
            "its README says how to fill it in"
        )
    table = {
        "tokens" if name == "form" else name: [[word[place] or "_" for word in words] for words in sentences]
        for place, name in enumerate(fields)
    }
    return pa.table(table, schema=pa.schema([(name, pa.list_(pa.string())) for name in table]))


def conllu_blocks(
    lines: Iterable[str], name: str = "input", fields: Sequence[str] = _FIELDS
) -> Iterator[str]:
    r"""Split CoNLL-U text into blocks of one sentence, with its comments and the blank lines after it.

    Nothing is lost: `"".join(conllu_blocks(lines)) == "".join(lines)`.

    Args:
        lines: lines with their ends, such as a text stream opened with encoding="utf-8", newline="\n".
        name: what messages call the input.
        fields: the names of the columns.

    Raises:
        UsageError: a token line has no valid ID or another number of columns; the message has its number.
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
            _check_columns(columns, f"{name}, line {number}", fields)
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


def _check_columns(columns: list[str], where: str, fields: Sequence[str]) -> None:
    if len(columns) != len(fields):
        raise UsageError(f"{where}: {len(fields)} columns separated by tabs expected, {len(columns)} found")
    if not all(columns[:4]):
        raise UsageError(f"{where}: an empty column; write _ for no value")
    if fields[0] != "id" or _WORD_ID.fullmatch(columns[0]):
        return
    other = _OTHER_ID.fullmatch(columns[0])
    if other is None or (other[2] == "-" and int(other[1]) >= int(other[3])):
        raise UsageError(f"{where}: {shorten(columns[0])} is not a word ID such as 3, 3-4 or 3.1")
