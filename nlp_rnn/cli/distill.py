"""`nlp-rnn distill TEACHER... --data CORPUS`: a corpus whose targets are the answers of trained models."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from nlp_rnn.cli.console import (
    add_columns_argument,
    add_device_arguments,
    add_ensemble_argument,
    add_trust_argument,
    column_arguments,
    importing,
    path_argument,
)
from nlp_rnn.errors import UsageError

_SECONDS = 10.0  # between two lines of progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument(
        "teachers",
        nargs="+",
        type=path_argument,
        help="model folders, .ckpt files or hub ids; of several, the rows have each different answer",
    )
    add_trust_argument(parser)
    parser.add_argument(
        "--data",
        type=path_argument,
        required=True,
        help="corpus, whose targets are not needed: a bundled one, a table, a folder or a hub id; of a file "
        "of text, each line",
    )
    parser.add_argument(
        "--split", default="train", help="train, validation, test, or all rows of a file; default: train"
    )
    add_columns_argument(parser, "source=de target=en", ", here and in the output")
    parser.add_argument(
        "--least",
        type=float,
        metavar="P",
        help="leave out labels that are less probable; of tags, sentences with such a tag",
    )
    add_answering_arguments(parser)


def add_answering_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where the corpus is written, and how models answer."""
    parser.add_argument(
        "--output",
        type=path_argument,
        required=True,
        help="folder, which gets train.jsonl, and origin.json with where the rows are from",
    )
    parser.add_argument("--beam", type=int, help="beam width, where answers are text; default: as trained")
    parser.add_argument("--n-best", type=int, metavar="K", help="answers per input and model; default: 1")
    parser.add_argument(
        "--sample", action="store_true", help="sample translations rather than search for the best"
    )
    parser.add_argument("--temperature", type=float, help="of samples; default: 1")
    parser.add_argument("--top-k", type=int, metavar="K", help="sample among the K most probable tokens")
    parser.add_argument("--seed", type=int, help="of samples; default: 0")
    parser.add_argument("--max-examples", type=int, metavar="N", help="answer the first N inputs only")
    parser.add_argument("--batch-size", type=int, default=256, help="inputs per batch; default: 256")
    add_ensemble_argument(parser)
    add_device_arguments(parser)


def run(options: argparse.Namespace) -> None:
    """Write the corpus."""
    write_corpus(options, options.teachers, options.data, options.split, "nlp-rnn distill", options.least)


def write_corpus(
    options: argparse.Namespace,
    models: list[str],
    data: str,
    split: str,
    made_by: str,
    least: float | None = None,
) -> None:
    """Write a corpus with the answers of models, and say how many rows it has.

    Args:
        options: those of `add_columns_argument` and `add_answering_arguments`.
        models: model folders, checkpoints or hub ids; each has its own answers.
        data: what they answer.
        split: of the data.
        made_by: the name of the program.
        least: the probability below which labels are left out.

    Raises:
        UsageError: the corpus cannot be written.
    """
    if options.ensemble and len(models) > 1:
        raise UsageError(
            f"--ensemble: its models answer together with one model, not with {len(models)}, which have "
            "their own answers: give one before it"
        )
    with importing():
        from nlp_rnn.cpu import retain_freed_memory
        from nlp_rnn.files import printed
        from nlp_rnn.inference.inputs import Inputs
        from nlp_rnn.inference.synthesis import Answering, make_corpus
        from nlp_rnn.tasks.ensemble import load_models

    retain_freed_memory()
    answering = Answering(
        beam=options.beam,
        n_best=options.n_best,
        sample=options.sample,
        temperature=options.temperature,
        top_k=options.top_k,
        seed=options.seed,
        least=least,
    )
    made = make_corpus(
        {paths: load_models(paths) for path in models for paths in [(path, *options.ensemble)]},
        Inputs(data, split, column_arguments(options), options.max_examples),
        Path(options.output),
        answering,
        made_by,
        batch_size=options.batch_size,
        device=options.device,
        precision=options.precision,
        progress=_printer(made_by),
    )
    print(printed(str(made)), file=sys.stderr)


def _printer(program: str) -> Callable[[int, int], None]:
    """A function that prints how far the program is, every few seconds."""
    start = last = time.monotonic()

    def report(inputs: int, rows: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _SECONDS:
            last = now
            rate = inputs / (now - start)
            line = f"{program}: {inputs:,} inputs answered, {rows:,} rows, {rate:.0f} inputs per second"
            print(line, file=sys.stderr, flush=True)

    return report
