"""The files of an explanation by words: what each word adds to an answer, and what another word changes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from nlp_rnn.inspection.attribution import Attribution
from nlp_rnn.inspection.counterfactual import Fork, turns
from nlp_rnn.inspection.files import Format, write_table
from nlp_rnn.plots.figure import new_figure, save
from nlp_rnn.plots.heatmaps import Curve, curves_figure
from nlp_rnn.plots.style import WIDTH, color, heading, styled, theme, tidy
from nlp_rnn.plots.text import label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEFT_OUT = "–"
"""What stands in a plot for a word that is left out."""

_BAR = 0.38


def write_attribution(explained: Attribution, folder: Path, format: Format = "csv") -> list[Path]:
    """Write a table `words` and its plot.

    Args:
        explained: what each word adds.
        folder: a folder that exists.
        format: of the table.

    Returns:
        The paths of the files.
    """
    table = pa.table(
        {
            "step": range(len(explained.tokens)),
            "token": explained.tokens,
            "integrated_gradients": explained.gradients.tolist(),
            "left_out": _known(explained.undone.tolist()),
            "unknown": _known(explained.replaced.tolist()),
            "answer_without": pa.array(explained.answers_without, pa.string()),
        }
    )
    picture = folder / "words.png"
    save(attribution_figure(explained), picture)
    return [write_table(table, folder / f"words.{format}", format), picture]


def write_fork(fork: Fork, folder: Path, format: Format = "csv") -> list[Path]:
    """Write a table `replaced` and its plot.

    Args:
        fork: two texts that differ in one word.
        folder: a folder that exists.
        format: of the table.

    Returns:
        The paths of the files.
    """
    others = [*fork.words[: fork.place], fork.replacement, *fork.words[fork.place + 1 :]]
    table: dict[str, Sequence[object]] = {"word": fork.words, "other_word": others}
    for name, answers in (("", fork.answers), ("other_", fork.others)):
        table[f"{name}label"] = [answer["label"] for answer in answers]
        table[f"{name}score"] = [answer["score"] for answer in answers]
    picture = folder / "replaced.png"
    save(fork_figure(fork), picture)
    return [write_table(pa.table(table), folder / f"replaced.{format}", format), picture]


def describe_attribution(explained: Attribution) -> str:
    """What an explanation says in a line: the answer, and the words that turn it."""
    line = f"{explained.answer}, log-odds {explained.log_odds:.2f}"
    turning = [f"{explained.tokens[i]!r}: {explained.answers_without[i]}" for i in explained.turning()]
    return f"{line}; without " + ", without ".join(turning) if turning else f"{line}; no word turns it alone"


def describe_fork(fork: Fork) -> str:
    """What a fork says in a line: the labels of both texts, and where the streams turned."""
    sides = []
    others = [*fork.words[: fork.place], fork.replacement or LEFT_OUT, *fork.words[fork.place + 1 :]]
    for words, answers in ((fork.words, fork.answers), (others, fork.others)):
        label, score = answers[-1]["label"], answers[-1]["score"]
        turned = ", ".join(repr(words[index]) for index in turns(answers))
        state = "no answer" if score is None else f"{label} ({score:.1%})"
        sides.append(f"with {words[fork.place]!r} {state}" + (f", turned at {turned}" if turned else ""))
    return "; ".join(sides)


@styled()
def attribution_figure(explained: Attribution) -> Figure:
    """Bars of what each word adds to the log-odds of the answer, in both ways."""
    places = range(len(explained.tokens))
    figure = new_figure(max(WIDTH, 0.55 * len(places) + 1.5), 4.2)
    heading(figure, f"“{' '.join(explained.tokens)}”")
    axes = figure.add_subplot()
    for number, shift, name, values in (
        (0, -_BAR / 2, "integrated gradients", explained.gradients.tolist()),
        (1, _BAR / 2, "loss if left out", explained.undone.tolist()),
    ):
        axes.bar([place + shift for place in places], values, _BAR, color=color(number), label=name)
    axes.axhline(0, color=theme().ink, linewidth=0.8)
    names = [label(token) for token in explained.tokens]
    axes.set_xticks(places, names, rotation=45, ha="right", rotation_mode="anchor", parse_math=False)
    for place in explained.turning():
        axes.get_xticklabels()[place].set_fontweight("bold")
    axes.set_ylabel("log-odds of the answer (nats)")
    title = f"What speaks for “{explained.answer}”"
    if explained.turning():
        title += "; without a bold word the answer is another"
    axes.set_title(title, loc="left", wrap=True, parse_math=False)
    tidy(axes, grid="y")
    axes.legend()
    return figure


def fork_figure(fork: Fork) -> Figure:
    """Curves of the probability of the label of the first text, after each word of both."""
    first = fork.answers[-1]["label"] if fork.answers[-1]["scores"] else fork.others[-1]["label"]
    replacement = fork.replacement or LEFT_OUT
    lines = [
        Curve(
            f"with “{word}”",
            [answer["scores"].get(first, math.nan) for answer in answers],
            dashed=dashed,
        )
        for word, answers, dashed in (
            (fork.words[fork.place], fork.answers, False),
            (replacement, fork.others, True),
        )
    ]
    names = [*fork.words]
    names[fork.place] += f" / {replacement}"
    return curves_figure(lines, names, "answer after each word of two texts", f"probability of “{first}”")


def _known(values: list[float]) -> pa.Array:
    """Numbers, with nothing in place of NaN."""
    return pa.array([None if math.isnan(value) else value for value in values], pa.float64())
