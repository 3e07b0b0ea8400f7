"""`nlp-rnn compare A B ... --data CORPUS`: which of several models is better, how surely, and where."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from nlp_rnn.cli.console import (
    add_corpus_arguments,
    add_device_arguments,
    add_trust_argument,
    column_arguments,
    file_column_arguments,
    importing,
    path_argument,
)

_SECONDS = 10.0  # between two lines of progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument(
        "models",
        nargs="+",
        type=path_argument,
        metavar="MODEL",
        help="model folders, .ckpt files or hub ids; all are compared with the first",
    )
    parser.add_argument(
        "--ensemble",
        nargs="+",
        action="append",
        type=path_argument,
        default=[],
        metavar="MODEL",
        help="models that answer together, as one more model to compare; may be repeated",
    )
    add_trust_argument(parser)
    add_corpus_arguments(parser)
    parser.add_argument("--beam", type=int, help="beam width, where answers are text; default: as trained")
    parser.add_argument("--max-examples", type=int, help="maximum number of rows, drawn at random")
    parser.add_argument(
        "--resamples", type=int, default=1_000, metavar="N", help="bootstrap resamples; default: 1000"
    )
    parser.add_argument(
        "--trials", type=int, default=10_000, metavar="N", help="of randomization; default: 10000"
    )
    parser.add_argument("--level", type=float, default=0.95, help="of intervals; default: 0.95")
    parser.add_argument(
        "--block",
        type=int,
        metavar="N",
        help="draw N consecutive rows together, where neighbors depend on each other; default: 1, and the "
        "horizon of forecasts",
    )
    parser.add_argument(
        "--seed", type=int, default=12345, help="of the random numbers; default: 12345, as sacreBLEU"
    )
    parser.add_argument(
        "--rows", type=int, default=20, metavar="N", help="rows to list of each kind; default: 20"
    )
    add_device_arguments(parser)
    parser.add_argument(
        "--output", type=path_argument, help="folder to write comparison.json and comparison.html to"
    )


def run(options: argparse.Namespace) -> None:
    """Print a table, and write the comparison."""
    with importing():
        from nlp_rnn.cpu import retain_freed_memory
        from nlp_rnn.data import Corpus
        from nlp_rnn.evaluation.comparing import compare
        from nlp_rnn.evaluation.paired_tests import Resampling
        from nlp_rnn.files import atomic_write, check_not_read, check_writable, printed, printing

    retain_freed_memory()
    columns = column_arguments(options)
    output = None if options.output is None else Path(options.output)
    if output is not None:
        check_writable(output, "--output")
        for name in ("comparison.json", "comparison.html"):
            check_not_read(output / name, options.data, "--output")
    comparison = compare(
        [*options.models, *options.ensemble],
        Corpus(
            options.data,
            config=options.config_name,
            revision=options.revision,
            max_examples=options.max_examples,
            columns=file_column_arguments(options),
            encoding=options.encoding,
        ),
        split=options.split,
        columns=columns,
        beam=options.beam,
        device=options.device,
        precision=options.precision,
        resampling=Resampling(options.resamples, options.trials, options.level, options.seed, options.block),
        examples=options.rows,
        progress=_printer(),
    )
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        for name, text in (("comparison.json", comparison.json()), ("comparison.html", comparison.html())):
            with atomic_write(output / name) as temporary:
                temporary.write_text(text + "\n", encoding="utf-8")
    with printing():
        print(printed(comparison.table()))


def _printer() -> Callable[[str, int, int], None]:
    """A function that prints how far the comparison is, every few seconds."""
    last = time.monotonic()

    def report(name: str, done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _SECONDS:
            last = time.monotonic()
            print(f"nlp-rnn compare: {name}: {done:,} of {total:,}", file=sys.stderr, flush=True)

    return report
