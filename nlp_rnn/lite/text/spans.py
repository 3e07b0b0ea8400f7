"""Spans of words, such as named entities, as tags: B-PER I-PER O.

A tag is a position and a type. Files differ in the positions they use:

| scheme | positions |
| --- | --- |
| `iob1` | I inside a span; B only where a span follows another of the same type |
| `iob2` | B at the beginning of every span, I further inside |
| `iobes` | as iob2, but E at the end, and S for a span of a single word |
| `bilou` | as iobes, with L for E and U for S |

Tags are read as conlleval does, the script of the CoNLL shared tasks (Tjong Kim Sang and De Meulder 2003),
whatever the scheme: a span begins at B and S, after O, E and S, and where the type changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

SchemeName = Literal["iob1", "iob2", "iobes", "bilou"]

OUTSIDE = "O"
_SPAN_TAG = re.compile(r"([BIESLU])(?:-(.+))?", re.DOTALL)
# The letters of bilou in those of iobes.
_TO_IOBES = {"L": "E", "U": "S"}
_TO_BILOU = {letter: name for name, letter in _TO_IOBES.items()}


class Span(NamedTuple):
    """Successive words that belong together."""

    start: int
    """The number of the first word."""
    end: int
    """The number of the word behind the last one."""
    type: str
    """Such as PER; empty where spans have no types."""


def split_tag(tag: str) -> tuple[str, str]:
    """The position, in the letters of iobes, and the type of a tag; what is no tag of a span is O."""
    match = _SPAN_TAG.fullmatch(tag)
    if match is None:
        return OUTSIDE, ""
    return _TO_IOBES.get(match[1], match[1]), match[2] or ""


def is_span_tag(tag: str) -> bool:
    """Whether a tag is O, or has the form of a tag of a span."""
    return tag == OUTSIDE or _SPAN_TAG.fullmatch(tag) is not None


def read_spans(tags: Sequence[str]) -> list[Span]:
    """The spans that the tags of a sentence stand for, in any scheme."""
    spans: list[Span] = []
    start, before, inside = 0, OUTSIDE, ""
    for place, tag in enumerate([*tags, OUTSIDE]):
        position, kind = split_tag(tag)
        begins = position in ("B", "S") or before in (OUTSIDE, "E", "S") or kind != inside
        if before != OUTSIDE and (begins or position == OUTSIDE):
            spans.append(Span(start, place, inside))
        if begins:
            start = place
        before, inside = position, kind
    return spans


def write_spans(spans: Iterable[Span], length: int, scheme: SchemeName) -> list[str]:
    """The tags of a sentence.

    Args:
        spans: in their order; no two overlap.
        length: the number of words.
        scheme: how the spans are written.
    """
    tags = [OUTSIDE] * length
    last = Span(-1, -1, "")
    for span in spans:
        letters = ["I"] * (span.end - span.start)
        follows = last.end == span.start and last.type == span.type
        if scheme != "iob1" or follows:
            letters[0] = "B"
        if scheme in ("iobes", "bilou"):
            letters[-1] = "E" if len(letters) > 1 else "S"
        tags[span.start : span.end] = [_join(letter, span.type, scheme) for letter in letters]
        last = span
    return tags


def scheme_labels(types: Iterable[str], scheme: SchemeName) -> list[str]:
    """All tags that a scheme has for some types, in alphabetical order, and O."""
    letters = "BI" if scheme in ("iob1", "iob2") else "BIES"
    return sorted([OUTSIDE, *(_join(letter, kind, scheme) for kind in set(types) for letter in letters)])


def _join(letter: str, kind: str, scheme: SchemeName) -> str:
    letter = _TO_BILOU.get(letter, letter) if scheme == "bilou" else letter
    return f"{letter}-{kind}" if kind else letter


def find_scheme(sentences: Iterable[Sequence[str]]) -> SchemeName | None:
    """Recognize how tags write spans; None if they are not tags of spans.

    Of iob1 and iob2, which have the same tags, it is the one that fewer spans contradict.

    Args:
        sentences: the tags of each sentence.
    """
    rows = [list(tags) for tags in sentences]
    names = {tag for tags in rows for tag in tags}
    matches = [_SPAN_TAG.fullmatch(name) for name in names - {OUTSIDE}]
    letters = {match[1] for match in matches if match}
    typed = {match[2] is not None for match in matches if match}
    # Tags of other kinds may be single letters too: without types, spans need O, B and I.
    if not matches or None in matches or len(typed) > 1 or not letters & {"B", "I"}:
        return None
    if typed == {False} and not {OUTSIDE, "B", "I"} <= names:
        return None
    if letters & {"L", "U"}:
        return None if letters & {"E", "S"} else "bilou"
    if letters & {"E", "S"}:
        return "iobes"
    broken = {"iob1": 0, "iob2": 0}
    for tags in rows:
        before, last = OUTSIDE, ""
        for tag in tags:
            position, kind = split_tag(tag)
            inside = before != OUTSIDE and kind == last
            broken["iob1"] += position == "B" and not inside
            broken["iob2"] += position == "I" and not inside
            before, last = position, kind
    return "iob1" if broken["iob1"] < broken["iob2"] else "iob2"


class Legal(NamedTuple):
    """Which labels may begin a sentence, follow one another, and end it."""

    start: list[bool]
    """[C]"""
    transitions: list[list[bool]]
    """[C, C] from the first label to the second one."""
    end: list[bool]
    """[C]"""


def legal_sequences(labels: Sequence[str], scheme: SchemeName) -> Legal:
    """The sequences of labels that a scheme can write.

    Args:
        labels: what `scheme_labels` returned, in any order.
        scheme: the scheme.
    """

    def may_follow(before: str, after: str) -> bool:
        (position, kind), (next_position, next_kind) = split_tag(before), split_tag(after)
        same = position != OUTSIDE and kind == next_kind
        if scheme == "iob1":
            return next_position != "B" or same
        if scheme == "iob2":
            return next_position != "I" or same
        is_open = position in ("B", "I")
        return is_open == (next_position in ("I", "E")) and (same or not is_open)

    return Legal(
        start=[may_follow(OUTSIDE, label) for label in labels],
        transitions=[[may_follow(before, after) for after in labels] for before in labels],
        end=[may_follow(label, OUTSIDE) for label in labels],
    )
