"""The bundled corpora by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from nlp_rnn.data.builtin import entities, formal, sentences
from nlp_rnn.data.builtin.lexicon import SCENES
from nlp_rnn.errors import UsageError

VERSION = sentences.VERSION, 3
"""Part of every cache key. Increase the second number when a corpus of this module changes."""

Tables = dict[str, pa.Table]
"""The rows of each split, by name."""


@cache  # a run reads its corpus several times
def _grammar() -> Tables:
    """Sentences with tags, sentiment and translation; see `sentences.py`."""
    return {
        name: pa.table(
            {
                "de": [" ".join(row.german) for row in rows],
                "en": [" ".join(row.english) for row in rows],
                "tokens": [list(row.english) for row in rows],
                "upos": [list(row.upos) for row in rows],
                "text": [" ".join(row.english) for row in rows],
                "label": [row.sentiment for row in rows],
            }
        )
        for name, rows in sentences.builtin_splits(0).items()
    }


@cache
def _entities() -> Tables:
    """Sentences with named entities; see `entities.py`."""
    return {
        name: pa.table(
            {
                "tokens": [row.words for row in rows],
                "ner": [row.ner for row in rows],
                "upos": [row.upos for row in rows],
            }
        )
        for name, rows in entities.entity_splits(0).items()
    }


@cache
def _pairs() -> Tables:
    """English and German sentences: each second German one is not the translation, but the next in order.

    Ordered by their words, sentences that begin alike are neighbors, so that a model must read to the end.
    """
    tables = {}
    for name, sentences_of_split in _grammar().items():
        english, german = (sentences_of_split[language].to_pylist() for language in ("en", "de"))
        ordered = sorted(set(german))
        following = dict(zip(ordered, ordered[1:] + ordered[:1], strict=True))
        is_other = [row % 2 == 1 for row in range(len(german))]
        tables[name] = pa.table(
            {
                "first": english,
                "second": [following[text] if o else text for text, o in zip(german, is_other, strict=True)],
                "label": ["other" if o else "translation" for o in is_other],
            }
        )
    return tables


@cache
def _topics() -> Tables:
    """Sentences with the scenes that their nouns belong to, and whether they are negative."""
    scenes: dict[str, set[str]] = {}
    for scene, nouns in SCENES.items():
        for form in {form for noun in nouns for form in (noun.english, noun.plural)}:
            scenes.setdefault(form, set()).add(scene)
    tables = {}
    for name, table in _grammar().items():
        labels = [
            sorted(({label} & {"negative"}).union(*(scenes.get(word, ()) for word in words)))
            for words, label in zip(table["tokens"].to_pylist(), table["label"].to_pylist(), strict=True)
        ]
        tables[name] = pa.table({"text": table["text"], "labels": pa.array(labels, pa.list_(pa.string()))})
    return tables


@cache
def _hello() -> Tables:
    """One word, to be learned letter by letter: the letter after "l" depends on those before it."""
    table = pa.table({"text": ["hello"]})
    return {"train": table, "validation": table}


@cache
def _parity() -> Tables:
    """Strings of zeros and ones: is the number of ones even? See `formal.py`."""
    return {name: pa.table(rows) for name, rows in formal.parity_splits().items()}


@cache
def _brackets() -> Tables:
    """Strings of brackets: are all closed in order, with at most three open? See `formal.py`."""
    return {name: pa.table(rows) for name, rows in formal.bracket_splits().items()}


@cache
def _ramp() -> Tables:
    """Ten numbers on a straight line: six windows of four numbers, each with the number that follows."""
    table = pa.table({"value": [step / 10 for step in range(10)]})
    return {"train": table, "validation": table}


@cache
def _digits() -> Tables:
    """The 1,797 handwritten digits of scikit-learn: 8 x 8 pixels from 0 to 1, and the digit's name.

    Raises:
        UsageError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise UsageError("corpus 'digits' needs scikit-learn: pip install scikit-learn") from error
    pixels, digits = load_digits(return_X_y=True)
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    table = pa.table(
        {
            "features": list((pixels / 16).astype(np.float32)),
            "caption": [names[digit] for digit in digits],
        }
    )
    order = np.random.default_rng(0).permutation(len(table))
    parts = {"test": order[:360], "validation": order[360:540], "train": order[540:]}
    return {name: table.take(pa.array(np.sort(rows))) for name, rows in parts.items()}


_MOVES = {  # label -> rows and columns by which the dot moves
    "still": (0, 0),
    "left": (0, -1),
    "right": (0, 1),
    "up": (-1, 0),
    "down": (1, 0),
}


@cache
def _motion() -> Tables:
    """Clips of a dot that moves over 4 x 4 noisy pixels; the label of a frame is the dot's last move.

    A single frame does not show the move, so a model must remember the frame before it. One row per frame.
    """
    random, side = np.random.default_rng(0), 4
    tables = {}
    for split, clips in (("train", 600), ("validation", 100), ("test", 100)):
        columns: dict[str, list[Any]] = {
            "clip": [],
            "label": [],
            **{f"p{pixel}": [] for pixel in range(side**2)},
        }
        for clip in range(clips):
            (row, column), move = random.integers(0, side, 2).tolist(), "still"
            for frame in range(random.integers(6, 15)):
                if frame:
                    possible = [
                        m
                        for m, (dy, dx) in _MOVES.items()
                        if 0 <= row + dy < side and 0 <= column + dx < side
                    ]
                    move = str(random.choice(possible))
                    row, column = row + _MOVES[move][0], column + _MOVES[move][1]
                pixels = np.abs(random.normal(0, 0.1, side**2))
                pixels[row * side + column] += 1
                columns["clip"].append(f"{split} {clip}")
                columns["label"].append(move)
                for pixel, value in enumerate(pixels.round(3).tolist()):
                    columns[f"p{pixel}"].append(value)
        tables[split] = pa.table(columns)
    return tables


EXAMPLES: dict[str, Callable[[], Tables]] = {
    "builtin": _grammar,
    "entities": _entities,
    "pairs": _pairs,
    "topics": _topics,
    "hello": _hello,
    "parity": _parity,
    "brackets": _brackets,
    "ramp": _ramp,
    "digits": _digits,
    "motion": _motion,
}
"""The bundled corpora: name -> function that makes the splits."""
