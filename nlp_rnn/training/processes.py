"""Fits in processes of their own, of which several make a comparison of seeds or a sweep."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from typing_extensions import override

from nlp_rnn.errors import one_line
from nlp_rnn.training.run_directory import save_config
from nlp_rnn.training.signals import handling

OUTPUT = "output.log"
"""What the process of a run has printed, in its run directory."""
_PARENT = "NLP_RNN_PARENT"
"""The environment variable that tells a process which one has started it."""
_POLL_SECONDS = 0.05
_AGAIN_SECONDS = 1.0  # a signal that comes later counts as a second one, as in a single run


def prepare_run(run_dir: Path, command: str, settings: str) -> None:
    """Make a run directory in which `fit --resume` begins.

    Args:
        run_dir: the run directory, which may be there.
        command: the command, for the record.
        settings: YAML.
    """
    run_dir.mkdir(exist_ok=True)
    save_config(run_dir, command, settings)


def fit_command(run_dir: Path, trusted: Sequence[str]) -> list[str]:
    """The command that starts a run, or resumes it."""
    trust = [part for package in trusted for part in ("--trust", package)]
    return [sys.executable, "-m", "nlp_rnn", "fit", "--resume", str(run_dir), *trust]


class FitProcess:
    """`fit_command` in a process of its own, with its output in the run directory.

    Args:
        run_dir: a run directory.
        trusted: packages for `--trust`.
        environment: further variables of the environment.
    """

    def __init__(
        self, run_dir: Path, trusted: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        self.run_dir = run_dir
        with (run_dir / OUTPUT).open("a") as output:
            # In a session of its own it gets no Ctrl-C of the terminal, but the signals of its parent.
            self._process = subprocess.Popen(
                fit_command(run_dir, trusted),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=output,
                env={**os.environ, **(environment or {}), _PARENT: str(os.getpid())},
                start_new_session=True,
            )
            self._start = output.tell()
        self._shown = self._start

    def new_lines(self) -> list[str]:
        """The lines that were printed since the last call."""
        with (self.run_dir / OUTPUT).open("rb") as file:
            file.seek(self._shown)
            *lines, rest = file.read().split(b"\n")
            self._shown = file.tell() - len(rest)
        return [one_line(line.decode(errors="replace")) for line in lines]

    @property
    def code(self) -> int | None:
        """The exit code; None while the process runs, and the negative number of a signal that killed it."""
        return self._process.poll()

    def send(self, number: int) -> None:
        """Send a signal, if the process still runs."""
        if self.code is None:
            self._process.send_signal(number)

    def failure(self) -> str:
        """Why the process has failed, in one line."""
        code = self._process.wait()
        if code < 0:
            reason = "; memory may have run out" if code == -signal.SIGKILL else ""
            return f"killed by {signal.Signals(-code).name}{reason}"
        with (self.run_dir / OUTPUT).open("rb") as file:
            file.seek(self._start)
            lines = file.read().decode(errors="replace").splitlines()
        named = [line for line in lines if line.startswith("nlp-rnn: ")] or lines or [f"exit code {code}"]
        return one_line(named[-1].removeprefix("nlp-rnn: ").removeprefix("error: "))


class Signals:
    """Hands on the signals that stop a command to the processes that it has started."""

    def __init__(self) -> None:
        self.number = 0
        """The first signal; 0 if there was none."""
        self._time = 0.0
        self._running: list[FitProcess] = []

    def __call__(self, number: int, frame: FrameType | None = None) -> None:
        """Handle a signal."""
        if self.number and time.monotonic() - self._time < _AGAIN_SECONDS:
            return  # sent to the process and to its group
        self.number, self._time = self.number or number, time.monotonic()
        for process in self._running:
            process.send(number)

    @contextmanager
    def handed_on(self) -> Iterator[None]:
        """Handle signals so; whatever ends the body ends the processes too."""
        with handling(self):
            try:
                yield
            finally:
                for process in self._running:
                    with suppress(ProcessLookupError):
                        process.send(signal.SIGTERM)

    def started(self, process: FitProcess) -> None:
        """Add a process; if a signal has come by now, it gets it too."""
        self._running.append(process)
        if self.number:
            process.send(self.number)

    def ended(self) -> list[FitProcess]:
        """Wait a moment, and take out the processes that have ended."""
        time.sleep(_POLL_SECONDS)
        ended = [process for process in self._running if process.code is not None]
        self._running = [process for process in self._running if process not in ended]
        return ended


def has_parent() -> bool:
    """Whether another process has started this fit, so that no user starts a second one in its place."""
    return _PARENT in os.environ


def parent_callbacks() -> list[Callback]:
    """The callback of a fit that another process has started; none for others."""
    parent = os.environ.pop(_PARENT, None)  # the processes that this one starts have this one
    return [] if parent is None else [_StopWithParent(int(parent))]


class _StopWithParent(Callback):
    """Saves the run and stops, as at SIGTERM, once the process that has started it is gone.

    A resumed comparison or sweep can then go on with the run.

    Args:
        parent: its process id.
    """

    def __init__(self, parent: int) -> None:
        self._parent = parent

    @override
    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        self._stop(trainer)

    @override
    def on_validation_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        self._stop(trainer)

    def _stop(self, trainer: pl.Trainer) -> None:
        if self._parent and trainer.is_global_zero and os.getppid() != self._parent:
            self._parent = 0
            os.kill(os.getpid(), signal.SIGTERM)
