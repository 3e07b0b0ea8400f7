"""Weights, gradients and optimizer state divided among devices (FSDP2)."""

from __future__ import annotations

import pytorch_lightning as pl
from torch import nn
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method

from nlp_rnn.errors import UsageError

_STEPS = ("training_step", "validation_step", "test_step", "predict_step")


def shard(module: pl.LightningModule) -> None:
    """Divide a module among devices, if Lightning's `ModelParallelStrategy` runs it.

    The module is sharded as a whole: within a step each device has all weights, for losses and kernels use
    weights of layers that they do not call.

    Raises:
        UsageError: tensors are to be divided too (tensor parallelism), which the layers cannot do.
    """
    mesh = module.device_mesh
    if mesh is None:
        return
    if mesh["tensor_parallel"].size() > 1:
        raise UsageError(
            "recurrent layers are not divided by tensor parallelism: set the strategy's "
            "tensor_parallel_size to 1 and data_parallel_size to the number of devices"
        )
    fully_shard(module, mesh=mesh["data_parallel"])
    for step in _STEPS:
        register_fsdp_forward_method(module, step)


def unsharded_class(module: nn.Module) -> type:
    """The class of a module, whether `shard` has divided it or not: that changes its class."""
    owner = type(module)
    return owner.__mro__[2] if isinstance(module, FSDPModule) else owner
