"""Going on with a training run: what was set now wins over what the checkpoint holds, and is said."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch.optim.lr_scheduler import ReduceLROnPlateau

from nlp_rnn.errors import UsageError
from nlp_rnn.tasks.pretrained import from_pretrained

log = logging.getLogger(__name__)

_CHANGEABLE = (
    *("dropout", "locked", "weight_dropout", "word_dropout", "label_smoothing", "teacher_forcing"),
    *("decoding.", "optimization."),
)


def changeable(name: str) -> bool:
    """Whether a trained model's setting may be another from now on: all that its weights do not depend on."""
    return name.startswith(_CHANGEABLE)


def check_resume(path: str, config: Any) -> None:
    """See, before any data loads, that training can go on from a checkpoint.

    Raises:
        UsageError: it is no checkpoint to go on from, is of another task or size, or was trained to the end.
    """
    if Path(path).is_dir():
        raise UsageError(f"--ckpt_path {path}: training resumes from a .ckpt file, not from a model folder")
    if not Path(path).is_file():
        raise UsageError(f"--ckpt_path {path}: no such checkpoint")
    task = from_pretrained(path)
    name = config.model.class_path.rsplit(".", 1)[-1]
    if type(task).__name__ != name:
        raise UsageError(f"--ckpt_path {path} holds a model for {task.name}, not for {name}")
    changed = dict(differences(task.settings, config.model.init_args.as_dict()))
    if fixed := [line for setting, line in changed.items() if not changeable(setting)]:
        raise UsageError(f"--ckpt_path {path}: its model cannot become another: {', '.join(fixed)}")
    if changed:
        log.warning("going on with other settings than so far: %s", ", ".join(changed.values()))
    done = torch.load(path, map_location="cpu", weights_only=True).get("epoch", -1) + 1
    asked = config.trainer.max_epochs
    if asked is not None and 0 <= asked <= done:
        raise UsageError(
            f"--ckpt_path {path}: trained for {done} epochs already; set trainer.max_epochs higher"
        )


def differences(
    theirs: Mapping[str, Any], ours: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, str]]:
    """(name, `name ours (was theirs)`) of each setting that both have and that differs, nested ones too."""
    for name, old in theirs.items():
        new = ours.get(name, old)
        if is_dataclass(new) and not isinstance(new, type):
            new = asdict(new)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from differences(old, new, f"{prefix}{name}.")
        elif new != old:
            yield f"{prefix}{name}", f"{prefix}{name} {new} (was {old})"


class ReapplySettings(Callback):
    """After a checkpoint is loaded, optimiser and schedule follow this run's settings again.

    Lightning restores learning rate, weight decay and the schedule's length from the checkpoint, whatever the
    flags say. Only the optimiser's own state and the place in the schedule are kept here; with schedule
    plateau also the rate that it has come down to.
    """

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        fresh: Any = pl_module.configure_optimizers()
        groups = trainer.optimizers[0].param_groups
        for group, asked in zip(groups, fresh["optimizer"].param_groups, strict=True):
            kept = ("params", "lr") if trainer.lr_scheduler_configs else ("params",)
            group.update({name: value for name, value in asked.items() if name not in kept})
        for config in trainer.lr_scheduler_configs:
            scheduler: Any = config.scheduler
            if isinstance(scheduler, ReduceLROnPlateau):
                continue
            place = ("optimizer", "last_epoch", "_step_count")
            asked = vars(fresh["lr_scheduler"]["scheduler"])
            vars(scheduler).update({name: value for name, value in asked.items() if name not in place})
            with warnings.catch_warnings(action="ignore"):  # of asking outside of a step
                rates = scheduler.get_lr()
            for group, rate in zip(groups, rates, strict=True):
                group["lr"] = rate
