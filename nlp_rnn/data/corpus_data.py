"""The base class of DataModules whose rows are those of a corpus."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from copy import copy
from inspect import signature
from typing import Any, Self

from typing_extensions import override

from nlp_rnn.data.batching import Batching
from nlp_rnn.data.corpus.columns import MissingColumnError
from nlp_rnn.data.corpus.corpus import REMEMBERED, Corpus
from nlp_rnn.data.corpus.drawing import Drawn
from nlp_rnn.data.corpus.extra import ExtraCorpus
from nlp_rnn.data.extra_rows import ExtraRows, check_extras, training_rows
from nlp_rnn.data.module import DataModule, P
from nlp_rnn.data.types import Dataset, DatasetDict
from nlp_rnn.settings import column_settings, plain


class CorpusData(DataModule[P]):
    """Base class: rows of a corpus.

    A new task's `data.py` defines a batch, a processor and a subclass of this class:

        @dataclass
        class ReviewBatch(Batch):
            tokens: Tensor  # [T, B] int64

        @dataclass
        class ReviewProcessor(Processor):
            features = {"token_ids": pa.list_(pa.int32()), "label_id": pa.int32()}
            length_columns = ("token_ids",)

            tokens: Vocabulary
            labels: list[str]

            def rows(self, inputs): ...  # a user's inputs -> {"text": [...]}
            def encode(self, rows): ...  # {"text": [...], "label": [...]} -> the columns of `features`
            def collate(self, rows): ...  # the columns of `features` -> ReviewBatch

        class ReviewData(CorpusData[ReviewProcessor]):
            processor_class = ReviewProcessor
            labels = "label"  # checked when the corpus is read

            def __init__(self, corpus: Corpus = Corpus(), batching: Batching = Batching()) -> None:
                super().__init__(corpus, batching)

            def columns(self):  # canonical name -> name(s) in the corpus
                return {"text": ("text", "review"), "label": "label"}

            def make_processor(self, train):
                tokens = Vocabulary.train(train["text"], VocabularySettings())
                return ReviewProcessor(tokens, sorted(set(train["label"])))

    The constructor's arguments are the settings of the command line and of configuration files.

    Args:
        corpus: where rows come from.
        batching: how rows are batched.
        extra: further corpora to train on.
    """

    labels: str | None = None
    """The canonical column of labels, if the task has one."""

    def __init__(self, corpus: Corpus, batching: Batching, extra: Sequence[ExtraCorpus] = ()) -> None:
        super().__init__(batching)
        check_extras(extra, self.tagged is not None, type(self).__name__)
        self.corpus = corpus
        self.extra = extra

    @abstractmethod
    def columns(self) -> Mapping[str, str | Sequence[str]]:
        """Return the names that each canonical column may have in the corpus, in order of preference."""

    def input_columns(self) -> Mapping[str, str | Sequence[str]]:
        """Return those of `columns` that a model reads to answer."""
        columns = self.columns()
        return {name: columns[name] for name in self.processor_class.input_columns}

    @property
    def tags(self) -> list[str]:
        """The tags of all extra corpora, which the vocabulary has too."""
        return sorted({extra.tag for extra in self.extra if extra.tag is not None})

    def identifying_columns(self) -> Sequence[Sequence[str]]:
        """Lists of columns; a row of an extra corpus is one of another if all columns of a list are equal."""
        return [self.processor_class.input_columns]

    @property
    def predicted_columns(self) -> Sequence[str]:
        """The columns whose next values a model predicts, where rows are steps of series."""
        return ()

    @property
    def _names_columns(self) -> bool:
        """Whether a column has another name than the default: then no file is read without its names."""
        owner = self.settings_owner()
        defaults = signature(owner).parameters
        return any(self.settings[name] != plain(defaults[name].default) for name in column_settings(owner))

    @property
    @override
    def data_columns(self) -> dict[str, Any]:
        stated = {name: getattr(self.corpus, name) for name in REMEMBERED}
        corpus = {name: plain(value) for name, value in stated.items() if value is not None}
        return super().data_columns | ({"corpus": corpus} if corpus else {})

    @property
    @override
    def description(self) -> str:
        return self.corpus.path

    @property
    @override
    def source(self) -> Corpus | None:
        return self.corpus

    @override
    def load(self) -> DatasetDict:
        try:
            splits, self._drawn = self.corpus.load_drawn(self.columns(), self.labels, not self._names_columns)
        except MissingColumnError as error:
            names = " and ".join(f"data.{name}" for name in column_settings(self.settings_owner()))
            raise MissingColumnError(f"{error}; columns are named by {names}") from None
        return splits

    @override
    def load_extra(self, splits: DatasetDict) -> list[ExtraRows]:
        read = [self._of(extra).load_split("train") for extra in self.extra]
        keys = self.identifying_columns()
        return [
            training_rows(extra, rows, splits, keys, self.labels)
            for extra, rows in zip(self.extra, read, strict=True)
        ]

    def _of(self, extra: ExtraCorpus) -> Self:
        """This DataModule with an extra corpus in place of the main one."""
        other = copy(self)
        other.corpus = Corpus(extra.path)
        return other

    def load_split(self, split: str) -> Dataset:
        """Load one split alone, for evaluation, whatever other splits the corpus has or lacks.

        Raises:
            UsageError: the split is missing or cannot be read.
        """
        return self.load_measured(split)[0]

    def load_measured(self, split: str, drawn: Drawn | None = None) -> tuple[Dataset, str]:
        """Load one split alone; of rows from which training drew its splits, those in that split alone.

        Args:
            split: train, validation or test; or all, for all rows of a corpus that is one table.
            drawn: which rows training drew for which split.

        Returns:
            The rows; and which rows these are, in words, if they are a part of those.

        Raises:
            UsageError: the split is missing or cannot be read.
        """
        guess = not self._names_columns
        return self.corpus.load_measured(self.columns(), split, self.labels, guess, drawn)

    @override
    def cache_key(self) -> str:
        own = self.corpus.cache_key(self.columns(), self.labels)
        keys = [
            (extra.tag, self._of(extra).corpus.cache_key(self.columns(), self.labels)) for extra in self.extra
        ]
        return json.dumps([own, keys]) if keys else own
