"""What a trained model computes while it reads a text: states, gates, gradients, answers per prefix."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nlp_rnn.data.batching import Batch
from nlp_rnn.data.vocabulary import UNK
from nlp_rnn.errors import UsageError
from nlp_rnn.inspection.reading import exact_model, final_logits, reading_part
from nlp_rnn.inspection.representation import shapes_repr
from nlp_rnn.models.layers.cells import cell_name
from nlp_rnn.models.layers.quantization import is_quantized
from nlp_rnn.models.layers.unrolled import Unrolled, stacked
from nlp_rnn.tasks.base import Task
from nlp_rnn.tasks.interface import Alignment
from nlp_rnn.tasks.pretrained import from_pretrained

COMPARED = ("rnn", "gru", "lstm")
"""The cells of the untrained models whose gradients are compared with those of the inspected model."""

EXPLODING = 3.0
"""The spectral radius of the recurrent weights of a plain RNN that demonstrates exploding gradients.

The slope of tanh, at most 1, works against it: in a small layer, which saturates soon, they may still vanish.
"""


@dataclass(frozen=True)
class Gradients:
    """The norm of the loss's gradient at the hidden state of each step, in one model."""

    model: str
    """Its cell, and how it differs from the inspected model."""
    trained: bool
    norms: Tensor
    """[T, K] float64: Euclidean norms, with K as in `Inspection`."""

    __repr__ = shapes_repr


