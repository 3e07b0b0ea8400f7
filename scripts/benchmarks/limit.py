"""What the machine could do at best: bare matrix products, and bare `nn.LSTM` layers on random tensors."""

from __future__ import annotations

from itertools import cycle, islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.flops import Product, task_products
from benchmarks.given import Given
from benchmarks.ours import UNITS, autocast, counted, data_of, settled, task_of
from benchmarks.worker import Caller

_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@settled
def square(given: Given, caller: Caller, precision: str, flops: float) -> None:
    """The best there is: products of large square matrices, counted as rows of so many operations each."""
    size = 64 if given.quick else 2048
    left, right = (torch.randn(size, size, device=given.device, dtype=_TYPES[precision]) for _ in "ab")
    result = left @ right
    for times in caller.rounds():
        with caller.measured(UNITS[given.task], given.device) as found:
            for _ in range(times):
                torch.mm(left, right, out=result)
            found.update(units=times * 2 * size**3 / flops, flops=times * 2 * size**3)


@settled
def products(given: Given, caller: Caller, precision: str) -> None:
    """The products of real training steps, forward and both backward, and nothing else."""
    data = data_of(given)
    task = task_of(given, data)
    batches = [batch.all_lengths() for batch in islice(data.train_dataloader(), 20)]
    work = [(lengths, task_products(task, lengths)) for lengths in batches]
    run = Products(given.device, _TYPES[precision])
    steps = cycle(work)
    for times in caller.rounds():
        chosen = list(islice(steps, times))
        with caller.measured(UNITS[given.task], given.device) as found:
            for _, step in chosen:
                for product in step:
                    run(product)
            found.update(counted([lengths for lengths, _ in chosen]), padding=0.0, padding_by_field={})


class Products:
    """Computes products on random tensors that it keeps."""

    def __init__(self, device: str, dtype: torch.dtype) -> None:
        self._options: dict[str, Any] = {"device": device, "dtype": dtype}
        self._kept: dict[tuple[str, int], Tensor] = {}

    def _tensor(self, name: str, rows: int, columns: int) -> Tensor:
        held = self._kept.get((name, columns))
        if held is None or len(held) < rows:
            held = self._kept[name, columns] = torch.randn(rows, columns, **self._options)
        return held[:rows]

    def __call__(self, product: Product) -> None:
        rows, inner, outer = sum(product.parts), product.inner, product.outer
        given, result = self._tensor("given", rows, inner), self._tensor("result", rows, outer)
        weight = self._tensor(f"weight {inner}", inner, outer)
        start = 0
        for number, part in enumerate(product.parts):
            here = slice(start, start + part)
            torch.mm(given[here], weight, out=result[here])
            if not (product.constant and number == 0):
                torch.mm(result[here], weight.t(), out=given[here])
            start += part
        torch.mm(given.t(), result, out=self._tensor(f"gradient {inner}", inner, outer))


@settled
def lstm(given: Given, caller: Caller, precision: str, shapes: dict[str, list[int]]) -> None:
    """Bare recurrent layers, the last linear one and the loss, forward and backward, no optimiser.

    Args:
        shapes: steps and sequences of an average batch, by field.
    """
    model: Any = task_of(given, data_of(given)).model
    sides = [model.encoder.rnn, model.decoder.rnn] if given.task == "translation" else [model.rnn]
    if "character_lengths" in shapes:
        sides.append(model.word_encoder.rnn)
    names = ["lengths", *[name for name in ("target_lengths", "character_lengths") if name in shapes]]
    layers = nn.ModuleList(_bare(side) for side in sides).to(given.device)
    inputs = [
        torch.randn(*shapes[name], side.input_size, device=given.device, requires_grad=True)
        for name, side in zip(names, sides, strict=True)
    ]
    fc_out = (model.decoder if given.task == "translation" else model).fc_out.to(given.device)
    rows = shapes["lengths"][1]
    tokens = sum(shapes[name][0] * rows for name in names if name != "character_lengths")
    for times in caller.rounds():
        with caller.measured(UNITS[given.task], given.device) as found:
            for _ in range(times):
                with autocast(precision, given.device):
                    loss = _forward(given.task, layers, inputs, fc_out)
                loss.backward()
                for tensor in (*inputs, *layers.parameters(), *fc_out.parameters()):
                    tensor.grad = None
            found.update(units=times * rows, tokens=times * tokens, padding=0.0)


def _bare(rnn: Any) -> nn.LSTM:
    return nn.LSTM(
        rnn.input_size, rnn.hidden_size, rnn.num_layers, dropout=rnn.dropout, bidirectional=rnn.bidirectional
    )


def _forward(task: str, layers: nn.ModuleList, inputs: list[Tensor], fc_out: nn.Linear) -> Tensor:
    output, state = layers[0](inputs[0])
    extra: Tensor | float = 0.0
    if task == "translation":
        output, _ = layers[1](inputs[1], state)
    elif task == "sentiment":
        output = torch.cat([state[0][-2], state[0][-1]], dim=-1)
    elif len(layers) > 1:
        extra = layers[1](inputs[1])[0].float().sum()
    scores = fc_out(output).flatten(0, -2).float()
    return F.cross_entropy(scores, torch.zeros(len(scores), dtype=torch.long, device=scores.device)) + extra
