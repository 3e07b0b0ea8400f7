"""CoNLL-U files: read sentences for training, and tag a file without changing anything else in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nlp_rnn.data.corpus.spool import Spool, convert_chunks
from nlp_rnn.data.corpus.text import plain_lines
from nlp_rnn.errors import UsageError
from nlp_rnn.files import shorten

_WORD_ID = re.compile(r"[0-9]{1,9}")
_OTHER_ID = re.compile(r"([0-9]{1,9})([-.])([0-9]{1,9})")  # a multiword token 3-4 or an empty node 3.1
_NUMBERED = re.compile(r"[0-9]+([-.][0-9]+)?\s")
_FIELDS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
# The first line of CoNLL-U Plus, whose files have other columns.
_PLUS = re.compile(r"#\s*global\.columns\s*=\s*(.+)")
# The attribute of MISC in which treebanks with named entities have them, where there is no column NER.
_NER, _NER_ATTRIBUTES = "ner", ("ner", "name")
_TEXT = "text"
_SENTENCES_AT_ONCE = 1000


def read_conllu(path: str | Path, encoding: str = "utf-8") -> pa.Table:
    """Read the sentences of a CoNLL-U file, or of one of CoNLL-U Plus, part by part.

    Args:
        path: the file, which may be compressed.
        encoding: its encoding.

    Returns:
        One row per sentence, and a column per field, such as tokens, lemma, upos, xpos and feats; each is a
        list with one text per syntactic word. Multiword tokens and empty nodes are left out. If the words
        have the attribute `ner` or `name` in MISC, there is a column ner too, O at words without it if no
        word has O. The column text is the text of the sentence, with white space where words do not have
        SpaceAfter=No.

    Raises:
        UsageError: the file cannot be read, or a line is malformed (with its number); or the treebank
            withholds its text.
    """
    path = Path(path)
    lines = plain_lines(path, encoding)
    first = next(lines, None)
    fields = conllu_fields(first or "", str(path))
    has_attribute = "misc" in fields and _NER not in fields
    names = ["tokens" if name == "form" else name for name in fields]
    schema = pa.schema(
        [(name, pa.list_(pa.string())) for name in (*names, *([_NER] if has_attribute else []))]
        + ([(_TEXT, pa.string())] if _TEXT not in fields else [])
    )
    form, num_words, withheld = fields.index("form"), 0, 0
    entities: set[str] = set()
    spool = Spool()
    whole = (line + "\n" for line in chain([] if first is None else [first], lines))
    blocks = iter(conllu_blocks(whole, str(path), fields))
    while part := list(islice(blocks, _SENTENCES_AT_ONCE)):
        tokens = [[columns for line in block.split("\n") if (columns := _columns(line))] for block in part]
        words = [[columns for columns in row if _is_word(columns, fields)] for row in tokens]
        places = [place for place, row in enumerate(words) if row]
        sentences = [words[place] for place in places]
        num_words += sum(map(len, sentences))
        withheld += sum(word[form] == "_" for row in sentences for word in row)
        table: dict[str, list[Any]] = {
            name: [[word[column] or "_" for word in row] for row in sentences]
            for column, name in enumerate(names)
        }
        if has_attribute:
            table[_NER] = [[_entity(misc) for misc in row] for row in table["misc"]]
            entities.update(tag for row in table[_NER] for tag in row)
        if _TEXT not in fields:
            table[_TEXT] = [_text(tokens[place], fields) for place in places]
        spool.add(pa.table(table, schema))
    if withheld > num_words / 2:
        raise UsageError(
            f"{path}: {withheld:,} of {num_words:,} words are _, for the treebank withholds its text; "
            "its README says how to fill it in"
        )
    made = spool.table(schema)
    if has_attribute and not entities - {"_"}:
        return made.drop_columns([_NER])
    if has_attribute and "O" not in entities:
        # Most treebanks have the attribute at entities alone: then a word without it is outside of them.
        outside = convert_chunks(made[_NER], _outside)
        return made.set_column(made.column_names.index(_NER), _NER, outside)
    return made


def _outside(tags: pa.Array, _: int) -> pa.Array:
    """Lists of tags, O instead of none."""
    offsets = np.concatenate([[0], np.cumsum(pc.list_value_length(tags).to_numpy())]).astype(np.int32)
    items = pc.list_flatten(tags)
    return pa.ListArray.from_arrays(pa.array(offsets), pc.if_else(pc.equal(items, "_"), "O", items))


def conllu_fields(first_line: str, where: str) -> tuple[str, ...]:
    """The names of the columns of a file, in lower case.

    Args:
        first_line: its first line, which states them in CoNLL-U Plus.
        where: what messages call the file.

    Raises:
        UsageError: there is no column of words.
    """
    plus = _PLUS.match(first_line.removeprefix("\ufeff"))
    fields = tuple(name.strip().lower() for name in plus[1].split()) if plus else _FIELDS
    if "form" not in fields:
        raise UsageError(f"{where}, line 1: global.columns has no FORM; found {', '.join(fields)}")
    return fields


def check_field(name: str, fields: Sequence[str], where: str) -> None:
    """Check that a file has a place for the tags of a column.

    Args:
        name: the name of the column.
        fields: the names of the file's columns.
        where: what messages call the file.

    Raises:
        UsageError: it has none.
    """
    if name.lower() not in (*fields, *([_NER] if "misc" in fields else [])):
        raise UsageError(
            f"{where}: the model predicts {shorten(name)}, for which the file has no column; its columns are "
            f"{', '.join(fields)}; name the column of the tags so in training (data.tags)"
        )


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


def block_words(block: str, fields: Sequence[str] = _FIELDS) -> list[str]:
    """Return the forms of the syntactic words in a block of one sentence."""
    form = fields.index("form")
    return [columns[form] for line in block.split("\n") if _is_word(columns := _columns(line), fields)]


def replace_tags(block: str, tags: Mapping[str, Sequence[str]], fields: Sequence[str] = _FIELDS) -> str:
    """Replace columns of the words in a block; all other text stays the same.

    Args:
        block: the text of one sentence.
        tags: column -> one tag per syntactic word. A column ner that the file does not have is the attribute
            of MISC.
        fields: the names of the file's columns.

    Raises:
        ValueError: the numbers of words and tags differ, or there is no such column.
    """
    lines = block.split("\n")
    words = [i for i, line in enumerate(lines) if _is_word(_columns(line), fields)]
    for name, column in tags.items():
        place = fields.index("misc" if name.lower() == _NER not in fields else name.lower())
        for i, tag in zip(words, column, strict=True):
            columns = lines[i].split("\t")
            end = "\r" if columns[place].endswith("\r") else ""  # of the line, whose last column it is
            if fields[place] != name.lower():
                tag = _with_entity(columns[place].removesuffix("\r"), tag)
            lines[i] = "\t".join([*columns[:place], tag + end, *columns[place + 1 :]])
    return "\n".join(lines)


def _entity(misc: str) -> str:
    """The entity tag among the attributes of a word; `_` if it has none."""
    attributes = (attribute.partition("=") for attribute in misc.split("|"))
    return next((tag for key, _, tag in attributes if key.lower() in _NER_ATTRIBUTES and tag), "_")


def _with_entity(misc: str, tag: str) -> str:
    """The attributes of a word with another entity tag, or one more."""
    attributes = [] if misc in ("", "_") else misc.split("|")
    keys = [attribute.partition("=")[0] for attribute in attributes]
    for place, key in enumerate(keys):
        if key.lower() in _NER_ATTRIBUTES:
            return "|".join([*attributes[:place], f"{key}={tag}", *attributes[place + 1 :]])
    return "|".join([*attributes, f"{_NER}={tag}"])


def _text(tokens: Sequence[Sequence[str]], fields: Sequence[str]) -> str:
    """The text of a sentence, from its words and multiword tokens."""
    form = fields.index("form")
    misc = fields.index("misc") if "misc" in fields else None
    parts: list[str] = []
    written = 0  # the last word of a multiword token
    for columns in tokens:
        other = _OTHER_ID.fullmatch(columns[0]) if fields[0] == "id" else None
        if other is None and fields[0] == "id" and int(columns[0]) <= written:
            continue
        if other is not None and other[2] == ".":
            continue
        written = int(other[3]) if other else written
        is_joined = misc is not None and "SpaceAfter=No" in columns[misc].split("|")
        parts += [columns[form], "" if is_joined else " "]
    return "".join(parts).rstrip()


def conllu_block(text: str, tokens: Iterable[tuple[int, int, Sequence[str]]]) -> str:
    """Make a sentence of CoNLL-U of raw text; what is not known of its words is `_`.

    Args:
        text: the text.
        tokens: for each token the place where it begins in the text, the one behind its end, and its words:
            several make it a multiword token.

    Returns:
        The block, with an empty line at its end; "" if there are no tokens.
    """
    lines: list[str] = []
    number = 0
    for start, end, words in tokens:
        is_joined = end < len(text) and not text[end].isspace()
        misc = "SpaceAfter=No" if is_joined else "_"
        if len(words) > 1:
            lines.append(_token_line(f"{number + 1}-{number + len(words)}", text[start:end], misc))
            misc = "_"
        for word in words:
            number += 1
            lines.append(_token_line(str(number), word, misc))
    return "\n".join([f"# text = {text.strip()}", *lines, "", ""]) if lines else ""


def is_conllu(lines: Iterable[str]) -> bool:
    """Whether text begins as CoNLL-U does, after comments: with a number and fields, or at least a tab."""
    comments = []
    for line in lines:
        line = line.removeprefix("\ufeff")
        if line.startswith("#"):
            comments.append(line)
        elif line.strip():
            return "\t" in line or (_NUMBERED.match(line) is not None and len(line.split()) == len(_FIELDS))
    return all(line.startswith("# ") for line in comments)


def _token_line(id: str, form: str, misc: str) -> str:
    return "\t".join([id, form, *["_"] * (len(_FIELDS) - 3), misc])


def _columns(line: str) -> list[str]:
    """The columns of a token line; [] for comments and blank lines."""
    line = line.removeprefix("\ufeff")
    return [] if line.startswith("#") or not line.strip() else line.rstrip("\r\n").split("\t")


def _is_word(columns: list[str], fields: Sequence[str]) -> bool:
    return bool(columns) and (fields[0] != "id" or _WORD_ID.fullmatch(columns[0]) is not None)


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
