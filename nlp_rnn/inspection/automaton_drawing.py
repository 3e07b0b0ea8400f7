"""A drawing of an automaton: states from left to right by their distance from the start."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from nlp_rnn.inspection.automaton import OUTSIDE, Automaton, Word
from nlp_rnn.inspection.svg import BLUE, FILLS, INK, arrow, document, text

_RADIUS, _COLUMN, _ROW, _MARGIN = 30.0, 150.0, 140.0, 90.0


def draw(automaton: Automaton, word: Word = (), title: str = "") -> str:
    """An automaton as SVG.

    The state from which all strings are outside of what a language model allows is left out, with all that
    leads to it.

    Args:
        automaton: the automaton.
        word: a word whose way is drawn in blue.
        title: what stands above.
    """
    shown = [state for state, answer in enumerate(automaton.answers) if answer != OUTSIDE]
    places = _places(automaton, shown)
    way = automaton.states(word)
    steps = set(pairwise(way))
    edges: dict[tuple[int, int], list[str]] = {}
    for state in shown:
        for letter, after in enumerate(automaton.transitions[state]):
            if after in places:
                edges.setdefault((state, after), []).append(automaton.letters[letter])
    lines, labels = [], []
    for (state, after), letters in edges.items():
        color = BLUE if (state, after) in steps else INK
        path, x, y = _curve(places[state], places[after])
        lines.append(arrow(path, color, 2.4 if color == BLUE else 1.3))
        labels.append(text(x, y, ", ".join(letters), 15, color))
    x, y = places[0]
    lines.append(arrow(f"M{x - _RADIUS - 40:.1f} {y:.1f} L{x - _RADIUS:.1f} {y:.1f}"))
    labels.append(text(x - _RADIUS - 45, y, "start", 12, INK, "end"))
    answers = sorted(set(automaton.answers) - {OUTSIDE})
    circles = []
    for state in shown:
        x, y = places[state]
        fill = FILLS[answers.index(automaton.answers[state]) % len(FILLS)]
        color, width = (BLUE, 2.4) if word and state in way else (INK, 1.3)
        circles.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{_RADIUS:g}" fill="{fill}" stroke="{color}" '
            f'stroke-width="{width}"/>'
        )
        circles.append(text(x, y, automaton.answers[state], 13 if len(automaton.answers[state]) < 7 else 11))
    width = max(x for x, _ in places.values()) + _MARGIN + _RADIUS
    height = max(y for _, y in places.values()) + _MARGIN
    heading = [text(16, 22, title, 14, INK, "start", 'font-weight="bold"')] if title else []
    width = max(width, 16 + 8.4 * len(title))
    return document(width, height, title or "an automaton", "".join([*lines, *circles, *labels, *heading]))


def _places(automaton: Automaton, shown: Sequence[int]) -> dict[int, tuple[float, float]]:
    """The center of each state: its column is the number of letters that lead to it from the start."""
    distance = {0: 0}
    queue = [0]
    for state in queue:
        for after in automaton.transitions[state]:
            if after in shown and after not in distance:
                distance[after] = distance[state] + 1
                queue.append(after)
    columns: dict[int, list[int]] = {}
    for state in queue:
        columns.setdefault(distance[state], []).append(state)
    return {
        state: (_MARGIN + _RADIUS + column * _COLUMN, _MARGIN + _RADIUS + row * _ROW)
        for column, states in columns.items()
        for row, state in enumerate(states)
    }


def _curve(start: tuple[float, float], end: tuple[float, float]) -> tuple[str, float, float]:
    """The path from one state to another, and where its label stands; all bend to the left of their way."""
    (x1, y1), (x2, y2) = start, end
    if start == end:
        top = y1 - _RADIUS
        left, right, foot, peak = x1 - 11, x1 + 11, top + 2.5, top - 46
        path = f"M{left} {foot} C{x1 - 34} {peak} {x1 + 34} {peak} {right} {foot}"
        return path, x1, top - 38
    length = math.hypot(x2 - x1, y2 - y1)
    bend = 0.16 * length + 8
    across = (y2 - y1) / length * bend, -(x2 - x1) / length * bend
    cx, cy = (x1 + x2) / 2 + across[0], (y1 + y2) / 2 + across[1]

    def rim(x: float, y: float) -> tuple[float, float]:
        scale = _RADIUS / math.hypot(cx - x, cy - y)
        return x + (cx - x) * scale, y + (cy - y) * scale

    (sx, sy), (ex, ey) = rim(x1, y1), rim(x2, y2)
    label = (sx + 2 * cx + ex) / 4 + across[0] / bend * 4, (sy + 2 * cy + ey) / 4 + across[1] / bend * 4
    return f"M{sx:.1f} {sy:.1f} Q{cx:.1f} {cy:.1f} {ex:.1f} {ey:.1f}", *label
