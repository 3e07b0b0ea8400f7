"""What the command line's verbs do: parse, build, run, and leave a run directory behind."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from pathlib import Path
from typing import Any, NoReturn

import torch
import yaml
from pytorch_lightning.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger

from nlp_rnn.card import model_card
from nlp_rnn.configuration import nearest
from nlp_rnn.data import DataModule
from nlp_rnn.errors import UsageError
from nlp_rnn.pictures import learning_curves
from nlp_rnn.predictions import PredictionWriter
from nlp_rnn.pretrained import from_pretrained, save_pretrained
from nlp_rnn.settings import check_settings
from nlp_rnn.tasks import Task

_RUN_DIR = "NLP_RNN_RUN_DIR"


_UNKNOWN_KEY = re.compile(
    r"[Kk]ey '([\w.]+)' is not expected|[Uu]nrecognized arguments: --([\w.]+)|"
    r"Option '([\w.]+)' is not accepted"
)


class _Parser(LightningArgumentParser):
    """One line for a fault, with the nearest key for an unknown one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.allow_abbrev = False  # a misspelt setting is refused, also when it begins another's name

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        text = " ".join(str(message).split())
        # The parser tries every type a value might be of, and comes here for each.
        found = _UNKNOWN_KEY.search(text)
        if found and "unknown setting" not in text:
            key = next(group for group in found.groups() if group)
            text = f"unknown setting {key!r}.{nearest(key, self._known_keys())}"
        elif "unknown setting" in text:
            text = re.sub(r".*(unknown setting '[^']*'\.( Did you mean '[^']*'\?)?).*", r"\1", text)
        raise UsageError(text) from ex

    def _known_keys(self) -> list[str]:
        from inspect import signature

        from nlp_rnn import data, tasks

        keys = [action.dest for action in self._actions]
        for owner, prefix in ((data, "data"), (tasks, "model")):
            for name in owner.__all__:
                if isinstance(getattr(owner, name), type):
                    keys += [f"{prefix}.{key}" for key in signature(getattr(owner, name)).parameters]
        return keys


