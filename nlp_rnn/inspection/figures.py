"""The plots of an inspection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from nlp_rnn.inspection.inspector import Gradients, Inspection
from nlp_rnn.plots.heatmaps import Curve, HeatMap, curves_figure, heat_maps_figure
from nlp_rnn.plots.text import label
from nlp_rnn.tasks.interface import Alignment

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_UNITS = 24
"""The maximum number of units in a heat map, each with its number; those that vary most are shown."""
LEAST_PROBABILITY = 0.05
"""The tags that are shown reach it on a word."""
MAX_TAGS = 40

_ORDINALS = ("first", "second", "third")
_MOST_RUNNING = 7
"""Curves of labels, of which each has a color."""


def figures(inspection: Inspection) -> Iterator[tuple[str, Figure]]:
    """All plots of an inspection by name, each made when it is asked for.

    Args:
        inspection: what to plot.

    Yields:
        The hidden states; the gates and the cell state of each layer and direction, if the cell has gates;
        the gradients, and the same beside those of untrained models; the probabilities and the alignment, if
        there are any.
    """
    panels = [
        _unit_panel("hidden state", inspection.hidden, inspection, k, signed=True)
        for k in range(len(inspection.places()))
    ]
    yield "hidden", _heat_maps(panels, inspection)
    for k, (layer, direction) in enumerate(inspection.places() if inspection.gates else ()):
        yield f"gates_layer{layer}_{direction}", _gates(inspection, k)
    trained = [each for each in inspection.gradients if each.trained]
    yield "gradients", gradients_figure(inspection, trained)
    yield "gradients_compared", gradients_figure(inspection, inspection.gradients)
    if inspection.probabilities is not None:
        yield "probabilities", _probabilities(inspection, inspection.probabilities)
    if inspection.alignment is not None:
        yield "alignment", alignment_figure(inspection.alignment, inspection.tokens, _about(inspection))


def alignment_figure(alignment: Alignment, tokens: Sequence[str], about: Sequence[str] = ()) -> Figure:
    """A heat map of the weights of attention: a row per token written, a column per token read.

    Args:
        alignment: the tokens written, and the weights.
        tokens: [T], the tokens read.
        about: lines above the plot, such as the text and the model.
    """
    title = "What each token of the answer looks at"
    panel = HeatMap(title, alignment.weights, alignment.tokens, False, "token written", "weight of attention")
    return heat_maps_figure([panel], tokens, about, "token read")


def running_figure(
    labels: Sequence[str],
    probabilities: Tensor,
    tokens: Sequence[str],
    separately: bool,
    about: Sequence[str] = (),
) -> Figure:
    """Curves of the probability of each label after each token; of two labels one curve between them.

    Args:
        labels: [C].
        probabilities: [T, C].
        tokens: [T].
        separately: whether each prefix of the text was read by itself, rather than as a stream.
        about: lines above the plot, such as the text and the model.
    """
    reading = "each prefix read separately" if separately else "as the text streams in"
    title = f"Answer after each token, {reading}"
    sums = probabilities[~probabilities.isnan().any(1)].sum(1)
    if len(labels) == 2 and bool((sums - 1).abs().le(1e-3).all()):  # else each label has its own yes or no
        line = Curve(labels[1], probabilities[:, 1].tolist())
        axis = f"probability of {label(labels[1])}"
        return curves_figure(
            [line], tokens, title, axis, about=about, ends=(label(labels[0]), label(labels[1]))
        )
    # Those that were likely somewhere: more curves could not be told apart.
    likely = probabilities.nan_to_num().amax(0).topk(min(_MOST_RUNNING, len(labels))).indices.sort().values
    lines = [Curve(labels[place], probabilities[:, place].tolist()) for place in likely.tolist()]
    if len(lines) < len(labels):
        title = f"{title} ({len(lines)} of {len(labels)} labels)"
    return curves_figure(lines, tokens, title, "probability", about=about)


def gradients_figure(inspection: Inspection, gradients: Sequence[Gradients]) -> Figure:
    """Curves of the gradient norms of the top layer, as a fraction of that at the last step.

    The losses of different models are not alike, so only the fractions can be compared. The table has the
    norms themselves, and the other layers.

    Args:
        inspection: its text stands above the plot, and its model if it is the only one trained.
        gradients: those of this inspection, or of others of the same text by models with as many layers and
            directions.
    """
    # In the backward direction the end of the text is the first step, so there is nothing to see.
    top = len(inspection.places()) - (2 if inspection.bidirectional else 1)
    lines = []
    for each in gradients:
        norms = each.norms[:, top]
        relative = norms / norms[-1] if norms[-1] > 0 else norms.new_zeros(len(norms))
        lines.append(Curve(each.model, relative.tolist(), dashed=not each.trained))
    title = ", ".join(filter(None, ["Gradient of the loss at the end", _place_name(inspection, top)]))
    return curves_figure(
        lines,
        inspection.tokens,
        title,
        "Euclidean norm at the hidden state,\nrelative to the last step",
        log=True,
        about=_about(inspection)[: 2 if sum(each.trained for each in gradients) == 1 else 1],
        token_axis=_token_axis(inspection),
    )


def _about(inspection: Inspection) -> list[str]:
    """What stands above each plot: the text and the model."""
    return [f"“{inspection.text}”" if inspection.text else "", inspection.model]


def _heat_maps(panels: Sequence[HeatMap], inspection: Inspection) -> Figure:
    """Panels of the units of a layer."""
    total = inspection.hidden.size(-1)
    part = [f"{MAX_UNITS} of {total} units: those that vary most"] if total > MAX_UNITS else []
    return heat_maps_figure(panels, inspection.tokens, [*_about(inspection), *part], _token_axis(inspection))


def _token_axis(inspection: Inspection) -> str:
    return "token, in the order read: from the end of the text" if inspection.reversed else "token"


def _gates(inspection: Inspection, k: int) -> Figure:
    """Heat maps of the gates and the cell state of one layer and direction."""
    panels = [
        _unit_panel(
            f"{name} {'state' if name == 'cell' else 'gate'}", values, inspection, k, signed=name == "cell"
        )
        for name, values in inspection.gates.items()
        if name != "candidate"  # only in the table
    ]
    return _heat_maps(panels, inspection)


def _probabilities(inspection: Inspection, probabilities: Tensor) -> Figure:
    """A heat map of the tags of each step, or curves of the labels of each prefix of the text."""
    if inspection.running:
        return running_figure(
            inspection.labels, probabilities, inspection.tokens, inspection.bidirectional, _about(inspection)
        )
    best = probabilities.argmax(1).tolist()  # [T]
    winners = list(dict.fromkeys(best))
    highest = probabilities.amax(0)  # [C]
    others = [
        tag
        for tag in highest.argsort(descending=True).tolist()
        if tag not in winners and highest[tag] >= LEAST_PROBABILITY
    ]
    shown = (winners + others)[:MAX_TAGS]
    names = [inspection.labels[tag] for tag in shown]
    texts = {
        (shown.index(tag), step): inspection.labels[tag] for step, tag in enumerate(best) if tag in shown
    }
    title = "Probability of each tag, the best one written"
    if len(shown) < len(inspection.labels):
        title += f" ({len(shown)} of {len(inspection.labels)}: those that reach {LEAST_PROBABILITY:.0%})"
    panel = HeatMap(title, probabilities.t()[shown], names, False, "tag", "probability", texts)
    return heat_maps_figure([panel], inspection.tokens, _about(inspection), _token_axis(inspection))


def _unit_panel(title: str, values: Tensor, inspection: Inspection, k: int, signed: bool) -> HeatMap:
    """A heat map with one row per unit; `values` are [T, K, H], of which k is shown."""
    units = _most_varied(inspection.hidden[:, k])
    total = inspection.hidden.size(-1)
    place = _place_name(inspection, k)
    full_title = f"{title[:1].upper()}{title[1:]}{', ' if place else ''}{place}"
    axis = "unit" if total <= MAX_UNITS else "number of the unit"
    scale = "value" if signed else "0 = closed, 1 = open"
    return HeatMap(full_title, values[:, k, units].t(), [str(unit) for unit in units], signed, axis, scale)


def _place_name(inspection: Inspection, k: int) -> str:
    """The layer and the direction of reading, as far as there are several."""
    layer, direction = inspection.places()[k]
    layers = len({layer for layer, _ in inspection.places()})
    ordinal = _ORDINALS[layer] if layer < len(_ORDINALS) else f"{layer + 1}th"
    parts = [f"{ordinal} of {layers} layers"] if layers > 1 else []
    if inspection.bidirectional or inspection.reversed:
        parts.append(f"reading {direction}")
    return ", ".join(parts)


def _most_varied(values: Tensor) -> list[int]:
    """The indices of the units of [T, H] with the largest variance over the tokens, in ascending order."""
    units = values.var(0, correction=0).topk(min(MAX_UNITS, values.size(1))).indices
    return sorted(units.tolist())
