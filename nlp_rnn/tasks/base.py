"""The LightningModule that every task shares."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, NamedTuple, Self, TypeVar

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torchmetrics import Metric

from nlp_rnn.data.batching import IGNORED, Batch
from nlp_rnn.data.module import DataModule
from nlp_rnn.data.processor import Processor
from nlp_rnn.data.vocabulary import Vocabulary
from nlp_rnn.errors import UsageError
from nlp_rnn.models.layers.base import RecurrentLayer, State
from nlp_rnn.models.layers.quantization import INT8, is_quantized
from nlp_rnn.settings import Configured, setting_types
from nlp_rnn.storage.card import CardFacts, model_card
from nlp_rnn.storage.stored import FORMAT_VERSION
from nlp_rnn.tasks.metrics import MeanLoss
from nlp_rnn.tasks.optimization import Optimization, initialize, make_optimizer
from nlp_rnn.tasks.pretrained import from_pretrained
from nlp_rnn.tasks.registry import data_classes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

B = TypeVar("B", bound=Batch)
P = TypeVar("P", bound=Processor)


class StreamState(NamedTuple):
    """How far a model has read a stream."""

    answer: dict[str, Any]
    """The answer to what has been read."""
    state: State
    """All that is kept of it."""


class Step(NamedTuple):
    """One step of a model that generates text: the token it read, and the one it predicts next."""

    read: str
    predicted: str
    probability: float
    piece: str
    """What is added to the text; empty while the prompt is read, and at the end."""


@dataclass(frozen=True)
class Probe:
    """How inspection asks a model what it computes.

    Args:
        tokens: the name of the ids in the batch, and of their vocabulary in the processor.
        logits: (model, batch) -> logits of each step [T, B, C]; [1, B, C] where the model answers at the end.
        answers: whether the logits are of labels: "per_step", "running" (at the end of each prefix), or not.
    """

    tokens: str
    logits: Callable[[nn.Module, Any], Tensor]
    answers: Literal["per_step", "running"] | None = None


class Encoder(NamedTuple):
    """The part of a model that another model may start from."""

    vocabulary: Vocabulary
    embedding: nn.Embedding
    rnn: RecurrentLayer


class Task(Configured, pl.LightningModule, ABC, Generic[P, B]):
    """A model, its loss and its metrics, and the processor that turns text into its input.

    The arguments of a subclass's constructor, less the processor, are its settings: checked, recorded in
    `settings` and stored beside the weights.

    Args:
        processor: between text and ids; its sizes are the model's.
        model: gives the scores.
        optimization: initialization, optimizer and schedule.
    """

    name: ClassVar[str]
    processor_class: ClassVar[type[Processor]]
    example: str | list[Any]
    """An input to ask a model about."""
    progress_bar_metrics: ClassVar[tuple[str, ...]]
    """The metrics that the progress bar shows beside the loss."""
    conllu_answer: ClassVar[str | None] = None
    """What of an answer goes into a CoNLL-U file, one tag per word; None where nothing does."""
    not_settings = frozenset({"processor", "init_encoder"})

    def __init__(self, processor: P, model: nn.Module, optimization: Optimization) -> None:
        super().__init__()
        self.processor = processor
        self.model = model
        self.optimization = optimization
        self.train_loss = MeanLoss()
        self._padding: dict[str, list[int]] = {}
        self.stage_metrics = nn.ModuleDict(
            {f"{stage}_metrics": nn.ModuleDict(self.make_metrics()) for stage in ("val", "test")}
        )
        initialize(model, optimization)

    @classmethod
    def data_classes(cls) -> tuple[type[DataModule], ...]:
        """The DataModules that give what this task reads; the first reads any corpus."""
        return data_classes(cls.name)

    # What each task says of itself.

    @abstractmethod
    def loss(self, batch: B) -> Tensor:
        """The training loss of a batch, a scalar."""

    def num_targets(self, batch: B) -> Tensor:
        """The number of targets that `loss` is the mean over, a scalar."""
        assert batch.labels is not None
        return batch.labels.ne(IGNORED).sum()

    @abstractmethod
    def make_metrics(self) -> dict[str, Metric]:
        """Fresh metrics of one stage, by name."""

    @abstractmethod
    def update_metrics(self, batch: B, metrics: Mapping[str, Any]) -> None:
        """Add a batch with targets to one stage's metrics."""

    @abstractmethod
    def compute_metrics(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        """The results of one stage, `loss` among them, over all devices."""

    @abstractmethod
    def report_tables(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        """What a report shows beside the metrics: tables and matrices of plain values."""

    @abstractmethod
    def answer(self, batch: B) -> list[dict[str, Any]]:
        """The answer to each row of a batch, with or without targets; see `nlp_rnn.pipeline`."""

    @staticmethod
    @abstractmethod
    def format_answer(answer: dict[str, Any]) -> str:
        """An answer as bare text."""

    # What a task may offer, and refuses otherwise.

    def plots(self, report: Mapping[str, Any]) -> dict[str, Figure]:
        """The plots of a report of this task, by file name without ending."""
        return {}

    def probe(self) -> Probe:
        """What inspection asks a model of this task.

        Raises:
            UsageError: models of this task cannot be inspected.
        """
        raise UsageError(f"a model for {self.name} cannot be inspected: give a model that reads text")

    def with_decoding(self, beam: int | None = None, n_best: int = 1) -> Self:
        """This task, decoding with another beam; all else is shared.

        Args:
            beam: width of the beam; as the model was trained if left out.
            n_best: answers per input, at most `beam`.

        Raises:
            UsageError: answers of this task are not decoded, or a number is out of range.
        """
        raise UsageError(f"beam and n_best are for tasks that generate text, which {self.name} is not")

    def generate(self, prompt: str, settings: Any) -> Iterator[Step]:
        """Continue a text, one step at a time.

        Raises:
            UsageError: models of this task do not continue texts.
        """
        raise UsageError(f"texts are continued by language_modeling; this model is for {self.name}")

    def encoder(self) -> Encoder:
        """The part of the model that a model of another task may start from.

        Raises:
            UsageError: there is none.
        """
        raise UsageError(f"holds a model for {self.name}, not for language_modeling")

    def apply_settings(self, settings: Mapping[str, Any]) -> None:
        """Take over those constructor arguments that a trained model may change when it answers."""

    def start_stream(self) -> StreamState:
        """The state before the first token, with the answer to an empty text.

        Raises:
            UsageError: such models, or this one, answer whole inputs only.
        """
        raise UsageError(f"a model for {self.name} answers whole inputs only: it has no stream")

    def read_stream(self, piece: Any, stream: StreamState) -> StreamState:
        """Read a piece of input whose tokens cannot change any more; one without a token changes nothing."""
        raise NotImplementedError  # pragma: no cover

    # Lightning's hooks.

    def metrics(self, stage: str) -> Mapping[str, Any]:
        """The metrics of "val" or "test", by name."""
        return dict(self.stage_metrics[f"{stage}_metrics"].items())  # type: ignore[operator, union-attr]

    def training_step(self, batch: B, batch_idx: int) -> Tensor:
        loss = self.loss(batch)
        self.log("train/loss_step", loss, prog_bar=True, batch_size=len(batch))
        count = self.num_targets(batch)
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
        self.update_metrics(batch, self.metrics("val"))

    def test_step(self, batch: B, batch_idx: int) -> None:
        self.update_metrics(batch, self.metrics("test"))

    def on_validation_epoch_end(self) -> None:
        self._report("val")

    def on_test_epoch_end(self) -> None:
        self._report("test")

    def _report(self, stage: str) -> None:
        metrics = self.metrics(stage)
        for name, value in self.compute_metrics(metrics).items():
            self.log(
                f"{stage}/{name}",
                value,
                prog_bar=stage == "val" and name in ("loss", *self.progress_bar_metrics),
            )
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

    # What is stored: plain values and tensors, so that reading needs no pickle.

    def stored(self) -> dict[str, Any]:
        """All that is needed beside the weights to build this task again."""
        return {
            "format_version": FORMAT_VERSION,
            "task": self.name,
            "settings": self.settings,
            "processor": self.processor.state(),
            **({"weights": INT8} if is_quantized(self.model) else {}),
        }

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any]) -> Task:
        """The task that `stored` describes, with fresh float weights.

        Raises:
            UsageError: it has settings that this class does not have, or with values out of range.
        """
        processor = cls.processor_class.from_state(stored["processor"])
        hints = setting_types(cls)
        unknown = sorted(set(stored["settings"]) - set(hints))
        if unknown:
            raise UsageError(f"task {cls.name} has no setting {unknown[0]!r}: upgrade nlp_rnn")
        settings = {
            name: hints[name](**value) if is_dataclass(hints[name]) else value
            for name, value in stored["settings"].items()
        }
        return cls(processor, **settings)  # type: ignore[call-arg, arg-type]

    def summary(self) -> str:
        """The class, the number of parameters and the sizes of the vocabularies, in one line."""
        parameters = sum(parameter.numel() for parameter in self.model.parameters())
        sizes = {f"{name} vocabulary": len(v) for name, v in self.processor.vocabularies().items()}
        if classes := self.processor.settings().get("labels"):
            sizes["classes"] = len(classes)
        return ", ".join(
            [f"{type(self).__name__}, {parameters:,} parameters", *(f"{n} {s:,}" for n, s in sizes.items())]
        )

    def card(
        self, corpus: str = "", command: str = "", metrics: Mapping[str, Mapping[str, float]] | None = None
    ) -> str:
        """The README.md of this model's folder.

        Args:
            corpus: what the model was trained on, if known.
            command: the command that trained it, if known.
            metrics: split -> metric -> value, as measured.
        """
        parameters = self.model.named_parameters()
        return model_card(
            CardFacts(
                task=self.name,
                example=self.example,
                num_parameters=sum(p.numel() for name, p in parameters if not name.endswith(".scale")),
                vocabularies={n: len(vocabulary) for n, vocabulary in self.processor.vocabularies().items()},
                model=str(self.model),
                corpus=corpus,
                command=command,
                metrics=metrics or {},
            )
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["nlp_rnn"] = self.stored()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        stored = checkpoint.get("nlp_rnn")
        if stored is None:
            raise UsageError("the checkpoint was not written by nlp_rnn: it has no vocabulary")
        theirs = self.processor_class.from_state(stored["processor"])
        if theirs.fingerprint != self.processor.fingerprint:
            old, new = theirs.chosen_settings(), self.processor.chosen_settings()
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
        task = from_pretrained(checkpoint_path)
        if not isinstance(task, cls):
            raise UsageError(f"{checkpoint_path} holds a model for {task.name}, not for {cls.name}")
        return task
