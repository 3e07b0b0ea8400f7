"""Corpora: rows from the hub, local files or the bundled corpora, as splits with canonical columns."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import pyarrow as pa
from typing_extensions import override

from nlp_rnn.data.corpus.drawing import Drawn, content_hash, draw_splits
from nlp_rnn.data.corpus.layout import Layout
from nlp_rnn.data.corpus.memory import InMemory
from nlp_rnn.data.corpus.reading import Reader
from nlp_rnn.data.corpus.sources import HubStream, Source, find_source
from nlp_rnn.data.corpus.splits import SPLITS, sample_rows, take_rows
from nlp_rnn.data.corpus.validation import (
    Split,
    check_labels,
    has_hidden_labels,
    normalize_labels,
    validate_rows,
    warn_shared_rows,
)
from nlp_rnn.data.types import Dataset, DatasetDict
from nlp_rnn.errors import UsageError
from nlp_rnn.settings import Range, Seed, Settings

log = logging.getLogger(__name__)

_READING_VERSION = 7  # part of every cache key: increase it when the same files give other rows than before

REMEMBERED = ("columns", "encoding")
"""The settings of a corpus that a model remembers beside the names of its columns, where they are set."""


@dataclass(frozen=True)
class Corpus(Settings):
    """Where rows come from. Nothing is read before `load`.

    Examples:
        >>> splits = Corpus("reviews.csv").load({"text": ("text", "review"), "label": "label"}, "label")

    Args:
        path: a bundled corpus (builtin, entities, hello, ramp, digits, motion), a local file or folder, or
            the id of a hub dataset such as "stanfordnlp/imdb"; in Python also the data itself, see
            `InMemory`.
        config: configuration of a hub dataset.
        revision: branch, tag or commit of a hub dataset.
        train_split: name of the train split, or of a local file without its extension; detected if left out.
        validation_split: name of the validation split; detected if left out (dev, val, valid or validation),
            and drawn from train if there is none.
        test_split: name of the test split; detected if left out, and drawn from train if that is the only
            split, as of a single file. Of series, the last part of train is taken, see `SeriesData`.
        validation_fraction: fraction of train that becomes the validation split if the corpus has none.
        test_fraction: fraction of train that becomes the test split if that is the only split; 0 for none.
        group: column whose rows of equal value stay in one split where splits are drawn, such as an author.
        max_examples: maximum number of rows per split, sampled at random; they keep their order. Of a
            stream, the first rows.
        seed: seed of all drawing; the bundled corpora themselves do not depend on it.
        columns: names of the columns of local files that have no header, in their order.
        encoding: encoding of local text files; UTF-8 if left out.
        streaming: fetch the rows of a hub dataset while they are encoded, rather than download its files;
            with `max_examples`, no more than these are fetched.
    """

    path: str = "builtin"
    config: str | None = None
    revision: str | None = None
    train_split: str | None = None
    validation_split: str | None = None
    test_split: str | None = None
    validation_fraction: Annotated[float, Range(1e-6, 0.999)] = 0.1
    test_fraction: Annotated[float, Range(0, 0.999)] = 0.1
    group: str | None = None
    max_examples: Annotated[int, Range(1, 10**12)] | None = None
    seed: Seed = 0
    columns: Sequence[str] | None = None
    encoding: str | None = None
    streaming: bool = False

    def __post_init__(self) -> None:
        path: Any = os.fspath(self.path) if isinstance(self.path, os.PathLike) else self.path
        if not isinstance(path, str):
            path = InMemory(path)
        object.__setattr__(self, "path", path)  # the dataclass is frozen
        super().__post_init__()
        if not self.path:
            raise UsageError("path: the value is empty; give a bundled corpus, a file, a folder or a hub id")
        if self.validation_fraction + self.test_fraction >= 1:
            raise UsageError(
                f"validation_fraction {self.validation_fraction:g} and test_fraction {self.test_fraction:g} "
                "leave nothing of train; lower them"
            )

    @override
    @classmethod
    def of(cls, value: Any, name: str) -> Self:
        """The corpus that a value stands for: its settings as a mapping, a path, or the data itself."""
        names = {field.name for field in dataclasses.fields(cls)}
        if isinstance(value, Mapping) and (isinstance(value.get("path"), str) or names >= set(value)):
            return super().of(value, name)
        return cls(value)

    def load(
        self, columns: Mapping[str, str | Sequence[str]], labels: str | None = None, guess: bool = True
    ) -> DatasetDict:
        """Load the splits train, validation and, where there is one, test.

        Args:
            columns: canonical name -> column name(s) to accept in the data, in order of preference. The
                sides of parallel text are columns named by their file extensions:
                {"source": "de", "target": "en"} reads train.de and train.en. Columns hold text, unless the
                names are `Words`, `Texts`, `Numbers` or `Vectors`.
            labels: canonical column of labels, one label or a list of labels per row. The labels are
                checked, and sampling keeps every label in train. With one label per row, drawn splits
                are stratified. Each number or boolean has one spelling, see `normalize_labels`.
            guess: whether a file without a header, whose columns are not stated, may be read as one with
                the columns in this order.

        Returns:
            Splits with exactly the canonical columns: text, lists of text, numbers (float64), or lists of
            numbers (float32). Rows without a value or with blank text in a column are left out. So is an
            evaluation split that cannot be used and was not named by the user.

        Raises:
            UsageError: the data cannot be read, or is not valid.
        """
        return self.load_drawn(columns, labels, guess)[0]

    def load_drawn(
        self, columns: Mapping[str, str | Sequence[str]], labels: str | None = None, guess: bool = True
    ) -> tuple[DatasetDict, Drawn | None]:
        """Load the splits as `load` does, and the record of which rows of train were drawn for which split.

        Returns:
            The splits, and the record; None if the corpus names all of its splits.

        Raises:
            UsageError: the data cannot be read, or is not valid.
        """
        from datasets import DatasetDict

        reader = self._reader(columns, labels, guess)
        chosen = reader.choose()
        raw = {
            name: (where, normalize_labels(table, labels))
            for name, (where, table) in reader.read(chosen).items()
        }
        raw = {name: split for name, split in raw.items() if not has_hidden_labels(name, split, labels)}
        rows = {name: validate_rows(where, table, labels) for name, (where, table) in raw.items()}
        tables = {name: take_rows(raw[name][1], numbers) for name, numbers in rows.items()}
        for name in [name for name, table in tables.items() if table.num_rows == 0]:
            message = f"{raw[name][0]}: no rows for the {name} split; give data with content"
            if reader.is_needed(name):
                raise UsageError(message)
            log.warning("the %s split is left out: %s", name, message)
            del tables[name]
        if labels is not None:
            check_labels({name: (raw[name][0], table) for name, table in tables.items()}, labels)
        if not reader.source.is_bundled:
            warn_shared_rows({name: (raw[name][0], table) for name, table in tables.items()}, labels)
        fractions = self.fractions(chosen, tables)
        parts = {}
        if fractions:
            train, numbers = tables["train"], rows["train"]
            groups = reader.groups(chosen["train"])
            kept = None if groups is None else groups[numbers]
            parts = draw_splits(self.path, train, labels, fractions, self.seed, kept)
            tables |= {name: take_rows(train, part) for name, part in parts.items()}
            rows |= {name: numbers[part] for name, part in parts.items()}
        elif self.group is not None:
            log.warning("%s: group is not used, for the corpus has a validation split", reader.source.name)
        for name, table in tables.items() if self.max_examples is not None else ():
            sample = sample_rows(name, table, labels, self.max_examples, self.seed)
            tables[name], rows[name] = take_rows(table, sample), rows[name][sample]
        splits = DatasetDict({name: as_dataset(tables[name]) for name in SPLITS if name in tables})
        if not parts:
            return splits, None
        return splits, self.record(raw["train"][1], labels, {name: rows[name] for name in parts})

    @property
    def is_one_table(self) -> bool:
        """Whether its rows are one table, so that it has no splits of its own.

        Raises:
            UsageError: the corpus cannot be found.
        """
        return self._source().is_whole

    def load_split(
        self,
        columns: Mapping[str, str | Sequence[str]],
        split: str,
        labels: str | None = None,
        guess: bool = True,
    ) -> Dataset:
        """Load one split alone, for evaluation, whatever other splits the corpus has or lacks.

        Args:
            columns: as for `load`.
            split: train, validation or test. A single file is used whole, for any split.
            labels: as for `load`.
            guess: as for `load`.

        Raises:
            UsageError: the corpus has no such split, or the data cannot be read or is not valid.
        """
        return self.load_measured(columns, split, labels, guess)[0]

    def load_measured(
        self,
        columns: Mapping[str, str | Sequence[str]],
        split: str,
        labels: str | None = None,
        guess: bool = True,
        drawn: Drawn | None = None,
    ) -> tuple[Dataset, str]:
        """Load one split alone; of rows from which training drew its splits, those in that split alone.

        Args:
            columns: as for `load`.
            split: train, validation or test; or all, for all rows of a corpus that is one table.
            labels: as for `load`.
            guess: as for `load`.
            drawn: the record of the training.

        Returns:
            The rows; and which rows these are, in words, if they are a part by that record.

        Raises:
            UsageError: the corpus has no such split, or the data cannot be read or is not valid.
        """
        raw, rows, note = self.measured_rows(columns, split, labels, guess, drawn)
        if raw is None:  # validation, to be drawn from train
            return self.load(columns, labels, guess)[split], ""
        where, table = raw
        table = normalize_labels(table if rows is None else take_rows(table, rows), labels)
        if has_hidden_labels(split, (where, table), labels):
            raise UsageError(f"{where}: its labels are hidden; use another split")
        table = take_rows(table, validate_rows(where, table, labels))
        if table.num_rows == 0:
            raise UsageError(f"{where}: no rows for the {split} split; give data with content")
        sample = sample_rows(split if split in SPLITS else "test", table, None, self.max_examples, self.seed)
        if note and len(sample) < table.num_rows:
            note = f"{len(sample):,} sampled from {note}"
        return as_dataset(take_rows(table, sample)), note

    def cache_key(self, columns: Mapping[str, str | Sequence[str]], labels: str | None = None) -> str:
        """Return a SHA-256 hash (hex) of content and settings: equal keys mean equal rows from `load`.

        Nothing is parsed. Of local files the bytes matter, not the path.

        Raises:
            UsageError: the corpus cannot be found or read.
        """
        reader = self._reader(columns, labels, True)
        source, accepted = reader.source, reader.columns
        settings = {name: value for name, value in dataclasses.asdict(self).items() if name != "path"}
        digest = hashlib.sha256(
            json.dumps([_READING_VERSION, settings, list(accepted.items()), labels]).encode()
        )
        # A bundled corpus is known by its name; to find out its splits would take as long as to make it.
        chosen = {"": ""} if source.is_bundled else reader.choose()
        for split, name in chosen.items():
            for text in source.content(name, accepted, reader.layout):
                digest.update(f"{split} {text}\n".encode())
        return digest.hexdigest()

    # ------------------------------------------------------------------------------------- sources

    def tables(
        self,
        columns: Mapping[str, str | Sequence[str]],
        labels: str | None = None,
        guess: bool = True,
    ) -> tuple[dict[str, Split], dict[str, float]]:
        """Read the splits with the wanted columns, without validating the rows.

        Args:
            columns: as for `load`.
            labels: as for `load`.
            guess: as for `load`.

        Returns:
            The splits, and the fractions of train that others are to get, see `fractions`.

        Raises:
            UsageError: the data cannot be read.
        """
        reader = self._reader(columns, labels, guess)
        chosen = reader.choose()
        splits = reader.read(chosen)
        return splits, self.fractions(chosen, splits)

    def fractions(self, chosen: Collection[str], usable: Collection[str]) -> dict[str, float]:
        """The fraction of train that becomes validation or test, of those that are to be made from it.

        Args:
            chosen: the splits of the source.
            usable: those that are not left out.
        """
        fractions = {} if "validation" in usable else {"validation": self.validation_fraction}
        return fractions | (
            {"test": self.test_fraction} if set(chosen) == {"train"} and self.test_fraction else {}
        )

    def record(self, train: pa.Table, labels: str | None, members: Mapping[str, np.ndarray]) -> Drawn:
        """The record of which rows of train were drawn for which split.

        Args:
            train: all rows, as they were read.
            labels: as for `load`.
            members: the numbers of the rows of each split.
        """
        return Drawn.of(self._short_name, content_hash(train, labels), train.num_rows, members)

    def measured_rows(
        self,
        columns: Mapping[str, str | Sequence[str]],
        split: str,
        labels: str | None = None,
        guess: bool = True,
        drawn: Drawn | None = None,
    ) -> tuple[Split | None, np.ndarray | None, str]:
        """Read what `load_measured` takes a split from, without validating its rows.

        Args:
            columns: as for `load`.
            split: as for `load_measured`.
            labels: as for `load`.
            guess: as for `load`.
            drawn: the record of the training.

        Returns:
            The rows, None for a validation split that is to be drawn from train; the numbers of those that
            are in the split, in order, None for all; and which rows these are, in words.

        Raises:
            UsageError: the corpus has no such split, or it cannot be read.
        """
        reader = self._reader(columns, labels, guess)
        measured = None if drawn is None else reader.measured(split, labels, drawn, self._short_name)
        return measured or (reader.table(split), None, "")

    def _source(self) -> Source:
        source = find_source(self.path, self.config, self.revision, self.streaming, self.max_examples)
        if self.streaming and not isinstance(source, HubStream):
            raise UsageError(
                f"{source.name}: streaming is for datasets of the hub; all else is read part by part "
                "anyway, so leave it out"
            )
        if any(self._split_names().values()):
            if source.is_bundled:
                raise UsageError(
                    f"{source.name} has fixed splits: leave out train_split, validation_split and test_split"
                )
            if source.is_whole:
                raise UsageError(
                    f"{source.name}: a single file is the train split; to name splits give a folder"
                )
        return source

    def _reader(self, columns: Mapping[str, str | Sequence[str]], labels: str | None, guess: bool) -> Reader:
        stated = None if self.columns is None else tuple(self.columns)
        encoding = "utf-8" if self.encoding is None else self.encoding
        layout = Layout(stated, encoding, guess and self.group is None, labels)
        return Reader(self._source(), accepted_columns(columns), layout, self._split_names(), self.group)

    def _split_names(self) -> dict[str, str | None]:
        """The names of the splits, as far as the user set them."""
        return {"train": self.train_split, "validation": self.validation_split, "test": self.test_split}

    @property
    def _short_name(self) -> str:
        """The name without the folders that it is in, which are nobody's business."""
        return str(self.path) if isinstance(self.path, InMemory) else Path(self.path).name


def as_dataset(table: pa.Table) -> Dataset:
    """Return a table as a dataset. Its rows stay where they are: without a name, all would be hashed."""
    from datasets import Dataset

    return Dataset(table, fingerprint="unnamed")


def accepted_columns(columns: Mapping[str, str | Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Return the column names as tuples, whose types (`Words`, `Numbers`, ...) are kept."""
    for name, names in columns.items():
        if not names or not any(names):
            raise UsageError(f"no column is named for {name}; name one")
    return {
        name: names if isinstance(names, tuple) else (names,) if isinstance(names, str) else tuple(names)
        for name, names in columns.items()
    }
