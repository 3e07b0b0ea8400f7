"""What the command line's verbs do: parse, build, run, and leave a run directory behind."""

from __future__ import annotations

import json
import logging
import math
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import jsonargparse
import torch
import yaml
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_only

from nlp_rnn.cpu import fast_matmul, retain_freed_memory
from nlp_rnn.data import DataModule
from nlp_rnn.errors import UsageError
from nlp_rnn.files import check_writable
from nlp_rnn.plots.curves import learning_curves
from nlp_rnn.tasks import TASKS, Task
from nlp_rnn.tasks.pretrained import from_pretrained, save_pretrained
from nlp_rnn.tasks.registry import data_classes, load_tasks
from nlp_rnn.training.checks import check_pair, check_run, check_trainer, trust_only_own_classes
from nlp_rnn.training.messages import readable, setting_names
from nlp_rnn.training.prediction_writer import PredictionWriter
from nlp_rnn.training.resuming import ReapplySettings, changeable, check_resume, differences
from nlp_rnn.training.run_directory import check_name, new_run_dir, point_latest

LIGHTNING_VERBS = ("fit", "validate", "test", "predict")

log = logging.getLogger(__name__)


class _CLI(LightningCLI):
    """Links data to model, gives each run its directory, and leaves a model folder after a fit."""

    def __init__(self, arguments: list[str], command: str) -> None:
        self.command = command
        self.verbs = arguments[:1] or [""]
        self.loaded: Task | None = None
        self.run_dir: Path | None = None
        settings = {"exit_on_error": False, "allow_abbrev": False}
        super().__init__(
            Task,
            DataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_callback=None,
            parser_kwargs={**settings, **{verb: dict(settings) for verb in self.subcommands()}},
            seed_everything_default=0,
            trainer_defaults={"max_epochs": 10, "enable_model_summary": False},
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,  # a task stores what it needs itself
            args=arguments,
        )

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        # To make the parser of the verb in question alone spares time; for help, all of them are there.
        verbs = self.verbs if self.verbs[0] in LIGHTNING_VERBS else list(LIGHTNING_VERBS)
        # Nothing is ever unpickled, so `weights_only` is no setting.
        return {verb: LightningCLI.subcommands()[verb] | {"weights_only"} for verb in verbs}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.link_arguments("data.processor", "model.init_args.processor", apply_on="instantiate")
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.add_lightning_class_args(EarlyStopping, "early_stopping")
        parser.set_defaults(
            {
                "checkpoint.monitor": "val/loss",
                "checkpoint.mode": "min",
                "checkpoint.filename": "best",
                "early_stopping.monitor": "val/loss",
                "early_stopping.patience": 10,
                "early_stopping.check_finite": False,
                "early_stopping.strict": False,  # a run may end before it is validated
            }
        )
        for flag, kind, default, text in (
            ("--runs", str, "runs", "Folder in which each fit gets a run directory of its own."),
            ("--name", str | None, None, "Name of the run, else that of its first configuration file."),
            ("--output", str, "predictions.jsonl", "Where the verb predict writes, JSON lines."),
        ):
            parser.add_argument(flag, type=kind, default=default, help=text)

    # Parsed: nothing is read, built or written before all of it is found to be in order.

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        try:
            self.config = parser.parse_args(args)
        except jsonargparse.ArgumentError as error:
            raise UsageError(readable(str(error), self._known_settings())) from error
        verb = self.config.subcommand
        config = self.config[verb]
        check_run(config.as_dict())
        check_pair(config.model.class_path, config.data.class_path)
        if verb == "fit":
            check_name(self._run_name(config))
            check_writable(Path(config.runs), "--runs")
        elif not config.ckpt_path:
            raise UsageError(f"{verb} needs a trained model: --ckpt_path with a .ckpt file or a model folder")
        if verb == "predict":
            check_writable(Path(config.output).absolute().parent, "--output")
        check_trainer(config.trainer.as_dict())

    def _known_settings(self) -> list[str]:
        names = [action.dest for parser in self._subcommand_parsers.values() for action in parser._actions]
        return [
            *dict.fromkeys(names),
            *setting_names(TASKS.values(), "model"),
            *setting_names([kind for name in TASKS for kind in data_classes(name)], "data"),
        ]

    def _parse_ckpt_path(self) -> None:
        """Lightning would let hyperparameters in the checkpoint beat flags, in silence."""

    def before_instantiate_classes(self) -> None:
        config = self.config[self.subcommand]
        if config.ckpt_path and self.subcommand == "fit":
            check_resume(config.ckpt_path, config)
            if config.model.init_args.get("init_encoder"):  # the checkpoint has what became of it
                config.model.init_args.init_encoder = None
        elif config.ckpt_path:
            self.loaded = from_pretrained(config.ckpt_path)
            config.ckpt_path = None
        for base in (Task, DataModule):
            self.parser.add_instantiator(self._build, base, subclasses=True)

    def _build(self, kind: type, *args: Any, **kwargs: Any) -> Any:
        """A task or DataModule as set; or the trained model, and data that reads with its vocabulary."""
        if self.loaded is not None and issubclass(kind, Task):
            return apply_settings(self.loaded, kind, kwargs)
        try:
            module: Any = kind(*args, **kwargs)
        except ValueError as error:
            # Of this type, so that it is found again in the parser's account of all that it tried.
            raise UsageError(str(error)) from error
        if self.loaded is None or not isinstance(module, DataModule):
            return module
        if module.processor_class is not self.loaded.processor_class:
            raise UsageError(
                f"--ckpt_path holds a model for {self.loaded.name}, which {kind.__name__} is not for"
            )
        module.attach_processor(self.loaded.processor)
        return module

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        config = self.config[self.subcommand]
        if self.subcommand != "fit":
            if config.trainer.logger is None:
                kwargs["logger"] = False
            trainer: Any = super().instantiate_trainer(**kwargs)
            if self.subcommand == "predict":
                trainer.callbacks.append(PredictionWriter(config.output))
            return trainer
        runs, name = Path(config.runs), self._run_name(config)
        # The processes that a first one starts are told all paths by it.
        self.run_dir = new_run_dir(runs, name) if _is_first_process() else runs / name
        if config.trainer.logger is None:
            kinds = (CSVLogger, TensorBoardLogger)
            kwargs["logger"] = [kind(str(self.run_dir), name="", version="") for kind in kinds]
        trainer = super().instantiate_trainer(**kwargs)
        folder = str(self.run_dir / "checkpoints")
        best = trainer.checkpoint_callback
        best.dirpath = best.dirpath or folder
        # A callback of its own: with `save_last` the best one would write it no more often than itself.
        # After each epoch, validated or not: what was trained is never lost.
        trainer.callbacks.append(
            ModelCheckpoint(folder, "last", enable_version_counter=False, save_on_train_epoch_end=True)
        )
        if trainer.loggers:
            trainer.callbacks.append(LearningRateMonitor())
        if config.ckpt_path:
            trainer.callbacks.append(ReapplySettings())
        return trainer

    def _run_name(self, config: Any) -> str:
        files = config.get("config") or []
        return config.name or (Path(str(files[0])).stem if files else "run")

    # Run: standard output is for answers, all else goes to standard error.

    def _run_subcommand(self, subcommand: str) -> None:
        with redirect_stdout(sys.stderr):
            super()._run_subcommand(subcommand)
        if subcommand in ("validate", "test") and self.trainer.is_global_zero:
            values = {name: float(value) for name, value in self.trainer.callback_metrics.items()}
            metrics = {name: value if math.isfinite(value) else None for name, value in values.items()}
            print(json.dumps(metrics, ensure_ascii=False))

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        only = {"weights_only": True, "ckpt_path": self.config[subcommand].ckpt_path}
        if subcommand == "predict":
            only["return_predictions"] = False
        return super()._prepare_subcommand_kwargs(subcommand) | only

    def before_fit(self) -> None:
        assert self.run_dir is not None
        if _is_first_process():
            print(f"run directory: {self.run_dir}", file=sys.stderr)
            dumped = self._parser("fit").dump(self.config.fit, skip_none=False)
            content = yaml.safe_dump(yaml.safe_load(dumped), sort_keys=False, allow_unicode=True)
            (self.run_dir / "config.yaml").write_text(f"# {self.command}\n{content}", encoding="utf-8")

    def after_fit(self) -> None:
        assert self.run_dir is not None
        trainer: Any = self.trainer
        best, *others = (callback.best_model_path for callback in trainer.checkpoint_callbacks)
        saved = [path for path in (best, *others) if path]
        if not saved:
            log.warning("no epoch was finished, so there is no model folder")
            return
        self.model.load_state_dict(torch.load(saved[0], map_location="cpu", weights_only=True)["state_dict"])
        logged = self.run_dir / "metrics.csv"
        if trainer.is_global_zero and logged.is_file():  # now: to validate adds to it
            learning_curves(logged, self.run_dir / "curves.png")
        validated = trainer.validate(self.model, self.datamodule, verbose=False)
        metrics = validated[0] if validated else {}  # limit_val_batches may be 0
        if trainer.is_global_zero:
            card = self.model.card(self.datamodule.description, self.command, {"validation": metrics})
            folder = save_pretrained(self.model, self.run_dir / "model", card)
            point_latest(self.run_dir)
            figures = ", ".join(
                f"{name.removeprefix('val/')} {value:.4g}"
                for name, value in metrics.items()
                if "/f1_" not in name
            )
            which = "best" if best else "last"
            print(f"{which} checkpoint on validation: {figures}\nmodel folder: {folder}", file=sys.stderr)

    def after_predict(self) -> None:
        if self.trainer.is_global_zero:
            print(f"predictions: {self.config.predict.output}", file=sys.stderr)


def run(arguments: list[str], command: str) -> None:
    """Do what the arguments say.

    Args:
        arguments: verb and flags, configurations already found.
        command: what the user typed, for the record.
    """
    retain_freed_memory()
    trust_only_own_classes()
    load_tasks()  # a class is known to the parser by its name once it is imported
    with fast_matmul():
        _CLI(arguments, command)


def _is_first_process() -> bool:
    return getattr(rank_zero_only, "rank", 0) == 0


def apply_settings(task: Task, kind: type[Task], settings: dict[str, Any]) -> Task:
    """A trained model that decodes as it is told to now."""
    if not isinstance(task, kind):
        raise UsageError(f"--ckpt_path holds a model for {task.name}, not for {kind.name}")
    task.apply_settings(settings)
    if fixed := [line for name, line in differences(task.settings, settings) if not changeable(name)]:
        log.warning("the trained model stays as it is, whatever is set here: %s", ", ".join(fixed))
    return task
