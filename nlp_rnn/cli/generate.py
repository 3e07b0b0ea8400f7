"""`nlp-rnn generate MODEL [PROMPT]`: continue a text, printed as it is generated."""

from __future__ import annotations

import argparse

from nlp_rnn.cli.console import (
    add_device_arguments,
    add_ensemble_argument,
    add_model_arguments,
    importing,
    load_model,
)
from nlp_rnn.files import printed, printing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    add_model_arguments(parser)
    parser.add_argument("prompt", nargs="?", default="", help="the text to continue; default: none")
    parser.add_argument("--max-output", type=int, default=100, help="largest number of tokens; default: 100")
    parser.add_argument(
        "--temperature", type=float, help="sample tokens at this temperature; default: the most likely token"
    )
    parser.add_argument("--top-k", type=int, help="sample among the K most probable tokens")
    parser.add_argument(
        "--top-p", type=float, help="sample among the most likely tokens that together have this probability"
    )
    parser.add_argument("--seed", type=int, help="seed of the sampling")
    parser.add_argument(
        "--steps",
        action="store_true",
        help="show the token that each step read, its prediction and its probability",
    )
    add_ensemble_argument(parser)
    add_device_arguments(parser)


def run(options: argparse.Namespace) -> None:
    """Print the prompt and its continuation, or one line per step."""
    with importing():
        from nlp_rnn.cpu import retain_freed_memory
        from nlp_rnn.inference.pipelines import Pipeline

    retain_freed_memory()
    task = load_model(options)
    language_model = Pipeline(task, device=options.device, precision=options.precision)
    settings = (options.max_output, options.temperature, options.top_k, options.top_p, options.seed)
    if options.steps:
        with printing():
            for step in language_model.steps(options.prompt, *settings):
                read, predicted = repr(step.read)[1:-1], repr(step.predicted)[1:-1]  # a line break as \n
                print(f"{read:>12} -> {predicted:<12} {step.probability:.4f}", flush=True)
        return
    pieces = language_model.generate(options.prompt, *settings)
    with printing():
        print(printed(options.prompt), end="", flush=True)
        for piece in pieces:
            print(printed(piece), end="", flush=True)
        print()
