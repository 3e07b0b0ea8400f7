"""Properties of English text that the grammar of the corpus `builtin` tells word by word, from its tables."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nlp_rnn.data.builtin.lexicon import SCENES, VERBS
from nlp_rnn.data.builtin.sentences import generate

_NEGATIONS = frozenset({"not", "never", "no", "nobody"})
_ENDS = frozenset({",", ".", "but", "and", "because", "that", "although", "if", "before", "while"})
_PAST = frozenset({"was", "were", "did"}) | {
    verb.english[2] for verb in VERBS.values() if verb.english[2] not in verb.english[:2]
}
_PRESENT = frozenset({"am", "is", "are", "do", "does", "has"}) | {verb.english[1] for verb in VERBS.values()}
_NOUNS = [noun for nouns in SCENES.values() for noun in nouns]
_PLURALS = frozenset(noun.plural for noun in _NOUNS if noun.plural)
_SINGULARS = frozenset(noun.english for noun in _NOUNS)
_QUOTE = '"'

Values = list[bool | None]
"""[T], whether the property holds when each word has been read; None where it is not known yet."""


def plain_texts(count: int, seed: int = 1) -> list[Sequence[str]]:
    """Sentences of the grammar, as words."""
    return [example.english for example in generate(count, seed)]


def quoting_texts(count: int, seed: int = 1) -> list[Sequence[str]]:
    """Three sentences of the grammar per text, each of them in quotes or not, at random."""
    rng = random.Random(seed)
    sentences = [
        [_QUOTE, *words, _QUOTE] if rng.random() < 0.5 else words for words in plain_texts(3 * count, seed)
    ]
    return [[word for words in sentences[place::count] for word in words] for place in range(count)]


@dataclass(frozen=True)
class Property:
    """A property of what has been read.

    Attributes:
        summary: what holds where it is present.
        values: [T] words -> [T], whether it holds after each.
        words: those that tell it.
        texts: a number -> so many texts to find it in, as words.
    """

    summary: str
    values: Callable[[Sequence[str]], Values]
    words: frozenset[str]
    texts: Callable[[int], list[Sequence[str]]] = plain_texts


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


def quotes(words: Sequence[str]) -> Values:
    """Whether a quotation is open."""
    values: Values = []
    is_open = False
    for word in words:
        is_open ^= word == _QUOTE
        values.append(is_open)
    return values


def _last(words: Sequence[str], yes: frozenset[str], no: frozenset[str]) -> Values:
    values: Values = []
    value = None
    for word in words:
        value = True if word in yes else False if word in no else value
        values.append(value)
    return values


PROPERTIES = {
    "negation": Property("a negation stands in the clause so far", negation, _NEGATIONS),
    "tense": Property("the last verb was past", tense, _PAST | _PRESENT),
    "number": Property("the last noun was plural", number, _PLURALS | _SINGULARS),
    "quotes": Property("a quotation is open", quotes, frozenset({_QUOTE}), quoting_texts),
}
"""The properties that can be probed, by name."""
