"""Numbers that are computed on a device and read later, so that the program need not wait for the device."""

from __future__ import annotations

import torch
from torch import Tensor


class LateNumber:
    """A number on a device; on CUDA it is copied to the host while the device goes on.

    Args:
        value: a scalar.
    """

    def __init__(self, value: Tensor) -> None:
        self._value = value.to("cpu", non_blocking=value.is_cuda)
        self._copied = torch.cuda.current_stream(value.device).record_event() if value.is_cuda else None

    def read(self) -> float:
        """Wait for the copy, and give the number."""
        if self._copied is not None:
            self._copied.synchronize()
        return float(self._value)
