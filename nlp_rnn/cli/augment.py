"""`nlp-rnn augment --with MODEL --text FILE`: back-translation of text in the target language."""

from __future__ import annotations

import argparse

from nlp_rnn.cli.console import add_columns_argument, add_trust_argument, path_argument
from nlp_rnn.cli.distill import add_answering_arguments, write_corpus


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument(
        "--with",
        dest="models",
        nargs="+",
        required=True,
        type=path_argument,
        metavar="MODEL",
        help="models that translate the text: from the language that another model is to write into the one "
        "that it is to read",
    )
    add_trust_argument(parser)
    parser.add_argument(
        "--text",
        type=path_argument,
        required=True,
        help="text in the target language: a file with one sentence per line, or a corpus",
    )
    add_columns_argument(parser, "source=en target=de", ", here and in the output")
    add_answering_arguments(parser)


def run(options: argparse.Namespace) -> None:
    """Write the corpus."""
    write_corpus(options, options.models, options.text, "train", "nlp-rnn augment")
