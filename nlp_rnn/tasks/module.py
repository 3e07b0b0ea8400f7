"""The LightningModule that every task shares."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar, get_type_hints

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import Metric

from nlp_rnn.data.batching import IGNORED, Batch
from nlp_rnn.data.processor import Processor
from nlp_rnn.errors import UsageError
from nlp_rnn.metrics import MeanLoss, class_report
from nlp_rnn.models.classifier import POOLINGS
from nlp_rnn.models.recurrent import CELLS, State
from nlp_rnn.settings import check_settings
from nlp_rnn.tasks.optimization import Optimization, initialize, make_optimizer

FORMAT_VERSION = 1
"""Of what is stored beside the weights, in checkpoints and model folders."""

B = TypeVar("B", bound=Batch)
P = TypeVar("P", bound=Processor)


class Reading(NamedTuple):
    """How far a model has come in a text that it reads a token at a time."""

    answer: dict[str, Any]
    """What it says of what it has read."""
    state: State
    """All that it keeps of that."""


class Task(pl.LightningModule, ABC, Generic[P, B]):
    """A model, its loss and its metrics, and the processor that turns text into its input.

    Args:
        processor: between text and ids; its sizes are the model's.
        model: the scores.
        settings: the constructor's other arguments, as stored beside the weights: plain values alone.
        optimization: how the weights are moved.
    """

    name: ClassVar[str]
    processor_class: ClassVar[type[Processor]]
    example: str | list[Any]
    """An input that one may ask a model about."""
    shown: ClassVar[tuple[str, ...]]
    """The figures that the progress bar shows beside the loss."""

    def __init__(
        self, processor: P, model: nn.Module, settings: dict[str, Any], optimization: Optimization
    ) -> None:
        super().__init__()
        self.processor = processor
        self.model = model
        self.settings = settings
        self.optimization = optimization
        self.train_loss = MeanLoss()
        self._padding: dict[str, list[int]] = {}
        self.stage_metrics = nn.ModuleDict(
            {f"{stage}_metrics": nn.ModuleDict(self.make_metrics()) for stage in ("val", "test")}
        )
        initialize(model, optimization)

    def metrics(self, stage: str) -> Mapping[str, Any]:
        """The metrics of "val" or "test", by name."""
        return dict(self.stage_metrics[f"{stage}_metrics"].items())  # type: ignore[operator, union-attr]

    @abstractmethod
    def loss(self, batch: B) -> Tensor:
        """The training loss of a batch."""

    def scored(self, batch: B) -> Tensor:
        """Over how many targets `loss` is the mean, a scalar."""
        assert batch.labels is not None
        return batch.labels.ne(IGNORED).sum()

    @abstractmethod
    def measure(self, batch: B, metrics: Mapping[str, Any]) -> None:
        """Add a batch with targets to one stage's metrics."""

    @abstractmethod
    def results(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        """The figures of one stage, `loss` among them, of all devices together."""

    @abstractmethod
    def details(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        """What an evaluation shows beside the figures: tables and matrices of plain values."""

    @abstractmethod
    def make_metrics(self) -> dict[str, Metric]:
        """The metrics of one stage, fresh."""

    @abstractmethod
    def answer(self, batch: B) -> list[dict[str, Any]]:
        """What the model says of each row of a batch, targets or not; see `nlp_rnn.pipeline`."""

    @staticmethod
    @abstractmethod
    def plain(answer: dict[str, Any]) -> str:
        """An answer as bare text."""

    # Answering while reading, where a task can: see `nlp_rnn.streaming`.

    def begin(self) -> Reading:
        """Before the first token: the answer of an empty text.

        Raises:
            UsageError: such models, or this one, answer whole inputs only.
        """
        raise UsageError(f"a model for {self.name} answers whole inputs only: it has no stream")

    def advance(self, piece: Any, reading: Reading) -> Reading:
        """Read on: a piece of input, as the processor settles it; without a token in it nothing changes."""
        raise NotImplementedError  # pragma: no cover

    def training_step(self, batch: B, batch_idx: int) -> Tensor:
        loss = self.loss(batch)
        self.log("train/loss_step", loss, prog_bar=True, batch_size=len(batch))
        count = self.scored(batch)
        self.train_loss.update(loss.detach() * count, count)
        for name, lengths in batch.all_lengths().items():
            sums = self._padding.setdefault(name, [0, 0])
            sums[0] += int(lengths.sum())
            sums[1] += int(lengths.max()) * len(lengths)
        return loss

    def on_train_epoch_end(self) -> None:
        self.log("train/loss_epoch", self.train_loss.compute())
        self.train_loss.reset()
        sums = torch.tensor(list(self._padding.values()), device=self.device)
        sums = self.trainer.strategy.reduce(sums, reduce_op="sum")
        for name, (tokens, positions) in zip(self._padding, sums.tolist(), strict=True):
            what = "_".join(["padding", *name.split("_")[:-1]])  # padding, padding_target, padding_character
            self.log(f"train/{what}", 1 - tokens / max(1, positions))
        self._padding.clear()

    def validation_step(self, batch: B, batch_idx: int) -> None:
        self.measure(batch, self.metrics("val"))

    def test_step(self, batch: B, batch_idx: int) -> None:
        self.measure(batch, self.metrics("test"))

    def on_validation_epoch_end(self) -> None:
        self._report("val")

    def on_test_epoch_end(self) -> None:
        self._report("test")

    def _report(self, stage: str) -> None:
        metrics = self.metrics(stage)
        for name, value in self.results(metrics).items():
            self.log(f"{stage}/{name}", value, prog_bar=stage == "val" and name in ("loss", *self.shown))
        for metric in metrics.values():
            metric.reset()

    def predict_step(self, batch: B, batch_idx: int) -> list[dict[str, Any]]:
        return [{"row": row, **answer} for row, answer in zip(batch.rows, self.answer(batch), strict=True)]

    def configure_optimizers(self) -> Any:
        return make_optimizer(self.model, self.optimization, lambda: self.trainer.estimated_stepping_batches)

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        # Lightning refuses to clip for a fused optimiser under mixed precision; only float16's loss scaling,
        # which bfloat16 does without, is a reason to.
        if gradient_clip_val and self.trainer.precision != "16-mixed":
            clip = (
                nn.utils.clip_grad_value_ if gradient_clip_algorithm == "value" else nn.utils.clip_grad_norm_
            )
            clip(self.model.parameters(), gradient_clip_val)
        else:
            super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)

    # What is stored: plain values and tensors, nothing that needs pickle's powers to be read.

    def stored(self) -> dict[str, Any]:
        """All that is needed beside the weights to build this task again."""
        return {
            "format_version": FORMAT_VERSION,
            "task": self.name,
            "settings": self.settings,
            "processor": self.processor.state(),
        }

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any]) -> Task:
        """The task that `stored` describes, with fresh weights.

        Raises:
            UsageError: it is of a newer format, or of settings that this class does not have.
        """
        processor = cls.processor_class.from_state(stored["processor"])
        hints = get_type_hints(cls.__init__)
        unknown = sorted(set(stored["settings"]) - set(hints))
        if unknown:
            raise UsageError(f"task {cls.name} has no setting {unknown[0]!r}: upgrade nlp_rnn")
        settings = {
            name: hints[name](**value) if is_dataclass(hints[name]) else value
            for name, value in stored["settings"].items()
        }
        return cls(processor, **settings)  # type: ignore[call-arg, arg-type]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["nlp_rnn"] = self.stored()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        stored = checkpoint.get("nlp_rnn")
        if stored is None:
            raise UsageError("the checkpoint was not written by nlp_rnn: it has no vocabulary")
        theirs = self.processor_class.from_state(stored["processor"])
        if theirs.fingerprint != self.processor.fingerprint:
            old, new = _set(theirs), _set(self.processor)
            if changed := [f"{name} {new[name]} (was {old[name]})" for name in old if old[name] != new[name]]:
                raise UsageError(
                    f"the checkpoint was trained on data with other settings: {', '.join(changed)}; "
                    "use those it was trained with"
                )
            raise UsageError(
                f"the checkpoint was trained with another vocabulary or labels (hash {theirs.fingerprint}) "
                f"than the data gives (hash {self.processor.fingerprint}): use the corpus and settings "
                "it was trained with"
            )

    @classmethod
    def load_from_checkpoint(cls, checkpoint_path: str | Path) -> Task:  # type: ignore[override]
        """Read a Lightning checkpoint that this package wrote; see `nlp_rnn.from_pretrained`."""
        from nlp_rnn.pretrained import from_pretrained

        task = from_pretrained(checkpoint_path)
        if not isinstance(task, cls):
            raise UsageError(f"{checkpoint_path} holds a model for {task.name}, not for {cls.name}")
        return task


