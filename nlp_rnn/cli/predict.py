"""`nlp-rnn predict MODEL [INPUT]`: one answer per line of a file or of standard input, in order."""

from __future__ import annotations

import argparse

from nlp_rnn.cli.console import importing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("model", help="model folder, .ckpt file or hub id")
    parser.add_argument(
        "input",
        nargs="?",
        default="-",
        help="a file, or - for standard input: one text per line; for models of numbers, a list of them",
    )
    parser.add_argument("--output", default="-", help="a file, or - for standard output")
    parser.add_argument("--json", action="store_true", help="one JSON object per line, with scores")
    parser.add_argument(
        "--conllu",
        action="store_true",
        help="CoNLL-U in and out, for taggers (understood from .conllu files)",
    )
    parser.add_argument("--beam", type=int, help="width of the beam, where answers are text")
    parser.add_argument("--n-best", type=int, default=1, help="answers per input, with --json")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")


def run(options: argparse.Namespace) -> None:
    """Answer."""
    with importing():
        from nlp_rnn.cpu import retain_freed_memory
        from nlp_rnn.inference.prediction import predict

    retain_freed_memory()
    predict(
        options.model,
        options.input,
        options.output,
        as_json=options.json,
        conllu=options.conllu or options.input.endswith(".conllu"),
        beam=options.beam,
        n_best=options.n_best,
        batch_size=options.batch_size,
        device=options.device,
        precision=options.precision,
    )
