"""Which units follow a property of the text: linear probes with controls, and a unit held at a value."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from nlp_rnn.data.builtin.properties import PROPERTIES, Property
from nlp_rnn.data.vocabulary import UNK, Vocabulary
from nlp_rnn.errors import UsageError
from nlp_rnn.inspection.inspector import read_text, untrained_copy
from nlp_rnn.inspection.reading import (
    batch_of,
    exact_model,
    final_logits,
    reading_part,
    require_labels,
    vocabulary_of,
)
from nlp_rnn.inspection.representation import shapes_repr
from nlp_rnn.models.layers.cells import cell_name
from nlp_rnn.models.layers.equations import Step
from nlp_rnn.models.layers.unrolled import Unrolled
from nlp_rnn.tasks.base import Task
from nlp_rnn.tasks.pretrained import from_pretrained

TEXTS = 600
"""Texts of the built-in grammar of which two thirds fit a probe, and the others measure it."""

MARGIN = 3.0
"""A probe passes if it is better than the majority, than that of the untrained network, and than its control,
by so many standard errors."""

MAX_UNKNOWN = 0.5
"""The fraction of the words of the texts that a model may not know."""

_AT_ONCE = 32
"""Texts that are read at once: a language model scores its whole vocabulary after each token."""


@dataclass(frozen=True)
class ProbeResult:
    """How well the states of a model's top layer tell a property of the words read so far."""

    name: str
    accuracy: float
    """Of a linear probe, on words of other sentences than those that it was fitted to."""
    majority: float
    """Of the most frequent value."""
    control: float
    """Of a probe of a random value per kind of word (Hewitt & Liang 2019): what it can learn by heart."""
    control_majority: float
    untrained: float
    """Of a probe of the states of the same network before training: what is there without learning."""
    words: int
    """The number of words that were measured."""
    unit: int
    """The unit that follows the property best by itself."""
    unit_accuracy: float
    """Of a threshold at that unit."""
    levels: tuple[float, float]
    """The mean of the unit where the property is absent, and where it is present."""
    weights: Tensor
    """[H + 1], of the probe: its log-odds are the states times these, plus the last."""

    __repr__ = shapes_repr

    @property
    def selectivity(self) -> float:
        """What the probe gains over the majority, less what the control gains over its own."""
        return (self.accuracy - self.majority) - (self.control - self.control_majority)

    @property
    def passes(self) -> bool:
        """Whether the states follow the property: beyond chance, the untrained network, and the control."""
        error = math.sqrt(max(self.majority * (1 - self.majority) / self.words, 1e-12))
        gain = self.accuracy - max(self.majority, self.untrained)
        return min(gain, self.selectivity) > MARGIN * error


def fit_probe(model: str | Path | Task, name: str) -> ProbeResult:
    """Probe the hidden states of a model's top layer that reads forward for a property of the text.

    Args:
        model: a model folder, a checkpoint or a hub id, as for `from_pretrained`; or a loaded task. It has
            learned English words, or their characters.
        name: of a property in `PROPERTIES`.

    Raises:
        UsageError: there is no such property, the model cannot be loaded or inspected, or its vocabulary
            lacks the words that tell the property, or most others.

    Examples:
        >>> fit_probe("runs/streaming/latest/model", "negation").passes
        True
    """
    if name not in PROPERTIES:
        raise UsageError(f"there is no property {name!a}: use one of {', '.join(PROPERTIES)}")
    task = model if isinstance(model, Task) else from_pretrained(model)
    return probe_states(task, name, PROPERTIES[name])


