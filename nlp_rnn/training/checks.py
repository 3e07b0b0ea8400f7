"""Checks of a run's settings, before anything is read, built or written."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import jsonargparse
from pytorch_lightning import Trainer

from nlp_rnn.errors import UsageError
from nlp_rnn.files import check_writable
from nlp_rnn.settings import Range, check_finite, check_settings, nested_settings, setting_types
from nlp_rnn.tasks.guards import NO_AVERAGING
from nlp_rnn.tasks.registry import ROWS, data_classes, find_class
from nlp_rnn.training.checkpoint_io import LAST, PREVIOUS

# Lightning's own settings, which have no annotations of ours.
_RANGES = {
    "seed_everything": Range(0, 2**32 - 1),
    "max_epochs": Range(-1, 10**9),
    "max_steps": Range(-1, 10**12),
    "check_val_every_n_epoch": Range(1, 10**9),
    "gradient_clip_val": Range(0, 1e9),
    "accumulate_grad_batches": Range(1, 10**9),
    "devices": Range(-1, 100_000),
    "num_nodes": Range(1, 100_000),
    "patience": Range(0, 1_000_000),
    "log_every_n_steps": Range(0, 10**9),
    "num_sanity_val_steps": Range(-1, 10**9),
    "save_minutes": Range(0, 1e6),
    "timeout": Range(1, 10**7),
}


def split_trusted(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Take `--trust PACKAGE` out of the arguments.

    Args:
        arguments: the verb and its arguments.

    Returns:
        The other arguments, and the packages.
    """
    others: list[str] = []
    trusted = []
    remaining = iter(arguments)
    for argument in remaining:
        flag, equals, package = argument.partition("=")
        if flag != "--trust":
            others.append(argument)
            continue
        trusted.append(package if equals else next(remaining, ""))
    return others, trusted


def import_trusted(packages: Sequence[str]) -> None:
    """Import the packages that `--trust` names, so that they can register tasks and cells.

    Args:
        packages: their names.

    Raises:
        UsageError: not the name of a package, or it cannot be imported.
    """
    for package in packages:
        if not all(part.isidentifier() for part in package.split(".")):
            raise UsageError(f"--trust {package!r}: give the name of an installed package")
        try:
            import_module(package)
        except Exception as error:  # of any kind: it is the code of others
            raise UsageError(f"--trust {package}: cannot be imported ({error!r})") from error


def trust_only_own_classes(trusted: Sequence[str] = ()) -> None:
    """Let configurations and flags name classes of this package, of registered tasks and of Lightning only.

    The parser imports, and so runs, the module of each class that it is given.

    Args:
        trusted: packages whose classes may be named too.
    """
    jsonargparse.set_parsing_settings(
        import_path_denylist=["*"],
        import_path_allowlist=[
            *("nlp_rnn", "pytorch_lightning"),
            *(row.module for row in ROWS.values()),
            *trusted,
        ],
        instantiate_subclass_spec_in_any=False,
    )


def check_run(config: Mapping[str, Any]) -> None:
    """Refuse values out of range, in the model's and the data's settings and in Lightning's.

    Args:
        config: the complete configuration of a verb.

    Raises:
        UsageError: names the setting, its value and what it may be.
    """
    for group in ("model", "data", "trainer", "checkpoint", "early_stopping", "training"):
        if not isinstance(config[group], Mapping):  # which the parser lets pass
            raise UsageError(f"{group}: expected settings by name, not {config[group]!r}")
    for group in ("model", "data"):
        chosen = config[group]
        owner = find_class(chosen["class_path"].rpartition(".")[2])
        if owner is not None:  # else abstract, which the parser refuses
            values = {name: value for name, value in chosen["init_args"].items() if name != "processor"}
            check_settings(owner, values, f"{group}.")
            _check_nested(owner, values)
    others = {name: value for name, value in config.items() if name not in ("model", "data")}
    for name in ("name", "runs", "resume", "output"):
        if config.get(name) == "":
            raise UsageError(f"{name}: the value is empty; give one, or leave it out")
    _check_lightning(others, "")


def check_vectors(config: Mapping[str, Any]) -> None:
    """Refuse a vocabulary with words of vectors that the model does not get.

    Args:
        config: the complete configuration of fit.

    Raises:
        UsageError: names the settings.
    """
    words = (config["data"]["init_args"].get("vocabulary") or {}).get("vectors")
    settings = config["model"]["init_args"]
    if words is None or settings.get("vectors") == words:
        return
    if "vectors" not in settings:
        raise UsageError("data.vocabulary.vectors: this model has no model.vectors; leave it out")
    raise UsageError(
        f"data.vocabulary.vectors: its words need their vectors: set model.vectors to {words} too, "
        "or leave it out"
    )


