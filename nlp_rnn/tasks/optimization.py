"""Initialization, optimizer and learning-rate schedule."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import GradientAccumulationScheduler
from torch import nn
from torch.distributed.tensor import DTensor
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR, ReduceLROnPlateau

from nlp_rnn.errors import UsageError, join_names
from nlp_rnn.models.layers.base import RecurrentLayer
from nlp_rnn.models.layers.initialization import chrono_init_
from nlp_rnn.settings import Range, Settings
from nlp_rnn.tasks.layer_groups import layer_groups

LearningRate = Annotated[float, Range(1e-12, 100)]

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}


@dataclass(frozen=True)
class Optimization(Settings):
    """Initialization, optimizer and learning-rate schedule.

    Args:
        optimizer: adam, adamw, or sgd with momentum 0.9.
        lr: learning rate; the maximum if a schedule changes it.
        weight_decay: the optimizer's `weight_decay`.
        schedule: constant; cosine, down to 0 at the last step; one_cycle (Smith & Topin 2018); plateau, which
            multiplies the rate by `factor` when the validation loss has not fallen for `patience` epochs.
        warmup: fraction of all steps in which the rate rises to `lr`; with one_cycle 0 means 0.3; must be 0
            with plateau.
        factor: of schedule plateau.
        patience: of schedule plateau, in epochs.
        init: torch for torch's default initialization, or uniform in ±0.08 (Sutskever et al. 2014).
        memory: longest dependency, in time steps, for which gate biases are initialized (chrono
            initialization, Tallec & Ollivier 2018); 0 for the default biases.
        freeze: part of the model that is not trained, as its printout names it, such as embedding, rnn or
            encoder.embedding; or a list of parts.
        layer_decay: what the learning rate is multiplied by from one group of layers to the next: those of
            the output have `lr`, then each recurrent layer from the last to the first, then the embedding
            (discriminative rates, Howard & Ruder 2018).
        unfreeze: epochs, or a fraction of one, until the next of these groups is trained too: at first the
            output alone (gradual unfreezing, Howard & Ruder 2018); 0 to train all from the start.

    Raises:
        UsageError: a value is out of range, or warmup is set with schedule plateau.
    """

    optimizer: Literal["adam", "adamw", "sgd"] = "adamw"
    lr: LearningRate = 1e-3
    weight_decay: Annotated[float, Range(0, 100)] = 0.0
    schedule: Literal["constant", "cosine", "one_cycle", "plateau"] = "constant"
    warmup: Annotated[float, Range(0, 1)] = 0.0
    factor: Annotated[float, Range(1e-6, 0.999)] = 0.5
    patience: Annotated[int, Range(0, 1_000_000)] = 1
    init: Literal["torch", "uniform"] = "torch"
    memory: Annotated[int, Range(0, 1_000_000_000)] = 0
    freeze: str | Sequence[str] = ()
    layer_decay: Annotated[float, Range(0.001, 1)] = 1.0
    unfreeze: Annotated[float, Range(0, 1_000_000)] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        parts = (self.freeze,) if isinstance(self.freeze, str) else tuple(self.freeze)
        object.__setattr__(self, "freeze", parts)  # the dataclass is frozen
        if self.schedule == "plateau" and self.warmup:
            raise UsageError("warmup has no effect with schedule plateau: leave it at 0")


def mean_rate(settings: Optimization) -> float:
    """The mean learning rate of a long run by its schedule, at the output; with plateau at most that.

    Args:
        settings: of the run.
    """
    if settings.schedule == "one_cycle":  # cosines from 1 / 25 up to 1, and down to about 0
        warmup = settings.warmup or 0.3
        return settings.lr * (warmup * (1 + 1 / 25) + (1 - warmup)) / 2
    after = 0.5 if settings.schedule == "cosine" else 1.0
    return settings.lr * (settings.warmup / 2 + (1 - settings.warmup) * after)


def _explain(settings: Optimization, name: str, value: object) -> None:
    """Say how a setting is changed: a task's settings are replaced, for other tasks may have the same."""
    remedy = f"task.optimization = dataclasses.replace(task.optimization, {name}={value!r})"
    if name == "lr":
        remedy = f"task.lr = {value!r}"
    raise UsageError(f"optimization.{name} is changed by {remedy}")


Optimization.__setattr__ = _explain  # type: ignore[assignment, method-assign]


def initialize(model: nn.Module, settings: Optimization) -> None:
    """Initialize the weights of a model in place.

    Args:
        model: with weights of torch's default initialization.
        settings: which initialization.

    Raises:
        UsageError: `memory` is 1, or set for cells without gates.
    """
    if settings.init == "uniform":
        for parameter in model.parameters():
            nn.init.uniform_(parameter, -0.08, 0.08)
    if settings.memory:
        for layer in model.modules():
            if isinstance(layer, RecurrentLayer):
                try:
                    chrono_init_(layer, settings.memory)
                except ValueError as error:
                    raise UsageError(f"memory {settings.memory}: {error}; leave it at 0") from error


