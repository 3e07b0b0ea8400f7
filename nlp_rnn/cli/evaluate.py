"""`nlp-rnn evaluate MODEL --data CORPUS`: measure a trained model on a corpus."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from nlp_rnn.cli.console import importing
from nlp_rnn.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("model", help="model folder, .ckpt file or hub id")
    parser.add_argument("--data", default="builtin", help="corpus: builtin, a file or folder, or a hub id")
    parser.add_argument("--config-name", help="configuration of a hub corpus")
    parser.add_argument("--revision", help="revision of a hub corpus")
    parser.add_argument(
        "--split", default="test", help="train, validation, test or the corpus's own name for one"
    )
    parser.add_argument(
        "--columns",
        nargs="+",
        default=[],
        metavar="NAME=COLUMN",
        help="such as source=de target=en; text=review",
    )
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--beam", type=int, help="width of the beam, where answers are text")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--max-examples", type=int, help="measure on a random part")
    parser.add_argument("--output", type=Path, help="folder for report.json and pictures")


def run(options: argparse.Namespace) -> None:
    """Measure, and print the report."""
    with importing():
        from nlp_rnn.cpu import retain_freed_memory
        from nlp_rnn.data import Corpus
        from nlp_rnn.evaluation.measuring import evaluate
        from nlp_rnn.files import atomic_write

    retain_freed_memory()
    for pair in options.columns:
        if "=" not in pair:
            raise UsageError(f"--columns {pair}: give NAME=COLUMN, such as text=review")
    try:
        if options.output is not None:
            options.output.mkdir(parents=True, exist_ok=True)
        report = evaluate(
            options.model,
            Corpus(
                options.data,
                config=options.config_name,
                revision=options.revision,
                max_examples=options.max_examples,
            ),
            split=options.split,
            columns=dict(pair.split("=", 1) for pair in options.columns),
            batch_size=options.batch_size,
            beam=options.beam,
            device=options.device,
            precision=options.precision,
            plots=options.output,
        )
        text = json.dumps(report.results, ensure_ascii=False, indent=2, allow_nan=False)
        if options.output is not None:
            with atomic_write(options.output / "report.json") as temporary:
                temporary.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        if error.filename is None:
            raise
        raise UsageError(f"{error.filename}: {error.strerror}") from error
    print(report.table(), file=sys.stderr)
    print(text)
