"""How an answer is shown to people: parts of it, each as bars, marked text, a table, a plot or plain text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from nlp_rnn.lite.tasks.answers import scores_key

Kind = Literal["scores", "marked", "table", "figure", "text", "json"]


class Cells(NamedTuple):
    """A table of an answer."""

    columns: list[str]
    """The names of the columns."""
    rows: list[list[Any]]
    """The cells of each row."""


Marked = list[tuple[str, str | None]]
"""The pieces of a text, which joined are the text, each with its label; None without one."""


class View(NamedTuple):
    """One part of an answer as people see it."""

    kind: Kind
    """What `value` returns: `scores` a probability per label; `marked` a `Marked`; `table` a `Cells`;
    `figure` a matplotlib figure; `text` a text; `json` plain values."""
    title: str
    value: Callable[[Any, dict[str, Any]], Any]
    """(input, as the processor's `parse` returns it; its answer) -> what is shown."""


def label_scores(_: Any, answer: Mapping[str, Any]) -> dict[str, float]:
    """The probabilities of the labels; none of an empty text."""
    return dict(answer["scores"])


def hypotheses(_: Any, answer: Mapping[str, Any]) -> Cells:
    """The best texts of an answer with their scores, the log-probabilities that they were ranked by."""
    rows = [
        [number, best["text"], None if best["score"] is None else round(best["score"], 3)]
        for number, best in enumerate(answer["n_best"], 1)
    ]
    return Cells(["rank", "text", "score"], rows)


def tag_table(_: Any, answer: Mapping[str, Any]) -> Cells:
    """A row per word: the word, and each of its tags with the probability."""
    columns, cells = ["word"], [answer["words"]]
    for key in [key for key in answer if scores_key(key) in answer]:
        columns += [key, "probability"]
        cells += [answer[key], _percentages(answer[scores_key(key)])]
    return Cells(columns, [list(row) for row in zip(*cells, strict=True)])


def marked_words(text: str, answer: Mapping[str, Any]) -> Marked:
    """A raw text in which words are marked with their tags, or spans with their types.

    Args:
        text: the input, from which the model split words.
        answer: of a tagger, with `offsets`.
    """
    if "entities" in answer:
        return mark(text, [(*entity["offsets"], entity["type"]) for entity in answer["entities"]])
    pairs = zip(answer["offsets"], answer["tags"], strict=True)
    return mark(text, [(start, end, tag) for (start, end), tag in pairs])


def mark(text: str, spans: Iterable[tuple[int, int, str]]) -> Marked:
    """Cut a text at spans.

    Args:
        text: the text.
        spans: (start, end, label) of parts that do not overlap, in their order.
    """
    pieces: Marked = []
    done = 0
    for start, end, label in spans:
        if start > done:
            pieces.append((text[done:start], None))
        pieces.append((text[start:end], label))
        done = end
    return [*pieces, (text[done:], None)] if done < len(text) else pieces


def step_table(names: Sequence[str], rows: Iterable[Sequence[Any]], first: int = 1) -> Cells:
    """A row per time step.

    Args:
        names: of the columns behind the number of the step.
        rows: their cells.
        first: the number of the first step.
    """
    return Cells(["step", *names], [[step, *row] for step, row in enumerate(rows, first)])


def columns_of(steps: Sequence[Any], names: Sequence[str]) -> dict[str, list[float]]:
    """The numbers of each column of a series.

    Args:
        steps: [T, C], or [T] where there is one column.
        names: [C], their names.
    """
    rows = [step if isinstance(step, (list, tuple)) else [step] for step in steps]
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


def _percentages(scores: Sequence[float]) -> list[str]:
    return [f"{score:.1%}" for score in scores]
