"""The verbs fit, validate, test and predict on a configuration: build and run."""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Mapping
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from pydoc import locate
from typing import Any, cast

import yaml
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.plugins import TorchCheckpointIO
from pytorch_lightning.utilities import rank_zero_only
from typing_extensions import override

from nlp_rnn.cpu import fast_matmul, retain_freed_memory
from nlp_rnn.data import DataModule
from nlp_rnn.data.processor import Processor
from nlp_rnn.errors import Interrupted, UsageError, naming_memory, one_line, own_cause
from nlp_rnn.files import printing
from nlp_rnn.plots.curves import learning_curves
from nlp_rnn.storage.checkpoint import read_checkpoint
from nlp_rnn.storage.results import Measured, corpus_settings, current_versions, overall, signatures
from nlp_rnn.tasks.base import Task
from nlp_rnn.tasks.placement import on_device
from nlp_rnn.tasks.pretrained import from_pretrained, save_pretrained
from nlp_rnn.tasks.registry import load_tasks
from nlp_rnn.tasks.transfer import initialize_from
from nlp_rnn.training.arguments import ConfiguredCLI
from nlp_rnn.training.callbacks import (
    WarnOfDecay,
    describe_metrics,
    fit_callbacks,
    progress_callback,
)
from nlp_rnn.training.checkpoint_io import LAST, SafeCheckpointIO
from nlp_rnn.training.checks import import_trusted, split_trusted, trust_only_own_classes
from nlp_rnn.training.devices import ending_together, recall_progress, set_timeout
from nlp_rnn.training.init_from import with_settings_of_model
from nlp_rnn.training.last_checkpoint import LastCheckpoint
from nlp_rnn.training.messages import NOT_VALID, readable
from nlp_rnn.training.metrics_log import METRICS, run_loggers
from nlp_rnn.training.monitoring import check_distinct, check_monitors, choose_modes
from nlp_rnn.training.prediction_writer import PredictionWriter
from nlp_rnn.training.processes import has_parent
from nlp_rnn.training.results import results_json, write_results
from nlp_rnn.training.resuming import FollowRun, SaveConfig, Start, apply_settings, find_resumed, find_start
from nlp_rnn.training.run_directory import (
    has_begun,
    has_checkpoint,
    locked,
    new_run_dir,
    point_latest,
    save_config,
)
from nlp_rnn.training.stopping import StoppingReport

log = logging.getLogger(__name__)


