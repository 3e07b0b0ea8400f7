"""What a model is to read of a corpus, or of the lines of a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

from nlp_rnn.data.corpus.columns import MissingColumnError
from nlp_rnn.data.corpus.corpus import Corpus, accepted_columns
from nlp_rnn.data.corpus.tables import TABLE_SUFFIXES
from nlp_rnn.data.corpus.text import data_suffix, stream_lines
from nlp_rnn.errors import UsageError
from nlp_rnn.inference.tables import input_columns
from nlp_rnn.lite.lines import parse_line, stripped_lines
from nlp_rnn.settings import Range, Settings, column_settings
from nlp_rnn.tasks.base import Task


@dataclass(frozen=True)
class Inputs(Settings):
    """What models are to read.

    Args:
        path: a corpus: a bundled one, a file, a folder or a hub id. A file that is no table is text, with one
            input per line.
        split: train, validation or test; or all, for all rows of one table.
        columns: names of columns, where they are others than in training; of several, the first that exists.
        max_examples: the first inputs only; all if left out.

    Raises:
        UsageError: `max_examples` is out of range.
    """

    path: str
    split: str = "train"
    columns: Mapping[str, str | Sequence[str]] | None = None
    max_examples: Annotated[int, Range(1, 10**12)] | None = None

    def names(self, task: Task) -> dict[str, str]:
        """Canonical name -> name in corpora, of all columns."""
        return {name: names[0] for name, names in accepted_columns(self._data(task).columns()).items()}

    def read(self, task: Task) -> Iterator[Any]:
        """The inputs; lines and cells that are blank are left out.

        Raises:
            UsageError: the corpus cannot be read, or has no column for the model to read.
        """
        return islice(self._read(task), self.max_examples)

    def _read(self, task: Task) -> Iterator[Any]:
        path = Path(self.path)
        known = column_settings(task.data_classes()[0])
        for name in self.columns or {}:
            if name not in known:
                raise UsageError(f"--columns: {task.name} has no column {name!r}; it has {', '.join(known)}")
        if path.is_file() and data_suffix(path) not in TABLE_SUFFIXES:
            for number, line in enumerate(stripped_lines(stream_lines(path)), 1):
                if line.strip():
                    yield parse_line(task.processor, line, f"{path}, line {number}")
            return
        data = self._data(task)
        for row in self._rows(data, task):
            cells = [row[name] for name in task.processor.input_columns]
            yield cells[0] if len(cells) == 1 else cells

    def _rows(self, data: Any, task: Task) -> Any:
        if task.drawn is not None:
            # All columns, by which the rows are known that training drew; without labels they are others.
            with suppress(MissingColumnError):
                return data.load_measured(self.split, task.drawn)[0]
        guess = not self.columns  # else the columns are named in a header
        return data.corpus.load_measured(input_columns(data), self.split, guess=guess)[0]

    def _data(self, task: Task) -> Any:
        data_class: Any = task.data_classes()[0]
        remembered = dict(task.data_columns)
        stated = remembered.pop("corpus", {})
        settings = {**task.processor.data_settings(), **remembered, **(self.columns or {})}
        return data_class(replace(Corpus(self.path), **stated), **settings)
