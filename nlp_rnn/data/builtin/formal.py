"""Formal languages: strings of two letters, labeled by a small automaton that a network may learn.

Short strings are all in the train split; those of the test split are longer than any of it. A string has a
label, for classifiers of characters, and one after each letter, for taggers: with these it is learned soon.
"""

import random
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

MAX_DEPTH = 3
"""Brackets open at a time; deeper ones are broken. With a limit the language is regular: 5 states."""

ALL_UP_TO = 8  # letters: the train split has all strings of this length
SAMPLES = {  # split -> number of longer strings, and their shortest and longest length
    "train": (1_500, 9, 24),
    "validation": (500, 9, 24),
    "test": (1_000, 25, 40),
}

Rows = dict[str, list[Any]]
"""The columns `text` and `label`, and `tokens` and `tags`: the letters, and the label after each of them."""


def parity(text: str) -> str:
    """Whether the number of ones is even or odd: an automaton of two states, which no bag of prefixes has."""
    return "odd" if text.count("1") % 2 else "even"


def brackets(text: str) -> str:
    """Whether all brackets are closed in order, with at most `MAX_DEPTH` open at a time: a Dyck language."""
    depth = 0
    for letter in text:
        depth += 1 if letter == "(" else -1
        if not 0 <= depth <= MAX_DEPTH:
            return "broken"
    return "broken" if depth else "balanced"


def parity_splits() -> dict[str, Rows]:
    """Strings of zeros and ones; half of them have an even number of ones."""
    return _splits("01", parity, _any)


def bracket_splits() -> dict[str, Rows]:
    """Strings of brackets; half of the longer ones are balanced, and the others often nearly so."""
    return _splits("()", brackets, _nearly_balanced)


def _splits(letters: str, label: Callable[[str], str], sample: Callable[..., str]) -> dict[str, Rows]:
    """The splits of a language; no string is in two of them, and longer ones have each label equally often.

    Args:
        letters: its two letters.
        label: the label of a string.
        sample: (random numbers, letters, length) -> a string.
    """
    rng = random.Random(0)
    short = ["".join(text) for size in range(1, ALL_UP_TO + 1) for text in product(letters, repeat=size)]
    labels = sorted({label(text) for text in short})
    seen: set[str] = set()

    def longer(count: int, low: int, high: int) -> Iterator[str]:
        for wanted in (labels[number % len(labels)] for number in range(count)):
            while True:
                # A length may have too few strings of a label, so it is drawn anew for each try.
                text = sample(rng, letters, rng.randint(low, high))
                if text not in seen and label(text) == wanted:
                    break
            seen.add(text)
            yield text

    splits = {}
    for split, (count, low, high) in SAMPLES.items():
        texts = [*(short if split == "train" else ()), *longer(count, low, high)]
        splits[split] = {
            "text": texts,
            "label": [label(text) for text in texts],
            "tokens": [list(text) for text in texts],
            "tags": [[label(text[:end]) for end in range(1, len(text) + 1)] for text in texts],
        }
    return splits


def _any(rng: random.Random, letters: str, length: int) -> str:
    """Any string, each as probable as any other."""
    return "".join(rng.choices(letters, k=length))


def _nearly_balanced(rng: random.Random, letters: str, length: int) -> str:
    """A string of brackets that rarely breaks: it may end open, close too much, or open too many.

    One of four is any string, which breaks soon: what is broken must stay so whatever follows.
    """
    if rng.random() < 0.25:
        return _any(rng, letters, length)
    text, depth = "", 0
    for _ in range(length):
        allowed = [step for step in (1, -1) if 0 <= depth + step <= MAX_DEPTH or rng.random() < 0.04]
        step = rng.choice(allowed or [1, -1])
        text, depth = text + letters[step < 0], depth + step
    return text