def check_places(config: Mapping[str, Any]) -> None:
    """Check that everything that a fit writes can be written, before any data loads.

    Args:
        config: the complete configuration of fit.

    Raises:
        UsageError: names the setting and the place.
        RunError: the disk is full.
    """
    if config["resume"]:
        check_writable(Path(config["resume"]), "--resume")
    else:
        check_writable(Path(config["runs"]), "--runs")
    places = [
        ("checkpoint.dirpath", config["checkpoint"]["dirpath"]),
        ("trainer.default_root_dir", config["trainer"].get("default_root_dir")),
    ]
    for setting in ("logger", "callbacks"):
        for item in _classes(config["trainer"].get(setting)):
            arguments = item.get("init_args") or {}
            places += [
                (f"trainer.{setting}.{name}", arguments.get(name)) for name in ("save_dir", "dirpath", "dir")
            ]
    for name, place in places:
        if place and "://" not in str(place):  # storage on the network has no folders
            check_writable(Path(place).expanduser(), f"--{name}")  # as Lightning reads it


# Settings of the trainer with which a fit leaves nothing behind, and what to do instead.
_NO_MODEL = {
    "enable_checkpointing": "the model folder is made from a checkpoint; leave it on",
    "barebones": "it keeps neither metrics nor checkpoints; use pytorch_lightning.Trainer in Python",
}
_NO_TRAINING = ("max_epochs", "max_steps", "limit_train_batches", "max_time")


def check_fit(trainer: Mapping[str, Any], filename: str | None) -> None:
    """Refuse settings with which a fit trains nothing or keeps nothing.

    Args:
        trainer: the trainer's settings by name.
        filename: that of the best checkpoint.

    Raises:
        UsageError: names the setting and says what to do.
    """
    if trainer.get("val_check_interval") == 0:
        raise UsageError("trainer.val_check_interval 0: give a fraction of an epoch, or a number of batches")
    for name in _NO_TRAINING:
        value = trainer.get(name)
        parts = list(value.values()) if isinstance(value, Mapping) else [value]
        if isinstance(value, str):
            # What is no number is left to Lightning, which refuses it.
            parts = [int(part) if part.isdecimal() else 1 for part in value.split(":")]
        if value is not None and not any(parts):
            raise UsageError(f"trainer.{name} {value}: nothing would be trained; give more, or leave it out")
    if filename in (Path(LAST).stem, Path(PREVIOUS).stem):
        raise UsageError(f"checkpoint.filename: {filename} is taken by other checkpoints; give another")
    for unit in ("epochs", "steps"):
        low, high = trainer.get(f"min_{unit}"), trainer.get(f"max_{unit}")
        if low is not None and high is not None and low > high >= 0:
            raise UsageError(f"trainer.min_{unit} {low} is more than trainer.max_{unit} {high}")
    for name, reason in _NO_MODEL.items():
        value = trainer.get(name)
        if value is (name == "barebones"):
            raise UsageError(f"trainer.{name} {str(value).lower()}: {reason}")
    if "StochasticWeightAveraging" in callback_names(trainer):
        raise UsageError(f"trainer.callbacks: {NO_AVERAGING}")


def callback_names(trainer: Mapping[str, Any]) -> list[str]:
    """The names of the classes of the user's callbacks.

    Args:
        trainer: the trainer's settings by name.
    """
    return [str(callback["class_path"]).rpartition(".")[2] for callback in _classes(trainer.get("callbacks"))]


def _classes(chosen: Any) -> list[Mapping[str, Any]]:
    """The user's callbacks or loggers, each with its `class_path` and `init_args`."""
    listed = chosen if isinstance(chosen, list) else [chosen]
    return [item for item in listed if isinstance(item, Mapping) and "class_path" in item]


def check_pair(model: str, module: str) -> None:
    """Refuse a model and a DataModule of different tasks.

    Args:
        model: class path of a LightningModule.
        module: class path of a DataModule.

    Raises:
        UsageError: the data is for another task.
    """
    model, module = model.rpartition(".")[2], module.rpartition(".")[2]
    for name, row in ROWS.items():
        if row.model == model and module not in row.data:
            expected = " or ".join(data_class.__name__ for data_class in data_classes(name))
            raise UsageError(f"a {model} model does not read {module}: use {expected}")


def check_trainer(settings: Mapping[str, Any]) -> None:
    """Check, before any data loads, that the trainer accepts its settings, such as the device.

    Args:
        settings: the trainer's settings by name; those that are objects are left out of the check.

    Raises:
        UsageError: the trainer's reason.
    """
    plain: dict[str, Any] = {
        name: value
        for name, value in settings.items()
        if isinstance(value, (bool, int, float, str)) or name == "devices"
    }
    plain |= {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    try:
        with warnings.catch_warnings(action="ignore"):  # the trainer of the run warns again
            Trainer(**plain)
    except Exception as error:
        raise UsageError(f"trainer: {error}") from error


def _check_nested(owner: type, values: Mapping[str, Any]) -> None:
    """Make each nested dataclass of settings, which refuses values that do not go together."""
    for name, hint in setting_types(owner).items():
        inner = nested_settings(hint)
        if inner is not None and isinstance(values.get(name), Mapping):
            inner(**values[name])


def _check_lightning(settings: Mapping[str, Any], prefix: str) -> None:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            _check_lightning(value, prefix if name == "init_args" else f"{prefix}{name}.")
            continue
        for item in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(item, Mapping):
                _check_lightning({name: item}, prefix)
            else:
                if name in _RANGES:
                    _RANGES[name].check(item, f"{prefix}{name}")
                check_finite(item, f"{prefix}{name}")
