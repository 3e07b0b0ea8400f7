"""How weights start and how they are moved."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR, ReduceLROnPlateau

from nlp_rnn.errors import UsageError
from nlp_rnn.models.layers.base import RecurrentLayer
from nlp_rnn.models.layers.initialization import chrono_init_
from nlp_rnn.settings import Range, Settings

LearningRate = Annotated[float, Range(1e-12, 100)]

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}


@dataclass(frozen=True)
class Optimization(Settings):
    """Optimiser, learning-rate schedule and first weights.

    Args:
        optimizer: adam, adamw or sgd.
        lr: learning rate; the highest where a schedule changes it.
        weight_decay: as the optimiser understands it.
        schedule: constant; cosine, down to 0 at the last step; one_cycle (Smith & Topin 2018); plateau, times
            `factor` when the validation loss has not sunk for `patience` epochs.
        warmup: share of all steps in which the rate rises to `lr`; with one_cycle 0 means 0.3; not with
            plateau.
        factor: of schedule plateau.
        patience: of schedule plateau, in epochs.
        init: torch's own first weights, or uniform in ±0.08 (Sutskever et al. 2014).
        memory: over how many steps the gates are to remember at first (chrono initialisation, Tallec &
            Ollivier 2018); 0 leaves their biases as they are.
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

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.schedule == "plateau" and self.warmup:
            raise UsageError("warmup has no meaning with schedule plateau: leave it at 0")


def initialize(model: nn.Module, settings: Optimization) -> None:
    """Set the first weights in place.

    Raises:
        UsageError: `memory` is set, and 1 or for cells without gates.
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


def make_optimizer(
    model: nn.Module, settings: Optimization, total_steps: Callable[[], float]
) -> dict[str, Any]:
    """What Lightning's `configure_optimizers` returns.

    Args:
        model: whose weights to move.
        settings: how.
        total_steps: asked for the number of steps of the whole run, by schedules that depend on it.

    Raises:
        UsageError: the schedule needs an end and the run has none.
    """
    options: dict[str, Any] = {"lr": settings.lr, "weight_decay": settings.weight_decay}
    if settings.optimizer == "sgd":
        options["momentum"] = 0.9
    optimizer = OPTIMIZERS[settings.optimizer](model.parameters(), fused=True, **options)
    if settings.schedule == "plateau":
        plateau = ReduceLROnPlateau(optimizer, factor=settings.factor, patience=settings.patience)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": plateau, "monitor": "val/loss"}}
    if settings.schedule == "constant" and not settings.warmup:
        return {"optimizer": optimizer}

    steps = total_steps()
    if not math.isfinite(steps):
        raise UsageError(
            f"schedule {settings.schedule} needs an end: set trainer.max_epochs or trainer.max_steps"
        )
    steps = max(int(steps), 2)
    if settings.schedule == "one_cycle":
        # torch divides by the lengths of both halves: neither may be a single step.
        warmup = min(max(settings.warmup or 0.3, 1.5 / steps), 1 - 0.5 / steps)
        cycle = OneCycleLR(optimizer, settings.lr, steps, pct_start=warmup, cycle_momentum=False)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}
    rising = int(settings.warmup * steps)

    def scale(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        if settings.schedule == "cosine":
            return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rising) / max(1, steps - rising))))
        return 1.0

    schedule = LambdaLR(optimizer, scale)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
