"""Further corpora to train on, beside the corpus that is validated and tested on."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nlp_rnn.data.corpus.splits import take_rows
from nlp_rnn.data.corpus.validation import are_in, is_list, label_names, row_hashes
from nlp_rnn.data.vocabulary import SPECIALS
from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.files import shorten
from nlp_rnn.lite.text.tokenizer_format import TAG
from nlp_rnn.settings import Range, Settings

log = logging.getLogger(__name__)

_TAG = re.compile(TAG)
_PUNCTUATION = r"[^\p{L}\p{M}\p{N}]+"


@dataclass(frozen=True)
class ExtraCorpus(Settings):
    """A further corpus to train on. Its columns are called as those of the main corpus.

    Args:
        path: a local file or folder, the id of a hub dataset, or a bundled corpus. Its train split is read,
            of a single file all rows.
        weight: how often its rows are drawn per epoch: 1 is each row once, 2 each row twice, 0.5 a half of
            the rows, at random and another one in each epoch.
        tag: a token that is put in front of the source of its rows, such as <bt> for synthetic sources
            (tagged back-translation, Caswell et al. 2019); none if left out.

    Raises:
        UsageError: a value is out of range, or the tag is not a name in angle brackets.
    """

    path: str
    weight: Annotated[float, Range(1e-3, 1e3)] = 1.0
    tag: str | None = None

    def __post_init__(self) -> None:
        path: Any = self.path
        object.__setattr__(self, "path", os.fspath(path) if isinstance(path, os.PathLike) else path)
        super().__post_init__()
        if not self.path:
            raise UsageError("extra: a path is empty; give a file, a folder or a hub id")
        if self.tag is not None and (not _TAG.fullmatch(self.tag) or self.tag in SPECIALS):
            raise UsageError(
                f"extra: tag {shorten(self.tag)} must be a name in angle brackets, such as <bt>, and none of "
                f"{', '.join(SPECIALS)}"
            )

    @property
    def short_name(self) -> str:
        """The name without the folders that it is in."""
        return Path(self.path).name

    def described(self, rows: int) -> str:
        """What reports say of it.

        Args:
            rows: the number of its rows that are trained on.
        """
        tag = "" if self.tag is None else f", tag {self.tag}"
        return f"{self.short_name} {rows:,} rows (weight {self.weight:g}{tag})"


def without_leaks(
    where: str, table: pa.Table, evaluated: Sequence[pa.Table], keys: Sequence[Sequence[str]]
) -> tuple[pa.Table, int]:
    """Remove the rows that also stand in validation or test; one warning counts them.

    Texts are compared by their letters and digits alone, in lower case.

    Args:
        where: what messages call the table.
        table: rows with canonical columns.
        evaluated: the rows of validation and test.
        keys: lists of columns; rows are equal if they are in all columns of one of these lists.

    Returns:
        The rows that are left, and the number of those removed.

    Raises:
        UsageError: no row is left.
    """
    leaked = np.zeros(table.num_rows, bool)
    for names in keys:
        hashes = row_hashes(_normalized(table, names))
        for other in evaluated:
            leaked |= are_in(hashes, row_hashes(_normalized(other, names)))
    count = int(leaked.sum())
    if count == table.num_rows:
        raise UsageError(f"{where}: all {count:,} row(s) also stand in validation or test: give other data")
    if count:
        log.warning("%s: %d row(s) are left out of training: they stand in validation or test", where, count)
    return take_rows(table, np.flatnonzero(~leaked)), count


def _normalized(table: pa.Table, names: Sequence[str]) -> pa.Table:
    columns = {}
    for name in names:
        column = table.column(name)
        if is_list(table, name):
            column = pc.binary_join(column.cast(pa.list_(pa.string())), " ")
        text = column.cast(pa.string())
        letters = pc.replace_substring_regex(pc.utf8_lower(text), _PUNCTUATION, "")
        columns[name] = pc.if_else(pc.equal(letters, ""), text, letters)  # such as a smiley
    return pa.table(columns)


def check_extra_labels(where: str, table: pa.Table, train: pa.Table, labels: str | None) -> None:
    """Refuse labels that the main corpus has not, of corpora with one label per row.

    Args:
        where: what messages call the table.
        table: rows of the extra corpus.
        train: rows of the main corpus.
        labels: column of labels, if there is one.

    Raises:
        UsageError: there are some.
    """
    if labels is None or is_list(table, labels):
        return
    known = set(label_names(train, labels))
    if unknown := sorted(set(label_names(table, labels)) - known):
        raise UsageError(
            f"{where}: label {shorten(unknown[0])} is not in the main corpus; known: "
            f"{join_names(sorted(known))}"
        )
