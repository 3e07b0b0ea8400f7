"""The processes of one run: what each draws, how long they wait, and how a run ends when one is gone."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import torch
import torch.distributed as dist
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.strategies.launchers import _MultiProcessingLauncher, _SubprocessScriptLauncher
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException
from typing_extensions import override

from nlp_rnn.errors import Interrupted, RunError, UsageError
from nlp_rnn.storage.checkpoint import read_checkpoint
from nlp_rnn.training.signals import SIGNALS

# What gloo says, which has no exceptions of its own; tests/training/test_devices.py has such messages.
_GLOO = ("gloo", "pair closure")
_TIMEOUT = re.compile("timed? ?out", re.IGNORECASE)

_STARTER = "NLP_RNN_STARTER"
"""The environment variable that tells processes by which one they were started."""
_GRACE_SECONDS = 5.0  # in which a process that started others may end by itself


def set_timeout(trainer: Trainer, seconds: float | None) -> None:
    """Set how long the processes of a run wait for each other.

    Args:
        trainer: of a strategy that is not set up yet.
        seconds: the time-out; None for the strategy's own, 30 minutes.
    """
    strategy: Any = trainer.strategy
    if seconds is not None and hasattr(strategy, "_timeout"):
        strategy._timeout = timedelta(seconds=seconds)


def check_same_start(trainer: Trainer) -> None:
    """Check that all processes start from the same checkpoint, or all from none.

    Raises:
        UsageError: they do not, for they do not find the same files.
    """
    mine = "/".join(Path(trainer.ckpt_path).parts[-3:]) if trainer.ckpt_path else "no checkpoint"
    first = trainer.strategy.broadcast(mine)
    if not trainer.strategy.reduce_boolean_decision(mine == first):
        raise UsageError(
            f"process {trainer.global_rank} starts from {mine}, but not all others do: the run "
            "directory must be on a file system that all nodes share"
        )


class SeedEachDevice(Callback):
    """Gives each device random numbers of its own, once all have made the same initial weights.

    Else rows on different devices would get the same dropout masks.
    """

    @override
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_rank:
            torch.manual_seed(torch.initial_seed() + trainer.global_rank)


@contextmanager
def ending_together(trainer: Trainer) -> Iterator[None]:
    """End the processes of a run together, at a signal or when one of them has ended or hangs, with one line.

    Where the command itself has started the processes, those that hang are killed: a stopped one would stay
    for ever.

    Raises:
        RunError: another process has not answered in time, has ended, or is cut off; or one that prepares
            batches has ended; or one that this one has started has failed.
        UsageError: likewise, if that was its error.
        Interrupted: a signal came, to this process or to one that it has started.
    """
    launcher: Any = trainer.strategy.launcher
    starts = isinstance(launcher, _SubprocessScriptLauncher)
    if starts and not launcher.cluster_environment.creates_processes_externally:
        os.environ[_STARTER] = str(os.getpid())
    try:
        yield
    except Interrupted as stop:
        if isinstance(launcher, _MultiProcessingLauncher):
            _stop_spawned(launcher, stop.number)
        raise
    except ProcessExitedException as error:
        if error.exit_code - 128 in SIGNALS:
            raise Interrupted(error.exit_code - 128) from None
        how = error.msg.partition("terminated with ")[2]
        raise RunError(f"process {error.error_index} of {trainer.world_size} has ended: {how}") from error
    except ProcessRaisedException as error:
        raise _raised(trainer, error) from error
    except RuntimeError as error:
        if "DataLoader worker" in str(error):  # what torch's handler of SIGCHLD raises
            raise RunError(
                f"a process that prepares batches has ended ({str(error).strip(' .')}); if memory ran out, "
                "lower data.batching.num_workers or data.batching.size"
            ) from error
        if not is_lost_connection(error):
            raise
        if starts:  # none, where the processes were started by another one
            launcher.kill(signal.SIGKILL)
        if _is_timeout(error):
            _end_starter()
        raise _lost(trainer, trainer.global_rank, error) from error
    finally:
        os.environ.pop(_STARTER, None)


def recall_progress(trainer: Trainer, checkpoint: Path) -> None:
    """Let a trainer know how far the processes that it has spawned have trained.

    Lightning tells it the metrics alone, so that what it logs afterwards would be of epoch 0.

    Args:
        trainer: has been trained.
        checkpoint: of the end of the training.
    """
    if isinstance(trainer.strategy.launcher, _MultiProcessingLauncher) and checkpoint.exists():
        trainer.fit_loop.load_state_dict(read_checkpoint(checkpoint)["loops"]["fit_loop"])


def is_spawned(trainer: Trainer) -> bool:
    """Whether this process runs a function for another one, which waits for it and reports how it ended."""
    return isinstance(trainer.strategy.launcher, _MultiProcessingLauncher)


def is_lost_connection(error: BaseException) -> bool:
    """Whether an error says that another process of the run cannot be reached."""
    return isinstance(error, dist.DistError) or any(text in str(error) for text in _GLOO)


def _is_timeout(error: object) -> bool:
    return _TIMEOUT.search(str(error)) is not None


def _lost(trainer: Trainer, rank: int, error: object) -> RunError:
    """The error that another process cannot be reached from one."""
    what = "has ended"
    if _is_timeout(error):
        seconds = cast(Any, trainer.strategy)._timeout.total_seconds()
        what = f"has not answered for {seconds:g} s (--timeout)"
    return RunError(
        f"process {rank} of {trainer.world_size}: another process {what}, or is cut off; "
        "resume from the last checkpoint"
    )


def _raised(trainer: Trainer, error: ProcessRaisedException) -> Exception:
    """The error of a spawned process, of which only the text of its traceback is known."""
    last_line = error.msg.strip().rpartition("\n")[2]
    name, _, message = last_line.partition(": ")
    for error_class in (UsageError, RunError):
        if name == f"{error_class.__module__}.{error_class.__name__}":
            return error_class(message)
    if name.startswith("torch.distributed.") or any(text in message for text in _GLOO):
        return _lost(trainer, error.error_index, message)
    return RunError(f"process {error.error_index}: {last_line}")


def _stop_spawned(launcher: _MultiProcessingLauncher, number: int) -> None:
    """Send a signal to the processes that this one has spawned, and wait until they have ended."""
    try:
        launcher.kill(signal.Signals(number))
        for process in launcher.procs:
            process.join()
    except Interrupted:  # a second signal
        launcher.kill(signal.SIGKILL)


def _end_starter() -> None:
    """Kill the process that has started this one, unless it ends by itself soon."""
    deadline = time.monotonic() + _GRACE_SECONDS
    while str(os.getppid()) == os.environ.get(_STARTER):
        if time.monotonic() > deadline:
            os.kill(os.getppid(), signal.SIGKILL)
            return
        time.sleep(0.1)