class _CLI(LightningCLI):
    """Links data to model, gives each run its directory, and leaves a model folder after a fit."""

    def __init__(self, arguments: list[str], command: str) -> None:
        self.command = command
        self.loaded: Task | None = None
        super().__init__(
            Task,
            DataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_callback=None,
            parser_class=_Parser,
            seed_everything_default=0,
            trainer_defaults={"max_epochs": 10},
            args=arguments,
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        self.config = parser.parse_args(args)  # Lightning's own warns of arguments that were given twice

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.link_arguments("data.processor", "model.init_args.processor", apply_on="instantiate")
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.add_lightning_class_args(EarlyStopping, "early_stopping")
        parser.set_defaults(
            {
                "checkpoint.monitor": "val/loss",
                "checkpoint.mode": "min",
                "checkpoint.save_last": True,
                "checkpoint.filename": "best",
                "early_stopping.monitor": "val/loss",
                "early_stopping.patience": 10,
                "early_stopping.check_finite": False,
            }
        )
        parser.add_argument(
            "--runs",
            type=str,
            default="runs",
            help="Folder in which each fit gets a run directory of its own.",
        )
        parser.add_argument(
            "--name",
            type=str | None,
            default=None,
            help="Name of the run; that of the first configuration file.",
        )
        parser.add_argument(
            "--output",
            type=str,
            default="predictions.jsonl",
            help="Where the verb predict writes, JSON lines.",
        )

    def before_instantiate_classes(self) -> None:
        config = self.config[self.subcommand]
        check_settings(config.as_dict())
        self.run_dir: Path | None = None
        if self.subcommand == "fit":
            self.run_dir = _new_run_dir(Path(config.runs), config.name or _config_name(config))
            config.checkpoint.dirpath = str(self.run_dir / "checkpoints")
        resume = config.get("ckpt_path")
        if resume and self.subcommand != "fit":
            self.loaded = from_pretrained(resume)
        elif resume:
            _check_resume(resume)

    def instantiate_trainer(self, **kwargs: Any) -> Any:
        config = self.config[self.subcommand]
        if config.trainer.logger is None:
            kwargs["logger"] = False
            if self.run_dir is not None:
                kwargs["logger"] = [
                    logger(str(self.run_dir), name="", version="")
                    for logger in (CSVLogger, TensorBoardLogger)
                ]
        trainer: Any = super().instantiate_trainer(**kwargs)
        if self.run_dir is not None and trainer.loggers:
            trainer.callbacks.append(LearningRateMonitor())
        if self.subcommand == "predict":
            trainer.callbacks.append(PredictionWriter(config.output))
        return trainer

    def before_fit(self) -> None:
        assert self.run_dir is not None
        if self.trainer.is_global_zero:
            config = self.parser.dump(self.config, skip_none=False)
            (self.run_dir / "config.yaml").write_text(f"# {self.command}\n{_subcommand_part(config)}")

    def after_fit(self) -> None:
        assert self.run_dir is not None
        trainer: Any = self.trainer
        best = trainer.checkpoint_callback.best_model_path or trainer.checkpoint_callback.last_model_path
        if not best:
            return
        if trainer.is_global_zero and trainer.loggers:
            learning_curves(self.run_dir / "metrics.csv", self.run_dir / "curves.png")
        self.model.load_state_dict(torch.load(best, map_location="cpu", weights_only=True)["state_dict"])
        metrics = trainer.validate(self.model, self.datamodule, verbose=False)[0]
        if trainer.is_global_zero:
            folder = save_pretrained(self.model, self.run_dir / "model", self._card(metrics))
            figures = ", ".join(f"{name.removeprefix('val/')} {value:.4g}" for name, value in metrics.items())
            print(f"best checkpoint on validation: {figures}\nmodel folder: {folder}", file=sys.stderr)

    def _card(self, metrics: dict[str, float]) -> str:
        return model_card(self.model, self.datamodule.corpus.path, self.command, {"validation": metrics})

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        kwargs = super()._prepare_subcommand_kwargs(subcommand)
        if self.loaded is not None:
            # Whatever the data would make of itself, a trained model reads it with its own vocabulary.
            self.datamodule.use(self.loaded.processor)
            kwargs |= {"model": self.loaded, "ckpt_path": None}
        if subcommand == "predict":
            kwargs["return_predictions"] = False
        return kwargs


def run(arguments: list[str], command: str) -> None:
    """Do what the arguments say."""
    _keep_memory()
    _CLI(arguments, command)


def _new_run_dir(runs: Path, name: str) -> Path:
    """A fresh directory `runs/name/N`, known to the processes that this one starts."""
    if _RUN_DIR in os.environ:
        return Path(os.environ[_RUN_DIR])
    try:
        (runs / name).mkdir(parents=True, exist_ok=True)
        number = 1 + max(
            (int(path.name) for path in (runs / name).iterdir() if path.name.isdigit()), default=0
        )
        while True:
            try:
                (runs / name / str(number)).mkdir()
                break
            except FileExistsError:  # another run was faster
                number += 1
        latest = runs / name / "latest"
        latest.unlink(missing_ok=True)
        latest.symlink_to(str(number))
    except OSError as error:
        raise UsageError(
            f"run directory {runs / name}: cannot be written ({error.strerror}); set --runs"
        ) from error
    os.environ[_RUN_DIR] = str(runs / name / str(number))
    return runs / name / str(number)


def _config_name(config: Any) -> str:
    files = config.get("config") or []
    return Path(str(files[0])).stem if files else "run"


def _subcommand_part(dumped: str) -> str:
    content = yaml.safe_load(dumped)
    return yaml.safe_dump(content.get("fit", content), sort_keys=False, allow_unicode=True)


def _check_resume(path: str) -> None:
    if path in ("best", "last"):
        raise UsageError(f"--ckpt_path {path}: give the path of a checkpoint")
    if Path(path).is_dir():
        raise UsageError(f"--ckpt_path {path}: training resumes from a .ckpt file, not from a model folder")
    from_pretrained(path)


def _keep_memory() -> None:
    """Tell glibc to keep freed memory: else each step gives its pages back and faults them in again."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return  # another C library
    for option, value in (
        (-3, 1 << 30),
        (-1, 1 << 30),
        (-2, 1 << 28),
    ):  # mmap threshold, trim threshold, top pad
        mallopt(option, value)
