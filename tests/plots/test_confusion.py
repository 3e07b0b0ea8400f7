"""Confusion matrices, and the most confused pairs of many classes."""

import pytest
import torch

from nlp_rnn.plots import confusion


def test_a_matrix_shows_the_percent_of_each_true_class(assert_legible):
    figure = confusion.confusion_matrix_figure(
        torch.tensor([[1500, 500, 2], [0, 0, 0], [0, 0, 7]]), ["$a$", "b", "c"]
    )
    axes = figure.axes[0]
    texts = {text.get_position(): text.get_text() for text in axes.texts}
    assert texts == {(0, 0): "75%", (1, 0): "25%", (2, 0): "<1%", (2, 2): "100%"}
    assert axes.images[0].get_array()[0].tolist() == [1500 / 2002, 500 / 2002, 2 / 2002]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["$a$ (2,002)", "b (0)", "c (7)"]
    assert not axes.get_xticklabels()[0].get_parse_math()
    assert axes.get_title(loc="left") == "Percent of each true class"
    assert_legible(figure)


def test_17_part_of_speech_tags_are_a_matrix_that_a_page_holds(assert_legible):
    tags = [f"{place:02}" * 2 + "X" for place in range(17)]  # as long as PUNCT
    figure = confusion.confusion_matrix_figure(torch.eye(17, dtype=torch.int64) * 1234, tags)
    assert len(figure.axes[0].images) == 1
    assert_legible(figure, 8.6)


def test_of_many_classes_the_most_confused_pairs_are_bars(assert_legible):
    matrix = torch.eye(49, dtype=torch.int64) * 90
    matrix[3, 5], matrix[7, 1], matrix[0, 48] = 10, 30, 1
    figure = confusion.confusion_matrix_figure(matrix, [f"T{place}" for place in range(49)])
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["T7 → T1", "T3 → T5", "T0 → T48"]
    assert [text.get_text() for text in axes.texts] == ["25% (30 of 120)", "10% (10 of 100)", "1% (1 of 91)"]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([25, 10, 100 / 91])
    assert axes.get_title(loc="left") == "Most confused pairs of 49 classes: 41 of 41 errors"
    assert axes.yaxis_inverted()
    assert_legible(figure)


@pytest.mark.parametrize("errors", [0, 1])
def test_bars_are_as_many_as_can_be_read(errors, assert_legible):
    matrix = torch.full((30, 30), errors).fill_diagonal_(5)
    figure = confusion.confusion_matrix_figure(
        matrix, ["a long name of a class " + str(i) for i in range(30)]
    )
    assert len(figure.axes[0].patches) == errors * confusion.MAX_PAIRS
    assert figure.axes[0].get_title(loc="left").startswith("Most" if errors else "No errors in 30 classes")
    assert_legible(figure)


def test_mismatched_sizes_are_refused():
    with pytest.raises(ValueError, match="3 labels do not fit"):
        confusion.confusion_matrix_figure(torch.zeros(2, 2), ["a", "b", "c"])
