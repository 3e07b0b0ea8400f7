"""`nlp-rnn inspect MODEL TEXT --output FOLDER`: plot what a model computes while it reads."""

from __future__ import annotations

import argparse
from pathlib import Path

from nlp_rnn.cli.console import add_model_arguments, importing, load_model, path_argument
from nlp_rnn.files import check_writable, printed, printing


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


def run(options: argparse.Namespace) -> None:
    """Write the plots and tables, and print their paths."""
    check_writable(Path(options.output), "--output")
    with importing():
        from nlp_rnn.inspection.files import write
        from nlp_rnn.inspection.inspector import inspect

    paths = write(inspect(load_model(options), options.text), options.output, options.format)
    with printing():
        print(*(printed(str(path)) for path in paths), sep="\n")
