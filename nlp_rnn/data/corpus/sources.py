"""Where the rows of a corpus come from: the bundled corpora, local files, datasets, or a program's memory."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from nlp_rnn.data.builtin.corpora import EXAMPLES, VERSION
from nlp_rnn.data.corpus.columns import Columns, Words, select_columns
from nlp_rnn.data.corpus.hub import hub_commit, is_saved, load_hub_dataset, load_saved
from nlp_rnn.data.corpus.layout import Layout
from nlp_rnn.data.corpus.local import content_files, find_files, read_files
from nlp_rnn.data.corpus.memory import InMemory
from nlp_rnn.data.corpus.stream import draw_stream
from nlp_rnn.data.corpus.tables import TABLE_SUFFIXES
from nlp_rnn.data.corpus.text import data_suffix
from nlp_rnn.data.corpus.validation import Split
from nlp_rnn.data.types import DatasetDict
from nlp_rnn.errors import UsageError
from nlp_rnn.files import file_hash, read_errors


class Source(ABC):
    """Splits under the names that the source has for them. Nothing is read before it is asked for."""

    name: str
    """What messages call the source."""
    is_whole: bool = False
    """Whether there is one table without the name of a split, which is used for any split."""
    is_bundled: ClassVar[bool] = False

    @abstractmethod
    def splits(self, columns: Columns, layout: Layout) -> list[str]:
        """Return the names of the splits."""

    @abstractmethod
    def read(self, split: str, columns: Columns, layout: Layout) -> Split:
        """Read one split with the wanted columns.

        Raises:
            UsageError: it cannot be read.
        """

    @abstractmethod
    def content(self, split: str, columns: Columns, layout: Layout) -> Iterator[str]:
        """Yield texts that differ where the content of a split does, without parsing it."""


class Bundled(Source):
    """One of the corpora that come with the package."""

    is_bundled = True

    def __init__(self, name: str) -> None:
        self.name = f"corpus {name}"
        self._corpus = name

    @override
    def splits(self, columns: Columns, layout: Layout) -> list[str]:
        return list(EXAMPLES[self._corpus]())

    @override
    def read(self, split: str, columns: Columns, layout: Layout) -> Split:
        where = f"{self.name}, split {split}"
        return where, select_columns(EXAMPLES[self._corpus]()[split], columns, where)

    @override
    def content(self, split: str, columns: Columns, layout: Layout) -> Iterator[str]:
        yield f"{self.name} {VERSION}"


class Files(Source):
    """A local file, or a folder with files."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        self.is_whole = not path.is_dir()

    def _files(self, columns: Columns, layout: Layout) -> dict[str, list[Path]]:
        if self.is_whole:
            return {"train": [self._path]}
        one_label = layout.labels is not None and not isinstance(columns[layout.labels], Words)
        return find_files(self._path, columns, one_label)

    @override
    def splits(self, columns: Columns, layout: Layout) -> list[str]:
        return list(self._files(columns, layout))

    @override
    def read(self, split: str, columns: Columns, layout: Layout) -> Split:
        return read_files(self._files(columns, layout)[split], columns, layout)

    @override
    def content(self, split: str, columns: Columns, layout: Layout) -> Iterator[str]:
        for label, file in content_files(self._files(columns, layout)[split]):
            yield f"{label} {data_suffix(file)} {file_hash(file)}"


