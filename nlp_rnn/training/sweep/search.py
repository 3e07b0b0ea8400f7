"""A sweep: trials are drawn, trained in processes of their own, measured, and told to the study."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlp_rnn.errors import Interrupted, RunError, UsageError, one_line
from nlp_rnn.files import atomic_write
from nlp_rnn.training.processes import FitProcess, Signals, prepare_run
from nlp_rnn.training.resolved import Resolved
from nlp_rnn.training.results import read_results
from nlp_rnn.training.run_directory import locked
from nlp_rnn.training.sweep.limits import Limits
from nlp_rnn.training.sweep.report import ERROR, LATENCY, SIZE, trial_folder, write_report
from nlp_rnn.training.sweep.space import Setting
from nlp_rnn.training.sweep.study import PRUNED, open_study, trial_environment

RECORD = "settings.json"
"""The file in the folder of a sweep that tells what it was begun with, to resume it."""
_SECONDS = "seconds"
_MAX_FAILED = 10
"""After so many failed trials and no other the sweep ends: it is the settings that are wrong."""


@dataclass(frozen=True)
class SweepSettings:
    """What a sweep searches, and how.

    Args:
        arguments: `fit` and the settings that all trials share, the configurations already found.
        trusted: packages for `--trust`, already imported.
        space: the settings that differ.
        limits: when it ends, and which models count.
        workers: how many trials train at once.
        command: the command, for the record.
    """

    arguments: list[str]
    trusted: list[str]
    space: list[Setting]
    limits: Limits
    workers: int
    command: str

    def record(self) -> dict[str, Any]:
        """What the file `RECORD` holds."""
        return {
            "arguments": self.arguments,
            "trusted": self.trusted,
            "limits": self.limits.plain(),
            "workers": self.workers,
        }


class Sweep:
    """A sweep in its folder, new or interrupted.

    Args:
        folder: the folder.
        settings: what is searched.
        base: the settings that all trials share.
        measure: gives the bytes of a model folder and the milliseconds of an answer.
    """

    def __init__(
        self,
        folder: Path,
        settings: SweepSettings,
        base: Resolved,
        measure: Callable[[Path], tuple[float, float]],
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._base = base
        self._measure = measure
        limits = settings.limits
        self._study = open_study(
            folder,
            base.mode,
            last_epoch(base, settings.space),
            int(base.settings["seed_everything"] or 0),
            lambda trial: limits.excess(trial.user_attrs.get(SIZE), trial.user_attrs.get(LATENCY)),
        )
        self._waiting: list[int] = []
        """The numbers of the trials of a sweep that was stopped, which go on."""
        self._running: dict[int, FitProcess] = {}
        self._signals = Signals()
        self._spent = float(self._study.user_attrs.get(_SECONDS, 0.0))
        self._start = time.monotonic()

    def run(self) -> dict[str, Any]:
        """Search until the budget is spent, and all trials that have begun are finished.

        Returns:
            What sweep.json holds.

        Raises:
            RunError: no trial has succeeded within the limits.
            UsageError: another process works in the folder.
            Interrupted: a signal came; the trials that were training are saved.
        """
        with locked(self._folder), self._signals.handed_on():
            with atomic_write(self._folder / RECORD) as temporary:
                temporary.write_text(json.dumps(self._settings.record(), indent=1) + "\n", encoding="utf-8")
            self._waiting = [trial.number for trial in self._study.trials if not trial.state.is_finished()]
            while self._fill() or self._running:
                for process in self._signals.ended():
                    number = next(n for n, running in self._running.items() if running is process)
                    del self._running[number]
                    self._end(number, process)
            if self._signals.number:
                raise Interrupted(
                    self._signals.number, f"saved; go on with: nlp-rnn sweep --resume {self._folder}"
                )
            return write_report(self._folder, self._study, self._settings.limits, self._base)

    def _fill(self) -> bool:
        """Begin as many trials as may train at once; whether one was begun, or failed at once."""
        begun = False
        while len(self._running) < self._settings.workers and not self._signals.number:
            if self._waiting:
                number = self._waiting.pop(0)
            elif self._is_spent():
                break
            else:
                number = self._study.ask().number
            begun = True
            self._begin(number)
        return begun

    def _is_spent(self) -> bool:
        limits, trials = self._settings.limits, self._study.trials
        failed = [trial for trial in trials if ERROR in trial.user_attrs]
        if len(failed) >= _MAX_FAILED and len(failed) == len(trials):
            raise RunError(
                f"{self._folder}: all of the first {len(failed)} trials failed; the last one: "
                f"{failed[-1].user_attrs[ERROR]}"
            )
        if limits.seconds is not None and self._seconds() >= limits.seconds:
            return True
        return limits.trials is not None and len(trials) >= limits.trials

    def _seconds(self) -> float:
        """The time that the sweep has taken, with that before it was stopped."""
        return self._spent + time.monotonic() - self._start

    def _trial(self, number: int) -> Any:
        import optuna

        return optuna.trial.Trial(self._study, self._study.trials[number]._trial_id)

    def _begin(self, number: int) -> None:
        """Draw the settings of a trial, and start its process, unless they are refused or it has ended."""
        if self._prune(number):  # the sweep was stopped before it knew
            return
        run_dir = trial_folder(self._folder, number)
        trial = self._trial(number)
        chosen = {setting.path: setting.suggest(trial) for setting in self._settings.space}
        try:
            if not (run_dir / "config.yaml").is_file():
                prepare_run(run_dir, self._settings.command, self._resolve(chosen).yaml())
            elif read_results(run_dir) is not None:  # the sweep was stopped before it knew
                self._succeed(number, run_dir)
                return
        except UsageError as error:
            self._fail(number, str(error))
            return
        environment = trial_environment(self._folder, number, self._base.monitor)
        threads = str(max(1, (os.cpu_count() or 1) // self._settings.workers))
        if self._settings.workers > 1 and "OMP_NUM_THREADS" not in os.environ:
            environment["OMP_NUM_THREADS"] = threads
        process = FitProcess(run_dir, self._settings.trusted, environment)
        self._running[number] = process
        self._signals.started(process)

    def _resolve(self, chosen: Mapping[str, Any]) -> Resolved:
        flags = [f"--{path}={_flag_value(value)}" for path, value in chosen.items()]
        return Resolved([*self._settings.arguments, *flags], self._settings.trusted)

    def _end(self, number: int, process: FitProcess) -> None:
        """Tell the study how the process of a trial has ended."""
        if not process.code or read_results(process.run_dir) is not None:
            self._succeed(number, process.run_dir)
        elif not self._prune(number) and not self._signals.number:  # else it is saved, and goes on later
            self._fail(number, process.failure())

    def _prune(self, number: int) -> bool:
        """Tell the study that a trial was stopped early, if it was."""
        epoch = self._study.trials[number].user_attrs.get(PRUNED)
        if epoch is not None:
            self._tell(number, "PRUNED")
            self._say(number, f"pruned after epoch {epoch}")
        return epoch is not None

    def _succeed(self, number: int, run_dir: Path) -> None:
        results = read_results(run_dir) or {"metrics": {}}
        value = results["metrics"].get(self._base.monitor)
        if value is None or not math.isfinite(value):
            self._fail(number, f"{self._base.monitor} is not a number, or was not measured")
            return
        try:
            size, latency = self._measure(run_dir / "model")
        except Exception as error:  # of any library: the model is of no use, and the sweep goes on
            self._fail(number, f"cannot be measured: {error}")
            return
        trial = self._trial(number)
        trial.set_user_attr(SIZE, size)
        trial.set_user_attr(LATENCY, latency)
        trial.set_user_attr("epoch", results["epoch"])
        self._tell(number, "COMPLETE", value)
        over = max(self._settings.limits.excess(size, latency), default=0.0) > 0
        cost = f"{size / 1e6:.3g} MB, {latency:.3g} ms{', beyond a limit' if over else ''}"
        self._say(number, f"{self._base.monitor} {value:.6g}, {cost}")

    def _fail(self, number: int, reason: str) -> None:
        self._trial(number).set_user_attr(ERROR, one_line(reason))
        self._tell(number, "FAIL")
        self._say(number, f"failed: {one_line(reason)}")

    def _tell(self, number: int, state: str, value: float | None = None) -> None:
        import optuna

        self._study.tell(number, value, optuna.trial.TrialState[state])
        self._study.set_user_attr(_SECONDS, self._seconds())

    def _say(self, number: int, outcome: str) -> None:
        params: Mapping[str, Any] = self._study.trials[number].params
        chosen = ", ".join(f"{path.rpartition('.')[2]} {_short(value)}" for path, value in params.items())
        print(one_line(f"trial {number} ({chosen}): {outcome}"), file=sys.stderr, flush=True)


def last_epoch(base: Resolved, space: Sequence[Setting]) -> int:
    """The most epochs that a trial may have.

    Raises:
        UsageError: there is no limit.
    """
    chosen = [setting for setting in space if setting.path == "trainer.max_epochs"]
    epochs: list[int] = [value for setting in chosen for value in setting.values]
    if any(type(value) is not int or value < 1 for value in epochs):
        raise UsageError(f"--space: trainer.max_epochs: give whole numbers from 1, not {epochs}")
    if not epochs:
        epochs = [int(base.settings["trainer"]["max_epochs"] or 0)]
    if min(epochs) < 1:
        raise UsageError("trainer.max_epochs: give the most epochs that a trial may have")
    return max(epochs)


def _flag_value(value: Any) -> str:
    """A value as a flag has it."""
    return str(value).lower() if isinstance(value, bool) else "null" if value is None else str(value)


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
