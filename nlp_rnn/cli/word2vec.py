"""`nlp-rnn word2vec MODEL --data CORPUS ... --output FILE`: train word vectors on text without labels."""

from __future__ import annotations

import argparse
import sys
from itertools import chain
from pathlib import Path

from nlp_rnn.cli.console import (
    add_columns_argument,
    add_model_arguments,
    column_arguments,
    importing,
    load_model,
    path_argument,
)
from nlp_rnn.files import check_not_read, check_output, printed

_SETTINGS = ("size", "window", "min_frequency", "epochs", "subword_dropout", "seed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    add_model_arguments(parser, ", which splits the texts into tokens as it reads them")
    parser.add_argument(
        "--data",
        nargs="+",
        required=True,
        type=path_argument,
        metavar="CORPUS",
        help="corpora, whose labels are not needed: bundled ones, tables, folders or hub ids, of which the "
        "train split is read; of a file of text, each line",
    )
    add_columns_argument(parser, "text=document,review", ", of several the first that a corpus has")
    parser.add_argument(
        "--output",
        required=True,
        type=path_argument,
        help="file to write, in the text format of word2vec; binary if it ends in .bin, compressed if in "
        ".gz, .bz2, .xz or .zst",
    )
    parser.add_argument("--size", type=int, help="number of dimensions; default: 300")
    parser.add_argument("--window", type=int, help="maximum distance of neighbors, in tokens; default: 5")
    parser.add_argument(
        "--min-frequency", type=int, metavar="N", help="leave out tokens that occur fewer times; default: 3"
    )
    parser.add_argument("--epochs", type=int, help="passes over all texts; default: 8")
    parser.add_argument(
        "--subword-dropout",
        type=float,
        metavar="P",
        help="split words into other subwords in each epoch: leave out merges so often; default: 0",
    )
    parser.add_argument("--seed", type=int, help="of all random numbers; default: 1")


def run(options: argparse.Namespace) -> None:
    """Write the vectors."""
    check_output(Path(options.output), "OUTPUT")
    for path in (options.model, *options.data):
        check_not_read(options.output, path, "OUTPUT")
    with importing():
        from nlp_rnn.inference.inputs import Inputs
        from nlp_rnn.lite.text.notices import collect_warnings
        from nlp_rnn.storage.vectors import write_vectors
        from nlp_rnn.training.word2vec import SkipGrams

    given = {name: value for name in _SETTINGS if (value := getattr(options, name)) is not None}
    skip_grams = SkipGrams(**given)
    task = load_model(options)
    vocabulary = task.processor.read_vocabulary
    columns = {name: _names(value) for name, value in column_arguments(options).items()}
    inputs = [Inputs(path, columns=columns) for path in options.data]
    values = chain.from_iterable(item.read(task) for item in inputs)
    texts = chain.from_iterable(map(task.processor.token_strings, values))
    with collect_warnings():
        words, vectors = skip_grams.train(texts, vocabulary, _report)
    number = write_vectors(options.output, words, vectors)
    _report(f"{options.output}: {number:,} tokens, {skip_grams.size} dimensions")


def _names(value: str) -> str | list[str]:
    """One name of a column, or several with commas between them."""
    return value.split(",") if "," in value else value


def _report(line: str) -> None:
    print(f"nlp-rnn word2vec: {printed(line)}", file=sys.stderr, flush=True)
