"""Lightning's finders of a learning rate and of a batch size: what they find is what training uses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pytorch_lightning.callbacks import BatchSizeFinder, LearningRateFinder
from pytorch_lightning.utilities.parsing import lightning_getattr, lightning_setattr
from typing_extensions import override

from nlp_rnn.errors import UsageError
from nlp_rnn.tasks.guards import GuardedModule
from nlp_rnn.tasks.optimization import Optimization

_FINDERS = ((BatchSizeFinder, "batch_size"), (LearningRateFinder, "lr"))
"""The callbacks, and the attributes that they set."""
_KEY = "found"
"""Where a checkpoint holds the values of the attributes that were found."""


class TunableModule(GuardedModule):
    """A LightningModule whose learning rate and batch size Lightning's finders set.

    Lightning keeps the schedule that was made before the search, for another learning rate and another number
    of steps. Here the search has no schedule, and optimizer and schedule are made anew behind it. Where
    training resumes, a search would lose the states of the checkpoint, so there is none: the checkpoint has
    what was found.
    """

    optimization: Optimization
    _found: tuple[str, ...] = ()
    """The names of the attributes that this run finds, or found before it was resumed."""
    _searches = False
    """Whether they are yet to be found."""

    @property
    def lr(self) -> float:
        """`optimization.lr`, under the name by which Lightning's `LearningRateFinder` sets it."""
        return self.optimization.lr

    @lr.setter
    def lr(self, rate: float) -> None:
        self.optimization = replace(self.optimization, lr=float(rate))

    def reset_sums(self) -> None:
        """Forget all that was summed up over batches, such as metrics."""

    def effective_optimization(self) -> Optimization:
        """The settings of the optimizer; without a schedule during a search."""
        if not self._searches:
            return self.optimization
        return replace(self.optimization, schedule="constant", warmup=0.0)

    @override
    def setup(self, stage: str) -> None:
        super().setup(stage)
        self.reset_sums()
        if stage == "fit":
            trainer: Any = self.trainer
            if self.optimization.schedule == "plateau" and not (
                trainer.limit_val_batches and trainer.check_val_every_n_epoch
            ):
                raise UsageError(
                    "schedule plateau follows the validation at the end of epochs: trainer.limit_val_batches "
                    "0 or check_val_every_n_epoch null leave none; set another schedule"
                )
            callbacks = trainer.callbacks
            names = (name for kind, name in _FINDERS if any(isinstance(c, kind) for c in callbacks))
            self._found = tuple(names)
            self._searches = bool(self._found)

    @override
    def on_fit_start(self) -> None:
        if self._searches:
            self._searches = False
            self.reset_sums()
            self.trainer.strategy.setup_optimizers(self.trainer)

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self._searches:  # a finder's own checkpoint, which it restores at its end
            checkpoint[_KEY] = None
        elif self._found:
            checkpoint[_KEY] = {name: lightning_getattr(self, name) for name in self._found}

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        found = checkpoint.get(_KEY, {})
        if not self._found or found is None:
            return
        for name in self._found:
            if name not in found:
                raise UsageError(
                    f"trainer.callbacks: the checkpoint has no {name} that was found, and is none to search "
                    "from: leave the finder out"
                )
            lightning_setattr(self, name, found[name])
        trainer: Any = self.trainer
        finders = tuple(kind for kind, _ in _FINDERS)
        trainer.callbacks = [callback for callback in trainer.callbacks if not isinstance(callback, finders)]
        self._searches = False
