"""`nlp-rnn inspect MODEL TEXT --output FOLDER`: plot what a model computes while it reads."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlp_rnn.cli.console import add_model_arguments, importing, load_model, path_argument
from nlp_rnn.files import check_writable, printed, printing

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
        help="instead, compare the answers after each word if another word takes the place of one; WORD= "
        "leaves it out",
    )


def run(options: argparse.Namespace) -> None:
    """Write the plots and tables, and print their paths."""
    check_writable(Path(options.output), "--output")
    with importing():
        from nlp_rnn.inspection.files import write
        from nlp_rnn.inspection.inspector import inspect

    task = load_model(options)
    paths = [*_explanations(options, task)]
    if not paths:
        paths = [str(path) for path in write(inspect(task, options.text), options.output, options.format)]
    with printing():
        print(*map(printed, paths), sep="\n")


def _explanations(options: argparse.Namespace, task: Task[Any, Any]) -> Iterator[str]:
    """What the options ask for, in place of the states: lines that say what was found, and paths."""
    from nlp_rnn.inspection.attribution import attribute
    from nlp_rnn.inspection.counterfactual import fork
    from nlp_rnn.inspection.words import describe_attribution, describe_fork, write_attribution, write_fork

    folder = Path(options.output)
    if options.words:
        explained = attribute(task, options.text)
        yield describe_attribution(explained)
        yield from map(str, write_attribution(explained, folder, options.format))
    if options.replace:
        forked = fork(task, options.text, *options.replace)
        yield describe_fork(forked)
        yield from map(str, write_fork(forked, folder, options.format))


def _pair(text: str) -> tuple[str, str]:
    """The value of `--replace`."""
    word, sign, other = text.partition("=")
    if not word or not sign:
        raise argparse.ArgumentTypeError(f"{text} is not WORD=OTHER, such as bad=good")
    return word, other
