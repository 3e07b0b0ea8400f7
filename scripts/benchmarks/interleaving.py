"""Run contestants in turns, one at a time, so that whatever slows the machine down affects all alike."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NoReturn

from benchmarks.options import Options
from benchmarks.worker import Channel, run_contestant
from nlp_rnn.errors import UsageError

_SCRIPTS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Contestant:
    """A program to measure: a process that exchanges the messages described in `worker.py`.

    Args:
        name: its name in tables.
        command: the command that starts it.
        environment: environment variables to add to the present ones.
        in_process: with `--quick`, the function and its arguments to call in this process instead.
    """

    name: str
    command: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)
    in_process: tuple[str, dict[str, Any]] | None = None


@dataclass
class Result:
    """The measurements of one contestant."""

    name: str
    facts: dict[str, Any]
    """What the contestant said about itself."""
    first_step_s: float
    """Seconds from its start to the end of its first step."""
    turn: int = 1
    """How much it was told to run in each round."""
    measurements: list[dict[str, Any]] = field(default_factory=list)
    """What it reported, one dict per round."""
    peak: dict[str, float] = field(default_factory=dict)
    """Peak memory in MiB."""


def make_contestant(
    name: str, function: str, options: Options, arguments: dict[str, Any] | None = None
) -> Contestant:
    """Make a contestant of a function in this folder.

    Args:
        name: its name in tables.
        function: `module:function`.
        options: the benchmark's options, which every contestant receives.
        arguments: further arguments of the function, as plain values. `profile` names a file for a trace.
    """
    arguments = arguments or {}
    command = [
        *(sys.executable, "-m", "benchmarks.worker"),
        *(function, options.to_json(), json.dumps(arguments)),
    ]
    paths = [str(_SCRIPTS), os.environ.get("PYTHONPATH", "")]
    environment = {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    return Contestant(name, command, environment, (function, arguments) if options.quick else None)


class RunningContestant:
    """A started contestant, and the streams to and from it.

    Raises:
        UsageError: the contestant ended early; the message holds its name and the last line of its errors.
    """

    def __init__(self, contestant: Contestant, options: Options) -> None:
        self.name = contestant.name
        self.process: subprocess.Popen[str] | None = None
        self._failure = ""
        self._requests: IO[str]
        self._answers: IO[str]
        if contestant.in_process is not None:
            self._requests, self._answers = self._start_thread(*contestant.in_process, options)
            return
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - closed in `close`
        self.process = subprocess.Popen(
            contestant.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, **contestant.environment},
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._requests, self._answers = self.process.stdin, self.process.stdout

    def _start_thread(
        self, function: str, arguments: dict[str, Any], options: Options
    ) -> tuple[IO[str], IO[str]]:
        """Run the contestant in a thread; return this side's ends of two pipes, for requests and answers."""
        (request_reader, request_writer), (answer_reader, answer_writer) = os.pipe(), os.pipe()
        arguments = dict(arguments)
        profile = arguments.pop("profile", None)
        channel = Channel(os.fdopen(request_reader), os.fdopen(answer_writer, "w"), profile)

        def run() -> None:
            try:
                run_contestant(function, options, arguments, channel)
            except Exception as error:
                self._failure = f"{type(error).__name__}: {error}"
            finally:
                channel.close()

        threading.Thread(target=run, daemon=True).start()
        return os.fdopen(request_writer, "w"), os.fdopen(answer_reader)

    def send(self, message: dict[str, Any]) -> None:
        """Write one message."""
        try:
            self._requests.write(json.dumps(message) + "\n")
            self._requests.flush()
        except BrokenPipeError:
            self._raise_failure()

    def receive(self) -> dict[str, Any]:
        """Wait for one message."""
        line = self._answers.readline()
        if not line:
            self._raise_failure()
        message: dict[str, Any] = json.loads(line)
        return message

    def request(self, message: dict[str, Any]) -> dict[str, Any]:
        """Write one message and wait for the answer."""
        self.send(message)
        return self.receive()

    def _raise_failure(self) -> NoReturn:
        failure = self._failure
        if self.process is not None:
            self.process.wait()
            self._errors.seek(0)
            lines = self._errors.read().splitlines()
            failure = next((line for line in reversed(lines) if line.strip()), "")
        raise UsageError(f"contestant {self.name!r} failed: {failure or 'it wrote no error message'}")

    def close(self) -> None:
        """End the process if it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
            self._errors.close()

    def cpu_seconds(self) -> float:
        """Processor time that the process has used so far; 0 where the system does not tell."""
        if self.process is None:
            return 0.0
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except OSError:
            return 0.0


def run_in_turns(contestants: Sequence[Contestant], options: Options) -> list[Result]:
    """Start all contestants one after the other, warm them up, then give each a turn in every round.

    Each measurement holds what the contestant reported, and `waiting_cpu_s`: the processor time that the
    waiting contestants used meanwhile, which should be near 0. It is printed at once, so that nothing is lost
    when the benchmark is interrupted.
    """
    begin = time.monotonic()
    limit = math.inf if options.time_limit is None else options.time_limit
    running: list[RunningContestant] = []
    results: list[Result] = []
    try:
        for contestant in contestants:
            if results and time.monotonic() - begin > limit / 2:
                print(f"left out {contestant.name}: --time-limit", file=sys.stderr)
                continue
            print(f"preparing {contestant.name}", file=sys.stderr)
            start = time.perf_counter()
            worker = RunningContestant(contestant, options)
            running.append(worker)
            facts = worker.receive()
            worker.request({"go": 1})
            first_step = time.perf_counter() - start
            results.append(Result(contestant.name, facts, first_step, _calibrate(worker, options)))
        for number in range(1, options.repeat + 1):
            if number > 1 and time.monotonic() - begin > limit:
                print(f"stopped after {number - 1} rounds: --time-limit", file=sys.stderr)
                break
            print(f"round {number} of {options.repeat}", file=sys.stderr)
            for worker, result in zip(running, results, strict=True):
                waiting = [other for other in running if other is not worker]
                before = sum(other.cpu_seconds() for other in waiting)
                measurement = worker.request({"go": result.turn})
                waiting_cpu = sum(other.cpu_seconds() for other in waiting) - before
                result.measurements.append({**measurement, "waiting_cpu_s": round(waiting_cpu, 2)})
                print(f"{result.name}: {json.dumps(result.measurements[-1])}", file=sys.stderr)
        for worker, result in zip(running, results, strict=True):
            result.peak = worker.request({"stop": True})
    finally:
        for worker in running:
            worker.close()
    _warn_of_busy_waiting(results)
    return results


def _warn_of_busy_waiting(results: Sequence[Result]) -> None:
    measurements = [measurement for result in results for measurement in result.measurements]
    waiting = sum(measurement["waiting_cpu_s"] for measurement in measurements)
    seconds = sum(measurement["seconds"] for measurement in measurements)
    if waiting > 0.02 * seconds:
        print(
            f"warning: waiting contestants used {waiting:.1f} s of processor time during {seconds:.1f} s of "
            "measurements",
            file=sys.stderr,
        )


def _calibrate(worker: RunningContestant, options: Options) -> int:
    """Find how much to run per turn to take about `options.seconds`; this also warms the contestant up."""
    if options.quick:
        return 1
    turn = 1
    while True:
        seconds = worker.request({"go": turn})["seconds"]
        target = max(1, round(turn * options.seconds / max(seconds, 1e-6)))
        if seconds >= options.seconds / 4:
            return target
        turn = min(target, 10 * turn)


def run_unmeasured(contestant: Contestant, options: Options, turns: Sequence[int] = ()) -> dict[str, Any]:
    """Run one contestant without measuring it, and return its facts.

    Args:
        contestant: the contestant to run.
        options: the benchmark's options.
        turns: how much to run in each turn; no turns where only the preparation is needed.
    """
    print(f"preparing {contestant.name}", file=sys.stderr)
    worker = RunningContestant(contestant, options)
    try:
        facts = worker.receive()
        for turn in turns:
            worker.request({"go": turn})
        worker.request({"stop": True})
        return facts
    finally:
        worker.close()
