"""Confusion matrices."""

import pytest
import torch

from nlp_rnn.plots import confusion


def test_confusion_matrix_shows_counts_and_colors_by_row():
    figure = confusion.confusion_matrix_figure(torch.tensor([[1500, 500], [0, 0]]), ["$a$", "b"])
    axes = figure.axes[0]
    assert {text.get_text(): text.get_position() for text in axes.texts} == {"1,500": (0, 0), "500": (1, 0)}
    assert axes.images[0].get_array().tolist() == [[0.75, 0.25], [0.0, 0.0]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["$a$", "b"]
    assert not axes.get_xticklabels()[0].get_parse_math()


@pytest.mark.parametrize(("classes", "with_counts"), [(20, True), (21, False)])
def test_counts_are_left_out_where_classes_are_many(classes, with_counts):
    labels = [f"tag {i}" for i in range(classes)]
    figure = confusion.confusion_matrix_figure(torch.ones(classes, classes, dtype=torch.int64), labels)
    assert bool(figure.axes[0].texts) == with_counts
    assert len(figure.axes[0].get_xticklabels()) == classes


def test_mismatched_sizes_are_refused():
    with pytest.raises(ValueError, match="3 labels do not fit"):
        confusion.confusion_matrix_figure(torch.zeros(2, 2), ["a", "b", "c"])
