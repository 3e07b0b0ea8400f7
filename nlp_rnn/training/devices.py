"""The processes of one run: what each draws, how long they wait, and how a run ends when one is gone."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, cast

import torch
import torch.distributed as dist
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.strategies.launchers import _SubprocessScriptLauncher
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException
from typing_extensions import override

from nlp_rnn.errors import RunError

# What gloo says, which has no exceptions of its own; tests/training/test_devices.py has such messages.
_GLOO = ("gloo", "pair closure")


def set_timeout(trainer: Trainer, seconds: float | None) -> None:
    """Set how long the processes of a run wait for each other.

    Args:
        trainer: of a strategy that is not set up yet.
        seconds: the time-out; None for the strategy's own, 30 minutes.
    """
    strategy: Any = trainer.strategy
    if seconds is not None and hasattr(strategy, "_timeout"):
        strategy._timeout = timedelta(seconds=seconds)


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
    """End this process with one line when another one of the run has ended or hangs.

    The processes that this one has started are killed: a stopped one would stay for ever.

    Raises:
        RunError: another process has not answered in time, has ended, or is cut off; or one that prepares
            batches has ended.
    """
    try:
        yield
    except (
        ProcessRaisedException,
        ProcessExitedException,
    ) as error:  # of ddp_spawn and ddp_notebook
        last_line = error.msg.strip().rpartition("\n")[2]
        raise RunError(f"process {error.error_index}: {last_line}") from error
    except RuntimeError as error:
        if "DataLoader worker" in str(error):  # what torch's handler of SIGCHLD raises
            raise RunError(
                f"a process that prepares batches has ended ({str(error).strip(' .')}); if memory ran out, "
                "lower data.batching.num_workers or data.batching.size"
            ) from error
        if not is_lost_connection(error):
            raise
        if isinstance(trainer.strategy.launcher, _SubprocessScriptLauncher):
            trainer.strategy.launcher.kill(signal.SIGKILL)
        what = "has ended"
        if "time" in str(error).lower():
            seconds = cast(Any, trainer.strategy)._timeout.total_seconds()
            what = f"has not answered for {seconds:g} s (--timeout)"
        raise RunError(
            f"process {trainer.global_rank} of {trainer.world_size}: another process {what}, or is cut off; "
            "resume from the last checkpoint"
        ) from error


def is_lost_connection(error: BaseException) -> bool:
    """Whether an error says that another process of the run cannot be reached."""
    return isinstance(error, dist.DistError) or any(text in str(error) for text in _GLOO)
