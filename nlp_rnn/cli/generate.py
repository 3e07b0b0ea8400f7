"""`nlp-rnn generate MODEL [PROMPT]`: continue a text, printed as it is generated."""

from __future__ import annotations

import argparse
import sys

from nlp_rnn.cli.console import importing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("model", help="model folder, .ckpt file or hub id")
    parser.add_argument("prompt", nargs="?", default="", help="what to go on from")
    parser.add_argument("--max-output", type=int, default=100, help="most tokens")
    parser.add_argument("--temperature", type=float, help="draw tokens; the likeliest are taken without it")
    parser.add_argument("--top-k", type=int, help="draw among so many of the likeliest")
    parser.add_argument("--top-p", type=float, help="draw among the likeliest that have this probability")
    parser.add_argument("--seed", type=int, help="of the draws")
    parser.add_argument(
        "--steps", action="store_true", help="show what each step read and foretold, and how surely"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")


def run(options: argparse.Namespace) -> None:
    """Generate."""
    with importing():
        from nlp_rnn.cpu import retain_freed_memory
        from nlp_rnn.inference.pipelines import pipeline

    retain_freed_memory()
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    writer = pipeline("language_modeling", options.model, device=options.device, precision=options.precision)
    settings = (options.max_output, options.temperature, options.top_k, options.top_p, options.seed)
    if options.steps:
        for step in writer.steps(options.prompt, *settings):
            read, predicted = repr(step.read)[1:-1], repr(step.predicted)[1:-1]  # a line break as such
            print(f"{read:>12} -> {predicted:<12} {step.probability:.4f}", flush=True)
        return
    pieces = writer.generate(options.prompt, *settings)
    print(options.prompt, end="", flush=True)
    for piece in pieces:
        print(piece, end="", flush=True)
    print()
