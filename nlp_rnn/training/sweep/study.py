"""The study of a sweep in Optuna, and the callback that prunes its trials; Optuna is an extra."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from typing_extensions import override

from nlp_rnn.errors import RunError, UsageError

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial, Trial

STUDY = "study.db"
"""The file of a sweep that Optuna keeps, of SQLite."""
PRUNED = "pruned"
"""The user attribute of a trial that was stopped early."""
_TRIAL = "NLP_RNN_TRIAL"
"""The environment variable that tells a process which trial it trains: NUMBER:METRIC:FOLDER."""
_NAME = "sweep"
_LAST_STEP = "last_step"
_LOCK_SECONDS = 60  # in which another process may write


def require_optuna() -> None:
    """Check that Optuna is installed.

    Raises:
        UsageError: names the extra.
    """
    try:
        import optuna
    except ImportError:
        raise UsageError("sweep needs Optuna; install it with: pip install 'nlp-rnn[sweep]'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    warnings.filterwarnings("ignore", message=".*reported value is ignored.*")  # of a trial that goes on


def open_study(
    folder: Path,
    mode: str,
    last_step: int,
    seed: int,
    constraints: Callable[[FrozenTrial], Sequence[float]] | None = None,
) -> Study:
    """The study of a sweep's folder, which is made if there is none.

    Args:
        folder: the sweep's folder.
        mode: "min" or "max".
        last_step: the last epoch of a trial that is not pruned.
        seed: of the sampler.
        constraints: by how much a trial exceeds the limits, for the sampler.
    """
    import optuna

    study = optuna.create_study(
        storage=_storage(folder),
        study_name=_NAME,
        direction="minimize" if mode == "min" else "maximize",
        load_if_exists=True,
    )
    # A resumed sweep must not draw again what it drew at first, as it would with the same seed.
    seed += len(study.trials)
    study.sampler = optuna.samplers.TPESampler(seed=seed, constraints_func=constraints, constant_liar=True)
    study.pruner = _pruner(last_step)
    study.set_user_attr(_LAST_STEP, last_step)
    return study


def _storage(folder: Path) -> Any:
    import optuna

    return optuna.storages.RDBStorage(
        f"sqlite:///{folder.absolute() / STUDY}", engine_kwargs={"connect_args": {"timeout": _LOCK_SECONDS}}
    )


def _pruner(last_step: int) -> Any:
    import optuna

    return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=last_step, reduction_factor=3)


def trial_environment(folder: Path, number: int, metric: str) -> dict[str, str]:
    """The variables of the environment of the process that trains a trial."""
    return {_TRIAL: f"{number}:{metric}:{folder.absolute()}"}


def pruning_callbacks() -> list[Callback]:
    """The callback of a fit that is a trial of a sweep; none for others."""
    told = os.environ.pop(_TRIAL, None)  # the processes that this one starts report nothing
    if told is None:
        return []
    number, metric, folder = told.split(":", 2)
    require_optuna()
    return [PruneTrial(Path(folder), int(number), metric)]


class PruneTrial(Callback):
    """Reports the metric of each epoch to a sweep, and ends training once it is not worth going on.

    Args:
        folder: the sweep's folder.
        number: of the trial.
        metric: its name, of the validation.
    """

    def __init__(self, folder: Path, number: int, metric: str) -> None:
        self._folder = folder
        self._number = number
        self._metric = metric
        self._trial: Trial | None = None
        self._validated = False

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        import optuna

        if trainer.is_global_zero:
            study = optuna.load_study(study_name=_NAME, storage=_storage(self._folder))
            study.pruner = _pruner(int(study.user_attrs[_LAST_STEP]))
            known = {trial.number: trial._trial_id for trial in study.trials}
            self._trial = optuna.trial.Trial(study, known[self._number])

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._validated = not trainer.sanity_checking

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        value, epoch = trainer.callback_metrics.get(self._metric), trainer.current_epoch + 1
        is_bad = False
        if self._trial is not None and self._validated and value is not None:
            self._trial.report(float(value), epoch)
            is_bad = self._trial.should_prune()
            if is_bad:
                self._trial.set_user_attr(PRUNED, epoch)
        self._validated = False
        if trainer.strategy.reduce_boolean_decision(is_bad, all=False):
            raise RunError(f"pruned after epoch {epoch}: other trials were better by then")
