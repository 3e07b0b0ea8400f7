"""How a task is described, stored and loaded: plain values and tensors, so that reading needs no pickle."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import torch
from pytorch_lightning.trainer.states import TrainerFn
from torch import nn
from typing_extensions import override

from nlp_rnn.data.corpus.drawing import Drawn, differ
from nlp_rnn.data.processor import Processor, difference_of
from nlp_rnn.errors import UsageError
from nlp_rnn.lite.folders.folder import FORMAT_VERSION
from nlp_rnn.models.layers.quantization import INT8, is_quantized
from nlp_rnn.settings import Configured, restore_settings
from nlp_rnn.storage.card import CardFacts, model_card
from nlp_rnn.storage.results import Measured
from nlp_rnn.tasks.capabilities import Capabilities
from nlp_rnn.tasks.optimization import Optimization
from nlp_rnn.tasks.optimized_module import OptimizedModule
from nlp_rnn.tasks.own_classes import class_name, describe_module
from nlp_rnn.tasks.placement import on_device
from nlp_rnn.tasks.pretrained import check_same_draw, check_same_processor, check_storable, from_pretrained
from nlp_rnn.tasks.registry import ROWS, TASKS
from nlp_rnn.tasks.sharding import unsharded_class


class StoredModule(Capabilities, Configured, OptimizedModule):
    """A LightningModule that is stored as settings, processor and weights.

    Args:
        processor: turns inputs into ids and ids into batches.
        model: computes the scores.
        optimization: initialization, optimizer and schedule.
    """

    processor_class: ClassVar[type[Processor]]
    example: str | list[Any]
    """An input for documentation, such as the code in a model's card."""

    def __init__(self, processor: Any, model: nn.Module, optimization: Optimization) -> None:
        super().__init__()
        self.processor = processor
        self.model = model
        self._model_class = type(model)
        self.optimization = optimization
        self.data_columns: dict[str, Any] = {}
        """The names of the columns that it was trained on, as arguments of the DataModule. `corpus` holds the
        columns and the encoding that were stated for files, if any. Empty if not known."""
        self.drawn: Drawn | None = None
        """Which rows of its data were drawn for which split; None if none were, or that is not known."""
        self.members: tuple[Self, ...] = ()
        """The models of an ensemble; none of a single model."""

    @classmethod
    @override
    def check_arguments(cls, arguments: Mapping[str, Any]) -> None:
        processor, wanted = arguments.get("processor"), getattr(cls, "processor_class", Processor)
        if not isinstance(processor, wanted):
            raise UsageError(
                f"{cls.__name__} takes a {wanted.__name__}, not a {type(processor).__name__}: of data, give "
                "data.processor"
            )

    def with_model(self, model: nn.Module) -> Self:
        """A task that shares all but the model with this one."""
        task = copy.copy(self)
        task._modules = {**self._modules, "model": model}
        return task

    def check_single(self, what: str) -> None:
        """Refuse an ensemble.

        Args:
            what: what only a single model can be, such as "saved".

        Raises:
            UsageError: this is an ensemble.
        """
        if self.members:
            raise UsageError(
                f"an ensemble of {len(self.members)} models cannot be {what}: give one of its models"
            )

    def check_fits(self, other: Self) -> None:
        """Check that a model can answer together with another one.

        Args:
            other: the first model of the ensemble.

        Raises:
            UsageError: says in what they differ.
        """
        if type(self) is not type(other):
            raise UsageError(f"is a {type(self).__name__}, not a {type(other).__name__}")
        self.check_single("a part of another one")
        if difference := difference_of(self.processor, other.processor):
            raise UsageError(
                f"{difference}: train all models of an ensemble on the same data with the same data settings"
            )
        if differ(self.drawn, other.drawn):
            raise UsageError(
                "was trained on other rows of the same data, so that one would be measured on what the other "
                "has seen: train all models of an ensemble with the same data.corpus"
            )

    def stored(self) -> dict[str, Any]:
        """What is needed beside the weights to build this task again: plain values only."""
        return {
            "format_version": FORMAT_VERSION,
            "task": self.name,
            "settings": self.settings,
            "processor": self.processor.state(),
            "fingerprint": self.processor.fingerprint,
            **({"weights": INT8} if is_quantized(self.model) else {}),
            **self._own_classes(),
            **({"data_columns": self.data_columns} if self.data_columns else {}),
            **({"drawn": asdict(self.drawn)} if self.drawn else {}),
        }

    def _own_classes(self) -> dict[str, Any]:
        """The user's own classes, if the task or its model is of one."""
        task_class = unsharded_class(self)
        owner: dict[str, Any] = (
            {} if TASKS.get(self.name) is task_class else {"class": class_name(task_class)}
        )
        if type(self.model) is not self._model_class:
            owner["model"] = describe_module(self.model)
        return owner

    @classmethod
    def from_settings(cls, processor: Processor, settings: Mapping[str, Any]) -> Self:
        """A task with newly initialized float weights, from plain settings.

        Args:
            processor: of this class's `processor_class`.
            settings: what `settings` of a task returned.

        Raises:
            UsageError: a setting is unknown to this class, or has a value out of range.
        """
        constructor: Callable[..., Self] = cls
        return constructor(processor, **restore_settings(cls, settings, f"task {cls.name}"))

    def summary(self) -> str:
        """The class, the number of parameters and the sizes of the vocabularies, in one line."""
        parameters = sum(parameter.numel() for parameter in self.model.parameters())
        sizes = {f"{name} vocabulary": len(v) for name, v in self.processor.vocabularies().items()}
        if classes := self.processor.settings().get("labels"):
            sizes["classes"] = len(classes)
        models = [f"{len(self.members)} models"] if self.members else []
        counts = [f"{parameters:,} parameters", *(f"{name} {size:,}" for name, size in sizes.items())]
        return ", ".join([type(self).__name__, *models, *counts])

    @override
    def __repr__(self) -> str:
        return f"{self.summary()}\n{self.model}"

    def card(
        self,
        corpus: str = "",
        command: str = "",
        metrics: Mapping[str, Mapping[str, float]] | None = None,
        results: Sequence[Measured] = (),
        seed: int | None = None,
        extra: Sequence[str] = (),
        averaged: Sequence[str] = (),
    ) -> str:
        """The README.md of this model's folder.

        Args:
            corpus: what the model was trained on, if known.
            command: the command that trained it, if known.
            metrics: split -> metric -> measured value.
            results: those of them that can be measured again.
            seed: of the training, if known.
            extra: a description of each extra training corpus.
            averaged: the models whose weights its own are the mean of.
        """
        row = ROWS.get(self.name)
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
                results=results,
                seed=seed,
                pipeline_tag=None if row is None else row.pipeline_tag,
                extra=extra,
                averaged=averaged,
            )
        )

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        check_storable(cast(Any, self), checkpoint["state_dict"], "model.")
        checkpoint["nlp_rnn"] = self.stored()

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        stored = checkpoint.get("nlp_rnn")
        if stored is None:
            raise UsageError("the checkpoint was not written by nlp_rnn: it has no vocabulary")
        if self._trainer is not None and self.trainer.state.fn == TrainerFn.FITTING:
            check_same_draw(stored.get("drawn"), self.drawn)
        check_same_processor(self.processor_class.from_state(stored["processor"]), self.processor)
        super().on_load_checkpoint(checkpoint)

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]
        cls,
        checkpoint_path: str | Path,
        map_location: str | torch.device | None = None,
        hparams_file: None = None,
        strict: bool | None = None,
        weights_only: bool | None = None,
    ) -> Self:
        """Read a Lightning checkpoint that this package wrote; see `nlp_rnn.from_pretrained`.

        Args:
            checkpoint_path: the .ckpt file.
            map_location: the device of the model; the CPU if left out.
            hparams_file: not supported, for a checkpoint holds all settings.
            strict: only True, for a model is loaded whole or not at all.
            weights_only: only True, for nothing is unpickled.

        Raises:
            UsageError: it cannot be loaded, is for another task, an argument is not supported, or there is no
                such device.
        """
        if hparams_file is not None or strict is False or weights_only is False:
            raise UsageError(
                "load_from_checkpoint: a checkpoint holds all settings, is loaded whole and never unpickled; "
                "leave out hparams_file, strict=False and weights_only=False"
            )
        task = from_pretrained(checkpoint_path, cast(Any, cls))
        if not isinstance(task, cls):
            raise UsageError(
                f"{checkpoint_path} holds a model for {task.name}, not for {cls.name}"
                if task.name != cls.name
                else f"{checkpoint_path} holds a {type(task).__name__}, not a {cls.__name__}"
            )
        return task if map_location is None else cast(Self, on_device(task, map_location))
