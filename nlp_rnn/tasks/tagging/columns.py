"""Columns of tags: what is learned of them from train, and how their values become label ids and back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import ClassVar, Self

from nlp_rnn.data.corpus.validation import UNTAGGED
from nlp_rnn.data.labels import UNSEEN, LabelEncoder
from nlp_rnn.data.processor import warn_unseen
from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.files import shorten

MAX_SHOWN = 20
"""The number of labels that tables and plots show; all others are one more."""


class TagColumn:
    """A column with one value per word, each of which is a label.

    Args:
        name: the name of the column.
        labels: its labels in the order of their ids; if they are many, the most frequent first.
    """

    untagged: ClassVar[str | None] = UNTAGGED
    """The value of a word that has none, which is neither a label nor scored."""
    is_closed: ClassVar[bool] = True
    """Whether there are few values, all of which train is to have."""

    def __init__(self, name: str, labels: list[str]) -> None:
        self.name = name
        self.labels = labels

    @classmethod
    def learn(cls, name: str, words: Iterable[Sequence[str]], values: Iterable[Sequence[str]]) -> Self:
        """Make the column of a train split.

        Args:
            name: the name of the column.
            words: the words of each sentence.
            values: their values.

        Raises:
            UsageError: all values are the same.
        """
        counts = Counter(value for row in values for value in row if value != cls.untagged)
        labels = sorted(counts)
        if len(labels) < 2:
            only = shorten(labels[0] if labels else UNTAGGED)
            raise UsageError(f"every {name} in train is {only}; give two or more")
        if len(labels) > MAX_SHOWN:
            labels.sort(key=counts.__getitem__, reverse=True)
        return cls(name, labels)

    def encode(self, words: Sequence[Sequence[str]], values: Sequence[Sequence[str]]) -> list[list[int]]:
        """Encode the values of sentences; one that is no label becomes `UNSEEN`, with a warning.

        Args:
            words: the words of each sentence.
            values: their values.
        """
        ids = LabelEncoder(self.labels, ignored=self.untagged, takes_unseen=True).encode_lists(values)
        if any(UNSEEN in row for row in ids):
            known = {*self.labels, self.untagged}
            warn_unseen(value for row in values for value in row if value not in known)
        return ids

    def decode(self, words: Sequence[str], ids: Sequence[int]) -> list[str]:
        """The values of the words of a sentence.

        Args:
            words: its words.
            ids: their labels.
        """
        return [self.labels[id] for id in ids]


class FeaturesColumn(TagColumn):
    """Morphological features, of which a word may have none: `_` is a value like any other."""

    untagged = None
    is_closed = False


_CLASSES: dict[str, type[TagColumn]] = {"feats": FeaturesColumn}
# Other names of columns in well-known datasets.
_ALIASES = {"lemma": ("lemmas",), "ner": ("ner_tags",)}


def column_class(name: str) -> type[TagColumn]:
    """The class of a column, by its name."""
    return _CLASSES.get(name.casefold(), TagColumn)


def accepted_names(name: str) -> tuple[str, ...]:
    """The names that a column may have in a corpus: the one that was given first."""
    return (name, *_ALIASES.get(name.casefold(), ()))


def check_names(names: Sequence[str]) -> None:
    """Refuse names of columns that are none, or the same.

    Raises:
        UsageError: says which.
    """
    keys = [name.casefold() for name in names]
    if not names or not all(keys) or len(set(keys)) < len(keys):
        raise UsageError(f"tags: give the names of different columns, not {join_names(map(repr, names))}")
