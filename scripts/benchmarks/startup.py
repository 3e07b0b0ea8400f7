"""How long commands take from a cold start to their end."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.arena import Result, alone, own
from benchmarks.given import Given
from nlp_rnn.errors import UsageError

_SCRIPTS = Path(__file__).parents[1]
_DATA = {"translation": "TranslationData", "sentiment": "SentimentData", "tagging": "TaggingData"}
_TEXT = {"translation": "ein hund rennt .", "sentiment": "a fine film .", "tagging": "dogs run ."}


@dataclass(frozen=True)
class _Command:
    name: str
    line: list[str]
    input: str = ""


def commands(given: Given, folder: Path, model: str) -> list[_Command]:
    """What is started."""
    cli = [sys.executable, "-m", "nlp_rnn"]
    kind = given.task.capitalize()
    fit = [
        "fit",
        *("--model", f"nlp_rnn.tasks.{kind}", "--data", f"nlp_rnn.data.{_DATA[given.task]}"),
        *("--data.corpus.path", given.data, "--runs", str(folder / "runs")),
        *("--trainer.enable_progress_bar", "false", "--trainer.limit_val_batches", "1"),
        *("--trainer.max_steps", "1"),
    ]
    if given.max_examples:
        fit += ["--data.corpus.max_examples", str(given.max_examples)]
    return [
        _Command("nlp-rnn --version", [*cli, "--version"]),
        _Command("nlp-rnn --help", [*cli, "--help"]),
        _Command("nlp-rnn fit --help", [*cli, "fit", "--help"]),
        _Command(
            "a prediction from a model folder",
            [sys.executable, str(_SCRIPTS / "predict.py"), model],
            _TEXT[given.task] + "\n",
        ),
        _Command(
            "second start of a fit, to the end of its first step",
            [sys.executable, str(Path(__file__).with_name("first_step.py")), *fit],
        ),
        _Command("the same, one step, one batch of validation, model folder written", [*cli, *fit]),
    ]


def update_metrics(given: Given) -> list[Result]:
    """All commands in turns; the first start of each, which fills caches, does not count."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        facts = alone(own("model", "answering:prepare", given, folder=name), given)
        started = commands(given, folder, facts.get("model") or str(given.model))
        if given.quick:
            started = started[:5:4]
        results = []
        for command in started:
            print(f"preparing {command.name}", file=sys.stderr)
            first = 0.0 if given.quick else _seconds(command)
            results.append(Result(command.name, {"command": command.line}, first))
        for number in range(1, given.repeat + 1):
            print(f"round {number} of {given.repeat}", file=sys.stderr)
            for command, result in zip(started, results, strict=True):
                result.measurements.append({"seconds": _seconds(command)})
    return results


def _seconds(command: _Command) -> float:
    # Nothing is asked of the network, whose delays are not ours.
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    start = time.perf_counter()
    done = subprocess.run(command.line, input=command.input, capture_output=True, text=True, env=environment)
    seconds = time.perf_counter() - start
    if done.returncode:
        last = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "it said nothing")
        raise UsageError(f"{command.name!r} failed: {last}")
    return seconds
