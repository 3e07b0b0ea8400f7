"""The LightningModule that every task shares."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Generic, cast

import pyarrow as pa
import torch
from torch import Tensor, nn
from torchmetrics import Metric
from typing_extensions import TypeVar, override

from nlp_rnn.data.batching import IGNORED, Batch
from nlp_rnn.data.corpus.drawing import differ
from nlp_rnn.data.module import DataModule
from nlp_rnn.data.processor import Processor
from nlp_rnn.errors import UsageError
from nlp_rnn.tasks.global_step import GlobalStep, Workload, connect
from nlp_rnn.tasks.interface import AnswerColumn, Answers
from nlp_rnn.tasks.metrics import MeanLoss
from nlp_rnn.tasks.optimization import Optimization, freeze, initialize
from nlp_rnn.tasks.pretrained import check_storable
from nlp_rnn.tasks.registry import data_classes
from nlp_rnn.tasks.sharding import shard
from nlp_rnn.tasks.stored_module import StoredModule

log = logging.getLogger(__name__)

P = TypeVar("P", bound=Processor, default=Any)
B = TypeVar("B", bound=Batch, default=Any)


class Task(StoredModule, ABC, Generic[P, B]):
    """A model, its loss and its metrics, and the processor that turns inputs into its batches.

    A new task is a subclass, a DataModule and a row in `nlp_rnn.tasks.registry.ROWS`. The subclass

    - must define `name`, `processor_class`, `example`, `progress_bar_metrics`, `loss`, `make_metrics`,
      `update_metrics`, `compute_metrics`, `report_tables`, `answer` and `format_answer`, unless it inherits
      them (from `ClassificationTask`, `TextClassificationTask`, `GenerationTask` or `ReferencedTask`);
    - may define what `Capabilities` has, `num_targets`, `lower_is_better`, `loss_unit` and
      `conllu_columns`;
    - has a constructor whose arguments, less those named in `not_settings`, are its settings: checked
      against their annotations, recorded in `settings`, and stored beside the weights.

    Type parameters: P is the class of the processor, B that of its batches.

    Args:
        processor: turns inputs into ids and ids into batches; the model takes its sizes from it.
        model: computes the scores.
        optimization: initialization, optimizer and schedule.
    """

    progress_bar_metrics: tuple[str, ...]
    """The metrics that the progress bar shows beside the loss."""
    lower_is_better: ClassVar[frozenset[str]] = frozenset({"loss"})
    """The results of `compute_metrics` that are better when lower; all others are when higher."""
    loss_unit: ClassVar[str] = "cross-entropy (nats)"
    """What the loss is, and its unit, on the axis of a plot."""
    conllu_columns: Mapping[str, str] = MappingProxyType({})
    """The columns of CoNLL-U files that the task predicts, and the keys of an answer that hold their tags."""
    not_settings = frozenset({"processor", "init_encoder", "vectors"})

    def __init__(self, processor: P, model: nn.Module, optimization: Optimization) -> None:
        super().__init__(processor, model, optimization)
        self.processor: P
        self.train_loss = MeanLoss()
        self._step = GlobalStep()
        self._workload = Workload()
        self.stage_metrics = nn.ModuleDict(
            {f"{stage}_metrics": nn.ModuleDict(self.make_metrics()) for stage in ("val", "test")}
        )
        initialize(model, optimization)
        freeze(model, optimization)

    @classmethod
    def data_classes(cls) -> tuple[type[DataModule[Any]], ...]:
        """The DataModules of this task; the first reads any corpus."""
        return data_classes(cls.name)

    # What each task must define.

    @abstractmethod
    def loss(self, batch: B) -> Tensor:
        """The training loss of a batch, a scalar."""

    def num_targets(self, batch: B) -> Tensor:
        """The number of targets that `loss` is the mean over, a scalar."""
        assert batch.labels is not None
        return batch.labels.ne(IGNORED).sum()

    @abstractmethod
    def make_metrics(self) -> dict[str, Metric]:
        """New metrics of one stage (validation or test), by name."""

    @abstractmethod
    def update_metrics(self, batch: B, metrics: Mapping[str, Any]) -> Answers | None:
        """Add a batch with targets to one stage's metrics.

        Returns:
            A function that makes the answers as they were measured, so that nothing is computed twice; no
            answers if no row has one of its own, as in running text. None if nothing was kept: where answers
            are needed, `answer` is asked.
        """

    @abstractmethod
    def compute_metrics(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        """The results of one stage over all devices, by name; `loss` is one of them."""

    @abstractmethod
    def report_tables(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        """What a report holds beside the metrics: numbers, strings, and lists and dictionaries of them."""

    @abstractmethod
    def answer(self, batch: B) -> list[dict[str, Any]]:
        """One answer per row of a batch, with or without targets; see `nlp_rnn.inference.pipelines`."""

    @staticmethod
    @abstractmethod
    def format_answer(answer: dict[str, Any]) -> str:
        """An answer as one line of text."""

    def answer_columns(self, scores: bool = False) -> dict[str, AnswerColumn]:
        """The columns of a table of answers by name: `prediction`, and what tells how sure it is.

        Args:
            scores: whether to have the probability of each class too.

        Raises:
            UsageError: there are no classes, or several answers per input.
        """
        if scores:
            raise UsageError(f"scores are probabilities of one label per input, which {self.name} has not")
        return {"prediction": AnswerColumn(pa.string(), self.format_answer)}

    def record_columns(self) -> dict[str, AnswerColumn]:
        """The columns of a table of measured answers by name, see `nlp_rnn.evaluation.answers`."""
        return self.answer_columns()

    def epoch_state(self) -> dict[str, Any]:
        """What this process has to remember to resume within an epoch: tensors and plain values."""
        return {
            "train_loss": self.train_loss.metric_state,
            "step": self._step.state(),
            "workload": self._workload.state(),
        }

    def load_epoch_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `epoch_state` returned."""
        for name, value in state["train_loss"].items():
            setattr(self.train_loss, name, value.to(getattr(self.train_loss, name).device))
        self._step.load(state["step"], self.device)
        self._workload.load(state["workload"])

    # Lightning's hooks.

    def metrics(self, stage: str) -> Mapping[str, Any]:
        """The metrics of "val" or "test", by name."""
        return dict(cast(nn.ModuleDict, self.stage_metrics[f"{stage}_metrics"]).items())

    @override
    def setup(self, stage: str) -> None:
        super().setup(stage)
        if stage == "fit":
            self.check_single("trained")
        datamodule = getattr(self.trainer, "datamodule", None)
        if stage == "fit" and isinstance(datamodule, DataModule):
            self.data_columns, self.drawn = datamodule.data_columns, datamodule.drawn
        elif isinstance(datamodule, DataModule) and differ(self.drawn, datamodule.drawn):
            log.warning(
                "%s: the splits are not those that were drawn in training, so that rows of its train split "
                "may be measured: give data.corpus the settings of the training",
                datamodule.description,
            )
        if stage == "fit" and not self.training:
            self.train()  # a loaded model answers without dropout, and Lightning would leave it so
        if stage == "fit" and self.trainer.checkpoint_callbacks:
            check_storable(self, self.model.state_dict())  # else found out after an epoch

    @override
    def reset_sums(self) -> None:
        for metric in self.modules():
            if isinstance(metric, Metric):
                metric.reset()  # into new memory: spawned processes share the tensors of the first one
        self._step = GlobalStep()
        self._workload = Workload()

    @override
    def configure_model(self) -> None:
        shard(self)

    @override
    def training_step(self, batch: B, batch_idx: int) -> Tensor:
        # A device that has no row of this step takes part in it all the same: the others wait for it.
        loss = torch.zeros((), device=self.device)
        count = torch.zeros_like(loss, dtype=torch.int64)
        if len(batch):
            loss, count = self.loss(batch), self.num_targets(batch)
        self.train_loss.update(loss.detach() * count, count)
        self._workload.add(batch)
        weight, step_loss = self._step.add(loss, count)
        self.log("train/loss_step", step_loss, prog_bar=True, batch_size=len(batch))
        return connect(loss * weight, self.model, zeros=self.device_mesh is not None)

    @override
    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        self._step.finish(self.model, self.trainer.accumulate_grad_batches)
        self.drop_frozen_gradients()

    def skip_step(self) -> None:
        """Let parameters without gradients stay as they are in this optimizer step."""
        self._step.skip()

    @override
    def on_train_epoch_end(self) -> None:
        self.log("train/loss_epoch", self.train_loss.compute())
        self.train_loss.reset()
        for name, value in self._workload.results().items():
            self.log(f"train/{name}", value)

    @override
    def validation_step(self, batch: B, batch_idx: int) -> None:
        if len(batch):
            self.update_metrics(batch, self.metrics("val"))

    @override
    def test_step(self, batch: B, batch_idx: int) -> None:
        if len(batch):
            self.update_metrics(batch, self.metrics("test"))

    @override
    def on_validation_epoch_end(self) -> None:
        self._log_metrics("val")

    @override
    def on_test_epoch_end(self) -> None:
        self._log_metrics("test")

    def _log_metrics(self, stage: str) -> None:
        metrics = self.metrics(stage)
        for name, value in self.compute_metrics(metrics).items():
            self.log(
                f"{stage}/{name}",
                torch.tensor(value, dtype=torch.float64),  # float32 ends at 3e38: the square of 2e19
                prog_bar=stage == "val" and name in ("loss", *self.progress_bar_metrics),
            )
        for metric in metrics.values():
            metric.reset()

    @override
    def predict_step(self, batch: B, batch_idx: int) -> list[dict[str, Any]]:
        answers = self.answer(batch) if len(batch) else []
        return [{"row": row, **answer} for row, answer in zip(batch.rows, answers, strict=True)]
