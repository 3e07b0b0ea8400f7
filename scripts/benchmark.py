"""Compare the speed and memory of nlp_rnn with a typical tutorial, other toolkits and the hardware's limit.

Every contestant runs in a process of its own. They run in turns, so that whatever slows the machine down
affects all alike. The table shows medians over the rounds; compare numbers of one table only.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.options import Options

from nlp_rnn.cli.console import ArgumentParser, quiet, reporting
from nlp_rnn.errors import UsageError

_COMMANDS = {
    "train": "training steps, and the machine's limit",
    "cells": "training steps with each recurrent cell",
    "attention": "training steps of translation with each variant of the model",
    "decode": "translating the test split, with a translation model",
    "tag": "tagging the test split, with a tagging model",
    "classify": "classifying the test split, with a sentiment model",
    "stream": "classifying a text again after each of its words",
    "tokenize": "turning text into ids",
    "startup": "commands from a new process to its end",
    "memory": "peak memory in training",
    "scaling": "time against the amount of data and the length of sentences, for translation",
}
_COLUMNS = {
    "UNIT/s": "pairs, reviews, sentences, words, ... per second",
    "seconds": "of the command (startup), the epoch or the step (scaling)",
    "ratio": "speed (memory: peak memory) relative to the first contestant (cells: lstm)",
    "of limit": "fraction of the speed of the fastest matrix product",
    "tokens/s": "tokens per second, without BOS and EOS",
    "padding": "fraction of all computed positions that is padding",
    "batch": "batch size that was fastest",
    "p50 ms, p99 ms": "median and 99th percentile of the latency",
    "added MiB": "peak memory minus program, model and gradients",
    "peak MiB, on device": "peak memory of the process and on the GPU",
    "to first step s": "seconds from the start of the process to the end of its first step",
}
_TRACED = ["train", "decode", "tag", "classify"]
_BATCH_SIZE = {"translation": 128, "sentiment": 64, "tagging": 32}
_TASK = {
    "attention": "translation",
    "decode": "translation",
    "tag": "tagging",
    "classify": "sentiment",
    "stream": "sentiment",
    "scaling": "translation",
}
_MAX_EXAMPLES = {"classify": 512, "stream": 512}
_PRECISIONS = {"fp32": ("fp32",), "bf16": ("bf16",), "both": ("fp32", "bf16")}
_MIN_ROUNDS = 5


def make_parser() -> ArgumentParser:
    """Make the parser of the command line."""
    parser = ArgumentParser(
        description=__doc__, epilog=_epilog(), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "command", choices=list(_COMMANDS), metavar="COMMAND", help="what to measure; see below"
    )
    parser.add_argument(
        "--task",
        choices=list(_BATCH_SIZE),
        default="translation",
        help="for train, cells, tokenize, startup and memory; the other commands have a fixed task",
    )
    parser.add_argument("--data", default="builtin", help="corpus: builtin, a file or folder, or a hub id")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="where to compute")
    parser.add_argument(
        "--precision", choices=list(_PRECISIONS), default="fp32", help="in which nlp_rnn computes"
    )
    parser.add_argument("--repeat", type=int, default=_MIN_ROUNDS, help="number of rounds, at least 5")
    parser.add_argument("--seconds", type=float, default=3.0, help="target length of each turn")
    parser.add_argument(
        "--time-limit",
        type=float,
        metavar="SECONDS",
        help="for all: begin no round after it, and add no contestant after half of it",
    )
    parser.add_argument(
        "--batch-size", type=int, help="in training; default: 128 pairs, 64 reviews or 32 sentences"
    )
    parser.add_argument(
        "--max-examples", type=int, help="largest number of rows per split; 512 for classify and stream"
    )
    parser.add_argument(
        "--model", help="folder of a trained model; default: an untrained one, or for decode 300 steps"
    )
    parser.add_argument("--model-int8", help="folder of the same model, quantized")
    parser.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="NAME=PYTHON",
        help="another toolkit, and the Python of the environment it is installed in; may be repeated",
    )
    parser.add_argument("--output", type=Path, help="JSON file for all measurements")
    parser.add_argument("--profile", type=Path, help="file for a Chrome trace of a few steps of nlp_rnn")
    parser.add_argument("--picture", type=Path, help="image file for a plot of `scaling`")
    parser.add_argument(
        "--quick", action="store_true", help="tiny models, to try a command; the numbers mean nothing"
    )
    return parser


def _epilog() -> str:
    """Explain the commands and the columns of the table."""
    lines = []
    for title, entries in (("commands", _COMMANDS), ("columns of the table", _COLUMNS)):
        lines += ["", f"{title}:", *[f"  {name:20} {text}" for name, text in entries.items()]]
    lines += ["", "example:", "  python scripts/benchmark.py train --data builtin --precision both"]
    return "\n".join(lines[1:])


def main() -> None:
    """Run one command and print its table."""
    arguments = make_parser().parse_args()
    with reporting("benchmark"):
        quiet()
        options = _options(arguments)
        from benchmarks import commands, scaling
        from benchmarks.report import write_json

        report = getattr(commands, arguments.command)(options)
        if arguments.output:
            write_json(report.document(options), arguments.output)
        print(report.table())
        if arguments.picture:
            scaling.plot(report.rows, arguments.picture)
        if arguments.profile:
            commands.profile(options, arguments.profile)


def _options(arguments: argparse.Namespace) -> Options:
    """Check the command line and fill in the defaults that depend on the command."""
    command = arguments.command
    if arguments.repeat < (1 if arguments.quick else _MIN_ROUNDS):
        raise UsageError(f"--repeat {arguments.repeat}: too few rounds for a median; give 5 or more")
    if arguments.profile and command not in _TRACED:
        raise UsageError(f"--profile: {command} has no trace; use it with {', '.join(_TRACED)}")
    if arguments.picture and command != "scaling":
        raise UsageError(f"--picture: {command} has no plot; use it with scaling")
    for name in ("output", "picture", "profile"):
        file = getattr(arguments, name)
        if file is not None and not file.absolute().parent.is_dir():
            raise UsageError(f"--{name} {file}: there is no folder {file.absolute().parent}")
    for peer in arguments.peer:
        if "=" not in peer:
            raise UsageError(f"--peer {peer}: give NAME=PYTHON")
    task = _TASK.get(command, arguments.task)
    quick = arguments.quick
    return Options(
        command=command,
        task=task,
        data=arguments.data,
        device=arguments.device,
        precisions=_PRECISIONS[arguments.precision],
        repeat=arguments.repeat,
        quick=quick,
        seconds=arguments.seconds,
        time_limit=arguments.time_limit,
        batch_size=arguments.batch_size or (8 if quick else _BATCH_SIZE[task]),
        max_examples=arguments.max_examples or (64 if quick else _MAX_EXAMPLES.get(command)),
        model=arguments.model,
        model_int8=arguments.model_int8,
        peers=tuple(arguments.peer),
    )


if __name__ == "__main__":
    main()
