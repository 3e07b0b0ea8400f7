"""What goes on inside a trained model while it reads a text: states, gates, gradients, running answers."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nlp_rnn.data.batching import Batch
from nlp_rnn.errors import UsageError
from nlp_rnn.models.layers.cells import cell_name
from nlp_rnn.models.layers.quantization import is_quantized
from nlp_rnn.models.layers.unrolled import Unrolled, stacked
from nlp_rnn.tasks.base import Task
from nlp_rnn.tasks.pretrained import from_pretrained

COMPARED = ("rnn", "gru", "lstm")
"""The cells whose untrained gradients are shown beside a model's own."""

EXPLODING = 3.0
"""The spectral radius of the recurrent weights of a plain RNN whose gradients are to explode.

tanh's slope, at most 1, works against it: in a small layer, soon saturated, they may vanish all the same.
"""

_PREFIXES_AT_ONCE = 64


@dataclass(frozen=True)
class Gradients:
    """How much of the loss's gradient reaches each step's hidden state, in one model."""

    model: str
    """Its cell, and what distinguishes it from the model that is looked into."""
    trained: bool
    norms: Tensor
    """[T, K] float64: the Euclidean norm, with K as in `Inspection`."""


@dataclass(frozen=True)
class Inspection:
    """What a model computes while it reads one text of T tokens.

    K counts layers and directions as torch does: layer 0 forward, layer 0 backward, layer 1 forward ...
    """

    task: str
    tokens: list[str]
    """[T], as the vocabulary writes them, in the order in which the model gets them."""
    hidden: Tensor
    """[T, K, H] float32, the hidden states."""
    gates: dict[str, Tensor]
    """The gates, and what the cell has beside its hidden state, each [T, K, H] float32."""
    bidirectional: bool
    running: bool
    """Whether `probabilities` are of the whole text so far, rather than of each step."""
    gradients: list[Gradients]
    labels: list[str]
    probabilities: Tensor | None
    """[T, C] float32. Sentiment: of each label, had the text ended with this token. Tagging: of this word's
    tags. None where a model has no labels."""

    def places(self) -> list[tuple[int, str]]:
        """[K], the layer and direction of each row."""
        ways = ("forward", "backward") if self.bidirectional else ("forward",)
        return [(layer, way) for layer in range(self.hidden.size(1) // len(ways)) for way in ways]


def inspect(model: str | Path | Task, text: str) -> Inspection:
    """Look into a model while it reads a text.

    The gradients are those of the cross-entropy at the end of the text against what the model itself answers
    there: the label for sentiment, the last word's tag for tagging, the first word of the translation, the
    token that follows for a language model. Beside the model stand untrained ones of the same sizes, with its
    own cell and those of `COMPARED`, and a plain RNN whose recurrent weights are scaled to the spectral
    radius `EXPLODING`: gradients that vanish and explode (Bengio et al. 1994; Pascanu et al. 2013). All of it
    is computed on the CPU.

    Args:
        model: what `from_pretrained` takes, or what it gives.
        text: one sentence; what is beyond the model's maximum length is cut off, with a warning.

    Raises:
        UsageError: the model cannot be loaded or looked into, or the text has no words.
    """
    task = model if isinstance(model, Task) else from_pretrained(model)
    probe = task.probe()
    if is_quantized(task.model):
        raise UsageError("the weights are int8: look into the model that they were made from")
    processor = task.processor
    if not isinstance(text, str):
        raise UsageError(f"the input is no text: {text!a:.60}")
    rows = processor.rows([processor.parse(text)])
    rows = {"row": [0], **rows, **processor.encode(rows)}
    if not len(rows[processor.length_columns[0]][0]):
        raise UsageError("the text has no words: give a sentence")
    batch = processor.collate(rows)
    names = getattr(processor, probe.tokens).tokens()
    ids: list[int] = getattr(batch, probe.tokens)[:, 0].tolist()

    logits, rnn = _read(task, batch)
    own = cell_name(rnn.layer)
    gradients = [Gradients(f"{own}, trained", True, _norms(logits, rnn))]
    for cell in dict.fromkeys((own, *COMPARED)):
        gradients.append(
            Gradients(f"{cell}, untrained", False, _norms(*_read(_untrained(task, cell), batch)))
        )
    exploding = _untrained(task, "rnn")
    _scale(_reader(exploding.model).rnn, EXPLODING)
    name = f"rnn, untrained, spectral radius {EXPLODING:g}"
    gradients.append(Gradients(name, False, _norms(*_read(exploding, batch))))

    states = {name: values[:, :, 0].detach().float() for name, values in stacked(rnn.rows).items()}
    probabilities = None
    if probe.answers == "running":
        probabilities = _after_each_token(task, rows)
    elif probe.answers == "per_step":
        probabilities = logits[:, 0].detach().softmax(-1).float()
    return Inspection(
        task.name,
        [names[id] for id in ids],
        states.pop("hidden"),
        states,
        rnn.bidirectional,
        probe.answers == "running",
        gradients,
        list(getattr(processor, "labels", [])),
        probabilities,
    )


def _reader(model: nn.Module) -> Any:
    """The part of a model that has the text's embedding and the recurrent layers that read it."""
    return getattr(model, "encoder", model)


def _read(task: Task, batch: Batch) -> tuple[Tensor, Unrolled]:
    """What a model says, in float64 and without dropout, and the layers that it went through."""
    model = copy.deepcopy(task.model).cpu().double().eval()
    reader = _reader(model)
    reader.rnn = Unrolled(reader.rnn)
    return task.probe().logits(model, batch), reader.rnn


def _norms(logits: Tensor, rnn: Unrolled) -> Tensor:
    """[T, K]: of the gradient of the loss of the last logits [B, C], at each hidden state."""
    loss = F.cross_entropy(logits[-1], logits[-1].argmax(-1))
    hidden = [step["hidden"] for steps in rnn.rows for step in steps]
    found = torch.autograd.grad(loss, hidden, retain_graph=True, allow_unused=True)
    norms = [0.0 if gradient is None else float(gradient.norm()) for gradient in found]
    return torch.tensor(norms, dtype=torch.float64).view(len(rnn.rows), -1).t()


def _untrained(task: Task, cell: str) -> Task:
    """A fresh model of the same sizes, always the same."""
    stored = task.stored()
    settings = {**stored["settings"], "cell": cell}
    settings["optimization"] = {**settings["optimization"], "memory": 0}  # a plain RNN has no gates
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return type(task).from_stored({**stored, "settings": settings})


@torch.no_grad()
def _scale(layer: nn.RNNBase, radius: float) -> None:
    """Scale a layer's recurrent weights so that the largest of their eigenvalues has this modulus."""
    for name, weight in layer.named_parameters():
        if name.startswith("weight_hh"):
            weight.mul_(radius / torch.linalg.eigvals(weight).abs().max())


@torch.no_grad()
def _after_each_token(task: Task, rows: dict[str, list[Any]]) -> Tensor:
    """[T, C]: what the model says of the text up to each token, and that token the last."""
    processor, model = task.processor, copy.deepcopy(task.model).cpu().eval()
    name = processor.length_columns[0]
    (ids,) = rows[name]
    found = []
    for start in range(0, len(ids), _PREFIXES_AT_ONCE):
        ends = range(start + 1, min(start + _PREFIXES_AT_ONCE, len(ids)) + 1)
        batch = processor.collate({"row": [*ends], name: [ids[:end] for end in ends]})
        found.append(task.probe().logits(model, batch)[-1].float().softmax(-1))
    return torch.cat(found)