def _set(processor: Processor) -> dict[str, Any]:
    """What of a processor is set rather than found in data, by name."""
    plain = {
        name: value
        for name, value in vars(processor).items()
        if value is None or type(value) in (bool, int, str)
    }
    return plain | processor.reading()


def check_forward(model: nn.Module) -> None:
    """Refuse to stream with a model that must see the end first.

    Raises:
        UsageError: its layers read from both ends.
    """
    if model.rnn.bidirectional:  # type: ignore[union-attr]
        raise UsageError(
            "the model reads from both ends, so it cannot answer before the text has ended: "
            "train with --model.bidirectional false"
        )


def plain_settings(arguments: dict[str, Any]) -> dict[str, Any]:
    """A constructor's `locals()` as plain values, checked; without what is no part of a trained model."""
    settings = {
        name: asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        for name, value in arguments.items()
        if name not in ("self", "processor", "init_encoder", "__class__")
    }
    check_settings(settings)
    check_choices(settings)
    return settings


def check_choices(settings: Mapping[str, Any]) -> None:
    """Refuse the name of a cell or pooling that there is not.

    Raises:
        UsageError: names the setting, its value, and what it may be.
    """
    for name, table in (("cell", CELLS), ("pooling", POOLINGS)):
        if name in settings and settings[name] not in table:
            raise UsageError(f"{name} must be one of {', '.join(table)}, not {settings[name]!r}")


