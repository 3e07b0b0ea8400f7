"""Properties of sentences of the corpus `builtin`, word by word, from the tables of its grammar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nlp_rnn.data.builtin.lexicon import SCENES, VERBS

_NEGATIONS = frozenset({"not", "never", "no", "nobody"})
_ENDS = frozenset({",", ".", "but", "and", "because", "that", "although", "if", "before", "while"})
_PAST = frozenset({"was", "were", "did"}) | {
    verb.english[2] for verb in VERBS.values() if verb.english[2] not in verb.english[:2]
}
_PRESENT = frozenset({"am", "is", "are", "do", "does", "has"}) | {verb.english[1] for verb in VERBS.values()}
_NOUNS = [noun for nouns in SCENES.values() for noun in nouns]
_PLURALS = frozenset(noun.plural for noun in _NOUNS if noun.plural)
_SINGULARS = frozenset(noun.english for noun in _NOUNS)

Values = list[bool | None]
"""[T], whether the property holds when each word has been read; None where it is not known yet."""


@dataclass(frozen=True)
class Property:
    """A property of what has been read."""

    summary: str
    values: Callable[[Sequence[str]], Values]


def negation(words: Sequence[str]) -> Values:
    """Whether the clause so far has a negation."""
    values: Values = []
    negated = False
    for word in words:
        negated = word in _NEGATIONS or (negated and word not in _ENDS)
        values.append(negated)
    return values


def tense(words: Sequence[str]) -> Values:
    """Whether the last verb that tells was past; None before there is one."""
    return _last(words, _PAST, _PRESENT - _PLURALS)


def number(words: Sequence[str]) -> Values:
    """Whether the last noun was plural; None before there is one."""
    return _last(words, _PLURALS - _PRESENT, _SINGULARS)


def _last(words: Sequence[str], yes: frozenset[str], no: frozenset[str]) -> Values:
    values: Values = []
    value = None
    for word in words:
        value = True if word in yes else False if word in no else value
        values.append(value)
    return values


PROPERTIES = {
    "negation": Property("a negation stands in the clause so far", negation),
    "tense": Property("the last verb was past", tense),
    "number": Property("the last noun was plural", number),
}
"""The properties that can be probed, by name."""
