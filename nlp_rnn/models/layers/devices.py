"""What devices can and cannot do."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_WITH_FLOAT64 = frozenset({"cpu", "cuda"})  # others may lack it: MPS does, and some of Intel's GPUs


def has_float64(device: torch.device) -> bool:
    """Return whether tensors on a device may surely be float64."""
    return device.type in _WITH_FLOAT64


def autocast_is_right(device: torch.device) -> bool:
    """Return whether torch's own recurrent kernels work under the autocast that is enabled on a device.

    cuDNN's are cast to float16 even where the dtype is bfloat16, and then nothing scales the loss
    (`aten/src/ATen/cudnn/AutocastRNN.cpp` of PyTorch). oneDNN's fail on a CPU without instructions for
    bfloat16, and in training with float16 on every CPU. Those of MPS get inputs and weights of different
    dtypes.
    """
    dtype = torch.get_autocast_dtype(device.type)
    if device.type == "cpu":
        onednn: Any = torch.ops.mkldnn
        if not torch.backends.mkldnn.is_available():
            return True  # kernels that are made of ordinary operations
        return dtype == torch.bfloat16 and bool(onednn._is_mkldnn_bf16_supported())
    return device.type == "cuda" and dtype == torch.float16


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Move a tensor from the CPU to a device; with CUDA, the CPU does not wait for the copy.

    A copy from memory that is not pinned is safe too: CUDA reads all of it before the call returns. On MPS
    it is not (PyTorch issue 83015).
    """
    return tensor.to(device, non_blocking=device.type == "cuda")
