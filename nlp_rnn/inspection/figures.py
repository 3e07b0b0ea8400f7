"""The plots of an inspection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from nlp_rnn.inspection.inspector import Inspection
from nlp_rnn.plots.heatmaps import Curve, HeatMap, curves_figure, heat_maps_figure
from nlp_rnn.tasks.interface import Alignment

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_UNITS = 64
"""The maximum number of units in a heat map; those that vary most are shown."""


def figures(inspection: Inspection) -> Iterator[tuple[str, Figure]]:
    """All plots of an inspection by name, each made when it is asked for.

    Args:
        inspection: what to plot.

    Yields:
        The hidden states; the gates and the cell state of each layer and direction, if the cell has gates;
        the gradients; the probabilities and the alignment, if there are any.
    """
    panels = [
        _unit_panel("hidden state", inspection.hidden, inspection, k, signed=True)
        for k in range(len(inspection.places()))
    ]
    yield "hidden", heat_maps_figure(panels, inspection.tokens)
    for k, (layer, direction) in enumerate(inspection.places() if inspection.gates else ()):
        yield f"gates_layer{layer}_{direction}", _gates(inspection, k)
    yield "gradients", _gradients(inspection)
    if inspection.probabilities is not None:
        yield "probabilities", _probabilities(inspection, inspection.probabilities)
    if inspection.alignment is not None:
        yield "alignment", alignment_figure(inspection.alignment, inspection.tokens)


def alignment_figure(alignment: Alignment, tokens: Sequence[str]) -> Figure:
    """A heat map of the weights of attention: a row per token written, a column per token read.

    Args:
        alignment: the tokens written, and the weights.
        tokens: [T], the tokens read.
    """
    title = "what each token of the answer looks at"
    panel = HeatMap(title, alignment.weights, alignment.tokens, False, "answer")
    return heat_maps_figure([panel], tokens)


def running_figure(
    labels: Sequence[str], probabilities: Tensor, tokens: Sequence[str], separately: bool
) -> Figure:
    """Curves of the probability of each label after each token.

    Args:
        labels: [C].
        probabilities: [T, C].
        tokens: [T].
        separately: whether each prefix of the text was read by itself, rather than as a stream.
    """
    lines = [Curve(label, values) for label, values in zip(labels, probabilities.t().tolist(), strict=True)]
    reading = "each prefix read separately" if separately else "as the text streams in"
    return curves_figure(lines, tokens, f"answer after each token, {reading}", "probability")


def _gates(inspection: Inspection, k: int) -> Figure:
    """Heat maps of the gates and the cell state of one layer and direction."""
    panels = [
        _unit_panel(
            f"{name} {'state' if name == 'cell' else 'gate'}", values, inspection, k, signed=name == "cell"
        )
        for name, values in inspection.gates.items()
        if name != "candidate"  # only in the table
    ]
    return heat_maps_figure(panels, inspection.tokens)


def _gradients(inspection: Inspection) -> Figure:
    """Curves of the gradient norms of the top layer, forward; the table has the other layers too."""
    # In the backward direction the end of the text is the first step, so there is nothing to see.
    top = len(inspection.places()) - (2 if inspection.bidirectional else 1)
    lines = [
        Curve(gradients.model, gradients.norms[:, top].tolist(), dashed=not gradients.trained)
        for gradients in inspection.gradients
    ]
    title = f"gradient of the loss at the end, {_place_name(inspection, top)}"
    return curves_figure(lines, inspection.tokens, title, "norm at the hidden state", log=True)


def _probabilities(inspection: Inspection, probabilities: Tensor) -> Figure:
    """A heat map of the tags of each step, or curves of the labels of each prefix of the text."""
    if inspection.running:
        return running_figure(inspection.labels, probabilities, inspection.tokens, inspection.bidirectional)
    tags = HeatMap("probability of each tag", probabilities.t(), inspection.labels, False, "tag")
    return heat_maps_figure([tags], inspection.tokens)


def _unit_panel(title: str, values: Tensor, inspection: Inspection, k: int, signed: bool) -> HeatMap:
    """A heat map with one row per unit; `values` are [T, K, H], of which k is shown."""
    units = _most_varied(inspection.hidden[:, k])
    total = inspection.hidden.size(-1)
    part = "" if total <= MAX_UNITS else f" ({MAX_UNITS} of {total} units: those that vary most)"
    full_title = f"{title}, {_place_name(inspection, k)}{part}"
    return HeatMap(full_title, values[:, k, units].t(), [str(unit) for unit in units], signed, "unit")


def _place_name(inspection: Inspection, k: int) -> str:
    layer, direction = inspection.places()[k]
    return f"layer {layer}, {direction}"


def _most_varied(values: Tensor) -> list[int]:
    """The indices of the units of [T, H] with the largest variance over the tokens, in ascending order."""
    units = values.var(0, correction=0).topk(min(MAX_UNITS, values.size(1))).indices
    return sorted(units.tolist())
