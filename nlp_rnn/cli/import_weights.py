"""`nlp-rnn import WEIGHTS OUTPUT --like NAME --vocab FILE...`: other people's weights as a model folder."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from nlp_rnn.cli.console import importing, path_argument
from nlp_rnn.conversion.recipes import RECIPES
from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.files import check_writable, printed, printing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument(
        "weights", type=path_argument, help="a state dict (.pt, .ckpt, .safetensors), or a Keras file"
    )
    parser.add_argument("output", type=path_argument, help="model folder to write; it must not exist yet")
    parser.add_argument("--like", required=True, choices=RECIPES, help="the model that it is; see below")
    parser.add_argument(
        "--vocab",
        nargs="+",
        required=True,
        type=path_argument,
        metavar="FILE",
        help="the vocabularies, in the order below: a JSON list of tokens in the order of their ids, an "
        "object token: id, a Keras Tokenizer's to_json, or text with a token per line",
    )
    parser.add_argument(
        "--max-length",
        type=int,
        default=512,
        metavar="N",
        help="maximum number of tokens that are read; default: 512",
    )
    parser.add_argument(
        "--reverse-source", action="store_true", help="a translator reads its source from the end"
    )
    parser.epilog = f"{parser.epilog}\n\nmodels, and their vocabularies:\n" + "\n".join(
        f"  {name:<17} {recipe.summary}\n{'':<20}--vocab: {_expected(name)}"
        for name, recipe in RECIPES.items()
    )


def run(options: argparse.Namespace) -> None:
    """Convert the weights, and print what was found and the folder."""
    recipe = RECIPES[options.like]
    least = len(recipe.vocabularies) - recipe.optional
    if not least <= len(options.vocab) <= len(recipe.vocabularies):
        raise UsageError(
            f"--vocab: {len(options.vocab)} file(s); {options.like} has {_expected(options.like)}"
        )
    if options.reverse_source and "source tokens" not in recipe.vocabularies:
        raise UsageError(f"--reverse-source is for translators, which {options.like} is not")
    if os.path.lexists(options.output):
        raise UsageError(f"{options.output} exists: give another folder, or remove it first")
    check_writable(Path(options.output), "OUTPUT")
    with importing():
        from nlp_rnn.conversion.convert import convert
        from nlp_rnn.conversion.imported import Request
        from nlp_rnn.tasks.pretrained import save_pretrained

    files = [Path(file) for file in options.vocab]
    request = Request(Path(options.weights), files, options.max_length, options.reverse_source)
    imported, difference = convert(options.like, request)
    folder = save_pretrained(imported.task, options.output)
    with printing():
        print(printed(f"model: {imported.task.summary()}"))
        for note in imported.notes:
            print(printed(f"note: {note}"))
        print(f"largest difference to the original's scores: {difference:.1e}")
        print(printed(str(folder)))


def _expected(name: str) -> str:
    recipe = RECIPES[name]
    needed = recipe.vocabularies[: len(recipe.vocabularies) - recipe.optional]
    more = recipe.vocabularies[len(needed) :]
    return join_names([*needed, *(f"[{role}]" for role in more)])
