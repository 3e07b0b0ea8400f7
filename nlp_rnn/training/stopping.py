"""Early stopping: that it stopped, why, and at which epoch the best was."""

from __future__ import annotations

from typing import Any, cast

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, EarlyStopping
from pytorch_lightning.callbacks.early_stopping import EarlyStoppingReason
from typing_extensions import override


class StoppingReport(Callback):
    """Remembers the epoch of the best value of each `EarlyStopping`, and says why one of them stopped."""

    def __init__(self) -> None:
        self._best: dict[str, tuple[float, int]] = {}
        """The best value and its epoch, which counts from 1, by the state key of the callback."""
        self.reasons: list[str] = []
        """A line for each callback that ended training; empty where something else did."""

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"best": {key: list(best) for key, best in self._best.items()}}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._best = {key: (value, epoch) for key, (value, epoch) in state_dict["best"].items()}

    # `EarlyStopping` looks at the metrics of an epoch after the hooks of all other callbacks.

    @override
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._update(trainer)

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._update(trainer)
        self.reasons = [
            f"early stopping after epoch {trainer.current_epoch}: {self._reason(stopper, trainer)}"
            for stopper in _stoppers(trainer)
            if trainer.should_stop
            and not (trainer.current_epoch == trainer.max_epochs and _is_patience(stopper))
            and stopper.stopping_reason is not EarlyStoppingReason.NOT_STOPPED
            and stopper.stopped_epoch + 1 == trainer.current_epoch  # else it has got more patience since
        ]

    def _update(self, trainer: pl.Trainer) -> None:
        """Note the best values of the epochs that are complete."""
        for stopper in _stoppers(trainer):
            value = float(stopper.best_score)
            if trainer.current_epoch and value != self._best.get(stopper.state_key, (None, 0))[0]:
                self._best[stopper.state_key] = value, trainer.current_epoch

    def _reason(self, stopper: EarlyStopping, trainer: pl.Trainer) -> str:
        value, epoch = self._best.get(stopper.state_key, (float(stopper.best_score), 0))
        now, best = trainer.callback_metrics[stopper.monitor], f"best {value:.4f} in epoch {epoch}"
        match stopper.stopping_reason:
            case EarlyStoppingReason.STOPPING_THRESHOLD:
                limit = f"stopping_threshold {stopper.stopping_threshold}"
                return f"{stopper.monitor} {now:.4f}, the best, has reached {limit}"
            case EarlyStoppingReason.DIVERGENCE_THRESHOLD:
                limit = f"divergence_threshold {stopper.divergence_threshold}"
                return f"{stopper.monitor} {now:.4f} has passed {limit}; {best}"
            case EarlyStoppingReason.NON_FINITE_METRIC:
                return f"{stopper.monitor} is {now}; {best}"
        times = f"{stopper.wait_count} validation{'s' if stopper.wait_count > 1 else ''}"
        return f"{stopper.monitor} has not improved for {times} (patience); {best}"


def _is_patience(stopper: EarlyStopping) -> bool:
    """Whether it stopped for lack of progress, which is no news where training has ended all the same."""
    return stopper.stopping_reason is EarlyStoppingReason.PATIENCE_EXHAUSTED


def _stoppers(trainer: pl.Trainer) -> list[EarlyStopping]:
    return [callback for callback in cast(Any, trainer).callbacks if isinstance(callback, EarlyStopping)]
