"""`nlp-rnn inspect MODEL TEXT --output FOLDER`: plot what a model computes while it reads."""

from __future__ import annotations

import argparse

from nlp_rnn.cli.console import importing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("model", help="model folder, .ckpt file or hub id; of a task that reads text")
    parser.add_argument("text", help="one sentence")
    parser.add_argument("--output", required=True, help="folder for plots and tables")
    parser.add_argument("--format", choices=["csv", "parquet"], default="csv", help="of the tables")


def run(options: argparse.Namespace) -> None:
    """Inspect, and print the files written."""
    with importing():
        from nlp_rnn.inspection.files import write
        from nlp_rnn.inspection.inspector import inspect

    for path in write(inspect(options.model, options.text), options.output, options.format):
        print(path)
