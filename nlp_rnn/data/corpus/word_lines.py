"""Reads sentences from files with one word and its tags per line, such as those of CoNLL-2003."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from nlp_rnn.data.corpus.columns import Columns, Words, matching_columns
from nlp_rnn.data.corpus.layout import Layout
from nlp_rnn.data.corpus.text import read_lines
from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.files import shorten

WORD_LINE_SUFFIXES = (".conll", ".iob", ".iob2", ".bio")

_MANY_TAGS = 20  # more than which need as many words
_DOCUMENT = "-DOCSTART-"
# The columns of files in which they are not stated, by their number. "" is a name that every column of tags
# answers to.
_USUAL = {2: ("tokens", ""), 4: ("tokens", "xpos", "chunk", "ner")}


def read_word_lines(path: Path, columns: Columns, layout: Layout) -> pa.Table:
    """Read columns of a file with one word per line and blank lines between sentences.

    Fields are separated by tabs if the first line has one, else by white space. Lines that mark documents
    are left out, and so are comments: lines that begin with "#" and have another number of fields.

    Args:
        path: the file.
        columns: canonical name -> names to accept; tokens first.
        layout: how the file is to be read. Without `columns` and a header, two columns are tokens and tags,
            and four are those of CoNLL-2003: tokens, xpos, chunk and ner.

    Returns:
        A table of lists of text, with the names of the file's columns.

    Raises:
        UsageError: a line has another number of fields; or the columns are not known.
    """
    lines = read_lines(path, layout.encoding)
    first = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    tabs = "\t" in first
    width = len(layout.columns or _fields(first, tabs))
    names = layout.columns or _USUAL.get(width)
    header = tuple(_fields(first, tabs))
    if layout.columns is None and len(matching_columns(header, columns)) == len(columns):
        names, lines[lines.index(first)] = header, ""
    if names is None:
        raise UsageError(
            f"{path}: {width} column(s) of words and tags, such as {shorten(first)}; "
            "state their names, in their order, by corpus.columns"
        )
    tags = next((accepted[0] for accepted in list(columns.values())[1:]), "tags")
    names = tuple(name or tags for name in names)
    sentences = list(_sentences(path, lines, width, tabs))
    if layout.columns is None:
        _check_usual(path, sentences, names)
    return pa.table(
        {
            name: pa.array([[word[place] for word in words] for words in sentences], pa.list_(pa.string()))
            for place, name in enumerate(names)
        }
    )


def is_word_lines(path: Path, columns: Columns, layout: Layout) -> bool:
    """Return whether a file of columns of words has one word per line, not one sentence.

    Then there are blank lines between its sentences, and no white space in any field but those of comments.
    """
    if not all(isinstance(names, Words) for names in columns.values()):
        return False
    lines = [line.strip() for line in read_lines(path, layout.encoding)]
    words = [line for line in lines if line and not line.startswith("#")]
    between = "\n".join(lines).strip()
    return "\n\n" in between and not any(set(" \u3000") & set(line) for line in words)


def _fields(line: str, tabs: bool) -> list[str]:
    return line.split("\t") if tabs else line.split()


def _check_usual(path: Path, sentences: list[list[list[str]]], names: tuple[str, ...]) -> None:
    """Refuse columns that can hardly be what files usually have."""
    state = "state their names, in their order, by corpus.columns"
    if sentences and all(words[0][0] in ("0", "1") for words in sentences) and _is_numbered(sentences):
        raise UsageError(f"{path}: the first column numbers the words of each sentence; {state}")
    words, tags = ({word[place] for words in sentences for word in words} for place in (0, len(names) - 1))
    if len(tags) > max(_MANY_TAGS, len(words)):
        raise UsageError(f"{path}: read as {', '.join(names)} it has more tags than words; {state}")


def _is_numbered(sentences: list[list[list[str]]]) -> bool:
    return all(
        word[0] == str(int(words[0][0]) + place) for words in sentences for place, word in enumerate(words)
    )


def _sentences(path: Path, lines: list[str], width: int, tabs: bool) -> Iterator[list[list[str]]]:
    """The words of each sentence, each a list of its fields."""
    words: list[list[str]] = []
    for number, line in enumerate([*lines, ""], 1):
        fields = _fields(line, tabs) if line.strip() else []
        if not fields or fields[0] == _DOCUMENT:
            if words:
                yield words
            words = []
        elif len(fields) == width:
            words.append(fields)
        elif not line.startswith("#"):
            raise UsageError(
                f"{path}, line {number}: {width} fields expected, {len(fields)} found: "
                f"{join_names(map(shorten, fields))}"
            )
