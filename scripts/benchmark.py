"""Measure speed, in turns with what it is compared with: python scripts/benchmark.py train --data CORPUS."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.given import Given

from nlp_rnn.cli.console import ArgumentParser, quiet, reporting
from nlp_rnn.errors import UsageError

_COMMANDS = [
    *("train", "cells", "decode", "tag", "classify", "stream"),
    *("tokenize", "startup", "memory", "scaling"),
]
_TRACED = ["train", "decode", "tag", "classify"]
_BATCH = {"translation": 128, "sentiment": 64, "tagging": 32}
_TASK = {
    "decode": "translation",
    "tag": "tagging",
    "classify": "sentiment",
    "stream": "sentiment",
    "scaling": "translation",
}
_PRECISIONS = {"fp32": ("fp32",), "bf16": ("bf16",), "both": ("fp32", "bf16")}


def parser() -> ArgumentParser:
    made = ArgumentParser(description=__doc__)
    made.add_argument("command", choices=_COMMANDS)
    made.add_argument("--task", choices=list(_BATCH), default="translation")
    made.add_argument("--data", default="builtin", help="corpus: builtin, a file or folder, or a hub id")
    made.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    made.add_argument("--precision", choices=list(_PRECISIONS), default="fp32", help="of ours")
    made.add_argument("--repeat", type=int, default=5, help="rounds, at least 5; medians are shown")
    made.add_argument("--seconds", type=float, default=3.0, help="length of a contestant's turn")
    made.add_argument("--batch-size", type=int, help="in training; 128 pairs, 64 reviews, 32 sentences")
    made.add_argument("--max-examples", type=int, help="at most so many rows a split")
    made.add_argument("--model", help="folder of a trained model")
    made.add_argument("--model-int8", help="folder of the same model, quantised")
    made.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="NAME=PYTHON",
        help="the interpreter of the environment that another toolkit is installed in",
    )
    made.add_argument("--output", type=Path, help="JSON file for all that is measured")
    made.add_argument("--profile", type=Path, help="file for a Chrome trace of a few of our steps")
    made.add_argument("--picture", type=Path, help="file for the picture of `scaling`")
    made.add_argument("--quick", action="store_true", help="small, to try it out; the figures mean nothing")
    return made


def main() -> None:
    arguments = parser().parse_args()
    with reporting("benchmark"):
        quiet()
        given = _given(arguments)
        from benchmarks import commands, scaling
        from benchmarks.report import write_json

        report = getattr(commands, arguments.command)(given)
        if arguments.output:
            write_json(report.document(given), arguments.output)
        print(report.table())
        if arguments.picture:
            scaling.picture(report.rows, arguments.picture)
        if arguments.profile:
            commands.profile(given, arguments.profile)


def _given(arguments: argparse.Namespace) -> Given:
    command = arguments.command
    if arguments.repeat < (1 if arguments.quick else 5):
        raise UsageError(f"--repeat {arguments.repeat}: medians of fewer than 5 say little; give 5 or more")
    if arguments.profile and command not in _TRACED:
        raise UsageError(f"--profile: {command} has no trace; use it with {', '.join(_TRACED)}")
    if arguments.picture and command != "scaling":
        raise UsageError("--picture: only scaling draws one")
    for name in ("output", "picture", "profile"):
        file = getattr(arguments, name)
        if file is not None and not file.absolute().parent.is_dir():
            raise UsageError(f"--{name} {file}: there is no folder {file.absolute().parent}")
    for pair in arguments.peer:
        if "=" not in pair:
            raise UsageError(f"--peer {pair}: give NAME=PYTHON")
    task = _TASK.get(command, arguments.task)
    limits = {"classify": 512, "stream": 512}
    return Given(
        command=command,
        task=task,
        data=arguments.data,
        device=arguments.device,
        precisions=_PRECISIONS[arguments.precision],
        repeat=arguments.repeat,
        quick=arguments.quick,
        seconds=arguments.seconds,
        batch_size=arguments.batch_size or (8 if arguments.quick else _BATCH[task]),
        max_examples=arguments.max_examples or (64 if arguments.quick else limits.get(command)),
        model=arguments.model,
        model_int8=arguments.model_int8,
        peers=tuple(arguments.peer),
    )


if __name__ == "__main__":
    main()
