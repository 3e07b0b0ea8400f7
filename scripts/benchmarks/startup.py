"""The time that commands take, from a new process to its end."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.interleaving import Result, make_contestant, run_unmeasured
from benchmarks.options import Options
from nlp_rnn.errors import UsageError

_DATA = {"translation": "TranslationData", "sentiment": "SentimentData", "tagging": "TaggingData"}
_TEXT = {"translation": "ein hund rennt .", "sentiment": "a fine film .", "tagging": "dogs run ."}


@dataclass(frozen=True)
class _Command:
    name: str
    arguments: list[str]
    input: str = ""


def list_commands(options: Options, folder: Path, model: str) -> list[_Command]:
    """List the commands to measure.

    Args:
        options: the benchmark's options.
        folder: where `fit` may write its runs.
        model: folder of a trained model.
    """
    nlp_rnn = [sys.executable, "-m", "nlp_rnn"]
    fit = [
        "fit",
        *("--model", f"nlp_rnn.tasks.{options.task.capitalize()}"),
        *("--data", f"nlp_rnn.data.{_DATA[options.task]}"),
        *("--data.corpus.path", options.data, "--runs", str(folder / "runs")),
        *("--trainer.enable_progress_bar", "false", "--trainer.limit_val_batches", "1"),
        *("--trainer.max_steps", "1"),
    ]
    if options.max_examples:
        fit += ["--data.corpus.max_examples", str(options.max_examples)]
    first_step = [sys.executable, str(Path(__file__).with_name("first_step.py"))]
    return [
        _Command("nlp-rnn --version", [*nlp_rnn, "--version"]),
        _Command("nlp-rnn --help", [*nlp_rnn, "--help"]),
        _Command("nlp-rnn fit --help", [*nlp_rnn, "fit", "--help"]),
        _Command("nlp-rnn predict, one text", [*nlp_rnn, "predict", model], _TEXT[options.task] + "\n"),
        _Command("nlp-rnn fit, to the end of the first step", [*first_step, *fit]),
        _Command("nlp-rnn fit, one step, one validation batch, model folder", [*nlp_rnn, *fit]),
    ]


def measure(options: Options) -> list[Result]:
    """Run all commands in turns. The first run of each fills caches and is not measured."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        contestant = make_contestant("model", "inference:prepare", options, {"folder": name})
        facts = run_unmeasured(contestant, options)
        commands = list_commands(options, folder, facts.get("model") or str(options.model))
        if options.quick:
            commands = [commands[0], commands[3], commands[4]]
        results = []
        for command in commands:
            print(f"preparing {command.name}", file=sys.stderr)
            first = 0.0 if options.quick else _run(command)
            results.append(Result(command.name, {"command": command.arguments}, first))
        for number in range(1, options.repeat + 1):
            print(f"round {number} of {options.repeat}", file=sys.stderr)
            for command, result in zip(commands, results, strict=True):
                result.measurements.append({"seconds": _run(command)})
    return results


def _run(command: _Command) -> float:
    """Run a command to its end; return the seconds."""
    # No requests to the network, whose delays would be measured too.
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    start = time.perf_counter()
    process = subprocess.run(
        command.arguments, input=command.input, capture_output=True, text=True, env=environment
    )
    seconds = time.perf_counter() - start
    if process.returncode:
        lines = [line for line in process.stderr.splitlines() if line.strip()]
        raise UsageError(f"{command.name!r} failed: {lines[-1] if lines else 'it wrote no error message'}")
    return seconds
