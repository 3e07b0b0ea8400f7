"""`nlp-rnn quantize MODEL OUTPUT`: write a copy of a model with int8 weights."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from nlp_rnn.cli.console import add_model_arguments, importing, load_model, path_argument
from nlp_rnn.errors import UsageError
from nlp_rnn.files import check_writable, printed, printing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    add_model_arguments(parser)
    parser.add_argument("output", type=path_argument, help="model folder to write; it must not exist yet")


def run(options: argparse.Namespace) -> None:
    """Write the quantized model, and print its folder."""
    if os.path.lexists(options.output):
        raise UsageError(f"{options.output} exists: give another folder, or remove it first")
    check_writable(Path(options.output), "OUTPUT")
    with importing():
        from nlp_rnn.models.layers.quantization import quantize
        from nlp_rnn.tasks.pretrained import save_pretrained

    task = load_model(options)
    quantize(task.model)
    folder = save_pretrained(task, options.output)
    with printing():
        print(printed(str(folder)))
