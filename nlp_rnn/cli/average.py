"""`nlp-rnn average MODEL... --output FOLDER`: write a model with the mean of the weights of several."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from nlp_rnn.cli.console import add_trust_argument, importing, path_argument
from nlp_rnn.errors import UsageError
from nlp_rnn.files import check_writable, printed, printing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument(
        "models",
        nargs="+",
        type=path_argument,
        metavar="MODEL",
        help="checkpoints (.ckpt) of one run, or model folders; at least two",
    )
    parser.add_argument(
        "--output", type=path_argument, required=True, help="model folder to write; it must not exist yet"
    )
    add_trust_argument(parser)


def run(options: argparse.Namespace) -> None:
    """Write the model folder, and print it."""
    if os.path.lexists(options.output):
        raise UsageError(f"{options.output} exists: give another folder, or remove it first")
    check_writable(Path(options.output), "--output")
    with importing():
        from nlp_rnn.tasks.averaging import average
        from nlp_rnn.tasks.pretrained import from_pretrained, save_pretrained

    task = average([from_pretrained(model) for model in options.models], options.models)
    card = task.card(command=options.command, averaged=options.models)
    folder = save_pretrained(task, options.output, card)
    with printing():
        print(printed(str(folder)))