class Datasets(Source):
    """A dataset of the hub, or one that `save_to_disk` wrote into a folder.

    Args:
        path: id on the hub, or the folder.
        config: name of one of the configurations of a hub dataset.
        revision: branch, tag or commit of a hub dataset.
    """

    def __init__(self, path: str | Path, config: str | None = None, revision: str | None = None) -> None:
        self.name = f"dataset {path}"
        self._path, self._config, self._revision = path, config, revision

    @cached_property
    def _dataset(self) -> DatasetDict:
        if isinstance(self._path, Path):
            return load_saved(self._path)
        return load_hub_dataset(self._path, self._config, self._revision)

    @override
    def splits(self, columns: Columns, layout: Layout) -> list[str]:
        return list(self._dataset)

    @override
    def read(self, split: str, columns: Columns, layout: Layout) -> Split:
        where = f"{self.name}, split {split}"
        return where, select_columns(self._dataset[split].with_format("arrow")[:], columns, where)

    @override
    def content(self, split: str, columns: Columns, layout: Layout) -> Iterator[str]:
        yield f"{self._path} {self._dataset[split]._fingerprint}"


class HubStream(Source):
    """A dataset of the hub in streaming mode: its first rows are read, and the rest is never fetched.

    Args:
        path: id on the hub.
        config: name of one of the configurations.
        revision: branch, tag or commit.
        limit: the maximum number of rows of each split; None for all.
    """

    def __init__(self, path: str, config: str | None, revision: str | None, limit: int | None) -> None:
        self.name = f"dataset {path}"
        self._path, self._config, self._revision, self._limit = path, config, revision, limit

    @cached_property
    def _dataset(self) -> DatasetDict:
        return load_hub_dataset(self._path, self._config, self._revision, streaming=True)

    @override
    def splits(self, columns: Columns, layout: Layout) -> list[str]:
        return list(self._dataset)

    @override
    def read(self, split: str, columns: Columns, layout: Layout) -> Split:
        where = f"{self.name}, split {split}"
        return where, select_columns(draw_stream(self._dataset[split], self._limit, where), columns, where)

    @override
    def content(self, split: str, columns: Columns, layout: Layout) -> Iterator[str]:
        yield f"{self._path} {self._config} {hub_commit(self._path, self._revision)} {self._limit}"


class Memory(Source):
    """Data that the program holds.

    Args:
        data: the data.
        limit: the maximum number of rows of each stream; None for all.
    """

    def __init__(self, data: InMemory, limit: int | None = None) -> None:
        self.name = str(data)
        self._data, self._limit = data, limit
        self.is_whole = not data.has_splits

    @override
    def splits(self, columns: Columns, layout: Layout) -> list[str]:
        return list(self._data.tables)

    @override
    def read(self, split: str, columns: Columns, layout: Layout) -> Split:
        where = self.name if self.is_whole else f"{self.name}, split {split}"
        return where, select_columns(self._data.table(split, self._limit), columns, where)

    @override
    def content(self, split: str, columns: Columns, layout: Layout) -> Iterator[str]:
        yield self._data.fingerprint(split, self._limit)


def find_source(
    path: str, config: str | None, revision: str | None, streaming: bool = False, limit: int | None = None
) -> Source:
    """Find out what a path names.

    Args:
        path: a bundled corpus, a local file or folder, the id of a hub dataset, or the data itself.
        config: configuration of a hub dataset.
        revision: branch, tag or commit of a hub dataset.
        streaming: whether a hub dataset is streamed.
        limit: the maximum number of rows of each stream; None for all.

    Raises:
        UsageError: it is none of these, or two of them; or it cannot be streamed.
    """
    if isinstance(path, InMemory):
        return Memory(path, limit)
    if path in EXAMPLES:
        if Path(path).exists():
            raise UsageError(
                f"{path}: both a bundled corpus and a local path: write ./{path} for the path, "
                "or change to another folder for the corpus"
            )
        return Bundled(path)
    local = Path(os.path.expanduser(path))  # as it is where there is no such user
    with read_errors(local):
        exists = local.exists()
    if exists:
        return Datasets(local) if is_saved(local) else Files(local)
    if data_suffix(local) in TABLE_SUFFIXES or not re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", path):
        raise UsageError(
            f"{path}: no such file or folder; give one, a hub id (owner/name), or {', '.join(EXAMPLES)}"
        )
    return HubStream(path, config, revision, limit) if streaming else Datasets(path, config, revision)
