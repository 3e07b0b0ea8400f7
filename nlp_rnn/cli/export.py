"""`nlp-rnn export FOLDER --format FORMAT`: write a model in a form that runs without this package."""

from __future__ import annotations

import argparse
from pathlib import Path

from nlp_rnn.cli.console import add_model_arguments, importing, path_argument
from nlp_rnn.errors import UsageError
from nlp_rnn.export.formats import FORMATS, check_paths, export
from nlp_rnn.files import check_writable, printed, printing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    add_model_arguments(parser, "; here a model folder")
    formats = ", ".join(f"{name} ({row.summary})" for name, row in FORMATS.items())
    parser.add_argument("--format", choices=list(FORMATS), required=True, help=f"one of: {formats}")
    parser.add_argument(
        "--output",
        type=path_argument,
        help="what to write; it must not exist yet; default: the name of the model folder with the format "
        "behind it, in the working directory",
    )
    parser.add_argument(
        "--int8", action="store_true", help=f"write 8-bit weights where possible ({_formats_with('int8')})"
    )


def run(options: argparse.Namespace) -> None:
    """Write the model, and print how far it is from the original, and where it is."""
    row = FORMATS[options.format]
    chosen = _chosen(options)
    output = options.output or row.default_output(Path(options.model).expanduser())
    _, target = check_paths(options.model, output)
    check_writable(target, "--output")
    with importing():
        row.writer()
    lines = export(options.model, target, options.format, **chosen)
    with printing():
        print(*map(printed, lines), sep="\n")


def _formats_with(option: str) -> str:
    return ", ".join(f"--format {name}" for name, row in FORMATS.items() if option in row.options)


def _chosen(options: argparse.Namespace) -> dict[str, bool]:
    """The options that only some formats have, for the chosen one.

    Raises:
        UsageError: one was given that this format does not have.
    """
    special = {option for row in FORMATS.values() for option in row.options}
    own = FORMATS[options.format].options
    for option in sorted(special.difference(own)):
        if getattr(options, option):
            flag = "--" + option.replace("_", "-")
            raise UsageError(f"{flag} is for {_formats_with(option)}; leave it out")
    return {option: getattr(options, option) for option in own}
