"""Upper limits of speed: matrix products alone, and plain `nn.LSTM` layers on random tensors."""

from __future__ import annotations

from itertools import cycle, islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.counting import UNITS, count_batches
from benchmarks.flops import MatrixProduct, training_products
from benchmarks.options import Options
from benchmarks.recipes import autocast, make_data, make_task, with_process_settings
from benchmarks.worker import Channel

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@with_process_settings
def square_products(options: Options, channel: Channel, precision: str, flops: float) -> None:
    """Multiply large square matrices, the fastest operation there is; a turn is a number of products.

    Args:
        options: the benchmark's options.
        channel: connection to the benchmark.
        precision: fp32 or bf16.
        flops: floating-point operations that count as one row of the corpus.
    """
    size = 64 if options.quick else 2048
    left, right = (torch.randn(size, size, device=options.device, dtype=_DTYPES[precision]) for _ in range(2))
    result = left @ right
    for repeats in channel.rounds():
        with channel.timed(UNITS[options.task], options.device) as measurement:
            for _ in range(repeats):
                torch.mm(left, right, out=result)
            total = repeats * 2 * size**3
            measurement.update(units=total / flops, flops=total)


@with_process_settings
def training_step_products(options: Options, channel: Channel, precision: str) -> None:
    """Compute the matrix products of real training steps, forward and backward, and nothing else."""
    data = make_data(options)
    task = make_task(options, data)
    batches = [batch.all_lengths() for batch in islice(data.train_dataloader(), 20)]
    steps = cycle([(lengths, training_products(task, lengths)) for lengths in batches])
    multiply = _Multiplier(options.device, _DTYPES[precision])
    for count in channel.rounds():
        turn = list(islice(steps, count))
        with channel.timed(UNITS[options.task], options.device) as measurement:
            for _, products in turn:
                for product in products:
                    multiply(product)
            counts = count_batches([lengths for lengths, _ in turn])
            measurement.update(counts | {"padding": 0.0, "padding_by_field": {}})


class _Multiplier:
    """Computes matrix products on random tensors, which it keeps and uses again."""

    def __init__(self, device: str, dtype: torch.dtype) -> None:
        self._device = device
        self._dtype = dtype
        self._tensors: dict[tuple[str, int], Tensor] = {}

    def _tensor(self, name: str, rows: int, columns: int) -> Tensor:
        tensor = self._tensors.get((name, columns))
        if tensor is None or len(tensor) < rows:
            tensor = torch.randn(rows, columns, device=self._device, dtype=self._dtype)
            self._tensors[name, columns] = tensor
        return tensor[:rows]

    def __call__(self, product: MatrixProduct) -> None:
        rows, inner, outer = sum(product.parts), product.inner, product.outer
        left, result = self._tensor("left", rows, inner), self._tensor("result", rows, outer)
        weight = self._tensor(f"weight {inner}", inner, outer)
        start = 0
        for number, part in enumerate(product.parts):
            part_rows = slice(start, start + part)
            torch.mm(left[part_rows], weight, out=result[part_rows])
            if not (product.constant and number == 0):
                torch.mm(result[part_rows], weight.t(), out=left[part_rows])
            start += part
        torch.mm(left.t(), result, out=self._tensor(f"gradient {inner}", inner, outer))


@with_process_settings
def bare_lstm(options: Options, channel: Channel, precision: str, shapes: dict[str, list[int]]) -> None:
    """Run `nn.LSTM` layers, the output layer and the loss, forward and backward, without an optimizer.

    Args:
        options: the benchmark's options.
        channel: connection to the benchmark.
        precision: fp32 or bf16.
        shapes: steps and sequences of an average batch, by field.
    """
    model: Any = make_task(options, make_data(options)).model
    rnns = [model.encoder.rnn, model.decoder.rnn] if options.task == "translation" else [model.rnn]
    if "character_lengths" in shapes:
        rnns.append(model.word_encoder.rnn)
    fields = ["lengths", *[name for name in ("target_lengths", "character_lengths") if name in shapes]]
    layers = nn.ModuleList(_plain_lstm(rnn) for rnn in rnns).to(options.device)
    inputs = [
        torch.randn(*shapes[name], rnn.input_size, device=options.device, requires_grad=True)
        for name, rnn in zip(fields, rnns, strict=True)
    ]
    fc_out = (model.decoder if options.task == "translation" else model).fc_out.to(options.device)
    rows = shapes["lengths"][1]
    tokens = sum(shapes[name][0] * rows for name in fields if name != "character_lengths")
    for steps in channel.rounds():
        with channel.timed(UNITS[options.task], options.device) as measurement:
            for _ in range(steps):
                with autocast(precision, options.device):
                    loss = _loss(options.task, layers, inputs, fc_out)
                loss.backward()
                for tensor in (*inputs, *layers.parameters(), *fc_out.parameters()):
                    tensor.grad = None
            measurement.update(units=steps * rows, tokens=steps * tokens, padding=0.0)


def _plain_lstm(rnn: Any) -> nn.LSTM:
    """Make an `nn.LSTM` of the same sizes."""
    return nn.LSTM(
        rnn.input_size, rnn.hidden_size, rnn.num_layers, dropout=rnn.dropout, bidirectional=rnn.bidirectional
    )


def _loss(task_name: str, layers: nn.ModuleList, inputs: list[Tensor], fc_out: nn.Linear) -> Tensor:
    output, state = layers[0](inputs[0])
    character_sum: Tensor | float = 0.0
    if task_name == "translation":
        output, _ = layers[1](inputs[1], state)
    elif task_name == "sentiment":
        output = torch.cat([state[0][-2], state[0][-1]], dim=-1)
    elif len(layers) > 1:
        character_sum = layers[1](inputs[1])[0].float().sum()
    logits = fc_out(output).flatten(0, -2).float()
    labels = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
    return F.cross_entropy(logits, labels) + character_sum