class _CLI(ConfiguredCLI):
    """Gives each run a directory, and leaves a model folder after a fit."""

    def __init__(self, arguments: list[str], command: str, held: ExitStack) -> None:
        self.command = command
        self.held = held
        """What lasts as long as the run, such as the lock of its directory."""
        self.loaded: Task[Any, Any] | None = None
        """The trained model of `ckpt_path`, for all verbs but fit."""
        self.source: Task[Any, Any] | None = None
        """The trained model of `init_from`, for a fit that does not resume."""
        self.processor: Processor | None = None
        """The processor of a trained model, with which data is read."""
        self.run_dir: Path | None = None
        self.start = Start()
        self.last: LastCheckpoint
        self.stopping = StoppingReport()
        self.results: dict[str, Any] = {}
        """What a fit has achieved; empty on all processes but the first, and where nothing was measured."""
        try:
            super().__init__(arguments)
        except Interrupted as stop:
            message = self._how_to_go_on() if arguments[0] == "fit" else stop.message
            raise Interrupted(stop.number, message) from None

    # The model, the data and the trainer.

    @override
    def before_instantiate_classes(self) -> None:
        config = self.config[self.subcommand]
        choose_modes(cast(type[Task], locate(config.model.class_path)), config)
        if self.subcommand == "fit":
            resumed = find_resumed(config, self._run_name(config))
            begun = resumed is not None and has_begun(resumed)
            if resumed is not None and _is_first_process():  # before its checkpoints are read
                self.held.enter_context(locked(resumed, patient=has_parent()))
            self.start = find_start(config, resumed, begun)
            for name in ("init_encoder", "vectors"):
                if self.start.checkpoint and config.model.init_args.get(name):
                    config.model.init_args[name] = None  # the checkpoint has the weights trained from it
            if config.init_from and self.start.checkpoint:  # which has all that was taken from it
                self.processor = from_pretrained(self.start.checkpoint).processor
            elif config.init_from:
                self.source = from_pretrained(config.init_from)
        elif config.ckpt_path:
            self.loaded = from_pretrained(config.ckpt_path)
            self.processor = self.loaded.processor
            config.ckpt_path = None
        for base in (Task, DataModule):
            self.parser.add_instantiator(self._build, base, subclasses=True)

    def _build(self, class_type: type, *args: Any, **kwargs: Any) -> Any:
        """A task or DataModule as set; or the trained model, and data that is read with its vocabulary."""
        if self.loaded is not None and issubclass(class_type, Task):
            return apply_settings(self.loaded, class_type, kwargs)
        try:
            with naming_memory("model.hidden_dim, model.embedding_dim, model.num_layers or data.vocabulary"):
                module: Any = class_type(*args, **kwargs)
        except ValueError as error:
            # As a UsageError it is found again among the causes of the parser's own exception.
            raise UsageError(str(error)) from error
        if isinstance(module, Task):
            if self.source is not None:
                initialize_from(module, self.source, self.config.fit.init_from)
        elif self.source is not None:
            module.extend_processor(self.source.processor)
        elif self.processor is not None:
            loaded = self.loaded
            if loaded is not None and module.processor_class is not loaded.processor_class:
                raise UsageError(
                    f"--ckpt_path holds a model for {loaded.name}, which {class_type.__name__} is not for"
                )
            module.attach_processor(self.processor)
        return module

    @override
    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        config = self.config[self.subcommand]
        chosen = self._get(self.config_init, "trainer")
        own = chosen.callbacks if isinstance(chosen.callbacks, list) else [chosen.callbacks]
        callbacks: list[Callback] = []
        if self.subcommand == "fit":
            check_monitors(self.model, config)
            check_distinct([self._best_checkpoint, self._get(self.config_init, "early_stopping"), *own])
            self.run_dir = self.start.run_dir
            if self.run_dir is None:
                runs, name = Path(config.runs), self._run_name(config)
                # The other processes of a run get all paths from the first one.
                self.run_dir = new_run_dir(runs, name) if _is_first_process() else runs / name
                if _is_first_process():
                    self.held.enter_context(locked(self.run_dir))
            elif _is_first_process() and not has_checkpoint(self.run_dir):
                (self.run_dir / METRICS).unlink(missing_ok=True)  # it begins anew: rows would be repeated
            if self.source is not None or config.model.init_args.get("init_encoder"):
                callbacks.append(WarnOfDecay())
            kwargs["default_root_dir"] = config.trainer.default_root_dir or str(self.run_dir)
        kwargs["logger"] = run_loggers(chosen.logger, self.run_dir, self.start.state)
        if (progress := progress_callback(chosen.enable_progress_bar, chosen.callbacks)) is not None:
            kwargs["enable_progress_bar"] = False  # Lightning would add a bar of its own
            callbacks.append(progress)
        trainer = super().instantiate_trainer(**kwargs)
        set_timeout(trainer, config.timeout)
        if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:  # else the strategy's or the user's own
            trainer.strategy.checkpoint_io = SafeCheckpointIO()
        if self.subcommand == "predict":
            callbacks.append(PredictionWriter(config.output))
        if self.run_dir is not None:
            folder = self.run_dir / "checkpoints"
            best = self._best_checkpoint
            if best.dirpath is None:
                best.dirpath = str(folder)
                callbacks += [FollowRun(best)] if self.start.run_dir is not None else []
            if best._save_on_train_epoch_end is None and str(best.monitor).startswith("val/"):
                # At the end of an epoch, some of what a checkpoint holds would be of the next epoch already.
                best._save_on_train_epoch_end = False
            resumes = self.start.checkpoint is not None
            self.last = LastCheckpoint(folder / LAST, config.save_minutes)
            cast(Any, trainer).callbacks[:0] = fit_callbacks(self.last, bool(trainer.loggers), resumes)
            callbacks.append(self.stopping)
        cast(Any, trainer).callbacks += callbacks
        return trainer

    @property
    def _best_checkpoint(self) -> Any:
        """The callback of the best checkpoint; the user may have more of its class."""
        return self._get(self.config_init, "checkpoint")

    # The run: standard output is for answers, all else goes to standard error.

    @override
    def _run_subcommand(self, subcommand: str) -> None:
        try:
            with redirect_stdout(sys.stderr), ending_together(self.trainer):
                super()._run_subcommand(subcommand)
        except ValueError as error:
            if "val_check_interval" not in str(error):  # which depends on the number of batches
                raise
            raise UsageError(f"trainer.{str(error).replace('`', '').strip()}") from error
        if subcommand in ("validate", "test") and self.trainer.is_global_zero:
            self.results = {name: float(value) for name, value in self.trainer.callback_metrics.items()}
        if self.results:
            with printing():
                print(results_json(self.results))

    @override
    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        always = {"weights_only": True, "ckpt_path": self.start.checkpoint}
        if subcommand == "predict":
            always["return_predictions"] = False
        return super()._prepare_subcommand_kwargs(subcommand) | always

    def before_fit(self) -> None:
        """Say what is trained and where, and store the configuration."""
        assert self.run_dir is not None
        if not _is_first_process():
            return
        _say(f"run directory: {self.run_dir}")
        _say(f"model: {self.model.summary()}")
        _say(f"data: {self.datamodule.summary()}")
        self.config.fit.resume = None
        dumped = self._parser("fit").dump(self.config.fit, skip_none=False)
        content = yaml.safe_dump(yaml.safe_load(dumped), sort_keys=False, allow_unicode=True)
        if self.start.checkpoint is None:
            save_config(self.run_dir, self.command, content)
        else:
            cast(Any, self.trainer).callbacks.append(SaveConfig(self.run_dir, self.command, content))

    def after_fit(self) -> None:
        """Plot the learning curves, and write the model folder of the best checkpoint, else of the last."""
        assert self.run_dir is not None
        trainer: Any = self.trainer
        if trainer.fast_dev_run:
            print("trainer.fast_dev_run: nothing is saved, so there is no model folder", file=sys.stderr)
            return
        best = self._best_checkpoint.best_model_path
        path = best or (self.last.path if self.last.path.exists() else self.start.checkpoint)
        if path is None:
            log.warning("no epoch was finished, so there is no model folder")
            return
        for reason in self.stopping.reasons if trainer.is_global_zero else ():
            _say(reason)
        logged = self.run_dir / METRICS
        if trainer.is_global_zero and logged.is_file():
            monitor, mode = self._best_checkpoint.monitor, self._best_checkpoint.mode
            learning_curves(logged, self.run_dir / "curves.png", monitor, mode, self.model.loss_unit)
        epochs = trainer.current_epoch
        recall_progress(trainer, self.last.path)
        # Without other callbacks: they have seen the end of training, and some would change the model again;
        # and without loggers, for the epoch of the checkpoint has been logged.
        bar = trainer.progress_bar_callback
        trainer.callbacks = [] if bar is None else [bar]
        trainer.loggers = []
        # Read again below, for the trainer may divide the weights of the model that it runs.
        model = from_pretrained(path)
        fitted = self._fit_to_validation(model)
        validated = trainer.validate(model, self.datamodule, verbose=False)
        metrics = validated[0] if validated else {}  # limit_val_batches may be 0
        if trainer.is_global_zero:
            model = from_pretrained(path)
            for name, value in fitted.items():
                setattr(model, name, value)
            card = model.card(
                self.datamodule.description,
                self.command,
                {"validation": metrics},
                self._results(model, metrics),
                self.config.fit.seed_everything,
                self.datamodule.extra_descriptions(),
            )
            folder = save_pretrained(model, self.run_dir / "model", card)
            point_latest(self.run_dir)
            results = ", ".join(describe_metrics(metrics)) or "not measured"
            which = "best" if best else "last"
            _say(f"{which} checkpoint on validation: {results}")
            _say(f"model folder: {folder}")
            self.results = {
                "metrics": metrics,
                "checkpoint": which,
                "epoch": int(read_checkpoint(path)["epoch"]) + 1,
                "epochs": epochs,
                "early_stopped": bool(self.stopping.reasons),
                "seed": self.config.fit.seed_everything,
            }
            write_results(self.run_dir, self.results)

    def _results(self, model: Task[Any, Any], metrics: Mapping[str, float]) -> list[Measured]:
        """The metrics of the whole validation split, if `evaluate` can measure the same again."""
        corpus, limit = self.datamodule.source, self.trainer.limit_val_batches
        is_whole = type(limit) is float and limit == 1  # 1 is one batch
        if corpus is None or not metrics or not is_whole or self.trainer.precision != "32-true":
            return []
        rows, stated = self.datamodule.splits["validation"], overall(metrics)
        return [
            Measured(
                corpus_settings(corpus),
                "validation",
                len(rows),
                rows.content_hash(),
                stated,
                signatures(model.metrics("val"), stated),
                command=self.command,
                versions=current_versions(),
            )
        ]

    def _fit_to_validation(self, model: Task[Any, Any]) -> dict[str, Any]:
        """Set what a trained model can learn from the whole validation split alone; every process does so."""
        data = self.datamodule
        if not self.trainer.limit_val_batches or "validation" not in data.splits:
            return {}
        batches = data.processor.loader(data.splits["validation"], data.batching)
        fitted = on_device(model, self.trainer.strategy.root_device).fit_to_validation(batches)
        if fitted and self.trainer.is_global_zero:
            _say(f"fitted to validation: {', '.join(f'{name} {value}' for name, value in fitted.items())}")
        return fitted

    def _how_to_go_on(self) -> str:
        run = self.run_dir or self.start.run_dir
        if run is None or not has_checkpoint(run):
            return "training had not begun, so there is nothing to save"
        return f"saved; go on with: {shlex.join(['nlp-rnn', 'fit', '--resume', str(run)])}"

    def after_predict(self) -> None:
        """Say where the answers are."""
        if self.trainer.is_global_zero:
            _say(f"predictions: {self.config.predict.output}")


def run(arguments: list[str], command: str) -> None:
    """Run a verb.

    Args:
        arguments: a verb and its flags, the configurations among them already found. `--trust PACKAGE` may be
            among them, which no configuration can contain.
        command: what the user typed, for the record.
    """
    retain_freed_memory()
    arguments, trusted = split_trusted(arguments)
    import_trusted(trusted)
    trust_only_own_classes(trusted)
    load_tasks()  # a class is known to the parser by its name once it is imported
    arguments = with_settings_of_model(arguments)
    with fast_matmul(), ExitStack() as held:
        try:
            _CLI(arguments, command, held)
        except ValueError as error:
            if NOT_VALID not in str(error) or own_cause(error) is not None:
                raise
            raise UsageError(readable(str(error), [])) from error


def _say(text: str) -> None:
    """Print a message on standard error: one line, of bounded length."""
    print(one_line(text), file=sys.stderr)


def _is_first_process() -> bool:
    return getattr(rank_zero_only, "rank", 0) == 0
