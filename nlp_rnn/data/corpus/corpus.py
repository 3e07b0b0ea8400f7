"""Corpora: rows from the hub, local files or the bundled corpora, as splits with canonical columns."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self

from typing_extensions import override

from nlp_rnn.data.corpus.columns import Columns
from nlp_rnn.data.corpus.layout import Layout
from nlp_rnn.data.corpus.memory import InMemory
from nlp_rnn.data.corpus.sources import Source, find_source
from nlp_rnn.data.corpus.splits import SPLITS, choose_splits, draw_validation, subsample
from nlp_rnn.data.corpus.validation import (
    Split,
    check_labels,
    has_hidden_labels,
    normalize_labels,
    validate_rows,
    warn_shared_rows,
)
from nlp_rnn.data.types import Dataset, DatasetDict
from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.settings import Range, Seed, Settings

log = logging.getLogger(__name__)

_READING_VERSION = 4  # part of every cache key: increase it when the same files give other rows than before

REMEMBERED = ("columns", "encoding")
"""The settings of a corpus that a model remembers beside the names of its columns, where they are set."""


@dataclass(frozen=True)
class Corpus(Settings):
    """Where rows come from. Nothing is read before `load`.

    Examples:
        >>> splits = Corpus("reviews.csv").load({"text": ("text", "review"), "label": "label"}, "label")

    Args:
        path: a bundled corpus (builtin, hello, ramp, digits, motion), a local file or folder, or the id of a
            hub dataset such as "stanfordnlp/imdb". In Python also the data itself, see `InMemory`.
        config: configuration of a hub dataset.
        revision: branch, tag or commit of a hub dataset.
        train_split: name of the train split, or of a local file without its extension; detected if left out.
        validation_split: name of the validation split; detected if left out (dev, val, valid or validation),
            and sampled from train if there is none.
        test_split: name of the test split; detected if left out.
        validation_fraction: fraction of train that becomes the validation split if the corpus has none.
        max_examples: maximum number of rows per split, sampled at random; they keep their order.
        seed: seed of both samplings; the bundled corpora themselves do not depend on it.
        columns: names of the columns of local files that have no header, in their order.
        encoding: encoding of local text files; UTF-8 if left out.
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
    columns: Sequence[str] | None = None
    encoding: str | None = None

    def __post_init__(self) -> None:
        path: Any = os.fspath(self.path) if isinstance(self.path, os.PathLike) else self.path
        if not isinstance(path, str):
            path = InMemory(path)
        object.__setattr__(self, "path", path)  # the dataclass is frozen
        super().__post_init__()
        if not self.path:
            raise UsageError("path: the value is empty; give a bundled corpus, a file, a folder or a hub id")

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
        """Load the splits train, validation and, where the corpus has one, test.

        Args:
            columns: canonical name -> column name(s) to accept in the data, in order of preference. The
                sides of parallel text are columns named by their file extensions:
                {"source": "de", "target": "en"} reads train.de and train.en. Columns hold text, unless the
                names are `Words`, `Texts`, `Numbers` or `Vectors`.
            labels: canonical column of labels, one label or a list of labels per row. The labels are
                checked, and sampling keeps every label in train. With one label per row, a sampled
                validation split is stratified. Each number or boolean has one spelling, see
                `normalize_labels`.
            guess: whether a file without a header, whose columns are not stated, may be read as one with
                the columns in this order.

        Returns:
            Splits with exactly the canonical columns: text, lists of text, numbers (float64), or lists of
            numbers (float32). Rows without a value or with blank text in a column are left out. So is an
            evaluation split that cannot be used and was not named by the user.

        Raises:
            UsageError: the data cannot be read, or is not valid.
        """
        from datasets import Dataset, DatasetDict

        raw = {
            name: (where, normalize_labels(table, labels))
            for name, (where, table) in self.tables(columns, labels=labels, guess=guess).items()
        }
        raw = {name: split for name, split in raw.items() if not has_hidden_labels(name, split, labels)}
        tables = {name: validate_rows(where, table, labels) for name, (where, table) in raw.items()}
        for name in [name for name, table in tables.items() if table.num_rows == 0]:
            message = f"{raw[name][0]}: no rows for the {name} split; give data with content"
            if self._is_needed(name):
                raise UsageError(message)
            log.warning("the %s split is left out: %s", name, message)
            del tables[name]
        if labels is not None:
            check_labels({name: (raw[name][0], table) for name, table in tables.items()}, labels)
        if not self._source().is_bundled:
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
        from datasets import Dataset

        raw = self.table(columns, split, labels, guess)
        if raw is None:  # validation, to be sampled from train
            return self.load(columns, labels, guess)[split]
        where, table = raw[0], normalize_labels(raw[1], labels)
        if has_hidden_labels(split, (where, table), labels):
            raise UsageError(f"{where}: its labels are hidden; use another split")
        table = validate_rows(where, table, labels)
        if table.num_rows == 0:
            raise UsageError(f"{where}: no rows for the {split} split; give data with content")
        return Dataset(subsample(split, table, None, self.max_examples, self.seed))

    def cache_key(self, columns: Mapping[str, str | Sequence[str]], labels: str | None = None) -> str:
        """Return a SHA-256 hash (hex) of content and settings: equal keys mean equal rows from `load`.

        Nothing is parsed. Of local files the bytes matter, not the path.

        Raises:
            UsageError: the corpus cannot be found or read.
        """
        source, accepted, layout = self._source(), accepted_columns(columns), self._layout(labels, True)
        settings = {name: value for name, value in dataclasses.asdict(self).items() if name != "path"}
        digest = hashlib.sha256(
            json.dumps([_READING_VERSION, settings, list(accepted.items()), labels]).encode()
        )
        # A bundled corpus is known by its name; to find out its splits would take as long as to make it.
        chosen = {"": ""} if source.is_bundled else self._choose_splits(source, accepted, layout)
        for split, name in chosen.items():
            for text in source.content(name, accepted, layout):
                digest.update(f"{split} {text}\n".encode())
        return digest.hexdigest()

    # ------------------------------------------------------------------------------------- sources

    def tables(
        self,
        columns: Mapping[str, str | Sequence[str]],
        only: str | None = None,
        labels: str | None = None,
        guess: bool = True,
    ) -> dict[str, Split]:
        """Read the splits, or one alone, with the wanted columns, without validating the rows.

        Args:
            columns: as for `load`.
            only: the one split to read; all of them if None.
            labels: as for `load`.
            guess: as for `load`.

        Raises:
            UsageError: the data cannot be read.
        """
        source, accepted, layout = self._source(), accepted_columns(columns), self._layout(labels, guess)
        splits = {}
        for split, name in self._choose_splits(source, accepted, layout, only).items():
            try:
                splits[split] = source.read(name, accepted, layout)
            except UsageError as error:
                # One that nobody asked for, such as a test split without labels, need not stop training.
                if self._is_needed(split) or only is not None:
                    raise
                log.warning("the %s split is left out: %s", split, error)
        return splits

    def table(
        self,
        columns: Mapping[str, str | Sequence[str]],
        split: str,
        labels: str | None = None,
        guess: bool = True,
    ) -> Split | None:
        """Read one split without validating its rows; a single file is used whole, for any split.

        Args:
            columns: as for `load`.
            split: train, validation or test.
            labels: as for `load`.
            guess: as for `load`.

        Returns:
            The split; None for a validation split that is to be sampled from train.

        Raises:
            UsageError: the corpus has no such split, or it cannot be read.
        """
        if split not in SPLITS:
            raise UsageError(f"unknown split {split!r}: use one of {', '.join(SPLITS)}")
        source = self._source()
        if source.is_whole:
            return source.read("train", accepted_columns(columns), self._layout(labels, guess))
        return self.tables(columns, split, labels, guess).get(split)

    def _source(self) -> Source:
        source = find_source(self.path, self.config, self.revision)
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

    def _layout(self, labels: str | None, guess: bool) -> Layout:
        columns = None if self.columns is None else tuple(self.columns)
        encoding = "utf-8" if self.encoding is None else self.encoding
        return Layout(columns, encoding, guess, labels)

    def _is_needed(self, split: str) -> bool:
        """Whether nothing can be done without a split: train, and those that the user named."""
        return split == "train" or self._split_names()[split] is not None

    def _split_names(self) -> dict[str, str | None]:
        """The names of the splits, as far as the user set them."""
        return {"train": self.train_split, "validation": self.validation_split, "test": self.test_split}

    def _choose_splits(
        self, source: Source, columns: Columns, layout: Layout, only: str | None = None
    ) -> dict[str, str]:
        """The source's names of the splits, or of one alone, by canonical name; those left are named."""
        names = source.splits(columns, layout)
        if source.is_bundled and only == "test" and only not in names:  # its names cannot be set
            raise UsageError(f"{source.name} has no test split; it has {', '.join(names)}")
        chosen = choose_splits(names, self._split_names(), source.name, only)
        if only is None and (unused := [name for name in names if name not in chosen.values()]):
            log.warning(
                "%s: not used: %s (used are %s)",
                source.name, join_names(unused), join_names(chosen.values()),
            )  # fmt: skip
        return chosen


def accepted_columns(columns: Mapping[str, str | Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Return the column names as tuples, whose types (`Words`, `Numbers`, ...) are kept."""
    for name, names in columns.items():
        if not names or not any(names):
            raise UsageError(f"no column is named for {name}; name one")
    return {
        name: names if isinstance(names, tuple) else (names,) if isinstance(names, str) else tuple(names)
        for name, names in columns.items()
    }
