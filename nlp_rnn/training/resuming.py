"""Resuming a run: this run's settings override those in the checkpoint, and the difference is logged."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint, Timer
from torch.optim.lr_scheduler import ReduceLROnPlateau
from typing_extensions import override

from nlp_rnn.errors import UsageError, one_line
from nlp_rnn.settings import plain
from nlp_rnn.storage.checkpoint import read_checkpoint
from nlp_rnn.tasks.base import Task
from nlp_rnn.tasks.pretrained import from_pretrained
from nlp_rnn.training.checkpoints import good_or_newest, newest_good
from nlp_rnn.training.checks import callback_names
from nlp_rnn.training.resume_state import KEY
from nlp_rnn.training.run_directory import has_checkpoint, newest_run, save_config

log = logging.getLogger(__name__)

# The weights do not depend on these; those that end in a dot are groups.
_CHANGEABLE = (
    *("dropout", "locked", "weight_dropout", "word_dropout", "label_smoothing", "teacher_forcing"),
    *("calibrate", "temperature", "unsure_below", "tune_thresholds", "thresholds", "copy_unknown"),
    *("decoding.", "regularization.", "optimization."),
)
# The checkpoint has the optimizer's state of the weights that were trained, in its groups.
_FIXED = ("optimization.freeze", "optimization.layer_decay")


def changeable(name: str) -> bool:
    """Whether a setting of a trained model may change: its weights do not depend on it.

    Args:
        name: such as `dropout` or `optimization.lr`.
    """
    return name.startswith(_CHANGEABLE) and name not in _FIXED


@dataclass(frozen=True)
class Start:
    """Where a fit starts.

    Args:
        run_dir: the run that it resumes; None for a new one.
        checkpoint: the checkpoint that it starts from; None for new weights.
        state: what the checkpoint holds for `nlp_rnn.training.resume_state`.
    """

    run_dir: Path | None = None
    checkpoint: Path | None = None
    state: Mapping[str, Any] = field(default_factory=dict)


def find_resumed(config: Any, name: str) -> Path | None:
    """The run that a fit resumes by its settings, or by SLURM, which repeats the command of a requeued job.

    Args:
        config: the configuration of the verb fit.
        name: the name of the run.
    """
    if config.resume:
        return Path(config.resume)
    folder = Path(config.runs) / name
    run = newest_run(folder, with_checkpoint=True, of_this_job=True)
    if config.ckpt_path == "last" and run is None:
        run = newest_run(folder, with_checkpoint=True)
        if run is None:
            log.warning("--ckpt_path last: no run in %s was saved; a new one begins", folder)
    elif run is None and int(os.environ.get("TORCHELASTIC_RESTART_COUNT") or 0):
        log.warning("torchrun starts this again, from the beginning: --ckpt_path last would go on")
    return run


def find_start(config: Any, run: Path | None, begun: bool) -> Start:
    """Where a fit starts by its settings.

    Args:
        config: the configuration of the verb fit.
        run: the run that it resumes, see `find_resumed`, in which no other process trains any more.
        begun: whether a process has been training in it.

    Raises:
        UsageError: it cannot start there, or the run has been finished.
    """
    if run is None or not has_checkpoint(run):
        if begun:
            log.warning("%s: nothing was saved, so training begins anew", run)
        if config.ckpt_path in (None, "last"):
            return Start(run)
        path, checkpoint = check_resume(Path(config.ckpt_path), config)
        if limits := limits_reached(checkpoint, config):
            raise UsageError(
                f"--ckpt_path {path}: trained for {_epochs(checkpoint)} epochs already; set {limits} higher"
            )
        return Start(run, path, checkpoint.get(KEY, {}))
    good = newest_good(run / "checkpoints")
    path, checkpoint = check_resume(good.path, config)
    limits = limits_reached(checkpoint, config)
    if limits and (run / "model").is_dir():
        raise UsageError(
            f"{run} is finished: trained for {_epochs(checkpoint)} epochs, its model is {run / 'model'}; "
            f"to train on, set {limits} higher"
        )
    print(one_line(f"resuming from {good.reason}"), file=sys.stderr)
    return Start(run, path, checkpoint.get(KEY, {}))


def check_resume(path: Path, config: Any) -> tuple[Path, dict[str, Any]]:
    """Check, before any data loads, that training can resume from a checkpoint.

    Args:
        path: the checkpoint.
        config: the configuration of the verb fit.

    Returns:
        The checkpoint to resume from, and what it holds: `path`, or where it is damaged the newest good one
        beside it.

    Raises:
        UsageError: it is not a checkpoint of training, or is of another task or size.
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
        raise UsageError(f"{path} holds a model for {task.name}, not for {name}")
    changed = dict(differences(task.settings, config.model.init_args.as_dict()))
    if "LearningRateFinder" in callback_names(config.trainer.as_dict()):
        changed.pop("optimization.lr", None)  # the checkpoint has the one that was found
    if fixed := [line for setting, line in changed.items() if not changeable(setting)]:
        raise UsageError(f"{path}: these settings of its model cannot change: {', '.join(fixed)}")
    if changed:
        log.warning("resuming with changed settings: %s", ", ".join(changed.values()))
    return path, read_checkpoint(path)