def freeze(model: nn.Module, settings: Optimization) -> None:
    """Mark the weights of a model that are not trained.

    Raises:
        UsageError: the model has no such part, or there is nothing left to train.
    """
    for part in settings.freeze:
        frozen = [
            parameter for name, parameter in model.named_parameters() if f"{name}.".startswith(f"{part}.")
        ]
        if not frozen:
            parts = [name for name, module in model.named_modules() if name and list(module.parameters())]
            raise UsageError(
                f"optimization.freeze: the model has no part {part!r}; it has {join_names(parts)}"
            )
        for parameter in frozen:
            parameter.requires_grad_(False)
    if settings.freeze and not any(parameter.requires_grad for parameter in model.parameters()):
        raise UsageError(f"optimization.freeze: {join_names(settings.freeze)} leave nothing to train")


def total_steps(trainer: pl.Trainer) -> float:
    """The number of optimizer steps of a whole run, infinite if it has no limit.

    Lightning's own estimate takes the number of accumulated batches for the same in all epochs. It also does
    not know that a resumed run has made more steps than it would make with its present settings, because its
    batches were smaller or its devices fewer.
    """
    steps = trainer.estimated_stepping_batches
    batches = trainer.num_training_batches
    if not math.isfinite(batches):
        return steps

    def accumulated(epoch: int) -> int:
        for callback in cast(Any, trainer).callbacks:
            if isinstance(callback, GradientAccumulationScheduler):
                return callback.get_accumulate_grad_batches(epoch)
        return trainer.accumulate_grad_batches

    def planned(epochs: int) -> int:
        return sum(math.ceil(batches / accumulated(epoch)) for epoch in range(epochs))

    epoch, done = trainer.current_epoch, trainer.fit_loop.epoch_loop.batch_progress.current.completed
    expected = planned(epoch) + done // accumulated(epoch) if done < batches else planned(epoch + 1)
    more = max(0, trainer.global_step - expected)
    limit = trainer.max_steps if trainer.max_steps >= 0 else math.inf
    epochs = trainer.max_epochs or 0
    return min(limit, planned(epochs) + more) if epochs > 0 else steps


def make_optimizer(
    model: nn.Module,
    settings: Optimization,
    total_steps: Callable[[], float],
    fused: bool = True,
    validates_every: int = 1,
) -> dict[str, Any]:
    """Build an optimizer and its schedule.

    Args:
        model: whose parameters are trained.
        settings: optimizer and schedule.
        total_steps: returns the number of steps of the whole run; called only by schedules that depend on it.
        fused: update all weights in one kernel. Such an optimizer also undoes the scaling of a float16 loss,
            too late for gradients to be clipped before.
        validates_every: after how many epochs there is a validation, which schedule plateau follows.

    Returns:
        What Lightning's `configure_optimizers` returns.

    Raises:
        UsageError: the schedule depends on the number of steps, and the run has no limit.
    """
    options: dict[str, Any] = {"lr": settings.lr, "weight_decay": settings.weight_decay}
    if settings.optimizer == "sgd":
        options["momentum"] = 0.9
        fused = fused and not settings.unfreeze  # that kernel fails where some weights have no momentum yet
    fused = fused and not any(isinstance(p, DTensor) for p in model.parameters())  # SGD has no such kernel
    trained: list[Any] = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if settings.layer_decay != 1:
        trained = [
            {"params": group, "lr": settings.lr * settings.layer_decay**number}
            for number, group in enumerate(layer_groups(model))
        ]
    optimizer = OPTIMIZERS[settings.optimizer](trained, fused=fused, **options)
    if settings.schedule == "plateau":
        plateau = ReduceLROnPlateau(optimizer, factor=settings.factor, patience=settings.patience)
        config = {"scheduler": plateau, "monitor": "val/loss", "frequency": validates_every}
        return {"optimizer": optimizer, "lr_scheduler": config}
    if settings.schedule == "constant" and not settings.warmup:
        return {"optimizer": optimizer}

    steps = total_steps()
    if not math.isfinite(steps):
        raise UsageError(
            f"schedule {settings.schedule} needs the length of the run: "
            "set trainer.max_epochs or trainer.max_steps"
        )
    steps = max(int(steps), 2)
    if settings.schedule == "one_cycle":
        # torch divides by the lengths of both phases, so neither may be a single step.
        warmup = min(max(settings.warmup or 0.3, 1.5 / steps), 1 - 0.5 / steps)
        highest = [group["lr"] for group in optimizer.param_groups]
        cycle = OneCycleLR(optimizer, highest, steps, pct_start=warmup, cycle_momentum=False)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}
    warmup_steps = int(settings.warmup * steps)

    def scale(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        if settings.schedule == "cosine":
            progress = (step - warmup_steps) / max(1, steps - warmup_steps)
            return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
        return 1.0

    schedule = LambdaLR(optimizer, scale)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
