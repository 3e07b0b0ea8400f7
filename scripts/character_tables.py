"""Write the tables of characters of the installed tokenizers library: `python scripts/character_tables.py`.

They are what `nlp_rnn/lite/text/characters.py` reads. Write them anew where a new version of the library
knows a new version of Unicode; a test says so.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

from nlp_rnn.export.html.unicode_tables import write_set
from nlp_rnn.lite.text import characters

# All code points but the surrogates.
_ALL = "".join(chr(point) for points in (range(0xD800), range(0xE000, 0x110000)) for point in points)
_HIGHEST_MARK = "\u0345"  # its canonical combining class, 240, is the highest one: all other marks precede it
_LOWEST_MARK = "\u0334"  # of class 1, the lowest one


def main() -> None:
    """Write the file."""
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(table)}" for name, table in make_tables().items())
    path = Path(characters.__file__).with_suffix(".json")
    path.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    print(path)


def make_tables() -> dict[str, Any]:
    """The tables that `nlp_rnn.lite.text.characters` describes."""
    return {
        "library": tokenizers.__version__,
        "word": _regex_class(r"\w"),
        "digit": _regex_class(r"\d"),
        "space": _regex_class(r"\s"),
        "punctuation": _punctuation(),
        "composing": _composing(),
        "lower": _lower_case(),
    }


def _regex_class(regex: str) -> str:
    split = pre_tokenizers.Split(Regex(f"{regex}+"), "removed", invert=True)
    return write_set(_points(split.pre_tokenize_str(_ALL)))


def _punctuation() -> str:
    pieces = pre_tokenizers.Punctuation("contiguous").pre_tokenize_str(_ALL)
    # Pieces are punctuation or not by turns; the first one is control characters.
    return write_set(_points(pieces[1::2]))


def _composing() -> str:
    decomposed = _apply(normalizers.NFD(), _ALL)
    found = {ord(a) for a, b in zip(_ALL, decomposed, strict=True) if a != b}
    found |= {ord(part) for a, b in zip(_ALL, decomposed, strict=True) if a != b for part in b}
    others = [mark for mark in _ALL if unicodedata.category(mark) in ("Mn", "Mc", "Me", "Cn")]
    for before, after in ((_HIGHEST_MARK, ""), ("", _LOWEST_MARK)):
        texts = [f"{before}{mark}{after}" for mark in others]
        moved = zip(others, texts, _apply(normalizers.NFC(), texts), strict=True)
        found |= {ord(mark) for mark, text, result in moved if text != result}
    return write_set(sorted(found | {ord(_HIGHEST_MARK), ord(_LOWEST_MARK)}))


def _lower_case() -> dict[str, Any]:
    lowered = _apply(normalizers.Lowercase(), _ALL)
    changed = {ord(a): b for a, b in zip(_ALL, lowered, strict=True) if a != b}
    others = {chr(point): text for point, text in changed.items() if len(text) > 1}
    runs: list[list[int]] = []
    for point, text in changed.items():
        if len(text) > 1:
            continue
        difference = ord(text) - point
        if runs and runs[-1][3] == difference:
            first, count, step, _ = runs[-1]
            gap = point - (first + (count - 1) * step)
            if gap <= 2 and (count == 1 or gap == step):
                runs[-1] = [first, count + 1, gap, difference]
                continue
        runs.append([point, 1, 1, difference])
    return {"runs": runs, "others": others}


def _apply(normalizer: normalizers.Normalizer, texts: Iterable[str]) -> list[str]:
    """Normalize many short texts, all at once; none has a line feed in its result but the line feed."""
    joined = normalizer.normalize_str("\n\n".join(text if text != "\n" else "" for text in texts))
    return [text or "\n" for text in joined.split("\n\n")]


def _points(pieces: Iterable[tuple[str, tuple[int, int]]]) -> Iterator[int]:
    return (ord(character) for text, _ in pieces for character in text)


if __name__ == "__main__":
    main()
