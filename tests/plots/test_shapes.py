"""The shapes of recurrent networks are drawn whole, with the words that are fed back."""

import pytest
from matplotlib.patches import FancyBboxPatch

from nlp_rnn.plots.shapes import SHAPES, shapes_figure
from nlp_rnn.plots.style import THEMES, styled


@pytest.mark.parametrize("theme", THEMES)
def test_every_text_is_inside_of_the_picture_and_of_its_box(theme, assert_legible):
    with styled(theme):
        figure = shapes_figure()
    assert_legible(figure)
    renderer = figure.canvas.get_renderer()
    for axes in figure.axes:
        boxes = [
            patch.get_window_extent(renderer) for patch in axes.patches if isinstance(patch, FancyBboxPatch)
        ]
        texts = [text for text in axes.texts if text.get_text()][2:]
        assert len(texts) == len(boxes)
        for text in texts:
            extent = text.get_window_extent(renderer)
            assert any(box.x0 <= extent.x0 and extent.x1 <= box.x1 for box in boxes), text


def test_words_that_were_written_are_read_at_the_next_step():
    for shape in SHAPES:
        assert all(shape.inputs[step] == shape.outputs[step - 1] for step in shape.fed_back)
    dashed = [sum(patch.get_linestyle() == "--" for patch in axes.patches) for axes in shapes_figure().axes]
    assert dashed == [len(shape.fed_back) for shape in SHAPES] == [3, 0, 0, 2]


def test_a_single_shape_fills_its_figure(assert_legible):
    figure = shapes_figure(SHAPES[:1])
    assert figure.get_figwidth() == shapes_figure().get_figwidth() / 2
    assert_legible(figure)
