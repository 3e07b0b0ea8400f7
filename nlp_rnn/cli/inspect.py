"""`nlp-rnn inspect MODEL TEXT --output FOLDER`: plot what a model computes while it reads."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlp_rnn.cli.console import add_model_arguments, importing, load_model, path_argument
from nlp_rnn.files import atomic_write, check_writable, printed, printing

if TYPE_CHECKING:
    from nlp_rnn.tasks.base import Task


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    add_model_arguments(parser, ", of a task that reads text")
    parser.add_argument("text", help="the text to read, best one sentence")
    parser.add_argument(
        "--output", type=path_argument, required=True, help="folder to write plots and tables to"
    )
    parser.add_argument(
        "--format", choices=["csv", "parquet"], default="csv", help="format of the tables; default: csv"
    )
    parser.add_argument(
        "--words",
        action="store_true",
        help="instead, explain the answer by its words: integrated gradients, and the answer without each",
    )
    parser.add_argument(
        "--replace",
        type=_pair,
        metavar="WORD=OTHER",
        help="instead, compare the answers after each word if another word takes the place of one, where it "
        "first occurs; WORD= leaves it out",
    )
    parser.add_argument(
        "--automaton",
        type=_states,
        nargs="?",
        const=24,
        metavar="STATES",
        help="instead, draw the automaton that a network of few tokens has learned, with at most so many "
        "states; default: 24",
    )
    parser.add_argument(
        "--page",
        action="store_true",
        help="instead, draw the unrolled network with its numbers: a page, and an animation over the steps",
    )
    parser.add_argument(
        "--probe",
        choices=["negation", "tense", "number", "quotes"],
        help="instead, find whether the states follow a property of English sentences, which "
        "unit does, and what both say at each word",
    )
    parser.add_argument(
        "--clamp",
        type=_unit,
        metavar="UNIT=VALUE",
        help="instead, compare the answers after each word if a unit of the top layer is held at a value",
    )


def run(options: argparse.Namespace) -> None:
    """Write the plots and tables, and print their paths."""
    check_writable(Path(options.output), "--output")
    with importing():
        from nlp_rnn.inspection.files import write
        from nlp_rnn.inspection.inspector import inspect

    task = load_model(options)
    # All that is asked for is computed before anything is written, for a text may be refused.
    found = [*_explanations(options, task)]
    if not found:
        found = [([], partial(write, inspect(task, options.text), Path(options.output), options.format))]
    lines = [line for lines, written in found for line in (*lines, *map(str, written()))]
    with printing():
        print(*map(printed, lines), sep="\n")


def _explanations(
    options: argparse.Namespace, task: Task[Any, Any]
) -> Iterator[tuple[Sequence[str], Callable[[], Sequence[Path]]]]:
    """What the options ask for, in place of the states: lines that say what was found, and what writes it."""
    from nlp_rnn.inspection.attribution import attribute
    from nlp_rnn.inspection.counterfactual import fork
    from nlp_rnn.inspection.probe_files import describe_probe, write_clamped, write_probe
    from nlp_rnn.inspection.probes import clamp, fit_probe, hidden_states
    from nlp_rnn.inspection.unrolled_page import animate, draw_page, make_page
    from nlp_rnn.inspection.words import describe_attribution, describe_fork, write_attribution, write_fork

    folder = Path(options.output)
    if options.words:
        explained = attribute(task, options.text)
        yield [describe_attribution(explained)], partial(write_attribution, explained, folder, options.format)
    if options.replace:
        forked = fork(task, options.text, *options.replace)
        yield [describe_fork(forked)], partial(write_fork, forked, folder, options.format)
    if options.automaton:
        yield _automaton(task, options)
    if options.probe:
        words, states = hidden_states(task, options.text)
        probed = fit_probe(task, options.probe)
        yield (
            [describe_probe(probed)],
            partial(write_probe, probed, words, states, folder, options.format),
        )
    if options.clamp:
        clamped = clamp(task, options.text, *options.clamp)
        name = "{} held at {:g}".format(*options.clamp)
        yield [], partial(write_clamped, task, clamped, name, folder, options.format)
    if options.page:
        page = make_page(task, options.text)
        pages = {folder / "unrolled.svg": draw_page(page), folder / "unrolled.html": animate(page)}
        yield [], partial(_write, pages)


def _automaton(
    task: Task[Any, Any], options: argparse.Namespace
) -> tuple[list[str], Callable[[], Sequence[Path]]]:
    """The automaton of a model, with the way of a text, and how far the two agree."""
    from nlp_rnn.inspection.automaton import agreement, extract, held_out_words
    from nlp_rnn.inspection.automaton_drawing import draw
    from nlp_rnn.inspection.inspector import read_text
    from nlp_rnn.inspection.reading import vocabulary_of

    automaton = extract(task, options.automaton)
    (ids,) = read_text(task, options.text)[0][task.processor.length_columns[0]]
    names = vocabulary_of(task).tokens()
    word = automaton.word(names[id] for id in ids)
    words = held_out_words(automaton)
    agreed = agreement(task, automaton, words)
    sizes = sorted(map(len, words))
    lines = [
        f"{len(automaton.answers)} states, agrees with the network on {agreed:.1%} of {len(words)} random "
        f"strings of {sizes[0]} to {sizes[-1]} tokens"
    ]
    picture = draw(automaton, word, lines[0])
    if automaton.difference:
        letters = " ".join(automaton.letters[i] for i in automaton.difference)
        lines.append(f"another answer than the network's: {letters}")
    return lines, partial(_write, {Path(options.output) / "automaton.svg": picture})


def _write(contents: Mapping[Path, str]) -> list[Path]:
    """Write text files, each completely or not at all, and return their paths."""
    for out, content in contents.items():
        out.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(out) as temporary:
            temporary.write_text(content, encoding="utf-8")
    return [*contents]


def _pair(text: str) -> tuple[str, str]:
    """The value of `--replace`."""
    word, sign, other = text.partition("=")
    if not word or not sign:
        raise argparse.ArgumentTypeError(f"{text} is not WORD=OTHER, such as bad=good")
    return word, other


def _states(text: str) -> int:
    """The value of `--automaton`."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text} is no number of states, such as 24")
    return int(text)


def _unit(text: str) -> tuple[int, float]:
    """The value of `--clamp`."""
    unit, _, value = text.partition("=")
    try:
        number, level = int(unit), float(value)
        if not math.isfinite(level):
            raise ValueError(level)
        return number, level
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not UNIT=VALUE, such as 17=-0.8") from None
