"""Errors that Lightning would ignore, found before the first batch."""

from __future__ import annotations

from typing import Any, cast

import pytorch_lightning as pl
from pytorch_lightning.callbacks import StochasticWeightAveraging, WeightAveraging
from torch import nn
from typing_extensions import override

from nlp_rnn.data.module import DataModule
from nlp_rnn.data.processor import Processor
from nlp_rnn.errors import UsageError
from nlp_rnn.models.layers.quantization import is_quantized

NO_AVERAGING = (
    "StochasticWeightAveraging averages weights after the last epoch, so that no checkpoint holds them; use "
    "EMAWeightAveraging, which averages in each step"
)


class GuardedModule(pl.LightningModule):
    """A LightningModule that trains in training mode, and on data of its own processor only."""

    processor: Any
    model: nn.Module

    @override
    def setup(self, stage: str) -> None:
        """Check model and data before a run of the trainer, and set the mode for training.

        Raises:
            UsageError: the data has another processor than the model, or the model cannot be trained.
        """
        callbacks = cast(Any, self.trainer).callbacks
        data: Any = getattr(self.trainer, "datamodule", None)
        if isinstance(data, DataModule):
            check_same_data(type(self).__name__, self.processor, data)
        if stage == "fit":
            if any(isinstance(callback, StochasticWeightAveraging) for callback in callbacks):
                raise UsageError(NO_AVERAGING)
            if is_quantized(self.model):
                raise UsageError("int8 weights cannot be trained: train the model that they were made from")
            # Lightning keeps the mode, and a loaded model is in evaluation mode: no dropout. A model in
            # training mode is left alone, for parts of it may be frozen.
            if not self.training:
                self.train()
            if self.trainer.precision == "64-true":
                self.double()  # before a checkpoint is loaded, whose weights Lightning would round
            return
        for callback in callbacks:
            if isinstance(callback, WeightAveraging):
                # A trained model has the averaged weights. Lightning would give them to any other one, too.
                callback._average_model = None


def check_same_data(model: str, processor: Processor, data: DataModule[Any]) -> None:
    """Refuse data whose ids mean something else than those that a model knows.

    Args:
        model: the name of the model's class, for messages.
        processor: the model's processor.
        data: what the model is to be trained or measured on.

    Raises:
        UsageError: the data is for another task, or has another vocabulary, labels or settings.
    """
    theirs = data.processor
    if type(theirs) is not type(processor):
        raise UsageError(f"a {model} model does not read {type(data).__name__}")
    if theirs is not processor and theirs.fingerprint != processor.fingerprint:
        raise UsageError(
            f"the model's vocabulary, labels or processor settings (hash {processor.fingerprint}) are not "
            f"the data's (hash {theirs.fingerprint}): make the model from data.processor, or call "
            "data.attach_processor(task.processor) first"
        )
