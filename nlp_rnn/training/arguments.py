"""The settings of the verbs fit, validate, test and predict: which there are, and that they are in order."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import jsonargparse
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI
from typing_extensions import override

from nlp_rnn.data import DataModule
from nlp_rnn.errors import UsageError
from nlp_rnn.files import check_not_read, check_output
from nlp_rnn.tasks.base import Task
from nlp_rnn.tasks.registry import TASKS, data_classes
from nlp_rnn.training import VERBS
from nlp_rnn.training.checks import (
    check_fit,
    check_pair,
    check_places,
    check_run,
    check_trainer,
    check_vectors,
)
from nlp_rnn.training.messages import readable, setting_names
from nlp_rnn.training.monitoring import AUTO
from nlp_rnn.training.nonfinite import NonFiniteGuard
from nlp_rnn.training.parser import Parser, mark_nulls, whole_numbers_first
from nlp_rnn.training.run_directory import check_name


class ConfiguredCLI(LightningCLI):
    """Lightning's command line with the flags, defaults and checks of this package; data is linked to model.

    Args:
        arguments: a verb and its flags, the configurations among them already found.
    """

    def __init__(self, arguments: list[str]) -> None:
        self.arguments = arguments
        settings = {"exit_on_error": False}
        super().__init__(
            Task,
            DataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_callback=None,
            parser_class=Parser,
            parser_kwargs={**settings, **{verb: dict(settings) for verb in self.subcommands()}},
            seed_everything_default=0,
            trainer_defaults={"max_epochs": 10, "enable_model_summary": False},
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,  # a task stores what it needs itself
            args=mark_nulls(arguments),
        )

    @override
    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        # Only the parser of the verb in question is made, which saves time; without a verb, all of them.
        verbs = self.arguments[:1] if self.arguments[:1] and self.arguments[0] in VERBS else list(VERBS)
        # Nothing is ever unpickled, so `weights_only` is no setting.
        return {verb: LightningCLI.subcommands()[verb] | {"weights_only"} for verb in verbs}

    @override
    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.link_arguments("data.processor", "model.init_args.processor", apply_on="instantiate")
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.add_lightning_class_args(EarlyStopping, "early_stopping")
        parser.add_lightning_class_args(NonFiniteGuard, "training")
        parser.set_defaults(
            {
                "checkpoint.monitor": "val/loss",
                "checkpoint.mode": AUTO,
                "checkpoint.filename": "best",
                "early_stopping.monitor": "val/loss",
                "early_stopping.mode": AUTO,
                "early_stopping.patience": 10,
                "early_stopping.check_finite": False,
                "early_stopping.strict": False,  # a run may end before its first validation
            }
        )
        for flag, annotation, default, text in (
            ("--runs", str, "runs", "Folder in which each fit gets a run directory of its own."),
            ("--name", str | None, None, "Name of the run, else that of its first configuration file."),
            ("--resume", str | None, None, "Interrupted run to resume: runs/NAME/NUMBER."),
            ("--init_from", str | None, None, "Trained model whose weights fit starts from, where they fit."),
            ("--save_minutes", float, 10.0, "How often fit writes a checkpoint within an epoch."),
            ("--output", str, "predictions.jsonl", "File of answers that the verb predict writes."),
            ("--timeout", float | None, None, "Seconds that devices wait for each other, else 1800."),
        ):
            parser.add_argument(flag, type=annotation, default=default, help=text)
        whole_numbers_first(parser)

    @override
    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        # Nothing is read, built or written before all of it is found to be in order.
        for verb, verb_parser in self._subcommand_parsers.items():
            cast(Parser, verb_parser).verb = verb
        try:
            self.config = parser.parse_args(args)
        except jsonargparse.ArgumentError as error:
            raise UsageError(readable(str(error), self._known_settings(), args)) from error
        except OverflowError as error:
            raise UsageError(f"a number in the settings has too many digits ({error})") from error
        verb = self.config.subcommand
        config = self.config[verb]
        check_run(config.as_dict())
        check_pair(config.model.class_path, config.data.class_path)
        if verb == "fit":
            check_fit(config.trainer.as_dict(), config.checkpoint.filename)
            check_vectors(config.as_dict())
            check_name(self._run_name(config))
            check_places(config.as_dict())
        elif not config.ckpt_path:
            raise UsageError(f"{verb} needs a trained model: --ckpt_path with a .ckpt file or a model folder")
        if verb == "predict":
            check_output(Path(config.output), "--output")
            for read in (config.data.init_args.get("corpus", {}).get("path"), config.ckpt_path):
                if read is not None:
                    check_not_read(config.output, read, "--output")
        check_trainer(config.trainer.as_dict())

    def _known_settings(self) -> list[str]:
        names = [action.dest for parser in self._subcommand_parsers.values() for action in parser._actions]
        return [
            *dict.fromkeys(names),
            *setting_names(TASKS.values(), "model"),
            *setting_names([module for name in TASKS for module in data_classes(name)], "data"),
        ]

    @override
    def _parse_ckpt_path(self) -> None:
        pass  # Lightning would let hyperparameters in the checkpoint override flags silently

    def _run_name(self, config: Any) -> str:
        """`--name`, else the name of the first configuration file."""
        files = config.get("config") or []
        return config.name or (Path(str(files[0])).stem if files else "run")