def probe_states(task: Task, name: str, property: Property) -> ProbeResult:
    """As `fit_probe`, for any property.

    Args:
        task: a loaded model.
        name: of the property.
        property: what its texts are, and where it holds in them.

    Raises:
        UsageError: the model cannot be inspected, reads texts from their end, does not know the words, or
            one value alone occurs.
    """
    if task.probe().reads_from_end:
        raise UsageError("the model reads texts from their end: probe one that reads them forward")
    texts = property.texts(TEXTS)
    vocabulary = vocabulary_of(task)
    _check_known(vocabulary, name, property, texts)
    found = [property.values(words) for words in texts]
    kept = [[place for place, value in enumerate(each) if value is not None] for each in found]
    targets = [float(value) for each in found for value in each if value is not None]
    kinds = [words[place] for words, places in zip(texts, kept, strict=True) for place in places]
    ends = [*accumulate(map(len, kept))]
    ids, tokens = zip(*(_read_words(vocabulary, words) for words in texts), strict=True)
    chosen = [[last[place] for place in places] for last, places in zip(tokens, kept, strict=True)]
    x, untrained = (
        torch.cat([states[places] for states, places in zip(_read(model, ids), chosen, strict=True)])
        for model in (task, untrained_copy(task, cell_name(reading_part(task.model).rnn)))
    )
    y = torch.tensor(targets, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    random = {kind: float(torch.rand((), generator=generator) < y.mean()) for kind in sorted(set(kinds))}
    control = torch.tensor([random[kind] for kind in kinds], dtype=torch.float64)
    split = ends[2 * len(ends) // 3]
    accuracy, majority, weights = _fit(x, y, split)
    control_accuracy, control_majority, _ = _fit(x, control, split)
    unit, levels = _best_unit(x[:split], y[:split])
    guess = ((x[split:, unit] > sum(levels) / 2) == (levels[1] > levels[0])).double()
    return ProbeResult(
        name,
        accuracy,
        majority,
        control_accuracy,
        control_majority,
        _fit(untrained, y, split)[0],
        len(x) - split,
        unit,
        float((guess == y[split:]).double().mean()),
        levels,
        weights,
    )


def _check_known(
    vocabulary: Vocabulary, name: str, property: Property, texts: Sequence[Sequence[str]]
) -> None:
    """Check that a vocabulary has words that tell a property, and most words of the texts.

    Of subwords or characters it has the words if it has their characters.
    """
    known = {word: UNK not in vocabulary.encode([word])[0] for word in property.words.union(*texts)}
    if not any(known[word] for word in property.words):
        example = min(property.words, key=lambda word: (len(word), word))
        raise UsageError(
            f"the model's vocabulary has no word that tells {name}, such as {example}: probe a model that "
            "was trained on text with such words"
        )
    words = [word for text in texts for word in text]
    unknown = sum(not known[word] for word in words) / len(words)
    if unknown > MAX_UNKNOWN:
        raise UsageError(
            f"the model's vocabulary lacks {unknown:.0%} of the words of a probe's English sentences: probe "
            "a model of English text"
        )


def _read_words(vocabulary: Vocabulary, words: Sequence[str]) -> tuple[list[int], list[int]]:
    """The ids of the tokens of words, and for each word the place of its last token."""
    tokens = [*vocabulary.find_tokens(" ".join(words))]
    token_ends = [end for _, _, end in tokens]
    word_ends = accumulate(words, lambda end, word: end + 1 + len(word), initial=-1)
    places = [bisect_right(token_ends, end) - 1 for end in [*word_ends][1:]]
    return [id for id, _, _ in tokens], places


def hidden_states(task: Task, text: str) -> tuple[list[str], Tensor]:
    """The words [T] of a text, and the states [T, H] of the top layer that reads forward, in float64."""
    rows, _, tokens = read_text(task, text)
    (ids,) = rows[task.processor.length_columns[0]]
    if not ids:
        raise UsageError("the text has no words: give a sentence")
    (states,) = _read(task, [ids])
    return tokens[len(tokens) - len(ids) :], states


def _read(task: Task, texts: Sequence[list[int]]) -> list[Tensor]:
    """The states [T, H] of texts of ids, without that of BOS."""
    model = exact_model(task)
    layer = reading_part(model).rnn
    heard: list[Tensor] = []
    layer.register_forward_hook(lambda module, arguments, result: heard.append(result[0]))
    states = []
    for start in range(0, len(texts), _AT_ONCE):
        part = texts[start : start + _AT_ONCE]
        batch = batch_of(task, part)
        with torch.no_grad():
            task.probe().logits(model, batch)
        outputs = heard.pop()[..., : layer.hidden_size]  # [T, B, H]
        for row, (end, ids) in enumerate(zip(batch.lengths.tolist(), part, strict=True)):
            states.append(outputs[end - len(ids) : end, row].clone())  # not the padding too
    return states


def _fit(x: Tensor, y: Tensor, split: int) -> tuple[float, float, Tensor]:
    """Logistic regression on rows before the split: its accuracy behind it, that of the majority, weights."""
    if not 0 < y[:split].mean() < 1:
        raise UsageError("the property has one value only in the texts")
    inputs = torch.cat([x, torch.ones_like(x[:, :1])], 1)
    weights = torch.zeros(inputs.size(1), dtype=x.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        logits = inputs[:split] @ weights
        value = F.binary_cross_entropy_with_logits(logits, y[:split]) + 1e-4 * weights.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    fitted = weights.detach()
    right = (inputs[split:] @ fitted > 0).double() == y[split:]
    share = float(y[split:].mean())
    return float(right.double().mean()), max(share, 1 - share), fitted


def _best_unit(x: Tensor, y: Tensor) -> tuple[int, tuple[float, float]]:
    """The unit whose mean differs most between both values, in standard deviations; and these means."""
    absent, present = x[y == 0], x[y == 1]
    spread = (absent.var(0) + present.var(0)).clamp(min=1e-12).sqrt()
    unit = int(((present.mean(0) - absent.mean(0)).abs() / spread).argmax())
    return unit, (float(absent[:, unit].mean()), float(present[:, unit].mean()))


def clamp(model: str | Path | Task, text: str, unit: int, value: float) -> tuple[list[str], Tensor, Tensor]:
    """Hold the hidden state of one unit at a value at each step, and see what the model answers.

    Args:
        model: a model folder, a checkpoint or a hub id, as for `from_pretrained`; or a loaded task, which
            predicts a label per text.
        text: the text.
        unit: of the top layer that reads forward.
        value: that the unit has at each step.

    Returns:
        The tokens [T]; and the probabilities [T, C] of the labels after each, as they are and with the unit
        held.

    Raises:
        UsageError: the model cannot be loaded or does not predict a label per text, there is no such unit, or
            the text has no words.
    """
    task = model if isinstance(model, Task) else from_pretrained(model)
    require_labels(task)
    rows, _, tokens = read_text(task, text)
    (ids,) = rows[task.processor.length_columns[0]]
    if not ids:
        raise UsageError("the text has no words: give a sentence")
    copied = exact_model(task)
    part = reading_part(copied)
    layer = part.rnn
    if not 0 <= unit < layer.hidden_size:
        raise UsageError(f"there is no unit {unit}: the layer has units 0 to {layer.hidden_size - 1}")
    top = layer.num_layers - 1 if not layer.bidirectional else 2 * layer.num_layers - 2

    def hold(place: int, step: Step) -> Step:
        if place != top:
            return step
        hidden = step["hidden"].clone()
        hidden[:, unit] = value
        return {**step, "hidden": hidden}

    answers = []
    with torch.no_grad():
        for edit in (None, hold):
            part.rnn = Unrolled(layer, edit)
            prefixes = [final_logits(task, copied, [ids[:end]]) for end in range(1, len(ids) + 1)]
            answers.append(torch.cat(prefixes).softmax(-1))
    return tokens, answers[0], answers[1]
