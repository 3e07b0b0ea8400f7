"""Contestants run in turns, one at a time, so that whatever slows the machine down hits them all alike."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from benchmarks.given import Given
from benchmarks.worker import Caller, work
from nlp_rnn.errors import UsageError

_SCRIPTS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Contestant:
    """Somebody to be measured: a process that speaks as `worker.py` says.

    Args:
        name: in tables.
        command: how to start it.
        environment: what to add to ours.
        inside: what to call in this process instead, when only trying out.
    """

    name: str
    command: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)
    inside: tuple[str, dict[str, Any]] | None = None


@dataclass
class Result:
    """What became of a contestant."""

    name: str
    facts: dict[str, Any]
    """What it said of itself."""
    first_step_s: float
    """From its start to the end of its first step."""
    turn: int = 1
    """How much it was told to run in each round."""
    measurements: list[dict[str, Any]] = field(default_factory=list)
    """One a round, as it said."""
    peak: dict[str, float] = field(default_factory=dict)


def own(name: str, function: str, given: Given, **options: Any) -> Contestant:
    """A contestant of this package: `module:function`, with options beside what all are given."""
    command = [sys.executable, "-m", "benchmarks.worker", function, given.to_json(), json.dumps(options)]
    paths = [str(_SCRIPTS), os.environ.get("PYTHONPATH", "")]
    environment = {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    return Contestant(name, command, environment, (function, options) if given.quick else None)


class Worker:
    """A running contestant.

    Raises:
        UsageError: it died; with its name and its last words.
    """

    def __init__(self, contestant: Contestant, given: Given) -> None:
        self.name = contestant.name
        self.process: subprocess.Popen | None = None
        self._failure = ""
        self._orders: IO[str]
        self._answers: IO[str]
        if contestant.inside is not None:
            self._orders, self._answers = self._inside(contestant, given)
            return
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - closed with the worker
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
        self._orders, self._answers = self.process.stdin, self.process.stdout

    def _inside(self, contestant: Contestant, given: Given) -> tuple[IO[str], IO[str]]:
        """The contestant as a thread of this process: our ends of the two pipes, for orders and answers."""
        assert contestant.inside is not None
        (theirs, orders), (answers, back) = os.pipe(), os.pipe()
        function, options = contestant.inside
        settings = dict(options)
        caller = Caller(os.fdopen(theirs), os.fdopen(back, "w"), settings.pop("profile", None))

        def run() -> None:
            try:
                work(function, given, settings, caller)
            except Exception as error:
                self._failure = f"{type(error).__name__}: {error}"
            finally:
                caller.close()

        threading.Thread(target=run, daemon=True).start()
        return os.fdopen(orders, "w"), os.fdopen(answers)

    def say(self, message: dict[str, Any]) -> None:
        try:
            self._orders.write(json.dumps(message) + "\n")
            self._orders.flush()
        except BrokenPipeError:
            self._mourn()

    def hear(self) -> dict[str, Any]:
        line = self._answers.readline()
        if not line:
            self._mourn()
        return json.loads(line)

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        self.say(message)
        return self.hear()

    def _mourn(self) -> None:
        last = self._failure
        if self.process is not None:
            self.process.wait()
            self._errors.seek(0)
            last = next((line for line in reversed(self._errors.read().splitlines()) if line.strip()), "")
        raise UsageError(f"contestant {self.name!r} died: {last or 'it said nothing'}")

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
            self._errors.close()

    def cpu_seconds(self) -> float:
        """What its process has computed so far; 0 where the system does not say."""
        try:
            assert self.process is not None
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except (OSError, AssertionError):
            return 0.0


def compete(contestants: Sequence[Contestant], given: Given) -> list[Result]:
    """Start all of them one after the other, let them warm up, then let each take its turn, round by round.

    A measurement holds what its worker said, and `waiting_cpu_s`: what the processes of all the others, who
    wait, computed meanwhile.
    """
    workers: list[Worker] = []
    results: list[Result] = []
    try:
        for contestant in contestants:
            print(f"preparing {contestant.name}", file=sys.stderr)
            start = time.perf_counter()
            worker = Worker(contestant, given)
            workers.append(worker)
            facts = worker.hear()
            worker.ask({"go": 1})
            first = time.perf_counter() - start
            results.append(Result(contestant.name, facts, first, _calibrate(worker, given)))
        for number in range(1, given.repeat + 1):
            print(f"round {number} of {given.repeat}", file=sys.stderr)
            for worker, result in zip(workers, results, strict=True):
                others = [other for other in workers if other is not worker]
                before = sum(other.cpu_seconds() for other in others)
                measured = worker.ask({"go": result.turn})
                waited = sum(other.cpu_seconds() for other in others) - before
                result.measurements.append({**measured, "waiting_cpu_s": round(waited, 2)})
        for worker, result in zip(workers, results, strict=True):
            result.peak = worker.ask({"stop": True})
    finally:
        for worker in workers:
            worker.close()
    every = [one for result in results for one in result.measurements]
    waited, ran = (sum(one[name] for one in every) for name in ("waiting_cpu_s", "seconds"))
    if waited > 0.02 * ran:
        print(f"waiting contestants computed {waited:.1f} s in {ran:.1f} s of others' turns", file=sys.stderr)
    return results


def _calibrate(worker: Worker, given: Given) -> int:
    """How much to run in a turn of about the wanted seconds; this warms the worker up, too."""
    if given.quick:
        return 1
    turn, seconds = 1, 0.0
    while True:
        seconds = worker.ask({"go": turn})["seconds"]
        wanted = max(1, round(turn * given.seconds / max(seconds, 1e-6)))
        if seconds >= given.seconds / 4:
            return wanted
        turn = min(wanted, 10 * turn)


def alone(contestant: Contestant, given: Given, turns: Sequence[int] = ()) -> dict[str, Any]:
    """Let one contestant take turns of these sizes, not to be measured; what it said of itself."""
    print(f"preparing {contestant.name}", file=sys.stderr)
    worker = Worker(contestant, given)
    try:
        facts = worker.hear()
        for turn in turns:
            worker.ask({"go": turn})
        worker.ask({"stop": True})
        return facts
    finally:
        worker.close()
