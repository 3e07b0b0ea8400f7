"""An optimizer step over all batches that contribute to it, on all devices."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from typing_extensions import override

from nlp_rnn.data.batching import Batch
from nlp_rnn.models.layers.autograd import Function


class GlobalStep:
    """Makes each gradient the mean over all targets of a step, however they are divided into batches.

    Devices average their gradients, and Lightning averages those of accumulated batches. A mean of means is
    the mean over targets only if all batches have as many. So each batch's loss is weighted by its share of
    the targets that all devices have at that moment, relative to the first batch of the step; and where
    batches are accumulated, the sum is rescaled before the optimizer uses it.
    """

    def __init__(self) -> None:
        self._first: Tensor | None = None  # targets of the step's first batch on all devices, at least 1
        self._sums = torch.zeros(2)  # the sum of all losses and the number of all targets so far

    def add(self, mean: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
        """Add this device's next batch; every device adds one at the same time.

        Args:
            mean: mean loss of its targets, a scalar.
            count: their number, a scalar.

        Returns:
            The factor of its loss, and the mean over all targets of the step so far, float32 scalars.
        """
        sums = torch.stack([mean.detach().float() * count, count.to(mean.device, torch.float32)])
        world_size = 1
        if dist.is_available() and dist.is_initialized():
            world_size = dist.get_world_size()
            dist.all_reduce(sums)  # Lightning's `reduce` adds a barrier
        if self._first is None:
            self._first, self._sums = sums[1].clamp(min=1), sums
        else:
            self._sums = self._sums + sums
        return count * world_size / self._first, self._sums[0] / self._sums[1].clamp(min=1)

    def skip(self) -> None:
        """Leave the step out: the next batch is the first of another one."""
        self._first = None

    def finish(self, model: nn.Module, batches: int) -> None:
        """Complete the gradients of a step, just before the optimizer uses them.

        Args:
            model: a parameter that no batch depended on gets a gradient of zeros.
            batches: by how many accumulated batches the gradients have been divided.
        """
        first, self._first = self._first, None
        if first is None:  # the step is skipped
            return
        gradients = []
        for parameter in _trained(model):
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
        if batches > 1:
            factor = batches * first / self._sums[1].clamp(min=1)
            torch._foreach_mul_(gradients, factor)

    def state(self) -> list[Tensor | None]:
        """What a step has summed up after its first batches, for `load`."""
        return [self._first, self._sums]

    def load(self, state: list[Tensor | None], device: torch.device) -> None:
        """Restore what `state` returned, on a device."""
        first, sums = (None if value is None else value.to(device) for value in state)
        assert sums is not None
        self._first, self._sums = first, sums


class Workload:
    """Counts the work of one device in an epoch: padding, and whether devices wait for each other."""

    def __init__(self) -> None:
        self._tokens: dict[str, list[int]] = {}  # tokens, and positions with padding, by field name
        self._costs: list[int] = []  # positions of each batch

    def add(self, batch: Batch) -> None:
        """Add a batch; every device adds as many."""
        cost = 0
        for name, lengths in batch.all_lengths().items():
            positions = int(lengths.max()) * len(lengths)
            sums = self._tokens.setdefault(name, [0, 0])
            sums[0] += int(lengths.sum())
            sums[1] += positions
            cost += positions
        self._costs.append(cost)

    def state(self) -> list[Any]:
        """What has been counted so far, for `load`."""
        return [self._tokens, self._costs]

    def load(self, state: list[Any]) -> None:
        """Restore what `state` returned."""
        self._tokens, self._costs = state

    def results(self) -> dict[str, float]:
        """The metrics over all devices, by name; they begin anew.

        `padding` is the fraction of positions that are padding; a further sequence of each row has its own,
        such as `padding_target`. With several devices, `imbalance` is the fraction of time that devices wait
        for the slowest one, if a batch takes time in proportion to its positions.
        """
        devices: list[Any] = [(self._tokens, self._costs)]
        if dist.is_available() and dist.is_initialized():
            devices = [None] * dist.get_world_size()
            dist.all_gather_object(devices, (self._tokens, self._costs))
        self._tokens, self._costs = {}, []
        results = {}
        for name in dict.fromkeys(name for tokens, _ in devices for name in tokens):
            tokens, positions = map(sum, zip(*(sums.get(name, (0, 0)) for sums, _ in devices), strict=True))
            metric = "_".join(["padding", *name.split("_")[:-1]])
            results[metric] = 1 - tokens / max(1, positions)
        if len(devices) > 1:
            steps = list(zip(*(costs for _, costs in devices), strict=True))
            longest = len(devices) * sum(map(max, steps))
            results["imbalance"] = 1 - sum(map(sum, steps)) / max(1, longest)
        return results


def connect(loss: Tensor, model: nn.Module, zeros: bool = False) -> Tensor:
    """The loss as it is, but dependent on every parameter, so that backward reaches each.

    DDP waits for the gradient of each parameter, and a batch of empty texts alone depends on few of them. The
    others' gradient stays undefined, which costs nothing and which DDP takes for zeros.

    Args:
        loss: a scalar.
        model: has the parameters.
        zeros: whether their gradients are zeros instead, as sharded weights need it.
    """
    connected: Tensor = _Connect.apply(loss, zeros, *_trained(model))
    return connected


def _trained(model: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


class _Connect(Function):
    @staticmethod
    @override
    def forward(ctx: Any, loss: Tensor, zeros: bool, *parameters: Tensor) -> Tensor:
        ctx.gradients = [p.new_zeros(()).expand_as(p) if zeros else None for p in parameters]
        return loss.clone()

    @staticmethod
    @override
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return gradient, None, *ctx.gradients