@dataclass(frozen=True, repr=False)
class Inspection:
    """What a model computes while it reads one text of T tokens.

    K is the number of layers times directions, in torch's order: layer 0 forward, layer 0 backward, layer 1
    forward and so on. H is the size of the hidden state, C the number of labels.
    """

    task: str
    tokens: list[str]
    """[T], as the vocabulary writes them, and unknown ones as the text does, in the order in which the model
    reads them."""
    hidden: Tensor
    """[T, K, H] float32, the hidden states."""
    gates: dict[str, Tensor]
    """The gates, candidate and cell state by name, as far as the cell has them, each [T, K, H] float32."""
    bidirectional: bool
    running: bool
    """Whether row t of `probabilities` is for the text up to token t, rather than for token t."""
    gradients: list[Gradients]
    labels: list[str]
    probabilities: Tensor | None
    """[T, C] float32: of the labels of the text up to each token, or of the tags of each word; None for a
    model without labels."""
    alignment: Alignment | None = None
    """The weights of attention; None for a model without it."""
    text: str = ""
    """The text, as it was given."""
    model: str = ""
    """What the model is, in one line."""
    reversed: bool = False
    """Whether the model reads the text from its end."""

    def __repr__(self) -> str:
        values = ["hidden", *self.gates]
        shape = list(self.hidden.shape)
        gradients = f"gradients of {len(self.gradients)} models"
        return f"Inspection({self.model}; {', '.join(values)}, each {shape}; {gradients})"

    def places(self) -> list[tuple[int, str]]:
        """[K], the layer and the direction ("forward" or "backward", in the text) of each index."""
        both = ("backward", "forward") if self.reversed else ("forward", "backward")
        directions = both if self.bidirectional else both[:1]
        layers = range(self.hidden.size(1) // len(directions))
        return [(layer, direction) for layer in layers for direction in directions]


def inspect(model: str | Path | Task, text: str) -> Inspection:
    """Inspect a model while it reads a text.

    The gradients are those of the cross-entropy at the end of the text, with the model's own prediction as
    its target: the label for sentiment, the tag of the last word for tagging, the first token of the
    translation, the next token for a language model. The model is compared with untrained ones of the same
    sizes: of its own cell, of those in `COMPARED`, and a plain RNN whose recurrent weights are scaled to the
    spectral radius `EXPLODING`. They show vanishing and exploding gradients (Bengio et al. 1994; Pascanu et
    al. 2013). All is computed on the CPU.

    Args:
        model: a model folder, a checkpoint or a hub id, as for `from_pretrained`; or a loaded task.
        text: one sentence; tokens beyond the model's maximum length are dropped, with a warning.

    Returns:
        States, gates, gradients, probabilities and, with attention, the alignment.

    Raises:
        UsageError: the model cannot be loaded or inspected, or the text has no words.

    Examples:
        >>> inspection = inspect("runs/sentiment_builtin/latest/model", "not a bad film")
        >>> dict(zip(inspection.tokens, inspection.probabilities.tolist()))
    """
    task = model if isinstance(model, Task) else from_pretrained(model)
    probe = task.probe()
    if is_quantized(task.model):
        raise UsageError("the weights are int8: inspect the model that was quantized")
    if not isinstance(text, str):
        raise UsageError(f"the input is no text: {text!a:.60}")
    rows, batch, tokens = read_text(task, text)
    if not tokens:
        raise UsageError("the text has no words: give a sentence")

    logits, rnn = _run(task, batch)
    gradients = [Gradients(f"{cell_name(rnn.layer)}, trained", True, _gradient_norms(logits, rnn))]
    gradients += _untrained_gradients(task, cell_name(rnn.layer), batch)
    states = {name: values[:, :, 0].detach().float() for name, values in stacked(rnn.rows).items()}
    probabilities = None
    if probe.answers == "running":
        probabilities = _prefix_probabilities(task, rows[task.processor.length_columns[0]][0])
    elif probe.answers == "per_step":
        probabilities = logits[:, 0].detach().softmax(-1).float()
    return Inspection(
        task.name,
        tokens,
        states.pop("hidden"),
        states,
        rnn.bidirectional,
        probe.answers == "running",
        gradients,
        list(getattr(task.processor, "labels", [])),
        probabilities,
        probe.alignment(batch.to(task.device)),
        text=text,
        model=f"{task.summary()}, {cell_name(rnn.layer)}",
        reversed=probe.reads_from_end,
    )


def align(task: Task, text: str) -> tuple[Alignment, list[str]] | None:
    """What a model looks at when it writes each token of its answer.

    Args:
        task: a loaded model that can be inspected.
        text: one sentence.

    Returns:
        The alignment, and the tokens read [T]; None if the model has no attention or the text no words.

    Raises:
        UsageError: models of this task cannot be inspected.
    """
    probe = task.probe()
    _, batch, tokens = read_text(task, text)
    alignment = probe.alignment(batch.to(task.device)) if tokens else None
    return alignment and (alignment, tokens)


def read_text(task: Task, text: str) -> tuple[dict[str, list[Any]], Batch, list[str]]:
    """A text as rows, as a batch of one, and as the tokens [T] that a model reads."""
    processor, name = task.processor, task.probe().tokens
    rows = processor.rows([processor.parse(text)])
    rows = {"row": [0], **rows, **processor.encode(rows)}
    batch = processor.collate(rows)
    names = getattr(processor, name).tokens()
    ids: list[int] = getattr(batch, name)[:, 0].tolist() if len(rows[processor.length_columns[0]][0]) else []
    unknown = iter(processor.unknown_tokens(rows))
    return rows, batch, [next(unknown, names[id]) if id == UNK else names[id] for id in ids]


def _run(task: Task, batch: Batch) -> tuple[Tensor, Unrolled]:
    """The logits of a model in float64, without dropout, and its unrolled layers, which keep all states."""
    model = exact_model(task)
    encoder = reading_part(model)
    encoder.rnn = Unrolled(encoder.rnn)
    return task.probe().logits(model, batch), encoder.rnn


def _untrained_gradients(task: Task, own_cell: str, batch: Batch) -> list[Gradients]:
    """The gradients of the untrained models that a model is compared with."""
    models = {
        f"{cell}, untrained": untrained_copy(task, cell) for cell in dict.fromkeys((own_cell, *COMPARED))
    }
    exploding = untrained_copy(task, "rnn")
    _scale(reading_part(exploding.model).rnn, EXPLODING)
    models[f"rnn, untrained, spectral radius {EXPLODING:g}"] = exploding
    return [
        Gradients(name, False, _gradient_norms(*_run(untrained, batch))) for name, untrained in models.items()
    ]


def _gradient_norms(logits: Tensor, rnn: Unrolled) -> Tensor:
    """[T, K]: norms of the gradient of the loss of the last logits [B, C], at each hidden state."""
    loss = F.cross_entropy(logits[-1], logits[-1].argmax(-1))
    hidden = [step["hidden"] for steps in rnn.rows for step in steps]
    gradients = torch.autograd.grad(loss, hidden, retain_graph=True, allow_unused=True)
    norms = [0.0 if gradient is None else float(gradient.norm()) for gradient in gradients]
    return torch.tensor(norms, dtype=torch.float64).view(len(rnn.rows), -1).t()


def untrained_copy(task: Task, cell: str) -> Task:
    """A newly initialized model of the same sizes, with a fixed seed.

    Args:
        task: the model.
        cell: that the new one has.
    """
    settings = {**task.settings, "cell": cell}
    settings["optimization"] = {**settings["optimization"], "memory": 0}  # a plain RNN has no gates
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return type(task).from_settings(task.processor, settings)


@torch.no_grad()
def _scale(layer: nn.RNNBase, radius: float) -> None:
    """Scale the recurrent weights of a layer to a spectral radius (the largest modulus of an eigenvalue)."""
    for name, weight in layer.named_parameters():
        if name.startswith("weight_hh"):
            weight.mul_(radius / torch.linalg.eigvals(weight).abs().max())


@torch.no_grad()
def _prefix_probabilities(task: Task, ids: list[int]) -> Tensor:
    """[T, C]: the model's probabilities for the text up to and including each token."""
    prefixes = [ids[:end] for end in range(1, len(ids) + 1)]
    return final_logits(task, exact_model(task), prefixes).softmax(-1).float()
