"""The corpora that come with the package, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pyarrow as pa

from nlp_rnn.data.builtin import sentences as builtin
from nlp_rnn.errors import UsageError

VERSION = builtin.VERSION, 1  # part of every cache key: raise the second when another corpus here changes

Tables = dict[str, pa.Table]  # by split


@cache  # a second to make
def _grammar() -> Tables:
    """Sentences with tags, sentiment and translation; see `builtin.py`."""
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
        for name, rows in builtin.builtin_splits(0).items()
    }


def _hello() -> Tables:
    """One word, to be learnt letter by letter: what follows "l" depends on what came before it."""
    table = pa.table({"text": ["hello"]})
    return {"train": table, "validation": table}


def _ramp() -> Tables:
    """Ten numbers on a straight line: six windows of four, each with the number that follows it."""
    table = pa.table({"value": [step / 10 for step in range(10)]})
    return {"train": table, "validation": table}


def _digits() -> Tables:
    """scikit-learn's 1,797 handwritten digits: 8 x 8 pixels of ink from 0 to 1, and the number's name.

    Raises:
        UsageError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise UsageError("corpus 'digits' is scikit-learn's: pip install scikit-learn") from error
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


_MOVES = {"still": (0, 0), "left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}


def _motion() -> Tables:
    """Clips of a dot that wanders over 4 x 4 pixels, a row a frame: where it came from is the frame's label.

    A frame alone does not tell, the one before it must be remembered. There is noise on all pixels.
    """
    random, side = np.random.default_rng(0), 4
    tables = {}
    for split, clips in (("train", 600), ("validation", 100), ("test", 100)):
        columns: dict[str, list] = {"clip": [], "label": [], **{f"p{pixel}": [] for pixel in range(side**2)}}
        for clip in range(clips):
            place, move = random.integers(0, side, 2), "still"
            for frame in range(random.integers(6, 15)):
                if frame:
                    inside = [m for m, by in _MOVES.items() if np.isin(place + by, range(side)).all()]
                    move = str(random.choice(inside))
                    place = place + _MOVES[move]
                pixels = np.abs(random.normal(0, 0.1, side**2))
                pixels[place[0] * side + place[1]] += 1
                columns["clip"].append(f"{split} {clip}")
                columns["label"].append(move)
                for pixel, ink in enumerate(pixels.round(3).tolist()):
                    columns[f"p{pixel}"].append(ink)
        tables[split] = pa.table(columns)
    return tables


EXAMPLES: dict[str, Callable[[], Tables]] = {
    "builtin": _grammar,
    "hello": _hello,
    "ramp": _ramp,
    "digits": _digits,
    "motion": _motion,
}