def class_details(matrix: Tensor, labels: Sequence[str]) -> dict[str, Any]:
    """The scores of each class, and the confusion matrix [C, C] itself."""
    report = class_report(matrix)
    columns = (report.precision, report.recall, report.f1, report.support)
    scores = zip(*(column.tolist() for column in columns), strict=True)
    classes = [
        {"class": label, "precision": precision, "recall": recall, "f1": f1, "support": support}
        for label, (precision, recall, f1, support) in zip(labels, scores, strict=True)
    ]
    return {"classes": classes, "labels": list(labels), "confusion": matrix.tolist()}


def class_figures(matrix: Tensor, labels: Sequence[str]) -> dict[str, float]:
    """Accuracy, macro F1 and each class's F1 from a confusion matrix [C, C]."""
    report = class_report(matrix)
    by_class = {f"f1_{label}": value for label, value in zip(labels, report.f1.tolist(), strict=True)}
    return {"accuracy": report.accuracy, "f1": report.macro_f1, **by_class}


def mean_loss(logits: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
    """Cross-entropy a scored token, 0 where none is: logits [T, B, C], labels [T, B] -> scalar."""
    total = F.cross_entropy(
        logits.flatten(0, 1).float(),
        labels.flatten(),
        ignore_index=IGNORED,
        label_smoothing=label_smoothing,
        reduction="sum",
    )
    return total / (labels != IGNORED).sum().clamp(min=1)


def drop_words(tokens: Tensor, share: float, replacement: int) -> Tensor:
    """[T, B] ids with a share of them replaced by the unknown word (word dropout, Iyyer et al. 2015)."""
    if not share:
        return tokens
    dropped = torch.rand(tokens.shape, device=tokens.device) < share
    return tokens.masked_fill(dropped, replacement)
