"""Resuming a run: this run's settings override those in the checkpoint, and the difference is logged."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from torch.optim.lr_scheduler import ReduceLROnPlateau
from typing_extensions import override

from nlp_rnn.errors import UsageError
from nlp_rnn.storage.checkpoint import read_checkpoint
from nlp_rnn.tasks.pretrained import from_pretrained
from nlp_rnn.training.checkpoints import good_or_newest

log = logging.getLogger(__name__)

# The weights do not depend on these; those that end in a dot are groups.
_CHANGEABLE = (
    *("dropout", "locked", "weight_dropout", "word_dropout", "label_smoothing", "teacher_forcing"),
    *("decoding.", "optimization."),
)


def changeable(name: str) -> bool:
    """Whether a setting of a trained model may change: its weights do not depend on it.

    Args:
        name: such as `dropout` or `optimization.lr`.
    """
    return name.startswith(_CHANGEABLE)


def check_resume(path: Path, config: Any) -> Path:
    """Check, before any data loads, that training can resume from a checkpoint.

    Args:
        path: the checkpoint.
        config: the configuration of the verb fit.

    Returns:
        The checkpoint to resume from: `path`, or where it is damaged the newest good one beside it.

    Raises:
        UsageError: it is not a checkpoint of training, is of another task or size, or was trained to the end.
    """
    if path.is_dir():
        raise UsageError(f"--ckpt_path {path}: training resumes from a .ckpt file, not from a model folder")
    if not path.is_file():
        raise UsageError(f"--ckpt_path {path}: no such checkpoint")
    good = good_or_newest(path)
    if good.path != path:
        log.warning("resuming from %s", good.reason)
        path = good.path
    task = from_pretrained(path)
    name = config.model.class_path.rsplit(".", 1)[-1]
    if type(task).__name__ != name:
        raise UsageError(f"--ckpt_path {path} holds a model for {task.name}, not for {name}")
    changed = dict(differences(task.settings, config.model.init_args.as_dict()))
    if fixed := [line for setting, line in changed.items() if not changeable(setting)]:
        raise UsageError(f"--ckpt_path {path}: these settings of its model cannot change: {', '.join(fixed)}")
    if changed:
        log.warning("resuming with changed settings: %s", ", ".join(changed.values()))
    epochs = read_checkpoint(path).get("epoch", -1) + 1
    max_epochs = config.trainer.max_epochs
    if max_epochs is not None and 0 <= max_epochs <= epochs:
        raise UsageError(
            f"--ckpt_path {path}: trained for {epochs} epochs already; set trainer.max_epochs higher"
        )
    return path


def differences(
    old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, str]]:
    """The settings that both mappings have and that differ, nested ones included.

    Args:
        old: settings by name.
        new: settings by name.
        prefix: what stands before each name.

    Yields:
        (name, `name NEW (was OLD)`).
    """
    for name, old_value in old.items():
        new_value = new.get(name, old_value)
        if is_dataclass(new_value) and not isinstance(new_value, type):
            new_value = asdict(new_value)
        if isinstance(old_value, Mapping) and isinstance(new_value, Mapping):
            yield from differences(old_value, new_value, f"{prefix}{name}.")
        elif new_value != old_value:
            yield f"{prefix}{name}", f"{prefix}{name} {new_value} (was {old_value})"


class ReapplySettings(Callback):
    """After a checkpoint is loaded, sets optimizer and schedule by this run's settings again.

    Lightning restores the learning rate, the weight decay and the length of the schedule from the checkpoint,
    whatever the flags say. This keeps only the optimizer's state and the position in the schedule; with
    schedule plateau also the learning rate that was reached.
    """

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        fresh: Any = pl_module.configure_optimizers()
        groups = trainer.optimizers[0].param_groups
        for group, fresh_group in zip(groups, fresh["optimizer"].param_groups, strict=True):
            kept = ("params", "lr") if trainer.lr_scheduler_configs else ("params",)
            group.update({name: value for name, value in fresh_group.items() if name not in kept})
        for config in trainer.lr_scheduler_configs:
            scheduler: Any = config.scheduler
            if isinstance(scheduler, ReduceLROnPlateau):
                continue
            position = ("optimizer", "last_epoch", "_step_count")
            fresh_state = vars(fresh["lr_scheduler"]["scheduler"])
            vars(scheduler).update({n: value for n, value in fresh_state.items() if n not in position})
            with warnings.catch_warnings(action="ignore"):  # that it is called outside of `step`
                rates = scheduler.get_lr()
            for group, rate in zip(groups, rates, strict=True):
                group["lr"] = rate
