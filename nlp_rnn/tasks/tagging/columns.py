"""Columns of tags: what is learned of them from train, and how their values become label ids and back."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from typing import ClassVar, Literal, Self

from typing_extensions import override

from nlp_rnn.data.corpus.validation import UNTAGGED
from nlp_rnn.data.labels import UNSEEN, LabelEncoder
from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.files import shorten
from nlp_rnn.lite.text.lemmas import apply_rule, check_rule, find_rule
from nlp_rnn.lite.text.notices import warn_unseen
from nlp_rnn.lite.text.spans import (
    OUTSIDE,
    SchemeName,
    find_scheme,
    is_span_tag,
    read_spans,
    scheme_labels,
    split_tag,
    write_spans,
)

log = logging.getLogger(__name__)

Scheme = Literal["auto", "none", "iob1", "iob2", "iobes", "bilou"]
"""The values of the setting `scheme`."""

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
    scheme: SchemeName | Literal[""] = ""
    """How the tags write spans; empty without spans."""
    is_closed: ClassVar[bool] = True
    """Whether there are few values, all of which train is to have."""
    is_text: ClassVar[bool] = False
    """Whether values are text, whose labels say how to make it of the word."""

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
        """The values of the words of a sentence, from their labels.

        Args:
            words: the words, which only a column of text needs.
            ids: their labels.
        """
        return [self.labels[id] for id in ids]


class FeaturesColumn(TagColumn):
    """Morphological features, of which a word may have none: `_` is a value like any other."""

    untagged = None
    is_closed = False


class LemmaColumn(TagColumn):
    """Lemmas; labels are the rules that make them of words.

    Args:
        name: the name of the column.
        labels: the rules.

    Raises:
        UsageError: a label is no rule.
    """

    is_closed = False
    is_text = True

    def __init__(self, name: str, labels: list[str]) -> None:
        super().__init__(name, labels)
        for rule in labels:
            check_rule(rule)

    @override
    @classmethod
    def learn(cls, name: str, words: Iterable[Sequence[str]], values: Iterable[Sequence[str]]) -> Self:
        return super().learn(name, words, cls._rules(words, values))

    @override
    def encode(self, words: Sequence[Sequence[str]], values: Sequence[Sequence[str]]) -> list[list[int]]:
        return super().encode(words, self._rules(words, values))

    @override
    def decode(self, words: Sequence[str], ids: Sequence[int]) -> list[str]:
        return [apply_rule(self.labels[id], word) for word, id in zip(words, ids, strict=False)]

    @staticmethod
    def _rules(words: Iterable[Sequence[str]], values: Iterable[Sequence[str]]) -> list[list[str]]:
        """The rule of each word, or `UNTAGGED` where it has no lemma; `_` is the lemma of `_` alone."""
        rule_of = cache(find_rule)
        return [
            [
                UNTAGGED if lemma == UNTAGGED != word else rule_of(word, lemma)
                for word, lemma in zip(*row, strict=True)
            ]
            for row in zip(words, values, strict=True)
        ]


class SpanColumn(TagColumn):
    """Tags of spans, such as named entities.

    Args:
        name: the name of the column.
        labels: all tags that the scheme has for the types of spans.
        scheme: how tags write spans.
    """

    def __init__(self, name: str, labels: list[str], scheme: SchemeName) -> None:
        super().__init__(name, labels)
        self.scheme: SchemeName = scheme

    @property
    def types(self) -> list[str]:
        """The types of spans, sorted."""
        return sorted({split_tag(label)[1] for label in self.labels if label != OUTSIDE})

    @classmethod
    def learn_spans(cls, name: str, values: Iterable[Sequence[str]], scheme: SchemeName) -> Self:
        """Make the column of a train split.

        Args:
            name: the name of the column.
            values: the tags of each sentence, in any scheme.
            scheme: the scheme of the labels.
        """
        known = {value for row in values for value in row} - {UNTAGGED, OUTSIDE}
        return cls(name, scheme_labels({split_tag(value)[1] for value in known}, scheme), scheme)

    @override
    def encode(self, words: Sequence[Sequence[str]], values: Sequence[Sequence[str]]) -> list[list[int]]:
        """Encode the tags of sentences, which are read as conlleval does and written in the scheme.

        Args:
            words: the words of each sentence.
            values: their tags; untagged words separate spans, as does what is no tag of a span.
        """
        rewritten = [
            [new if is_span_tag(tag) else tag for tag, new in zip(row, self.rewrite(row), strict=True)]
            for row in values
        ]
        return super().encode(words, rewritten)

    def rewrite(self, tags: Sequence[str]) -> list[str]:
        """The tags of a sentence in this scheme; those that are untagged become O."""
        return write_spans(read_spans(tags), len(tags), self.scheme)


_CLASSES: dict[str, type[TagColumn]] = {"feats": FeaturesColumn, "lemma": LemmaColumn}
# Other names of columns in well-known datasets.
_ALIASES = {"lemma": ("lemmas",), "ner": ("ner_tags",)}


def column_class(name: str) -> type[TagColumn]:
    """The class of a column, by its name."""
    return _CLASSES.get(name.casefold(), TagColumn)


def learn_column(
    name: str, words: Iterable[Sequence[str]], values: Sequence[Sequence[str]], scheme: Scheme
) -> TagColumn:
    """Make the column of a train split.

    Args:
        name: the name of the column.
        words: the words of each sentence.
        values: their values.
        scheme: how the labels write spans, if the values are tags of spans; auto is as the values do, none
            takes tags for what they are.

    Raises:
        UsageError: all values are the same.
    """
    made, found = column_class(name), None
    if made is TagColumn and scheme != "none":
        found = find_scheme([tag for tag in row if tag != UNTAGGED] for row in values)
    if found is None or scheme == "none":
        return made.learn(name, words, values)
    given = SpanColumn.learn_spans(name, values, found)
    tags = ([OUTSIDE if tag == UNTAGGED else tag for tag in row] for row in values)
    if broken := sum(a != b for row in tags for a, b in zip(row, given.rewrite(row), strict=True)):
        log.warning(
            "%d tag(s) of %s in train are not legal in %s; they are read as conlleval reads them",
            broken, name, found,
        )  # fmt: skip
    return given if scheme == "auto" else SpanColumn.learn_spans(name, values, scheme)


def restore_column(name: str, labels: list[str], scheme: SchemeName | Literal[""]) -> TagColumn:
    """The column of a trained model, from its name, its labels and its scheme; empty without spans."""
    return SpanColumn(name, labels, scheme) if scheme else column_class(name)(name, labels)


def accepted_names(name: str) -> tuple[str, ...]:
    """The names that a column may have in a corpus: the one that was given first."""
    return (name, *_ALIASES.get(name.casefold(), ()))


def check_names(names: Sequence[str]) -> None:
    """Refuse names of columns that are none, or the same.

    Raises:
        UsageError: says which.
    """
    keys = [name.casefold() for name in names]
    answered = {"tags", "scores", "words", "offsets", "entities", "unknown"}  # the keys of an answer
    clashes = answered & set(keys[1:])
    if not names or not all(keys) or len(set(keys)) < len(keys) or clashes:
        raise UsageError(f"tags: give the names of different columns, not {join_names(map(repr, names))}")
