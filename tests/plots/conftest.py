"""What every picture is held to: text inside of the picture, large enough, and not over other text."""

from itertools import pairwise

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from nlp_rnn.plots.style import WIDTH


def _labels(axis):
    """The labels of the ticks of an axis: those that are drawn, and those beyond its ends."""
    scale = axis.get_transform()
    low, high = sorted(scale.transform(axis.get_view_interval()))
    margin = 1e-6 * (high - low)
    drawn, beyond = [], []
    for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
        is_drawn = low - margin <= scale.transform(tick.get_loc()) <= high + margin
        (drawn if is_drawn else beyond).extend([tick.label1, tick.label2])
    return [label for label in drawn if label.get_visible() and label.get_text().strip()], beyond


def _assert_legible(figure, width=WIDTH):
    """Draw a figure and check its texts.

    Args:
        figure: the figure.
        width: inches that it may be wide, so that a README does not shrink it.
    """
    assert figure.get_figwidth() <= width
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    hidden = set()
    for axis in [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]:
        drawn, beyond = _labels(axis)
        hidden.update(beyond)
        boxes = [label.get_window_extent(renderer) for label in drawn]
        boxes.sort(key=lambda box, name=axis.axis_name: (box.x0, box.y0) if name == "x" else (box.y0, box.x0))
        for before, after in pairwise(boxes):
            assert not before.shrunk(0.98, 0.9).overlaps(after.shrunk(0.98, 0.9)), drawn
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    for text in texts:
        if text not in hidden:
            box = text.get_window_extent(renderer)
            assert text.get_fontsize() >= 8, text
            assert min(box.x0, box.y0) >= -1, text
            assert box.x1 <= figure.bbox.width + 1, text
            assert box.y1 <= figure.bbox.height + 1, text


@pytest.fixture(scope="session")
def assert_legible():
    return _assert_legible
