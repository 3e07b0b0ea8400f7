"""`nlp-rnn vectors MODEL OUTPUT`: write a model's embedding as word vectors."""

from __future__ import annotations

import argparse
from pathlib import Path

from nlp_rnn.cli.console import add_model_arguments, importing, load_model, path_argument
from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.files import check_not_read, check_output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    add_model_arguments(parser)
    parser.add_argument(
        "output",
        type=path_argument,
        help="file to write, in the text format of word2vec; binary if it ends in .bin, compressed if in "
        ".gz, .bz2, .xz or .zst",
    )
    parser.add_argument(
        "--embedding",
        metavar="PART",
        help="the embedding to write, where a model has several, such as encoder.embedding",
    )


def run(options: argparse.Namespace) -> None:
    """Write the vectors."""
    check_output(Path(options.output), "OUTPUT")
    check_not_read(options.output, options.model, "OUTPUT")
    with importing():
        from nlp_rnn.models.layers.quantization import is_quantized
        from nlp_rnn.storage.vectors import write_vectors

    task = load_model(options)
    ending = "embedding.weight"
    tokens = {
        name.removesuffix(".weight"): rows for name, rows in task.row_names().items() if name.endswith(ending)
    }
    if not tokens:
        raise UsageError(f"{options.model}: a model for {task.name} has no embedding")
    part = options.embedding or next(iter(tokens))
    if part not in tokens or (options.embedding is None and len(tokens) > 1):
        raise UsageError(f"--embedding: the model has {join_names(tokens)}; name one")
    if is_quantized(task.model):
        raise UsageError(f"{options.model}: its weights are int8; give the model that was quantized")
    write_vectors(options.output, tokens[part], task.model.get_parameter(f"{part}.weight").detach().numpy())
