"""Corpora: rows from the hub, local files or the bundled corpora, as splits with canonical columns."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from nlp_rnn.data.builtin.corpora import EXAMPLES, VERSION
from nlp_rnn.data.corpus.columns import Columns, select_columns
from nlp_rnn.data.corpus.hub import load_hub_dataset
from nlp_rnn.data.corpus.local import find_files, read_files
from nlp_rnn.data.corpus.splits import SPLITS, choose_splits, draw_validation, subsample
from nlp_rnn.data.corpus.tables import TABLE_SUFFIXES
from nlp_rnn.data.corpus.validation import (
    Split,
    check_labels,
    has_hidden_labels,
    validate_rows,
    warn_shared_rows,
)
from nlp_rnn.data.types import Dataset, DatasetDict
from nlp_rnn.errors import UsageError
from nlp_rnn.files import read_bytes, read_errors
from nlp_rnn.settings import Range, Seed, Settings

log = logging.getLogger(__name__)

_READING_VERSION = 2  # part of every cache key: increase it when the same files give other rows than before


@dataclass(frozen=True)
class Corpus(Settings):
    """Where rows come from. Nothing is read before `load`.

    Examples:
        >>> splits = Corpus("reviews.csv").load({"text": ("text", "review"), "label": "label"}, "label")

    Args:
        path: a bundled corpus (builtin, hello, ramp, digits, motion), a local file or folder, or the id of a
            hub dataset such as "stanfordnlp/imdb".
        config: configuration of a hub dataset.
        revision: branch, tag or commit of a hub dataset.
        train_split: name of the train split, or of a local file without its extension; detected if left out.
        validation_split: name of the validation split; detected if left out (dev, val, valid or validation),
            and sampled from train if there is none.
        test_split: name of the test split; detected if left out.
        validation_fraction: fraction of train that becomes the validation split if the corpus has none.
        max_examples: maximum number of rows per split, sampled at random; they keep their order.
        seed: seed of both samplings; the bundled corpora themselves do not depend on it.
    """

    path: str = "builtin"
    config: str | None = None
    revision: str | None = None
    train_split: str | None = None
    validation_split: str | None = None
    test_split: str | None = None
    validation_fraction: Annotated[float, Range(1e-6, 0.999)] = 0.1
    max_examples: Annotated[int, Range(1, 10**12)] | None = None
    seed: Seed = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.path:
            raise UsageError("path: the value is empty; give a bundled corpus, a file, a folder or a hub id")

    def load(self, columns: Mapping[str, str | Sequence[str]], labels: str | None = None) -> DatasetDict:
        """Load the splits train, validation and, where the corpus has one, test.

        Args:
            columns: canonical name -> column name(s) to accept in the data, in order of preference. The
                sides of parallel text are columns named by their file extensions:
                {"source": "de", "target": "en"} reads train.de and train.en. In files without a header the
                columns are in this order. Columns hold text, unless the names are `Words`, `Texts`,
                `Numbers` or `Vectors`.
            labels: canonical column of labels, one label or a list of labels per row. The labels are
                checked, and sampling keeps every label in train. With one label per row, a sampled
                validation split is stratified, and rows with a blank column are kept; otherwise they are
                dropped.

        Returns:
            Splits with exactly the canonical columns: text, lists of text, numbers (float64), or lists of
            numbers (float32).

        Raises:
            UsageError: the data cannot be read, or is not valid.
        """
        from datasets import Dataset, DatasetDict

        raw = {
            name: split
            for name, split in self.tables(columns).items()
            if not has_hidden_labels(name, split, labels)
        }
        tables = {name: validate_rows(where, table, labels) for name, (where, table) in raw.items()}
        for name, table in tables.items():
            if table.num_rows == 0:
                raise UsageError(f"{raw[name][0]}: no rows for the {name} split; give data with content")
        if labels is not None:
            check_labels(raw, labels)
        if not self._is_bundled():
            warn_shared_rows({name: (raw[name][0], table) for name, table in tables.items()}, labels)
        if "validation" not in tables:
            tables["train"], tables["validation"] = draw_validation(
                tables["train"], labels, self.validation_fraction, self.seed, self.path
            )
        names = [name for name in SPLITS if name in tables]
        return DatasetDict(
            {
                name: Dataset(subsample(name, tables[name], labels, self.max_examples, self.seed))
                for name in names
            }
        )

    def load_split(
        self, columns: Mapping[str, str | Sequence[str]], split: str, labels: str | None = None
    ) -> Dataset:
        """Load one split alone, for evaluation, whatever other splits the corpus has or lacks.

        Args:
            columns: as for `load`.
            split: train, validation or test. A single file is used whole, for any split.
            labels: as for `load`.

        Raises:
            UsageError: the corpus has no such split, or the data cannot be read or is not valid.
        """
        from datasets import Dataset

        raw = self.table(columns, split)
        if raw is None:  # validation, to be sampled from train
            return self.load(columns, labels)[split]
        if has_hidden_labels(split, raw, labels):
            raise UsageError(f"{raw[0]}: its labels are hidden; use another split")
        table = validate_rows(raw[0], raw[1], labels)
        if table.num_rows == 0:
            raise UsageError(f"{raw[0]}: no rows for the {split} split; give data with content")
        return Dataset(subsample(split, table, None, self.max_examples, self.seed))

    def cache_key(self, columns: Mapping[str, str | Sequence[str]], labels: str | None = None) -> str:
        """Return a SHA-256 hash (hex) of content and settings: equal keys mean equal rows from `load`.

        Nothing is parsed. Of local files the bytes matter, not the path.

        Raises:
            UsageError: the corpus cannot be found or read.
        """
        accepted = _accepted(columns)
        settings = {name: value for name, value in dataclasses.asdict(self).items() if name != "path"}
        digest = hashlib.sha256(
            json.dumps([_READING_VERSION, settings, list(accepted.items()), labels]).encode()
        )
        if self._is_bundled():
            digest.update(f"{self.path} {VERSION}".encode())
        elif local := self._local():
            for name, files in self._split_files(local, accepted).items():
                for file in files:
                    content = hashlib.sha256(read_bytes(file)).hexdigest()
                    digest.update(f"{name} {file.suffix} {content}\n".encode())
        else:
            for name, split in load_hub_dataset(self.path, self.config, self.revision).items():
                digest.update(f"{self.path} {name} {split._fingerprint}\n".encode())
        return digest.hexdigest()

    # ------------------------------------------------------------------------------------- sources

    def tables(self, columns: Mapping[str, str | Sequence[str]], only: str | None = None) -> dict[str, Split]:
        """Read the splits, or one alone, with the wanted columns, without validating the rows.

        Args:
            columns: as for `load`.
            only: the one split to read; all of them if None.

        Raises:
            UsageError: the data cannot be read.
        """
        accepted, splits = _accepted(columns), {}
        if self._is_bundled():
            for name, table in EXAMPLES[self.path]().items():
                where = f"corpus {self.path}, split {name}"
                if only in (None, name):
                    splits[name] = where, select_columns(table, accepted, where)
            return splits
        if local := self._local():
            files_of = self._split_files(local, accepted, only)
            return {name: read_files(files, accepted) for name, files in files_of.items()}
        hub = load_hub_dataset(self.path, self.config, self.revision)
        names = choose_splits(list(hub), self._split_names(), f"dataset {self.path}", only)
        for split, name in names.items():
            where = f"dataset {self.path}, split {name}"
            splits[split] = where, select_columns(hub[name].with_format("arrow")[:], accepted, where)
        return splits

    def table(self, columns: Mapping[str, str | Sequence[str]], split: str) -> Split | None:
        """Read one split without validating its rows; a single file is used whole, for any split.

        Args:
            columns: as for `load`.
            split: train, validation or test.

        Returns:
            The split; None for a validation split that is to be sampled from train.

        Raises:
            UsageError: the corpus has no such split, or it cannot be read.
        """
        if split not in SPLITS:
            raise UsageError(f"unknown split {split!r}: use one of {', '.join(SPLITS)}")
        local = None if self._is_bundled() else self._local()
        if local is not None and not local.is_dir():
            return read_files([local], _accepted(columns))
        raw = self.tables(columns, only=split).get(split)
        if raw is None and split != "validation":
            names = ", ".join(EXAMPLES[self.path]())
            raise UsageError(f"corpus {self.path} has no {split} split; it has {names}")
        return raw

    def _split_names(self) -> dict[str, str | None]:
        """The names of the splits, as far as the user set them."""
        return {"train": self.train_split, "validation": self.validation_split, "test": self.test_split}

    def _is_bundled(self) -> bool:
        if self.path not in EXAMPLES:
            return False
        if any(self._split_names().values()):
            raise UsageError(
                f"corpus {self.path} has fixed splits: leave out train_split, validation_split and test_split"
            )
        if Path(self.path).exists():
            raise UsageError(
                f"{self.path}: both a bundled corpus and a local path: "
                f"write ./{self.path} for the path, or change to another folder for the corpus"
            )
        return True

    def _local(self) -> Path | None:
        """The local file or folder that `path` names; None for a hub dataset."""
        path = Path(os.path.expanduser(self.path))  # as it is where there is no such user
        with read_errors(path):
            if path.exists():
                return path
        if path.suffix.lower() in TABLE_SUFFIXES or not re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", self.path):
            raise UsageError(
                f"{self.path}: no such file or folder; give one, a hub id (owner/name), or "
                f"{', '.join(EXAMPLES)}"
            )
        return None

    def _split_files(self, local: Path, columns: Columns, only: str | None = None) -> dict[str, list[Path]]:
        """The files of each split: one table, or the sides of parallel text."""
        if not local.is_dir():
            if any(self._split_names().values()):
                raise UsageError(f"{local}: a single file is the train split; to name splits give a folder")
            return {"train": [local]}
        files = find_files(local, columns)
        names = choose_splits(list(files), self._split_names(), str(local), only)
        return {split: files[name] for split, name in names.items()}


def _accepted(columns: Mapping[str, str | Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """The column names as tuples, whose types (`Words`, `Numbers`, ...) are kept."""
    for name, names in columns.items():
        if not names or not any(names):
            raise UsageError(f"no column is named for {name}; name one")
    return {
        name: names if isinstance(names, tuple) else (names,) if isinstance(names, str) else tuple(names)
        for name, names in columns.items()
    }