def limits_reached(checkpoint: Mapping[str, Any], config: Any) -> str:
    """The settings that ended the run of a checkpoint, with `and` between them; empty if it can go on."""
    trainer, stopping = config.trainer, config.early_stopping
    limits = []
    if trainer.max_epochs is not None and 0 <= trainer.max_epochs <= _epochs(checkpoint):
        limits.append("trainer.max_epochs")
    if 0 <= trainer.max_steps <= checkpoint["global_step"]:
        limits.append("trainer.max_steps")
    elapsed = checkpoint["callbacks"].get(Timer().state_key, {"time_elapsed": {}})["time_elapsed"]
    if trainer.max_time and elapsed.get("train", 0.0) >= Timer(trainer.max_time).time_remaining():
        limits.append("trainer.max_time")
    if checkpoint.get(KEY, {}).get("should_stop"):
        ours = EarlyStopping(stopping.monitor, mode=stopping.mode).state_key
        for name, state in checkpoint["callbacks"].items():
            if name == ours and state["wait_count"] >= stopping.patience:
                limits.append("early_stopping.patience")
            elif (
                name != ours and name.startswith("EarlyStopping") and state["wait_count"] >= state["patience"]
            ):
                limits.append("the patience of your own EarlyStopping")
    return " and ".join(limits)


def _epochs(checkpoint: Mapping[str, Any]) -> int:
    """The number of epochs that a checkpoint was trained for."""
    return int(checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"])


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
        new_value = plain(new.get(name, old_value))
        if isinstance(old_value, list) and isinstance(new_value, str):
            new_value = [new_value]  # one name, where several may be given
        if isinstance(old_value, Mapping) and isinstance(new_value, Mapping):
            yield from differences(old_value, new_value, f"{prefix}{name}.")
        elif new_value != old_value:
            yield f"{prefix}{name}", f"{prefix}{name} {new_value} (was {old_value})"


def apply_settings(
    task: Task[Any, Any], class_type: type[Task[Any, Any]], settings: dict[str, Any]
) -> Task[Any, Any]:
    """Let a trained model decode by this run's settings; all others stay as they were trained.

    Args:
        task: the trained model.
        class_type: the task that the configuration names.
        settings: the settings of the configuration.

    Raises:
        UsageError: the model is for another task.
    """
    if not isinstance(task, class_type):
        raise UsageError(f"--ckpt_path holds a model for {task.name}, not for {class_type.name}")
    task.apply_settings(settings)
    if fixed := [line for name, line in differences(task.settings, settings) if not changeable(name)]:
        log.warning("the trained model stays as it is, whatever is set here: %s", ", ".join(fixed))
    return task


class FollowRun(Callback):
    """Keeps the best checkpoint of a run whose directory was moved, or is named by another path now.

    Lightning forgets which checkpoint was best, and how good it was, if the folder has another name than in
    the checkpoint.

    Args:
        best: the callback that keeps the best checkpoint, in a folder of the run.
    """

    def __init__(self, best: ModelCheckpoint) -> None:
        self._best = best

    @override
    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        state = checkpoint["callbacks"].get(self._best.state_key, {})
        if "dirpath" not in state:
            return
        old, new = str(state["dirpath"]), str(self._best.dirpath)

        def moved(path: str) -> str:
            return f"{new}{path.removeprefix(old)}" if path.startswith(old) else path

        state["dirpath"] = new
        for name in ("best_model_path", "kth_best_model_path", "last_model_path"):
            state[name] = moved(state[name])
        state["best_k_models"] = {moved(path): score for path, score in state["best_k_models"].items()}


class ReapplySettings(Callback):
    """After a checkpoint is loaded, sets optimizer, schedule and patience by this run's settings again.

    Lightning restores the learning rate, the weight decay, the length of the schedule and the patience of
    early stopping from the checkpoint, whatever the flags say. This keeps only the optimizer's state and the
    position in the schedule; with schedule plateau also the learning rate that was reached.
    """

    def __init__(self) -> None:
        self._patience: list[tuple[EarlyStopping, int]] = []

    @override
    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        callbacks = cast(Any, trainer).callbacks
        self._patience = [(c, c.patience) for c in callbacks if isinstance(c, EarlyStopping)]

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for stopper, patience in self._patience:
            stopper.patience = patience
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


class SaveConfig(Callback):
    """Writes the settings of a resumed run once training has begun with them.

    Until then they may be refused, and the run has to stay as it was. It must be the last of the callbacks.

    Args:
        run_dir: the run directory.
        command: the command.
        settings: YAML.
    """

    def __init__(self, run_dir: Path, command: str, settings: str) -> None:
        self._run_dir = run_dir
        self._command = command
        self._settings = settings

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            save_config(self._run_dir, self._command, self._settings)
