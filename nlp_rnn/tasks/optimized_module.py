"""How a task is optimized: optimizer, schedule, clipping, and what Lightning's finders set."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from pytorch_lightning.callbacks import BatchSizeFinder, LearningRateFinder
from pytorch_lightning.utilities.parsing import lightning_getattr, lightning_setattr
from torch import nn
from typing_extensions import override

from nlp_rnn.errors import UsageError
from nlp_rnn.tasks.guards import GuardedModule
from nlp_rnn.tasks.layer_groups import layer_groups
from nlp_rnn.tasks.optimization import Optimization, make_optimizer, total_steps

_FINDERS = ((BatchSizeFinder, "batch_size"), (LearningRateFinder, "lr"))
"""The callbacks, and the attributes that they set."""
_KEY = "found"
"""Where a checkpoint holds the values of the attributes that were found."""


class OptimizedModule(GuardedModule):
    """A LightningModule whose optimizer and schedule are made from its settings.

    Lightning's finders may set its learning rate and batch size. Lightning keeps the schedule that was made
    before the search, for another learning rate and another number of steps. Here the search has no schedule,
    and optimizer and schedule are made anew behind it. Where training resumes, a search would lose the states
    of the checkpoint, so there is none: the checkpoint has what was found.
    """

    optimization: Optimization
    _found: tuple[str, ...] = ()
    """The names of the attributes that this run finds, or found before it was resumed."""
    _searches = False
    """Whether they are yet to be found."""

    @override
    def configure_optimizers(self) -> Any:
        return make_optimizer(
            self.model,
            self._effective_optimization(),
            lambda: total_steps(self.trainer),
            fused=not self._scales_loss(),
            validates_every=(self._trainer and self._trainer.check_val_every_n_epoch) or 1,
        )

    def _scales_loss(self) -> bool:
        """Whether the loss is scaled, as float16 needs it."""
        try:
            return self.trainer.precision == "16-mixed"
        except RuntimeError:  # in a loop of the user's own, without a trainer
            return False

    def drop_frozen_gradients(self) -> None:
        """Take the gradients of the groups of layers that `optimization.unfreeze` does not train yet.

        The optimizer leaves weights without a gradient as they are, with its own state of them, and clipping
        does not see them. Which groups these are depends only on the position in the training.
        """
        unfreeze = self.optimization.unfreeze
        if not unfreeze:
            return
        for number, group in enumerate(layer_groups(self.model)):
            if self._epochs_done() < number * unfreeze:
                for parameter in group:
                    parameter.grad = None

    def _epochs_done(self) -> float:
        """The number of epochs before the present batch; of epochs of unknown length, whole ones."""
        trainer: Any = self.trainer
        batches = trainer.num_training_batches
        part = trainer.fit_loop.epoch_loop.batch_idx / batches if math.isfinite(batches) else 0.0
        return float(trainer.current_epoch + part)

    def _check_unfreeze(self) -> None:
        """Refuse a run that would end before all layers are trained."""
        trainer: Any = self.trainer
        if not self.optimization.unfreeze or trainer.fast_dev_run:
            return
        groups = len(layer_groups(self.model))
        last = (groups - 1) * self.optimization.unfreeze
        trainer.fit_loop.setup_data()  # else the number of batches is not known yet
        if not math.isfinite(trainer.num_training_batches):
            return
        steps = trainer.estimated_stepping_batches  # infinite without a limit
        epochs = steps / math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)
        if epochs <= last:
            name = "max_steps" if steps == trainer.max_steps else "max_epochs"
            raise UsageError(
                f"optimization.unfreeze {self.optimization.unfreeze:g}: the last of the {groups} groups of "
                f"layers is trained after {last:g} epochs, but trainer.{name} {getattr(trainer, name)} ends "
                f"the run after {epochs:.3g}; lower unfreeze, or name what is not trained in "
                "optimization.freeze"
            )

    @override
    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        # Lightning refuses to clip for a fused optimizer under mixed precision, even with bfloat16, whose
        # loss is not scaled. With float16 the optimizer is not fused.
        if gradient_clip_val and not self._scales_loss():
            clip = (
                nn.utils.clip_grad_value_ if gradient_clip_algorithm == "value" else nn.utils.clip_grad_norm_
            )
            clip(self.model.parameters(), gradient_clip_val)
        else:
            super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def _effective_optimization(self) -> Optimization:
        """The settings, without a schedule during a search."""
        if not self._searches:
            return self.optimization
        return replace(self.optimization, schedule="constant", warmup=0.0)

    # Lightning's finders.

    @property
    def lr(self) -> float:
        """`optimization.lr`, under the name by which Lightning's `LearningRateFinder` sets it."""
        return self.optimization.lr

    @lr.setter
    def lr(self, rate: float) -> None:
        self.optimization = replace(self.optimization, lr=float(rate))

    def reset_sums(self) -> None:
        """Forget all that was summed up over batches, such as metrics."""

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
        self._check_unfreeze()
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
                    f"trainer.callbacks: the checkpoint has no {name} that was found, and a resumed run "
                    "does not search: leave the finder out"
                )
            lightning_setattr(self, name, found[name])
        trainer: Any = self.trainer
        finders = tuple(kind for kind, _ in _FINDERS)
        trainer.callbacks = [callback for callback in trainer.callbacks if not isinstance(callback, finders)]
        self._searches = False
