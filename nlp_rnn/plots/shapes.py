"""The shapes of recurrent networks, unrolled over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nlp_rnn.plots.figure import new_figure
from nlp_rnn.plots.style import BASE, SMALL, TITLE, WIDTH, color, styled, theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BOX = (0.72, 0.52)  # of a step, which is 1 wide
_ROWS = {"input": 0.0, "cell": 1.0, "output": 2.0}


@dataclass(frozen=True)
class Shape:
    """One shape.

    Args:
        name: its title.
        tasks: the tasks that have it.
        inputs: one per step; "" for none.
        outputs: one per step; "" for none.
        start: what the first state is made from; "" for nothing.
        fed_back: the steps whose input is the output of the step before.
    """

    name: str
    tasks: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    start: str = ""
    fed_back: Sequence[int] = ()


SHAPES = (
    Shape("One to many", "captioning", ("<bos>", "s", "e", "v"), ("s", "e", "v", "…"), "vector", (1, 2, 3)),
    Shape(
        "Many to one", "sentiment, text pairs, forecasting", ("not", "a", "bad", "film"), ("", "", "", "good")
    ),
    Shape(
        "Many to many, in step",
        "tagging, language modeling, series tagging",
        ("h", "e", "l", "l"),
        ("e", "l", "l", "o"),
    ),
    Shape(
        "Sequence to sequence",
        "translation",
        ("guten", "tag", "<bos>", "good", "day"),
        ("", "", "good", "day", "<eos>"),
        fed_back=(3, 4),
    ),
)


@styled()
def shapes_figure(shapes: Sequence[Shape] = SHAPES) -> Figure:
    """Draw each shape with its inputs below, its cells, and its outputs above, two in a row.

    Dashed arrows lead from a word that was written to the step that reads it.

    Args:
        shapes: what to draw.

    Returns:
        The figure.
    """
    columns = min(2, len(shapes))
    rows = -(-len(shapes) // 2)
    figure = new_figure(WIDTH / 2 * columns, 2.75 * rows)
    for place, shape in enumerate(shapes, start=1):
        axes = figure.add_subplot(rows, columns, place)
        axes.set_axis_off()
        axes.set_xlim(-1.5, 4.5)
        axes.set_ylim(-0.4, 3.4)
        axes.text(1.5, 3.25, shape.name, ha="center", va="center", fontsize=TITLE, weight="bold")
        axes.text(1.5, 2.82, shape.tasks, ha="center", va="center", fontsize=SMALL)
        _draw(axes, shape)
    return figure


def _draw(axes: Axes, shape: Shape) -> None:
    shift = 1.5 - (len(shape.inputs) - 1) / 2
    if shape.start:
        _box(axes, shift - 1.15, "cell", shape.start, color(2))
        _arrow(axes, (shift - 1.15 + _BOX[0] / 2, 1.0), (shift - _BOX[0] / 2, 1.0))
    for step, (read, written) in enumerate(zip(shape.inputs, shape.outputs, strict=True)):
        x = shift + step
        _box(axes, x, "cell", "cell", color(0))
        if step:
            _arrow(axes, (x - 1 + _BOX[0] / 2, 1.0), (x - _BOX[0] / 2, 1.0))
        if read:
            _box(axes, x, "input", read, theme().faint, dashed=step in shape.fed_back)
            _arrow(axes, (x, _BOX[1] / 2), (x, 1 - _BOX[1] / 2))
        if written:
            _box(axes, x, "output", written, color(1))
            _arrow(axes, (x, 1 + _BOX[1] / 2), (x, 2 - _BOX[1] / 2))
        if step in shape.fed_back:
            corner = (x - 1 + 0.45 * _BOX[0], 2 - _BOX[1] / 2)
            _arrow(axes, corner, (x - 0.4 * _BOX[0], _BOX[1] / 2), dashed=True)


def _box(axes: Axes, x: float, row: str, text: str, fill: str, dashed: bool = False) -> None:
    from matplotlib.colors import to_rgba
    from matplotlib.patches import FancyBboxPatch

    corner = (x - _BOX[0] / 2, _ROWS[row] - _BOX[1] / 2)
    box = FancyBboxPatch(corner, *_BOX, boxstyle="round,pad=0,rounding_size=0.08", linewidth=1)
    box.set(facecolor=to_rgba(fill, 0.22), edgecolor=to_rgba(fill, 0.9), linestyle="--" if dashed else "-")
    axes.add_patch(box)
    axes.text(x, _ROWS[row], text, ha="center", va="center", fontsize=BASE if len(text) < 5 else SMALL)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], dashed: bool = False) -> None:
    style = {"arrowstyle": "-|>", "color": color(1) if dashed else theme().ink, "shrinkA": 0, "shrinkB": 0}
    style |= {"linestyle": (0, (3, 2)), "linewidth": 1.0} if dashed else {"linewidth": 1.0}
    axes.annotate("", end, start, arrowprops=style)
